//! What a client says in one request, as the frames that a WebSocket would have brought.
//!
//! All rules of messages are the decoder's, which reads these frames; here is only whether the content is such
//! a list at all. No more memory is used than the content has.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use tidegate_proto::websocket::{FrameHead, Opcode};

/// The frames of a list of messages.
///
/// # Errors
///
/// It is no such list. The peer's fault.
pub(super) fn frames(content: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut frames = Vec::with_capacity(content.len());
    let mut deserializer = serde_json::Deserializer::from_slice(content);
    Batch(&mut frames).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(frames)
}

/// A close frame as a client sends it.
pub(super) fn close_frame(code: Option<u16>) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend(code.map(u16::to_be_bytes).into_iter().flatten());
    let mut frame = Vec::new();
    encode(&mut frame, Opcode::Close, &payload);
    frame
}

struct Batch<'a>(&'a mut Vec<u8>);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    #[serde(borrow)]
    Binary(Cow<'a, str>),
    #[serde(borrow)]
    Pong(Cow<'a, str>),
    #[serde(borrow)]
    Close(Close<'a>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close<'a> {
    code: Option<u16>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
}

impl<'de> DeserializeSeed<'de> for Batch<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(said) = list.next_element::<Said<'de>>()? {
            match said {
                Said::Text(text) => encode(self.0, Opcode::Text, text.as_bytes()),
                Said::Binary(data) => encode(self.0, Opcode::Binary, &decoded(&data)?),
                Said::Pong(data) => {
                    let payload = decoded(&data)?;
                    if payload.len() > CONTROL_BYTES_MAX {
                        return Err(A::Error::custom("a pong has at most 125 bytes"));
                    }
                    encode(self.0, Opcode::Pong, &payload);
                }
                Said::Close(close) => encode(self.0, Opcode::Close, &close.payload()?),
            }
        }
        Ok(())
    }
}

impl Close<'_> {
    fn payload<E: serde::de::Error>(&self) -> Result<Vec<u8>, E> {
        let mut payload = Vec::new();
        match self.code {
            Some(code) => payload.extend_from_slice(&code.to_be_bytes()),
            None if !self.reason.is_empty() => return Err(E::custom("a reason needs a code")),
            None => {}
        }
        payload.extend_from_slice(self.reason.as_bytes());
        match payload.len() > CONTROL_BYTES_MAX {
            true => Err(E::custom("a reason has at most 123 bytes")),
            false => Ok(payload),
        }
    }
}

fn decoded<E: serde::de::Error>(text: &str) -> Result<Vec<u8>, E> {
    let bytes = STANDARD.decode(text);
    bytes.map_err(|error| E::custom(format_args!("no base64: {error}")))
}

/// A client's frames are masked (RFC 6455 §5.3), which is for programs between both ends. Here are none.
fn encode(frames: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let head = FrameHead {
        mask: Some([0; 4]),
        ..FrameHead::new(opcode)
    };
    head.encode_frame(frames, payload);
}

/// RFC 6455 §5.5.
const CONTROL_BYTES_MAX: usize = 125;

#[cfg(test)]
mod tests {
    use super::*;

    /// Opcode and payload of each frame.
    fn read(content: &str) -> Vec<(Opcode, Vec<u8>)> {
        let bytes = frames(content.as_bytes()).unwrap();
        let (mut rest, mut found) = (&bytes[..], Vec::new());
        while let Some((head, head_len)) = FrameHead::parse(rest).unwrap() {
            assert!(head.fin && !head.rsv1 && head.mask == Some([0; 4]));
            let end = head_len + head.payload_len as usize;
            found.push((head.opcode, rest[head_len..end].to_vec()));
            rest = &rest[end..];
        }
        assert!(rest.is_empty());
        found
    }

    #[test]
    fn a_list_becomes_frames() {
        let content = r#" [ {"text":"a\n\"\u00e4\ud83d\ude00"}, {"binary":"AAH/"}, {"binary":""},
            {"pong":"eA=="}, {"close":{"reason":"bye","code":4000}}, {"close":{}} ] "#;
        let wanted = [
            (Opcode::Text, "a\n\"ä😀".as_bytes().to_vec()),
            (Opcode::Binary, vec![0, 1, 255]),
            (Opcode::Binary, vec![]),
            (Opcode::Pong, b"x".to_vec()),
            (Opcode::Close, b"\x0F\xA0bye".to_vec()),
            (Opcode::Close, vec![]),
        ];
        assert_eq!(read(content), wanted);
        assert_eq!(read("[]"), []);
        let long = "x".repeat(70_000);
        let found = read(&format!(r#"[{{"text":"{long}"}}]"#));
        assert_eq!(found, [(Opcode::Text, long.into_bytes())]);
    }

    #[test]
    fn what_is_no_such_list_is_refused() {
        let long = STANDARD.encode([0; 126]);
        let reason = "x".repeat(124);
        let cases = [
            "",
            "{}",
            "[",
            "[]]",
            "[] []",
            "[1]",
            "[\"text\"]",
            "[{}]",
            r#"[{"text":1}]"#,
            r#"[{"text":"a","text":"b"}]"#,
            r#"[{"text":"a","binary":""}]"#,
            r#"[{"Text":"a"}]"#,
            r#"[{"ping":""}]"#,
            r#"[{"text":"a\ud800"}]"#,
            r#"[{"text":"a"},]"#,
            r#"[{"binary":"AA"}]"#,
            r#"[{"binary":"A A="}]"#,
            r#"[{"binary":"_w=="}]"#,
            r#"[{"close":1000}]"#,
            r#"[{"close":{"code":65536}}]"#,
            r#"[{"close":{"code":-1}}]"#,
            r#"[{"close":{"reason":"without a code"}}]"#,
            r#"[{"close":{"code":1000,"code":1001}}]"#,
            r#"[{"close":{"code":1000,"more":1}}]"#,
            &format!(r#"[{{"pong":"{long}"}}]"#),
            &format!(r#"[{{"close":{{"code":1000,"reason":"{reason}"}}}}]"#),
        ];
        for content in cases {
            assert!(frames(content.as_bytes()).is_err(), "{content}");
        }
        assert!(frames(b"[{\"text\":\"\xC3\x28\"}]").is_err());
        assert!(frames(&b"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_close_frame_has_the_code() {
        let read = |code| FrameHead::parse(&close_frame(code)).unwrap().unwrap().0;
        assert_eq!(
            (read(None).opcode, read(None).payload_len),
            (Opcode::Close, 0)
        );
        assert_eq!(read(Some(1001)).payload_len, 2);
        assert!(close_frame(Some(1001)).ends_with(&[0x03, 0xE9]));
    }
}
