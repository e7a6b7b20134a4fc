//! The client's side of the opening handshake: the request, and whether the answer accepts it.
//!
//! Connections, and the randomness of keys, are the caller's matter. Source: RFC 6455 §4.1.

mod error;
mod response;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_httpapi::FieldBlock;

pub use error::{UpgradeError, UpgradeRequestError};

use self::response::ResponseFields;
use super::extension::ExtensionList;
use super::handshake::{VERSION, accept_key, lists};
use crate::http1::is_token;

/// A request to speak WebSocket, and what was asked with it.
///
/// # Examples
///
/// ```
/// use tidegate_proto::websocket::ClientHandshake;
///
/// let request = ClientHandshake {
///     protocols: vec!["chat".into()],
///     ..ClientHandshake::new("server.example.com", "/chat", *b"the sample nonce")
/// };
/// let mut bytes = Vec::new();
/// request.encode(&mut bytes)?;
/// let answer = b"HTTP/1.1 101 Switching Protocols\r\n\
///     Upgrade: websocket\r\n\
///     Connection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
///     Sec-WebSocket-Protocol: chat\r\n\r\n";
/// let accepted = request.check(answer)?.unwrap();
/// assert_eq!(accepted.protocol, Some("chat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    /// Host and, unless it is the scheme's own, port: the value of `Host`.
    pub host: String,
    /// Path and query, beginning with `/`.
    pub target: String,
    /// Sixteen bytes that nobody can foretell, new for each connection. RFC 6455 §4.1.
    pub nonce: [u8; 16],
    /// The page that connects, if one does.
    pub origin: Option<String>,
    /// The sub-protocols offered, the preferred one first.
    pub protocols: Vec<String>,
    /// The extensions offered, as in `Sec-WebSocket-Extensions`.
    pub extensions: Option<String>,
    /// More fields: authentication, cookies. None of those that the handshake itself has.
    pub fields: FieldBlock,
}

/// A server's consent to speak WebSocket.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    /// How many bytes the answer takes; frames follow.
    pub head_bytes: usize,
    /// The sub-protocol chosen.
    pub protocol: Option<&'a str>,
    extensions: Cow<'a, str>,
}

impl Accepted<'_> {
    /// The extensions agreed on, each of them offered. Their parameters are for each to check.
    pub fn extensions(&self) -> ExtensionList<'_> {
        ExtensionList::of_checked(&self.extensions)
    }
}

impl ClientHandshake {
    /// A request for this target on this host, which offers nothing.
    pub fn new(host: impl Into<String>, target: impl Into<String>, nonce: [u8; 16]) -> Self {
        Self {
            host: host.into(),
            target: target.into(),
            nonce,
            origin: None,
            protocols: Vec::new(),
            extensions: None,
            fields: FieldBlock::new(),
        }
    }

    /// Appends the request.
    ///
    /// # Errors
    ///
    /// A part of the request could not be sent as it is. The caller is at fault; nothing is appended.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), UpgradeRequestError> {
        let is_sendable = self.target.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.target.starts_with('/') || !is_sendable || self.target.contains('#') {
            return Err(UpgradeRequestError::Target(self.target.clone()));
        }
        let mut fields = FieldBlock::new();
        fields.append("Host", &self.host)?;
        fields.append("Upgrade", "websocket")?;
        fields.append("Connection", "Upgrade")?;
        fields.append("Sec-WebSocket-Key", self.key())?;
        fields.append("Sec-WebSocket-Version", VERSION)?;
        if let Some(origin) = &self.origin {
            fields.append("Origin", origin)?;
        }
        let bad_protocol = |protocol: &&String| !is_token(protocol.as_bytes());
        if let Some(protocol) = self.protocols.iter().find(bad_protocol) {
            return Err(UpgradeRequestError::Protocol(protocol.clone()));
        }
        if !self.protocols.is_empty() {
            fields.append("Sec-WebSocket-Protocol", self.protocols.join(", "))?;
        }
        if let Some(extensions) = &self.extensions {
            ExtensionList::parse(extensions.as_bytes())?;
            fields.append("Sec-WebSocket-Extensions", extensions)?;
        }
        for part in [
            b"GET ",
            self.target.as_bytes(),
            b" HTTP/1.1\r\n",
            fields.as_bytes(),
            self.fields.as_bytes(),
            b"\r\n",
        ] {
            out.extend_from_slice(part);
        }
        Ok(())
    }

    /// Looks at what the server has answered so far; `None` if that is not yet a whole head.
    ///
    /// Interim responses before it are skipped.
    ///
    /// # Errors
    ///
    /// The server does not accept, or not rightly. It is at fault, or refuses.
    pub fn check<'a>(&self, bytes: &'a [u8]) -> Result<Option<Accepted<'a>>, UpgradeError> {
        let mut taken = 0;
        loop {
            let Some(response) = ResponseFields::parse(&bytes[taken..])? else {
                return Ok(None);
            };
            taken += response.head_bytes;
            match response.status {
                101 => {
                    let mut accepted = self.check_fields(&response)?;
                    accepted.head_bytes = taken;
                    return Ok(Some(accepted));
                }
                100..200 => {}
                status => return Err(UpgradeError::Status(status)),
            }
        }
    }

    fn check_fields<'a>(
        &self,
        response: &ResponseFields<'a>,
    ) -> Result<Accepted<'a>, UpgradeError> {
        let any_lists = |name, element| response.values(name).any(|value| lists(value, element));
        if !any_lists("Upgrade", b"websocket") {
            return Err(UpgradeError::Upgrade);
        }
        if !any_lists("Connection", b"upgrade") {
            return Err(UpgradeError::Connection);
        }
        let accept = response.only("Sec-WebSocket-Accept");
        if accept != Ok(Some(&accept_key(self.key().as_bytes()))) {
            return Err(UpgradeError::Accept);
        }
        let protocol = response.only("Sec-WebSocket-Protocol");
        let protocol = protocol.map_err(|_| UpgradeError::ProtocolMalformed)?;
        let extensions = response.joined("Sec-WebSocket-Extensions");
        Ok(Accepted {
            head_bytes: response.head_bytes,
            protocol: protocol.map(|name| self.check_protocol(name)).transpose()?,
            extensions: self.check_extensions(extensions)?,
        })
    }

    fn check_protocol<'a>(&self, name: &'a [u8]) -> Result<&'a str, UpgradeError> {
        let name = std::str::from_utf8(name).map_err(|_| UpgradeError::ProtocolMalformed)?;
        match self.protocols.iter().any(|offered| offered == name) {
            true => Ok(name),
            false => Err(UpgradeError::Protocol(name.to_owned())),
        }
    }

    fn check_extensions<'a>(&self, list: Cow<'a, [u8]>) -> Result<Cow<'a, str>, UpgradeError> {
        let malformed = |_| UpgradeError::ExtensionsMalformed;
        let agreed = ExtensionList::parse(&list).map_err(malformed)?;
        let offered = self.extensions.as_deref().unwrap_or_default();
        let offered = ExtensionList::of_checked(offered);
        for extension in agreed.iter() {
            if !offered.iter().any(|offer| offer.name == extension.name) {
                return Err(UpgradeError::Extension(extension.name.to_owned()));
            }
        }
        Ok(match list {
            Cow::Borrowed(list) => Cow::Borrowed(std::str::from_utf8(list).unwrap_or_default()),
            Cow::Owned(list) => Cow::Owned(String::from_utf8(list).unwrap_or_default()),
        })
    }

    fn key(&self) -> String {
        STANDARD.encode(self.nonce)
    }
}
