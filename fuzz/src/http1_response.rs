//! A response of anything an application can give: the head is well-formed, ends where it says, and
//! frames the content in one way.
//!
//! The input's first bytes choose the settings; the rest, by lines, are reason phrase, then names and
//! values of fields.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::{FieldBlock, ResponseHead, ServerHeaderMode, Transfer, Version};
use tidegate_proto::http1::{
    ResponseContext, SentFraming, encode_error_page, encode_head, encode_interim, format_date,
};

fuzz_target!(|input: &[u8]| {
    let Some(([choice, more, low, high], rest)) = input.split_first_chunk() else {
        return;
    };
    let bit = |index: u8| choice >> index & 1 == 1;
    let date = format_date(u64::from(*low) << 24);
    let context = ResponseContext {
        version: if bit(0) {
            Version::Http10
        } else {
            Version::Http11
        },
        head_request: bit(1),
        keep_alive: bit(2),
        date: &date,
        server_token: if bit(3) { "Tidegate" } else { "" },
        server_mode: match more & 3 {
            0 => ServerHeaderMode::Full,
            1 => ServerHeaderMode::NotOnErrors,
            _ => ServerHeaderMode::Never,
        },
        from_driver: bit(4),
    };
    // A zero byte, which separates, is refused in names, values and phrases alike.
    let mut words = rest.split(|byte| *byte == 0);
    let text = |word: Option<&[u8]>| word.map(|word| String::from_utf8_lossy(word).into_owned());
    let mut head = ResponseHead::new(u16::from_le_bytes([*low, *high]));
    head.reason = text(words.next()).filter(|_| bit(5)).map(|phrase| phrase.as_str().into());
    head.close = bit(6);
    head.transfer = if bit(7) {
        Transfer::UntilClose
    } else {
        Transfer::Automatic
    };
    let mut added = 0;
    while let (Some(name), Some(value)) = (text(words.next()), words.next()) {
        added += usize::from(head.fields.append(&name, value).is_ok());
    }
    let length = (more & 4 != 0).then_some(u64::from(*low) * u64::from(*high));
    let mut out = Vec::new();
    let encoded = encode_head(&mut out, &head, length, &context);
    let lines = check_lines(&out);
    let count = |name: &str| {
        let is_name = |line: &&&[u8]| {
            let begin = line.get(..name.len() + 1);
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(format!("{name}:").as_bytes()))
        };
        lines.iter().filter(is_name).count()
    };
    assert_eq!(count("Date"), 1);
    assert!(lines.len() <= added + 6);
    let lengths = count("Content-Length");
    let codings = count("Transfer-Encoding");
    assert!(lengths + codings <= 1);
    match encoded.framing {
        SentFraming::None => assert!(codings == 0 && !encoded.send_content),
        SentFraming::Length(_) => assert_eq!(lengths, 1),
        SentFraming::Chunked => assert_eq!(codings, 1),
        SentFraming::UntilClose => assert!(lengths + codings == 0 && encoded.close),
    }
    let says_close = out.ends_with(b"\r\nConnection: close\r\n\r\n");
    assert!(says_close == encoded.close || head.status == 101);

    out.clear();
    encode_interim(&mut out, 103, &head.fields);
    check_lines(&out);
    check_error_page(rest, &context);
    check_set(&head.fields, rest);
});

/// The field lines of a head that is all there is, each checked.
fn check_lines(out: &[u8]) -> Vec<&[u8]> {
    let lines = out
        .strip_suffix(b"\r\n\r\n")
        .expect("an empty line at the end");
    let mut lines = split_lines(lines).into_iter();
    let status = lines.next().expect("a status line");
    assert!(status.starts_with(b"HTTP/1.1 ") && status.len() >= 13 && status[12] == b' ');
    assert!(status[9..12].iter().all(u8::is_ascii_digit));
    let fields: Vec<&[u8]> = lines.collect();
    for line in &fields {
        let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
        assert!(colon > 0 && line[colon + 1] == b' ');
    }
    fields
}

fn split_lines(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        assert!(
            !line
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        );
        lines.push(line);
    }
    lines
}

fn check_error_page(text: &[u8], context: &ResponseContext<'_>) {
    let text = String::from_utf8_lossy(text);
    let mut out = Vec::new();
    let encoded = encode_error_page(&mut out, 400, &text, &text, context);
    assert!(encoded.close);
    let end = out
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("an empty line")
        + 4;
    check_lines(&out[..end]);
    assert_eq!(out.len() > end, encoded.send_content);
    assert!(out[end..].is_ascii());
}

fn check_set(fields: &FieldBlock, bytes: &[u8]) {
    let mut changed = fields.clone();
    let (name, value) = bytes.split_at(bytes.len() / 2);
    let name = String::from_utf8_lossy(name);
    if changed.set(&name, value).is_ok() {
        assert_eq!(changed.value(&name), Some(value.trim_ascii()));
        assert!(changed.remove(&name) && changed.value(&name).is_none());
    }
}
