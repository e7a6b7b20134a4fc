//! Lines of logs about requests: W3C extended, NCSA common, IIS, JSON.
//!
//! Whatever a peer sends, a record is one line, and its values are found again where they belong. What is
//! logged, and in which file, is `engine`'s matter; nothing is written here.
//! Source: http-server-api §9; W3C Working Draft "Extended Log File Format"; NCSA httpd's common log format;
//! RFC 8259.

mod iis;
mod json;
mod ncsa;
mod text;
mod w3c;

use std::net::SocketAddr;

use tidegate_httpapi::{LogFields, LogFormat, LogTime, Version};

pub use text::{append_date, append_text, append_time};

/// What there is to say of one request that was answered.
///
/// Texts are as received. `None` is what was not there, or is not known.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// When the last byte of the answer was given to the system, UTC.
    pub time: LogTime,
    /// The part of that second, 0 to 999.
    pub millisecond: u16,
    /// The same moment on the local clock.
    pub local_time: LogTime,
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// The address that the request came to.
    pub server: Option<SocketAddr>,
    /// The site's name, as its log was given it.
    pub site_name: Option<&'a [u8]>,
    /// This machine's name.
    pub computer_name: Option<&'a [u8]>,
    /// Who the client is.
    pub user_name: Option<&'a [u8]>,
    /// The method.
    pub method: Option<&'a [u8]>,
    /// The path.
    pub uri_stem: Option<&'a [u8]>,
    /// The query, without its `?`.
    pub uri_query: Option<&'a [u8]>,
    /// The version of HTTP.
    pub version: Version,
    /// The value of `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// The value of `Cookie`.
    pub cookie: Option<&'a [u8]>,
    /// The value of `Referer`.
    pub referer: Option<&'a [u8]>,
    /// The host asked for.
    pub host: Option<&'a [u8]>,
    /// The answer's status.
    pub status: u16,
    /// What the status does not tell.
    pub substatus: u16,
    /// 0, or why the answer did not reach the client.
    pub win32_status: u32,
    /// Bytes sent, head included.
    pub bytes_sent: u64,
    /// Bytes received, head included.
    pub bytes_received: u64,
    /// Milliseconds from the request's first byte to the answer's last.
    pub time_taken: u64,
    /// The stream of HTTP/2.
    pub stream_id: Option<u32>,
}

/// How the lines of a log look.
#[derive(Clone, Copy, Debug)]
pub struct LogStyle<'a> {
    /// The format.
    pub format: LogFormat,
    /// What W3C and JSON lines say.
    pub fields: LogFields,
    /// Whether characters beyond ASCII are written.
    pub utf8: bool,
    /// What wrote them.
    pub software: &'a str,
}

impl LogStyle<'_> {
    /// Appends the lines that a file, or what is added to one, begins with. `time` is that of the first
    /// record, UTC.
    pub fn append_header(&self, out: &mut Vec<u8>, time: &LogTime) {
        if self.format == LogFormat::W3c {
            w3c::append_header(out, self, time);
        }
    }

    /// Appends the line of a record.
    pub fn append_record(&self, out: &mut Vec<u8>, record: &LogRecord<'_>) {
        match self.format {
            LogFormat::Ncsa => ncsa::append(out, self.utf8, record),
            LogFormat::Iis => iis::append(out, self.utf8, record),
            LogFormat::Json => json::append(out, self.fields, record),
            _ => w3c::append(out, self.fields, self.utf8, record),
        }
    }

    /// Appends a remark that records are missing here, where the format has a place for one.
    pub fn append_lost(&self, out: &mut Vec<u8>, time: &LogTime, count: u64) {
        match self.format {
            LogFormat::Json => json::append_lost(out, time, count),
            LogFormat::W3c => w3c::append_lost(out, count),
            _ => {}
        }
    }
}

/// As lines tell it: with both numbers, as the other versions have.
fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}
