//! IIS: fifteen values, each with a comma behind it, local time.
//!
//! Client address, user, date, time, service, server, server address, time taken, bytes received, bytes sent,
//! status, Win32 status, verb, target, parameters.

use std::io::Write as _;

use super::LogRecord;
use super::text::{append_address, append_escaped, append_number, append_value};

pub(super) fn append(out: &mut Vec<u8>, utf8: bool, record: &LogRecord<'_>) {
    let text = |out: &mut Vec<u8>, text: Option<&[u8]>, comma: &[u8]| {
        append_value(out, |out| {
            append_escaped(out, text.unwrap_or_default(), utf8, &[(b',', comma)]);
        });
        out.extend_from_slice(b", ");
    };
    let number = |out: &mut Vec<u8>, number: u64| {
        append_number(out, number);
        out.extend_from_slice(b", ");
    };
    append_value(out, |out| append_address(out, record.client));
    out.extend_from_slice(b", ");
    text(out, record.user_name, b"+");
    let time = &record.local_time;
    let (year, month, day) = (time.year.rem_euclid(100), time.month, time.day);
    let _ = write!(out, "{month:02}/{day:02}/{year:02}, ");
    let (hour, minute, second) = (time.hour, time.minute, time.second);
    let _ = write!(out, "{hour}:{minute:02}:{second:02}, ");
    text(out, record.site_name, b"+");
    text(out, record.computer_name, b"+");
    append_value(out, |out| append_address(out, record.server));
    out.extend_from_slice(b", ");
    number(out, record.time_taken);
    number(out, record.bytes_received);
    number(out, record.bytes_sent);
    number(out, record.status.into());
    number(out, record.win32_status.into());
    text(out, record.method, b"+");
    // In a URI a comma may be written so.
    text(out, record.uri_stem, b"%2C");
    text(out, record.uri_query, b"%2C");
    // The last has its comma too, and nothing behind that.
    out.pop();
    out.push(b'\n');
}
