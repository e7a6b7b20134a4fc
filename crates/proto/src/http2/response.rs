//! Heads of responses, interim responses and trailer sections as header blocks.
//!
//! An application's fields are written as they are, but in lower case and without those that are about a
//! connection of HTTP/1. What `Date`, `Server` and `Content-Length` say is decided by the functions of
//! `http1`. Not here: frames, content. Source: RFC 9113 §8.2, §8.3.2; the HTTP Server API's rules for
//! responses.

mod memo;
#[cfg(test)]
mod tests;

use memchr::memchr;
use tidegate_httpapi::{FieldBlock, KnownField, ResponseHead};

pub(crate) use self::memo::Memo;
use super::hpack::{Encoder, FieldName, Indexing, encode_content_length};
use super::request::is_connection_specific;
use crate::http1::{
    Connection, Content, ResponseContext, application_length, elements, plan_content, shows_token,
};

/// What was decided while a head was encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SentHead {
    /// Whether content may follow: not for `HEAD`, 204, 304.
    pub send_content: bool,
    /// Whether nothing follows: the stream ends with this head.
    pub ended: bool,
    /// The content's length as the peer was told, or would have been if it were not 0: the application's
    /// `Content-Length`, else that of the content given.
    pub length: Option<u64>,
}

/// Whether the application wants the connection to close after this response: the client is asked to open
/// no more streams before it is sent (case T06).
pub fn wants_close(head: &ResponseHead) -> bool {
    head.close || head.fields.contains(KnownField::Connection) && says_close(&head.fields)
}

/// Appends a response's head, as one header block.
///
/// `length` is the content's, when known. A `Content-Length` of the application is kept even if it
/// differs (case C02). `tunnel`: it accepts an extended CONNECT, whose stream stays open both ways.
pub(crate) fn encode(
    encoder: &mut Encoder,
    memo: &mut Memo,
    head: &ResponseHead,
    length: Option<u64>,
    context: &ResponseContext<'_>,
    tunnel: bool,
    block: &mut Vec<u8>,
) -> SentHead {
    let answer = Answer {
        head,
        length,
        context,
        tunnel,
    };
    let generation = encoder.generation();
    if let Some(sent) = memo.find(generation, &answer, block) {
        return sent;
    }
    let start = block.len();
    let sent = answer.encode(encoder, block);
    if encoder.generation() == generation {
        memo.learn(generation, &answer, &block[start..], sent);
    }
    sent
}

/// Appends fields to `block`: those of an interim response, behind its status, or a trailer section.
/// Fields that frame content are left out.
pub(crate) fn encode_fields(encoder: &mut Encoder, fields: &FieldBlock, block: &mut Vec<u8>) {
    // Does nothing where there is a status already.
    encoder.begin_block(block);
    for (name, value) in lines(fields) {
        let known = KnownField::of(name);
        if known != KnownField::ContentLength && !is_left_out(name, known) {
            encoder.encode_field(block, name, value, Indexing::ByName);
        }
    }
}

/// All that a response's header block depends on, but the encoder.
#[derive(Clone, Copy)]
struct Answer<'a> {
    head: &'a ResponseHead,
    length: Option<u64>,
    context: &'a ResponseContext<'a>,
    tunnel: bool,
}

