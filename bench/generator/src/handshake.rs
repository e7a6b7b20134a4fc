//! The opening handshake of a WebSocket connection, from the client's side. RFC 6455 §4.1.
//!
//! Every connection sends the key of the standard's example, so that the answer is known without
//! SHA-1 and even a server that parses nothing can give it. Servers cannot tell, and none keeps
//! answers by key.

use crate::error::{AnswerFault, GeneratorError};
use crate::options::Options;
use crate::socket::Connection;

/// Connects and shakes hands.
pub(crate) fn open(options: &Options) -> Result<Connection, GeneratorError> {
    let mut connection = Connection::open(options.port)?;
    connection
        .send(&request(options))
        .map_err(|source| GeneratorError::System {
            call: "send",
            source,
        })?;
    let answer = connection.receive_answer()?;
    check(&answer, options.deflate).map_err(|fault| GeneratorError::Answer {
        fault,
        head: String::from_utf8_lossy(&answer).into_owned(),
    })?;
    Ok(connection)
}

/// The request that asks for the change of protocols.
pub(crate) fn request(options: &Options) -> Vec<u8> {
    let offer = if options.deflate { OFFER } else { "" };
    format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n",
        options.path, options.port
    )
    .into_bytes()
}

/// Checks the head of an answer, after which nothing may stand.
pub(crate) fn check(answer: &[u8], deflate: bool) -> Result<(), AnswerFault> {
    let text = String::from_utf8_lossy(answer);
    let head = text.strip_suffix("\r\n\r\n").ok_or(AnswerFault::Framing)?;
    let mut lines = head.split("\r\n");
    if !lines
        .next()
        .is_some_and(|line| line.starts_with("HTTP/1.1 101"))
    {
        return Err(AnswerFault::Status);
    }
    let value = |name: &str| {
        lines.clone().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if value("Sec-WebSocket-Accept") != Some(ACCEPT) {
        return Err(AnswerFault::Accept);
    }
    let extensions = value("Sec-WebSocket-Extensions").unwrap_or_default();
    let is_as_offered = if deflate {
        extensions.starts_with("permessage-deflate")
            && extensions.contains("server_no_context_takeover")
    } else {
        extensions.is_empty()
    };
    if is_as_offered {
        Ok(())
    } else {
        Err(AnswerFault::Extensions)
    }
}

/// No message may lean on the one before, in either direction: then equal messages have equal
/// echoes, and all servers do the same work.
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                     client_no_context_takeover\r\n";
/// The answer to the key of RFC 6455 §1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn good_answers_pass() {
        assert_eq!(check(GOOD.as_bytes(), false), Ok(()));
        let agreed = GOOD.replace(
            "upgrade: websocket",
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover",
        );
        assert_eq!(check(agreed.as_bytes(), true), Ok(()));
        assert_eq!(
            check(agreed.as_bytes(), false),
            Err(AnswerFault::Extensions)
        );
    }

    #[test]
    fn each_fault_is_named() {
        let cases = [
            (GOOD.replace("101", "200"), AnswerFault::Status),
            (GOOD.replace("+xOo", "+xOO"), AnswerFault::Accept),
            (format!("{GOOD}x"), AnswerFault::Framing),
        ];
        for (answer, fault) in cases {
            assert_eq!(check(answer.as_bytes(), false), Err(fault));
        }
        assert_eq!(check(GOOD.as_bytes(), true), Err(AnswerFault::Extensions));
    }
}
