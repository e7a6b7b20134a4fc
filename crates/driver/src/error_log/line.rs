//! One line of the HTTPERR log, and the header that begins each file.
//!
//! Which fields there are, in which order, and how a value is made safe to stand in a line.
//! Source: "Format of the HTTP Server API Error Logs"; the order with the fields of later versions
//! is that of Log Parser's HTTPERR input format; the bits are `HTTP_LOG_FIELD_*`.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tidegate_httpapi::{LogTime, PeerAddress};
use tidegate_proto::log::{append_date, append_time};

use super::ErrorRecord;

/// Longest method written.
pub(super) const METHOD_BYTES_MAX: usize = 255;
/// Longest target written.
pub(super) const URI_BYTES_MAX: usize = 4096;
/// Longer than any version that is written as it is.
pub(super) const VERSION_BYTES_MAX: usize = 16;

/// The bits of all fields that the log knows.
pub(super) const ALL_FIELDS: u32 = 0x07DF_F4E7;

/// Appends the lines that begin a file. `time` is that of the first record, UTC.
pub(super) fn append_header(out: &mut Vec<u8>, fields: u32, time: &LogTime) {
    out.extend_from_slice(concat!("#Software: Tidegate ", env!("CARGO_PKG_VERSION")).as_bytes());
    out.extend_from_slice(b"\r\n#Version: 1.0\r\n#Date: ");
    append_date(out, time);
    out.push(b' ');
    append_time(out, time);
    out.extend_from_slice(b"\r\n#Fields:");
    for column in chosen(fields) {
        out.push(b' ');
        out.extend_from_slice(column.name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one record. `time` is when it happened, UTC.
pub(super) fn append_record(out: &mut Vec<u8>, fields: u32, time: &LogTime, record: &ErrorRecord) {
    let start = out.len();
    for column in chosen(fields) {
        if out.len() > start {
            out.push(b' ');
        }
        let before = out.len();
        append_value(out, column.value, time, record);
        if out.len() == before {
            out.push(b'-');
        }
    }
    // With the date left out a line may begin with what a peer sent; it must not pass as a directive.
    if out.get(start) == Some(&b'#') {
        out[start] = b'+';
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a remark that there are records which are not in the log.
pub(super) fn append_lost(out: &mut Vec<u8>, count: u64) {
    let records = if count == 1 { "record" } else { "records" };
    let _ = write!(out, "#Remark: {count} {records} lost before this line\r\n");
}

struct Column {
    bit: u32,
    name: &'static str,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    Date,
    Time,
    ClientAddress,
    ClientPort,
    ServerAddress,
    ServerPort,
    Version,
    Method,
    Uri,
    Status,
    SiteId,
    Reason,
    QueueName,
    /// A field of later versions that the driver does not collect.
    Missing,
}

fn chosen(fields: u32) -> impl Iterator<Item = &'static Column> {
    COLUMNS
        .iter()
        .filter(move |column| column.bit & fields != 0)
}

/// Appends nothing when the value is not known.
fn append_value(out: &mut Vec<u8>, value: Value, time: &LogTime, record: &ErrorRecord) {
    match value {
        Value::Date => append_date(out, time),
        Value::Time => append_time(out, time),
        Value::ClientAddress => append_address(out, &record.client),
        Value::ClientPort => append_port(out, &record.client),
        Value::ServerAddress => append_address(out, &record.server),
        Value::ServerPort => append_port(out, &record.server),
        Value::Version => out.extend_from_slice(version(&record.version)),
        Value::Method => append_text(out, first(&record.method, METHOD_BYTES_MAX)),
        Value::Uri => append_text(out, first(&record.uri, URI_BYTES_MAX)),
        Value::Status => {
            if let Some(status) = record.status.filter(|status| *status <= 999) {
                let _ = write!(out, "{status}");
            }
        }
        Value::SiteId => {
            if let Some(id) = record.site_id {
                let _ = write!(out, "{id}");
            }
        }
        Value::Reason => {
            debug_assert!(!record.reason.is_empty());
            append_text(out, record.reason.as_bytes());
        }
        Value::QueueName => {
            if let Some(name) = &record.queue_name {
                append_text(out, name.as_bytes());
            }
        }
        Value::Missing => {}
    }
}

fn append_address(out: &mut Vec<u8>, address: &PeerAddress) {
    let _ = match address {
        PeerAddress::Tcp(address) => match (address.ip().to_canonical(), address) {
            (IpAddr::V6(ip), SocketAddr::V6(address)) => {
                write!(out, "{ip}%{}", address.scope_id())
            }
            (ip, _) => write!(out, "{ip}"),
        },
        PeerAddress::Unix(Some(path)) => {
            append_path(out, path);
            Ok(())
        }
        PeerAddress::Unix(None) | PeerAddress::Unknown => Ok(()),
    };
}

fn append_path(out: &mut Vec<u8>, path: &Path) {
    append_text(out, path.as_os_str().as_encoded_bytes());
}

fn append_port(out: &mut Vec<u8>, address: &PeerAddress) {
    if let PeerAddress::Tcp(address) = address {
        let _ = write!(out, "{}", address.port());
    }
}

/// What stands for a version that was read: two digits are told, longer numbers are not.
fn version(read: &[u8]) -> &[u8] {
    let Some(numbers) = read.strip_prefix(b"HTTP/") else {
        return b"";
    };
    let mut parts = numbers.splitn(2, |byte| *byte == b'.');
    let (Some(major), Some(minor)) = (parts.next(), parts.next()) else {
        return b"";
    };
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if !is_number(major) || !is_number(minor) {
        return b"";
    }
    if major.len() > 1 || minor.len() > 1 {
        return b"HTTP/?.?";
    }
    read
}

fn append_text(out: &mut Vec<u8>, text: &[u8]) {
    tidegate_proto::log::append_text(out, text, true);
}

fn first(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[..bytes.len().min(max)]
}

const fn column(bit: u32, name: &'static str, value: Value) -> Column {
    Column { bit, name, value }
}

/// All fields in their order.
const COLUMNS: [Column; 21] = [
    column(0x0000_0001, "date", Value::Date),
    column(0x0000_0002, "time", Value::Time),
    column(0x0000_0020, "s-computername", Value::Missing),
    column(0x0000_0004, "c-ip", Value::ClientAddress),
    column(0x0040_0000, "c-port", Value::ClientPort),
    column(0x0000_0040, "s-ip", Value::ServerAddress),
    column(0x0000_8000, "s-port", Value::ServerPort),
    column(0x0008_0000, "cs-version", Value::Version),
    column(0x0000_0080, "cs-method", Value::Method),
    column(0x0080_0000, "cs-uri", Value::Uri),
    column(0x0001_0000, "cs(User-Agent)", Value::Missing),
    column(0x0002_0000, "cs(Cookie)", Value::Missing),
    column(0x0004_0000, "cs(Referer)", Value::Missing),
    column(0x0010_0000, "cs-host", Value::Missing),
    column(0x0000_0400, "sc-status", Value::Status),
    column(0x0000_1000, "sc-bytes", Value::Missing),
    column(0x0000_2000, "cs-bytes", Value::Missing),
    column(0x0000_4000, "time-taken", Value::Missing),
    column(0x0100_0000, "s-siteid", Value::SiteId),
    column(0x0200_0000, "s-reason", Value::Reason),
    column(0x0400_0000, "s-queuename", Value::QueueName),
];

const _: () = {
    let mut all = 0;
    let mut index = 0;
    while index < COLUMNS.len() {
        all |= COLUMNS[index].bit;
        index += 1;
    }
    assert!(all == ALL_FIELDS);
};
