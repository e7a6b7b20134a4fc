//! NCSA common: `host - user [dd/Mon/yyyy:HH:MM:SS +ZZZZ] "VERB target HTTP/x.y" status bytes`, local time.

use std::io::Write as _;

use super::text::{append_address, append_escaped, append_number, append_time, append_value};
use super::{LogRecord, version};

pub(super) fn append(out: &mut Vec<u8>, utf8: bool, record: &LogRecord<'_>) {
    append_value(out, |out| append_address(out, record.client));
    out.extend_from_slice(b" - ");
    let user = record.user_name.unwrap_or_default();
    append_value(out, |out| append_escaped(out, user, utf8, &IN_USER));
    out.extend_from_slice(b" [");
    let time = &record.local_time;
    let month = MONTHS[usize::from(time.month.clamp(1, 12)) - 1];
    let _ = write!(out, "{:02}/{month}/{:04}:", time.day, time.year);
    append_time(out, time);
    let offset = time.utc_offset_minutes;
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    let _ = write!(out, " {sign}{hours:02}{minutes:02}] \"");
    let text = |text: Option<&[u8]>, out: &mut Vec<u8>| {
        append_escaped(out, text.unwrap_or_default(), utf8, &IN_TARGET);
    };
    append_value(out, |out| text(record.method, out));
    out.push(b' ');
    append_value(out, |out| text(record.uri_stem, out));
    if let Some(query) = record.uri_query {
        out.push(b'?');
        text(Some(query), out);
    }
    let _ = write!(out, " {}\" ", version(record.version));
    append_number(out, record.status.into());
    out.push(b' ');
    append_number(out, record.bytes_sent);
    out.push(b'\n');
}

/// A quote would end the target; a reader may take what follows a backslash for escaped.
const IN_TARGET: [(u8, &[u8]); 2] = [(b'"', b"%22"), (b'\\', b"%5C")];
/// What stands around the parts after it.
const IN_USER: [(u8, &[u8]); 4] = [(b'"', b"+"), (b'\\', b"+"), (b'[', b"+"), (b']', b"+")];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
