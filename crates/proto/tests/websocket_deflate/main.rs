//! permessage-deflate: what is agreed on, and messages that come back as they were. RFC 7692.

mod compressing;
mod decompressing;
mod negotiation;
mod other;
mod support;
