//! The server's side of the opening handshake: is this a request to speak WebSocket, and a right one.
//!
//! It comes as an upgrade of an HTTP/1.1 connection, or as an extended CONNECT on an HTTP/2 stream, which
//! needs neither key nor `Upgrade`. Which origins, protocols and extensions are taken is decided by
//! whoever asks here. Nothing is written: the answer is a response with the
//! [status](Handshake::status) and the fields that [`Handshake::accept`] gives, or one with the status
//! and fields of the [`HandshakeError`]. Source: RFC 6455 §4.2, RFC 9110 §7.8, RFC 8441 §4 and §5.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_httpapi::{ContentFraming, FieldBlock, FieldError, RequestHead, Version};

use super::extension::ExtensionList;
use super::handshake_error::HandshakeError;
use crate::http1::{elements, is_token};

/// Checks that can be switched off for old clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HandshakeRules {
    /// Whether a version other than 13 is refused with 426. Default true.
    pub enforce_version: bool,
    /// Whether the key must be 16 bytes in base64; else any value will do, even none. Default true.
    pub validate_key: bool,
}

impl Default for HandshakeRules {
    fn default() -> Self {
        Self {
            enforce_version: true,
            validate_key: true,
        }
    }
}

/// A request to speak WebSocket that obeys the rules.
#[derive(Clone, Debug)]
pub struct Handshake<'a> {
    form: Form<'a>,
    origin: Option<&'a str>,
    protocols: Cow<'a, str>,
    extensions: Cow<'a, str>,
}

/// How WebSocket is asked for.
#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// RFC 6455: with this key.
    Upgrade { key: &'a [u8] },
    /// RFC 8441.
    ExtendedConnect,
}

/// Whether a request asks to upgrade to WebSocket. What is wrong with it, if anything, says
/// [`Handshake::parse`].
///
/// `Upgrade` must list `websocket` and `Connection` must list `upgrade`, in any letter case, in one
/// line or several, among others: programs in between add to both.
pub fn is_upgrade(head: &RequestHead<'_>) -> bool {
    let (mut upgrade, mut connection) = (false, false);
    for field in head.fields.iter() {
        if field.name.eq_ignore_ascii_case("upgrade") {
            upgrade |= lists(field.value, b"websocket");
        } else if field.name.eq_ignore_ascii_case("connection") {
            connection |= lists(field.value, b"upgrade");
        }
    }
    // RFC 9110 §7.8: a server ignores an upgrade in an HTTP/1.0 request. HTTP/2 has none (RFC 9113 §8.6).
    upgrade && connection && head.version() == Version::Http11
}

/// Whether a request asks to speak WebSocket on its HTTP/2 stream. What is wrong with it, if anything,
/// says [`Handshake::parse`]. RFC 8441 §4.
pub fn is_extended_connect(head: &RequestHead<'_>) -> bool {
    let protocol = head.protocol();
    protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
        && head.method() == "CONNECT"
}

impl<'a> Handshake<'a> {
    /// Checks a request that [asks to upgrade](is_upgrade), or for a [stream](is_extended_connect).
    ///
    /// # Errors
    ///
    /// A rule is broken. The peer is at fault.
    pub fn parse(head: &RequestHead<'a>, rules: &HandshakeRules) -> Result<Self, HandshakeError> {
        let is_stream = is_extended_connect(head);
        if !is_stream && head.method() != "GET" {
            return Err(HandshakeError::Method);
        }
        if !is_stream && !is_upgrade(head) {
            return Err(HandshakeError::NotAnUpgrade);
        }
        // What follows on a stream are frames, however a backend tells of that.
        let has_content = match head.framing {
            ContentFraming::None => false,
            ContentFraming::Chunked => !is_stream,
            ContentFraming::Length(_) => true,
        };
        if has_content {
            return Err(HandshakeError::Content);
        }
        let once = |name, error| only(head, name).map_err(|Repeated| error);
        let version = once("Sec-WebSocket-Version", HandshakeError::VersionRepeated)?;
        if rules.enforce_version && version != Some(VERSION) {
            return Err(match is_stream {
                true => HandshakeError::StreamVersion,
                false => HandshakeError::Version,
            });
        }
        let form = match is_stream {
            // RFC 8441 §5: a key is not looked at.
            true => Form::ExtendedConnect,
            false => {
                let key = once("Sec-WebSocket-Key", HandshakeError::KeyRepeated)?;
                if rules.validate_key && !key.is_some_and(is_key) {
                    return Err(HandshakeError::Key);
                }
                Form::Upgrade {
                    key: key.unwrap_or_default(),
                }
            }
        };
        let origin = once("Origin", HandshakeError::Origin)?;
        let origin = origin.map(std::str::from_utf8).transpose();
        let protocols = joined(head, "Sec-WebSocket-Protocol").ok_or(HandshakeError::Protocol)?;
        if !elements(protocols.as_bytes()).all(is_token) {
            return Err(HandshakeError::Protocol);
        }
        let extensions = joined(head, "Sec-WebSocket-Extensions");
        let extensions = extensions.ok_or(HandshakeError::Extensions)?;
        ExtensionList::parse(extensions.as_bytes()).map_err(|_| HandshakeError::Extensions)?;
        Ok(Self {
            form,
            origin: origin.map_err(|_| HandshakeError::Origin)?,
            protocols,
            extensions,
        })
    }

