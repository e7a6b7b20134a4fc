//! HTTP/1.1 messages: requests are parsed, responses are encoded; other servers' responses are parsed.
//!
//! One strict parser: what the standard leaves open to be read in two ways is refused, because a
//! front server may read it in the other way (request smuggling). Every refusal names its rule, see
//! [`Reject`]. Not here: when to read or write, timers, routing.
//! Source: RFC 9110, RFC 9112; where they leave a choice, the HTTP Server API's behaviour.

mod answer;
mod authority;
mod block;
mod chunked;
mod date;
mod error_page;
mod field_line;
mod framing;
mod head;
mod path;
mod reject;
mod request_line;
mod response;
mod stored;
mod usual;

pub use answer::{AnswerFault, AnswerFraming, ParsedAnswer, parse_answer};
pub use authority::{Authority, HostKind, parse_authority};
pub(crate) use chunked::is_forbidden_in_trailers;
pub use chunked::{ChunkStep, ChunkedDecoder};
pub use date::format_date;
pub use error_page::{encode_error_page, error_page};
pub(crate) use field_line::is_token;
pub(crate) use framing::{Connection, elements};
pub use head::{Parsed, ParsedHead, parse_head, worth_parsing};
pub(crate) use head::{Seen, field_bytes_max};
pub use path::cook_path;
pub use reject::{PartialLine, Reject};
pub(crate) use request_line::{Verb, parse_method, parse_path};
pub use response::{
    CHUNK_END, EncodedHead, LAST_CHUNK, ResponseContext, SentFraming, application_length,
    encode_chunk_header, encode_head, encode_interim,
};
pub(crate) use response::{Content, plan_content, shows_token};
pub use stored::StoredHead;
pub use usual::UsualEnd;
