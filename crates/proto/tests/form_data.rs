//! Forms with files in every split: the parts found, and what is refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use tidegate_proto::form_data::{Boundary, FormDataDecoder, FormDataError, FormDataStep};

/// Name, file name and content of a part.
type Part = (String, Option<String>, Vec<u8>);

fn decoder(head_bytes_max: u32) -> FormDataDecoder {
    let boundary = Boundary::of_content_type(b"multipart/form-data; boundary=b-1").unwrap();
    FormDataDecoder::new(boundary.unwrap(), head_bytes_max)
}

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Part>, FormDataError> {
    decode_within(pieces, 1000)
}

fn decode_within<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    head_bytes_max: u32,
) -> Result<Vec<Part>, FormDataError> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut decoder = decoder(head_bytes_max);
    let mut parts: Vec<Part> = Vec::new();
    let mut open = false;
    for piece in pieces {
        let mut rest = piece;
        loop {
            let consumed = match decoder.decode(rest)? {
                FormDataStep::NeedMore | FormDataStep::End => break,
                FormDataStep::Part { head, consumed } => {
                    assert!(!std::mem::replace(&mut open, true));
                    let file_name = head.file_name.as_deref().map(text);
                    parts.push((text(&head.name), file_name, Vec::new()));
                    consumed
                }
                FormDataStep::Data { data, consumed } => {
                    assert!(open && !data.is_empty());
                    parts.last_mut().unwrap().2.extend_from_slice(data);
                    consumed
                }
                FormDataStep::PartEnd { consumed } => {
                    assert!(std::mem::replace(&mut open, false));
                    consumed
                }
            };
            rest = &rest[consumed..];
        }
    }
    decoder.finish()?;
    Ok(parts)
}

/// The same in one piece, cut at each place, and byte by byte.
fn in_every_split(form: &[u8]) -> Result<Vec<Part>, FormDataError> {
    let whole = decode([form].into_iter());
    assert_eq!(decode(form.chunks(1)), whole);
    for at in 0..=form.len() {
        let (first, second) = form.split_at(at);
        assert_eq!(decode([first, second].into_iter()), whole, "cut at {at}");
    }
    for size in 2..9 {
        assert_eq!(decode(form.chunks(size)), whole, "pieces of {size}");
    }
    whole
}

fn part(name: &str, file_name: Option<&str>, content: &str) -> Part {
    (
        name.to_owned(),
        file_name.map(str::to_owned),
        content.as_bytes().to_vec(),
    )
}

const FIELD: &str = "Content-Disposition: form-data; name=a\r\n\r\n";

#[test]
fn fields_and_files_are_found_in_every_split() {
    let form = "--b-1\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\none\r\ntwo\
        \r\n--b-1 \t\r\nContent-Type: text/plain\r\n\
        Content-Disposition: form-data; name=f; filename=\"a b.txt\"\r\n\r\n\
        \r\n--b\r\n--b-\r\n-\r\r\n\r\n--\r\n--b-1--\r\n";
    assert_eq!(
        in_every_split(form.as_bytes()),
        Ok(vec![
            part("text", None, "one\r\ntwo"),
            part("f", Some("a b.txt"), "\r\n--b\r\n--b-\r\n-\r\r\n\r\n--"),
        ])
    );
}

#[test]
fn parts_without_content_are_found_with_and_without_a_line_of_their_own() {
    let with = format!("--b-1\r\n{FIELD}\r\n--b-1\r\n{FIELD}\r\n--b-1--");
    let without = format!("--b-1\r\n{FIELD}--b-1\r\n{FIELD}--b-1--");
    for form in [with, without] {
        let empty = part("a", None, "");
        assert_eq!(in_every_split(form.as_bytes()), Ok(vec![empty; 2]));
    }
}

#[test]
fn content_that_nearly_begins_with_a_delimiter_is_kept() {
    for content in [
        "--b-",
        "--b-2",
        "-",
        "\r\n",
        "\r\n--b-",
        "\n--b-1\n",
        "\r\r\n",
    ] {
        let form = format!("--b-1\r\n{FIELD}{content}\r\n--b-1--");
        let wanted = vec![part("a", None, content)];
        assert_eq!(in_every_split(form.as_bytes()), Ok(wanted), "{content:?}");
    }
}

#[test]
fn what_comes_before_and_after_the_form_means_nothing() {
    let form = format!(
        "preamble --b-1\r\n--b\r\n--b-1\r\n{FIELD}x\r\n--b-1--\r\n--b-1\r\n{FIELD}y\r\n--b-1--"
    );
    assert_eq!(
        in_every_split(form.as_bytes()),
        Ok(vec![part("a", None, "x")])
    );
    assert_eq!(in_every_split(b"--b-1--"), Ok(vec![]));
    assert_eq!(in_every_split(b"\r\n--b-1--\r\n"), Ok(vec![]));
}

#[test]
fn a_form_that_ends_early_is_incomplete_wherever_it_ends() {
    let form = format!("--b-1\r\n{FIELD}x\r\n--b-1--");
    for end in 0..form.len() {
        let cut = &form.as_bytes()[..end];
        assert_eq!(
            decode([cut].into_iter()),
            Err(FormDataError::Incomplete),
            "{end}"
        );
        assert_eq!(
            decode(cut.chunks(1)),
            Err(FormDataError::Incomplete),
            "{end}"
        );
    }
}

#[test]
fn a_line_that_begins_with_the_boundary_and_is_no_delimiter_is_refused() {
    for line in [
        "--b-1x", "--b-1\n", "--b-1-x", "--b-1 x", "--b-1\rx", "--b-1 --",
    ] {
        for form in [
            format!("{line}\r\n{FIELD}"),
            format!("--b-1\r\n{FIELD}x\r\n{line}\r\n"),
        ] {
            let refused = Err(FormDataError::Delimiter);
            assert_eq!(in_every_split(form.as_bytes()), refused, "{form:?}");
        }
    }
}

#[test]
fn a_head_is_bounded() {
    let form = format!("--b-1\r\n{FIELD}x\r\n--b-1--");
    let length = u32::try_from(FIELD.len()).unwrap();
    for size in [1, 7, form.len()] {
        let pieces = || form.as_bytes().chunks(size);
        assert!(decode_within(pieces(), length).is_ok());
        assert_eq!(
            decode_within(pieces(), length - 1),
            Err(FormDataError::HeadTooLong { limit: length - 1 })
        );
    }
    let endless = format!("--b-1\r\nX: {}", "x".repeat(10_000));
    assert_eq!(
        in_every_split(endless.as_bytes()),
        Err(FormDataError::HeadTooLong { limit: 1000 })
    );
}

#[test]
fn a_part_without_a_head_is_refused() {
    let form = "--b-1\r\n\r\nx\r\n--b-1--";
    assert_eq!(
        in_every_split(form.as_bytes()),
        Err(FormDataError::Disposition)
    );
}
