//! Forms with files, any bytes in any split: no panic, the same parts and the same error, a bounded head;
//! what was read, written again as a form, is read as the same.
//!
//! The first byte of the input says how to split the rest. The boundary is `b`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_proto::form_data::{Boundary, FormDataDecoder, FormDataError, FormDataStep, PartHead};

fuzz_target!(|input: &[u8]| {
    // Any bytes are a content type, too.
    if let Some(Ok(boundary)) = Boundary::of_content_type(input) {
        let mut decoder = FormDataDecoder::new(boundary, HEAD_BYTES_MAX);
        let _ = decoder.decode(input);
    }
    let Some((&split, bytes)) = input.split_first() else {
        return;
    };
    let whole = decode(bytes.chunks(bytes.len().max(1)));
    assert_eq!(decode(bytes.chunks(1)), whole);
    assert_eq!(decode(bytes.chunks(1 + usize::from(split))), whole);
    if let (parts, Ok(())) = &whole
        && let Some(form) = written(parts)
    {
        let (again, end) = decode([&form[..]].into_iter());
        assert_eq!(end, Ok(()));
        let same = |(part, again): (&Part, &Part)| {
            part.0.name == again.0.name
                && part.0.file_name == again.0.file_name
                && part.1 == again.1
        };
        assert!(parts.len() == again.len() && parts.iter().zip(&again).all(same));
    }
});

/// Head and content.
type Part = (PartHead, Vec<u8>);

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Part>, Result<(), FormDataError>) {
    let Some(Ok(boundary)) = Boundary::of_content_type(b"multipart/form-data; boundary=b") else {
        panic!("this is one");
    };
    let mut decoder = FormDataDecoder::new(boundary, HEAD_BYTES_MAX);
    let mut parts = Vec::new();
    let mut open: Option<Part> = None;
    for piece in pieces {
        let mut rest = piece;
        loop {
            let before = rest.len();
            let consumed = match decoder.decode(rest) {
                Ok(FormDataStep::NeedMore) => break,
                Ok(FormDataStep::End) => {
                    assert!(open.is_none());
                    break;
                }
                Ok(FormDataStep::Part { head, consumed }) => {
                    assert!(head.name.len() <= HEAD_BYTES_MAX as usize);
                    assert!(open.replace((head, Vec::new())).is_none());
                    consumed
                }
                Ok(FormDataStep::Data { data, consumed }) => {
                    assert!(!data.is_empty());
                    match &mut open {
                        Some(part) => part.1.extend_from_slice(data),
                        None => panic!("content of no part"),
                    }
                    consumed
                }
                Ok(FormDataStep::PartEnd { consumed }) => {
                    parts.extend(Some(open.take().expect("a part was open")));
                    consumed
                }
                // How much of a part came before its error depends on the split.
                Err(error) => return (parts, Err(error)),
            };
            assert!(consumed <= before);
            rest = &rest[consumed..];
        }
    }
    (parts, decoder.finish())
}

/// The parts as a form; `None` when a head might become too long, since names grow by being quoted.
fn written(parts: &[Part]) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    for (head, content) in parts {
        form.extend_from_slice(b"--b\r\nContent-Disposition: form-data; name=");
        form.extend_from_slice(&quoted(&head.name));
        if let Some(file_name) = &head.file_name {
            form.extend_from_slice(b"; filename=");
            form.extend_from_slice(&quoted(file_name));
        }
        form.extend_from_slice(b"\r\n\r\n");
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--b--\r\n");
    parts
        .iter()
        .all(|(head, _)| {
            head.name.len() + head.file_name.as_ref().map_or(0, |name| name.len()) < 200
        })
        .then_some(form)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

const HEAD_BYTES_MAX: u32 = 512;
