//! W3C extended: chosen fields in their order, single spaces between them, UTC.

use std::io::Write as _;

use tidegate_httpapi::{LogFields, LogTime};

use super::text::{
    append_address, append_date, append_number, append_text, append_time, append_value,
};
use super::{LogRecord, LogStyle, version};

pub(super) fn append_header(out: &mut Vec<u8>, style: &LogStyle<'_>, time: &LogTime) {
    out.extend_from_slice(b"#Software: ");
    // Spaces may stand there, nothing follows.
    for word in style.software.split_whitespace() {
        append_text(out, word.as_bytes(), style.utf8);
        out.push(b' ');
    }
    out.pop();
    out.extend_from_slice(b"\n#Version: 1.0\n#Date: ");
    append_date(out, time);
    out.push(b' ');
    append_time(out, time);
    out.extend_from_slice(b"\n#Fields:");
    for name in style.fields.names() {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
}

pub(super) fn append_lost(out: &mut Vec<u8>, count: u64) {
    let records = if count == 1 { "record" } else { "records" };
    let _ = writeln!(out, "#Remark: {count} {records} lost before this line");
}

pub(super) fn append(out: &mut Vec<u8>, fields: LogFields, utf8: bool, record: &LogRecord<'_>) {
    let start = out.len();
    for (_, field) in LogFields::NAMES {
        if fields.contains(field) {
            append_value(out, |out| append_field(out, field, utf8, record));
            out.push(b' ');
        }
    }
    // A log has a field at least.
    out.pop();
    // With the date left out a line may begin with what a peer sent; it must not pass as a directive.
    if out.get(start) == Some(&b'#') {
        out[start] = b'+';
    }
    out.push(b'\n');
}

fn append_field(out: &mut Vec<u8>, field: LogFields, utf8: bool, record: &LogRecord<'_>) {
    let port = record.server.map(|address| address.port());
    let text = match field {
        LogFields::DATE => return append_date(out, &record.time),
        LogFields::TIME => return append_time(out, &record.time),
        LogFields::CLIENT_IP => return append_address(out, record.client),
        LogFields::SERVER_IP => return append_address(out, record.server),
        LogFields::VERSION => return out.extend_from_slice(version(record.version).as_bytes()),
        LogFields::SERVER_PORT => return append_some(out, port.map(u64::from)),
        LogFields::STATUS => return append_number(out, record.status.into()),
        LogFields::SUBSTATUS => return append_number(out, record.substatus.into()),
        LogFields::WIN32_STATUS => return append_number(out, record.win32_status.into()),
        LogFields::BYTES_SENT => return append_number(out, record.bytes_sent),
        LogFields::BYTES_RECEIVED => return append_number(out, record.bytes_received),
        LogFields::TIME_TAKEN => return append_number(out, record.time_taken),
        LogFields::STREAM_ID => return append_some(out, record.stream_id.map(u64::from)),
        LogFields::SITE_NAME => record.site_name,
        LogFields::COMPUTER_NAME => record.computer_name,
        LogFields::METHOD => record.method,
        LogFields::URI_STEM => record.uri_stem,
        LogFields::URI_QUERY => record.uri_query,
        LogFields::USER_NAME => record.user_name,
        LogFields::USER_AGENT => record.user_agent,
        LogFields::COOKIE => record.cookie,
        LogFields::REFERER => record.referer,
        LogFields::HOST => record.host,
        _ => None,
    };
    append_text(out, text.unwrap_or_default(), utf8);
}

fn append_some(out: &mut Vec<u8>, number: Option<u64>) {
    if let Some(number) = number {
        append_number(out, number);
    }
}
