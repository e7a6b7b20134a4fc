//! What is kept of a request for its line.

use std::net::SocketAddr;

use tidegate_engine::{LogId, LogView};
use tidegate_httpapi::{Fields, KnownField, LogData, LogFields, RequestLine, Version};

/// What is to be said of a request, but for its texts, which are in memory beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) log: LogId,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
    /// When the last byte of the answer was given to the system, in milliseconds since 1970.
    pub(crate) unix_ms: u64,
    /// In milliseconds.
    pub(crate) time_taken: u32,
    pub(crate) version: Version,
    /// 0: it has not been answered.
    pub(crate) status: u16,
    pub(crate) substatus: u16,
    pub(crate) win32_status: u32,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) stream_id: Option<u32>,
    lengths: [u16; TEXTS],
}

/// The texts of a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Texts<'a> {
    pub(crate) method: Option<&'a [u8]>,
    pub(crate) uri_stem: Option<&'a [u8]>,
    pub(crate) uri_query: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) cookie: Option<&'a [u8]>,
    pub(crate) referer: Option<&'a [u8]>,
    pub(crate) host: Option<&'a [u8]>,
    /// Told with the answer.
    pub(crate) user_name: Option<&'a [u8]>,
}

impl<'a> Texts<'a> {
    /// Those of a head that a log's lines say.
    #[inline]
    pub(crate) fn of(
        wanted: LogFields,
        bytes: &'a [u8],
        line: &RequestLine,
        fields: Fields<'a>,
    ) -> Self {
        let field = |field, known| match wanted.contains(field) {
            true => fields.known(known),
            false => None,
        };
        let path = match line.path.len {
            // `OPTIONS *`, or a CONNECT.
            0 => line.target,
            _ => line.path,
        };
        let authority = line.authority.map(|span| span.of(bytes));
        Self {
            method: wanted
                .contains(LogFields::METHOD)
                .then(|| first(line.method.of(bytes), METHOD_BYTES_MAX)),
            uri_stem: wanted.contains(LogFields::URI_STEM).then(|| path.of(bytes)),
            uri_query: line
                .query
                .filter(|_| wanted.contains(LogFields::URI_QUERY))
                .map(|span| span.of(bytes)),
            user_agent: field(LogFields::USER_AGENT, KnownField::UserAgent),
            cookie: field(LogFields::COOKIE, KnownField::Cookie),
            referer: field(LogFields::REFERER, KnownField::Referer),
            host: authority
                .filter(|_| wanted.contains(LogFields::HOST))
                .or_else(|| field(LogFields::HOST, KnownField::Host)),
            user_name: None,
        }
    }

    /// In the order in which they stand in memory.
    fn in_order(&self) -> [Option<&'a [u8]>; TEXTS] {
        [
            self.method,
            self.uri_stem,
            self.uri_query,
            self.user_agent,
            self.cookie,
            self.referer,
            self.host,
            self.user_name,
        ]
    }
}

impl Record {
    /// A record of a request that has not been answered.
    #[inline]
    pub(crate) fn new(log: &LogView, version: Version) -> Self {
        Self {
            log: log.id,
            client: None,
            server: None,
            unix_ms: 0,
            time_taken: 0,
            version,
            status: 0,
            substatus: 0,
            win32_status: 0,
            bytes_sent: 0,
            bytes_received: 0,
            stream_id: None,
            lengths: [ABSENT; TEXTS],
        }
    }

    /// Puts texts into `memory`, behind what is there. What is longer than is told is cut.
    #[inline]
    pub(crate) fn keep(&mut self, memory: &mut Vec<u8>, texts: &Texts<'_>) {
        for (length, text) in self.lengths.iter_mut().zip(texts.in_order()) {
            if let Some(text) = text {
                let text = first(text, TEXT_BYTES_MAX);
                memory.extend_from_slice(text);
                *length = text.len() as u16;
            }
        }
    }

    /// Puts what the application says of its answer behind the other texts.
    #[cold]
    pub(crate) fn keep_data(&mut self, memory: &mut Vec<u8>, fields: LogFields, data: &LogData) {
        self.substatus = data.substatus;
        self.win32_status = data.win32_status;
        let [.., length] = &mut self.lengths;
        if let Some(name) = &data.user_name
            && fields.contains(LogFields::USER_NAME)
            && *length == ABSENT
        {
            let name = first(name.as_bytes(), TEXT_BYTES_MAX);
            memory.extend_from_slice(name);
            *length = name.len() as u16;
        }
    }

    /// Finds its texts at the beginning of `memory`. Says how many bytes they have.
    pub(crate) fn texts<'a>(&self, memory: &'a [u8]) -> (Texts<'a>, usize) {
        let mut at = 0;
        let [
            method,
            uri_stem,
            uri_query,
            user_agent,
            cookie,
            referer,
            host,
            user_name,
        ] = self.lengths.map(|length| {
            if length == ABSENT {
                return None;
            }
            let start = at;
            at += usize::from(length);
            memory.get(start..at)
        });
        let texts = Texts {
            method,
            uri_stem,
            uri_query,
            user_agent,
            cookie,
            referer,
            host,
            user_name,
        };
        (texts, at)
    }
}

fn first(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[..bytes.len().min(max)]
}

/// How many texts there are.
const TEXTS: usize = 8;
/// In place of a length: there is no such text.
const ABSENT: u16 = u16::MAX;

/// Longest method told. Source: http-server-api §9, of the HTTPERR log.
const METHOD_BYTES_MAX: usize = 255;
/// Longest of the other texts told; the rest of a longer one is left out. Source: the same.
const TEXT_BYTES_MAX: usize = 4096;
/// Bytes of all texts of a record at most.
pub(super) const RECORD_BYTES_MAX: usize = METHOD_BYTES_MAX + (TEXTS - 1) * TEXT_BYTES_MAX;