impl Answer<'_> {
    fn encode(&self, encoder: &mut Encoder, block: &mut Vec<u8>) -> SentHead {
        let Self { head, context, .. } = *self;
        encoder.encode_status(block, self.status());
        let application = match head.fields.contains(KnownField::ContentLength) && !self.tunnel {
            true => application_length(head),
            false => None,
        };
        let names_server = self.encode_application_fields(encoder, block);
        let (sent, length_to_write) = self.plan(application);
        if let Some(length) = length_to_write {
            encode_content_length(block, length);
        }
        if !names_server && shows_token(context) {
            let token = context.server_token.as_bytes();
            encoder.encode_named(block, &SERVER, token, Indexing::ByName);
        }
        encoder.encode_named(block, &DATE, context.date, Indexing::ByName);
        sent
    }

    /// The status that is sent. RFC 9113 §8.6: 101 means nothing here, and a peer waits for more after
    /// any other 1xx.
    fn status(&self) -> u16 {
        match self.head.status {
            status @ 200..1000 => status,
            _ => 500,
        }
    }

    /// What becomes of the content, and the `Content-Length` to write.
    fn plan(&self, application: Option<u64>) -> (SentHead, Option<u64>) {
        if self.tunnel {
            let sent = SentHead {
                send_content: true,
                ended: false,
                length: None,
            };
            return (sent, None);
        }
        let head_request = self.context.head_request;
        let (content, computed) =
            plan_content(self.status(), head_request, application, self.length);
        let send_content = content != Content::None;
        let is_empty = self.length == Some(0) && self.head.trailers.is_none();
        let sent = SentHead {
            send_content,
            ended: !send_content || is_empty,
            length: application.or(self.length),
        };
        (sent, application.or(computed))
    }

    /// Appends the application's fields. Says whether `Server` is among them.
    #[inline]
    fn encode_application_fields(&self, encoder: &mut Encoder, block: &mut Vec<u8>) -> bool {
        let fields = &self.head.fields;
        let has_connection = fields.contains(KnownField::Connection);
        let mut names_server = false;
        for (name, value) in lines(fields) {
            match KnownField::of(name) {
                // These are ours; an application's length comes later.
                KnownField::Date | KnownField::ContentLength => {}
                known if is_left_out(name, known) => {}
                KnownField::Server if !names_server => {
                    names_server = true;
                    self.encode_server(value, encoder, block);
                }
                _ if has_connection && is_named_in_connection(fields, name) => {}
                _ => encoder.encode_field(block, name, value, Indexing::ByName),
            }
        }
        names_server
    }

    /// Appends the application's `Server`, with our name behind it.
    #[cold]
    fn encode_server(&self, value: &[u8], encoder: &mut Encoder, block: &mut Vec<u8>) {
        if shows_token(self.context) {
            let value = [value, self.context.server_token.as_bytes()].join(&b' ');
            encoder.encode_named(block, &SERVER, &value, Indexing::ByName);
        } else {
            encoder.encode_named(block, &SERVER, value, Indexing::ByName);
        }
    }
}

/// The field lines of a block, each of which is `name: value` and CR LF.
fn lines(fields: &FieldBlock) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = fields.as_bytes();
    std::iter::from_fn(move || {
        let (name, after) = rest.split_at_checked(memchr(b':', rest)?)?;
        let (value, after) = after.split_at_checked(memchr(b'\n', after)? + 1)?;
        rest = after;
        Some((name, value.strip_prefix(b": ")?.strip_suffix(b"\r\n")?))
    })
}

/// Whether a field of a response means something to an HTTP/1 connection only. RFC 9113 §8.2.2.
#[inline]
fn is_left_out(name: &[u8], known: KnownField) -> bool {
    known == KnownField::Te || is_connection_specific(name, known)
}

/// Whether a `Connection` field names this field: it is for the next recipient only. RFC 9110 §7.6.1.
#[cold]
fn is_named_in_connection(fields: &FieldBlock, name: &[u8]) -> bool {
    connection_values(fields)
        .flat_map(elements)
        .any(|option| option.eq_ignore_ascii_case(name))
}

#[cold]
fn says_close(fields: &FieldBlock) -> bool {
    let mut connection = Connection::default();
    connection_values(fields).for_each(|value| connection.add(value));
    connection.close
}

fn connection_values(fields: &FieldBlock) -> impl Iterator<Item = &[u8]> {
    lines(fields)
        .filter(|(name, _)| KnownField::of(name) == KnownField::Connection)
        .map(|(_, value)| value)
}

const SERVER: FieldName = field_name(b"server");
const DATE: FieldName = field_name(b"date");

const fn field_name(name: &[u8]) -> FieldName {
    match FieldName::new(name) {
        Some(name) => name,
        None => panic!("longer than a prepared name may be"),
    }
}