    /// Where the page that connects is from; browsers always say it, other programs seldom.
    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// The sub-protocols offered, in the client's order of preference.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        let offered = self.protocols.split(',').map(trim);
        offered.filter(|protocol| !protocol.is_empty())
    }

    /// The first of the client's sub-protocols that is supported. Names compare with letter case.
    pub fn choose_protocol(&self, supports: impl FnMut(&&str) -> bool) -> Option<&str> {
        self.protocols().find(supports)
    }

    /// The extensions offered, in the client's order of preference.
    pub fn extensions(&self) -> ExtensionList<'_> {
        ExtensionList::of_checked(&self.extensions)
    }

    /// The status of the answer that accepts.
    pub fn status(&self) -> u16 {
        match self.form {
            Form::Upgrade { .. } => 101,
            Form::ExtendedConnect => 200,
        }
    }

    /// Adds to the fields of the answer what makes it one: on HTTP/1.1 `Upgrade`, `Connection` and
    /// `Sec-WebSocket-Accept`, and the sub-protocol and extensions that were chosen.
    ///
    /// # Errors
    ///
    /// What was chosen has a control character. The caller's fault.
    pub fn accept(
        &self,
        fields: &mut FieldBlock,
        protocol: Option<&str>,
        extensions: Option<&str>,
    ) -> Result<(), FieldError> {
        if let Form::Upgrade { key } = self.form {
            fields.append("Upgrade", "websocket")?;
            fields.append("Connection", "Upgrade")?;
            fields.append("Sec-WebSocket-Accept", accept_key(key))?;
        }
        if let Some(protocol) = protocol {
            fields.append("Sec-WebSocket-Protocol", protocol)?;
        }
        if let Some(extensions) = extensions {
            fields.append("Sec-WebSocket-Extensions", extensions)?;
        }
        Ok(())
    }
}

/// What proves that the server has read this key: the value of `Sec-WebSocket-Accept`.
///
/// # Examples
///
/// ```
/// use tidegate_proto::websocket::accept_key;
///
/// let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(&accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(GUID);
    let mut accept = [0; 28];
    let written = STANDARD.encode_slice(hash.digest().bytes(), &mut accept);
    debug_assert_eq!(written, Ok(28));
    accept
}

/// Whether this is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let mut bytes = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key, &mut bytes) == Ok(16)
}

/// A field stands there more than once.
struct Repeated;

/// The value of a field that may stand there once.
fn only<'a>(head: &RequestHead<'a>, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
    let mut values = head
        .fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value);
    let first = values.next();
    match values.next() {
        Some(_) => Err(Repeated),
        None => Ok(first),
    }
}

/// All lines of a field as one text, empty if there is none; `None` if they are no text.
fn joined<'a>(head: &RequestHead<'a>, name: &str) -> Option<Cow<'a, str>> {
    match head.field(name) {
        None => Some(Cow::Borrowed("")),
        Some(Cow::Borrowed(value)) => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        Some(Cow::Owned(value)) => String::from_utf8(value).ok().map(Cow::Owned),
    }
}

/// Whether a list has this element, in any letter case.
pub(super) fn lists(value: &[u8], element: &[u8]) -> bool {
    elements(value).any(|each| each.eq_ignore_ascii_case(element))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The only version there is. RFC 6455 §4.1.
pub(super) const VERSION: &[u8] = b"13";

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
