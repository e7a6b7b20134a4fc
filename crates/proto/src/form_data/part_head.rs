//! The head of a part: what it is called, and whether it is a file.

use super::FormDataError;
use super::parameters::{Parameters, is_token_character};

/// What a part's head says. Bytes are as sent: mostly UTF-8, and nobody has checked them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartHead {
    /// The name of the form's field.
    pub name: Box<[u8]>,
    /// The file's name as the peer tells it; `None` when the part is no file.
    ///
    /// It may hold anything but control characters: whole paths, dots, nothing at all. A `filename*` is not
    /// looked at: RFC 7578 §4.2 forbids it.
    pub file_name: Option<Box<[u8]>>,
    /// The `Content-Type`.
    pub content_type: Option<Box<[u8]>>,
}

impl PartHead {
    /// Reads a head up to the CR LF of its last line, without the empty line behind it.
    pub(super) fn parse(mut head: &[u8]) -> Result<Self, FormDataError> {
        let mut disposition = None;
        let mut parsed = Self::default();
        while !head.is_empty() {
            let end = head.iter().position(|&byte| byte == b'\r');
            let end = end.ok_or(FormDataError::FieldLine)?;
            let (line, rest) = head.split_at(end);
            head = rest.strip_prefix(b"\r\n").ok_or(FormDataError::FieldLine)?;
            let (name, value) = field(line)?;
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("Content-Disposition") {
                if disposition.replace(value).is_some() {
                    return Err(FormDataError::Disposition);
                }
            } else if is("Content-Type") {
                if parsed.content_type.replace(value.into()).is_some() {
                    return Err(FormDataError::FieldLine);
                }
            } else if is("Content-Transfer-Encoding") {
                let says_nothing = ["binary", "8bit", "7bit"]
                    .iter()
                    .any(|known| value.eq_ignore_ascii_case(known.as_bytes()));
                if !says_nothing {
                    return Err(FormDataError::TransferEncoding);
                }
            }
        }
        parsed.disposition(disposition.ok_or(FormDataError::Disposition)?)?;
        Ok(parsed)
    }

    fn disposition(&mut self, value: &[u8]) -> Result<(), FormDataError> {
        let end = value.iter().position(|&byte| byte == b';');
        let (kind, parameters) = value.split_at(end.unwrap_or(value.len()));
        if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
            return Err(FormDataError::Disposition);
        }
        let mut name = None;
        for parameter in Parameters::new(parameters) {
            let (key, value) = parameter.ok_or(FormDataError::Disposition)?;
            let place = if key.eq_ignore_ascii_case(b"name") {
                &mut name
            } else if key.eq_ignore_ascii_case(b"filename") {
                &mut self.file_name
            } else {
                continue;
            };
            if place.replace(value.into()).is_some() {
                return Err(FormDataError::Disposition);
            }
        }
        self.name = name.ok_or(FormDataError::Disposition)?;
        Ok(())
    }
}

/// Name and value of a field line. A line that goes on in the next one is refused: no sender of forms makes
/// any.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), FormDataError> {
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = line.split_at(colon.ok_or(FormDataError::FieldLine)?);
    let is_field = !name.is_empty()
        && name.iter().all(|&byte| is_token_character(byte))
        && !value
            .iter()
            .any(|&byte| byte.is_ascii_control() && byte != b'\t');
    if !is_field {
        return Err(FormDataError::FieldLine);
    }
    Ok((name, value[1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<(String, Option<String>, Option<String>), FormDataError> {
        let text = |bytes: Box<[u8]>| String::from_utf8(bytes.into_vec()).unwrap();
        let head = PartHead::parse(head.as_bytes())?;
        Ok((
            text(head.name),
            head.file_name.map(text),
            head.content_type.map(text),
        ))
    }

    #[test]
    fn a_head_tells_name_file_and_type() {
        let name = |name: &str| name.to_owned();
        assert_eq!(
            parse("Content-Disposition: form-data; name=\"a\"\r\n"),
            Ok((name("a"), None, None))
        );
        assert_eq!(
            parse(
                "content-type:image/png \r\nX-Other: 1\r\n\
                 CONTENT-DISPOSITION:form-data;filename=\"ö b.png\";name=\"\"\r\n\
                 Content-Transfer-Encoding: Binary\r\n"
            ),
            Ok((name(""), Some(name("ö b.png")), Some(name("image/png"))))
        );
        assert_eq!(
            parse("Content-Disposition: form-data; name=a; filename*=utf-8''x; filename=y\r\n"),
            Ok((name("a"), Some(name("y")), None))
        );
        assert_eq!(
            parse("Content-Disposition: form-data; name=a; filename*=utf-8''x\r\n"),
            Ok((name("a"), None, None))
        );
    }

    #[test]
    fn a_head_that_could_be_read_in_two_ways_is_refused() {
        use FormDataError::{Disposition, FieldLine, TransferEncoding};
        let disposition = "Content-Disposition: form-data; name=a\r\n";
        let cases = [
            (String::new(), Disposition),
            ("Content-Type: text/plain\r\n".to_owned(), Disposition),
            (
                "Content-Disposition: attachment; name=a\r\n".to_owned(),
                Disposition,
            ),
            ("Content-Disposition: form-data\r\n".to_owned(), Disposition),
            (
                "Content-Disposition: form-data; filename=a\r\n".to_owned(),
                Disposition,
            ),
            (
                "Content-Disposition: form-data; name=a; name=a\r\n".to_owned(),
                Disposition,
            ),
            (
                "Content-Disposition: form-data; name=a; filename=b; FileName=c\r\n".to_owned(),
                Disposition,
            ),
            (
                "Content-Disposition: form-data; name=\"a\r\n".to_owned(),
                Disposition,
            ),
            (disposition.repeat(2), Disposition),
            (
                format!("{disposition}Content-Type: a/b\r\nContent-Type: a/b\r\n"),
                FieldLine,
            ),
            (format!("{disposition} folded\r\n"), FieldLine),
            (format!("{disposition}no colon\r\n"), FieldLine),
            (format!("{disposition}: a\r\n"), FieldLine),
            (format!("{disposition}X : a\r\n"), FieldLine),
            (format!("{disposition}X: a\0\r\n"), FieldLine),
            (format!("{disposition}X: a\nY: b\r\n"), FieldLine),
            (format!("{disposition}X: a\rY: b\r\n"), FieldLine),
            (
                format!("{disposition}Content-Transfer-Encoding: base64\r\n"),
                TransferEncoding,
            ),
        ];
        for (head, wanted) in cases {
            assert_eq!(parse(&head), Err(wanted), "{head:?}");
        }
    }
}
