//! JSON: one object a line, whose members are always the same and in the same order. What is not known has
//! no member.

use std::io::Write as _;

use tidegate_httpapi::{LogFields, LogTime};

use super::text::{
    append_address, append_date, append_number, append_time, first_character, is_printable,
};
use super::{LogRecord, version};

pub(super) fn append(out: &mut Vec<u8>, fields: LogFields, record: &LogRecord<'_>) {
    let mut object = Object::begin(out);
    if fields.contains(LogFields::DATE) || fields.contains(LogFields::TIME) {
        object.time(&record.time, record.millisecond);
    }
    for (name, field, value) in members(record) {
        if !fields.contains(field) {
            continue;
        }
        match value {
            Value::Text(Some(text)) => object.text(name, text),
            Value::Number(Some(number)) => append_number(object.member(name), number),
            Value::Address(Some(address)) => {
                let out = object.member(name);
                out.push(b'"');
                append_address(out, Some(address));
                out.push(b'"');
            }
            Value::Text(None) | Value::Number(None) | Value::Address(None) => {}
        }
    }
    object.end();
}

pub(super) fn append_lost(out: &mut Vec<u8>, time: &LogTime, count: u64) {
    let mut object = Object::begin(out);
    object.time(time, 0);
    append_number(object.member("records_lost"), count);
    object.end();
}

enum Value<'a> {
    Text(Option<&'a [u8]>),
    Number(Option<u64>),
    Address(Option<std::net::SocketAddr>),
}

/// All members but the time, in the order of the W3C fields that they are.
fn members<'a>(record: &LogRecord<'a>) -> [(&'static str, LogFields, Value<'a>); 21] {
    use Value::{Address, Number, Text};
    let port = record.server.map(|address| u64::from(address.port()));
    let number = |number: u64| Number(Some(number));
    let version = version(record.version).as_bytes();
    [
        ("site", LogFields::SITE_NAME, Text(record.site_name)),
        (
            "computer",
            LogFields::COMPUTER_NAME,
            Text(record.computer_name),
        ),
        ("server_ip", LogFields::SERVER_IP, Address(record.server)),
        ("method", LogFields::METHOD, Text(record.method)),
        ("path", LogFields::URI_STEM, Text(record.uri_stem)),
        ("query", LogFields::URI_QUERY, Text(record.uri_query)),
        ("server_port", LogFields::SERVER_PORT, Number(port)),
        ("user", LogFields::USER_NAME, Text(record.user_name)),
        ("client_ip", LogFields::CLIENT_IP, Address(record.client)),
        ("version", LogFields::VERSION, Text(Some(version))),
        ("user_agent", LogFields::USER_AGENT, Text(record.user_agent)),
        ("cookie", LogFields::COOKIE, Text(record.cookie)),
        ("referer", LogFields::REFERER, Text(record.referer)),
        ("host", LogFields::HOST, Text(record.host)),
        ("status", LogFields::STATUS, number(record.status.into())),
        (
            "substatus",
            LogFields::SUBSTATUS,
            number(record.substatus.into()),
        ),
        (
            "win32_status",
            LogFields::WIN32_STATUS,
            number(record.win32_status.into()),
        ),
        (
            "bytes_sent",
            LogFields::BYTES_SENT,
            number(record.bytes_sent),
        ),
        (
            "bytes_received",
            LogFields::BYTES_RECEIVED,
            number(record.bytes_received),
        ),
        (
            "time_taken_ms",
            LogFields::TIME_TAKEN,
            number(record.time_taken),
        ),
        (
            "stream_id",
            LogFields::STREAM_ID,
            Number(record.stream_id.map(u64::from)),
        ),
    ]
}

/// An object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Begins a member, whose value is to be appended.
    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// RFC 3339, UTC.
    fn time(&mut self, time: &LogTime, millisecond: u16) {
        let out = self.member("time");
        out.push(b'"');
        append_date(out, time);
        out.push(b'T');
        append_time(out, time);
        let _ = write!(out, ".{millisecond:03}Z\"");
    }

    fn text(&mut self, name: &str, text: &[u8]) {
        let out = self.member(name);
        out.push(b'"');
        append_string(out, text);
        out.push(b'"');
    }

    fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

/// Appends what stands between the quotes of a string. What is no character is U+FFFD, what cannot be seen is
/// escaped.
fn append_string(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.iter().take_while(|byte| is_plain(byte)).count();
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.is_empty() {
            break;
        }
        let (character, length) = first_character(rest);
        match character {
            None => out.extend_from_slice(b"\\ufffd"),
            Some(character @ ('"' | '\\')) => out.extend_from_slice(&[b'\\', character as u8]),
            Some(character) if is_printable(character) => out.extend_from_slice(&rest[..length]),
            Some(character) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        rest = &rest[length..];
    }
}
