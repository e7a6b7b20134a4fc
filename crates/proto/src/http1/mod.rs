//! HTTP/1.1 messages: requests are parsed, responses are encoded.
//!
//! One strict parser: what the standard leaves open to be read in two ways is refused, because a
//! front server may read it in the other way (request smuggling). Every refusal names its rule, see
//! [`Reject`]. Not here: when to read or write, timers, routing.
//! Source: RFC 9110, RFC 9112; where they leave a choice, the HTTP Server API's behaviour.

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
mod usual;

pub use authority::{Authority, HostKind, parse_authority};
pub use chunked::{ChunkStep, ChunkedDecoder};
pub use date::format_date;
pub use error_page::encode_error_page;
pub(crate) use field_line::is_token;
pub(crate) use framing::elements;
pub use head::{Parsed, ParsedHead, parse_head, worth_parsing};
pub use path::cook_path;
pub use reject::{PartialLine, Reject};
pub use response::{
    CHUNK_END, EncodedHead, LAST_CHUNK, ResponseContext, SentFraming, encode_chunk_header,
    encode_head, encode_interim,
};
pub use usual::UsualEnd;
