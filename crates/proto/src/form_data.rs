//! Forms with files, `multipart/form-data`: decoded as they come in, in any split.
//!
//! Content is not copied and not kept; only a part's head is, up to a limit. What could be read in two ways
//! is refused: a line that begins with the boundary and is no delimiter, a parameter given twice, a
//! transfer encoding. What is done with names and files is the component's matter.
//! Source: RFC 7578, RFC 2046 §5.1.

mod decoder;
mod parameters;
mod part_head;

use std::fmt;

pub use decoder::{FormDataDecoder, FormDataStep};
pub use part_head::PartHead;

use parameters::Parameters;

/// What separates the parts of a form, as its content type names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Boundary {
    /// With the CR LF and the two hyphens before it, which are a part of the delimiter.
    delimiter: Box<[u8]>,
}

impl Boundary {
    /// Reads a content type. `None` when it is not `multipart/form-data`.
    ///
    /// # Errors
    ///
    /// The type names no boundary, several, or one that may not be. The peer is at fault.
    pub fn of_content_type(content_type: &[u8]) -> Option<Result<Self, FormDataError>> {
        let end = content_type.iter().position(|&byte| byte == b';');
        let (media_type, rest) = content_type.split_at(end.unwrap_or(content_type.len()));
        if !media_type
            .trim_ascii()
            .eq_ignore_ascii_case(b"multipart/form-data")
        {
            return None;
        }
        Some(Self::of_parameters(rest))
    }

    fn of_parameters(parameters: &[u8]) -> Result<Self, FormDataError> {
        let mut boundary = None;
        for parameter in Parameters::new(parameters) {
            let (name, value) = parameter.ok_or(FormDataError::Boundary)?;
            if name.eq_ignore_ascii_case(b"boundary") && boundary.replace(value).is_some() {
                return Err(FormDataError::Boundary);
            }
        }
        let boundary = boundary.ok_or(FormDataError::Boundary)?;
        // RFC 2046 §5.1.1: 1 to 70 characters, the last of them no space.
        let is_valid = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
            && boundary.iter().all(|&byte| is_boundary_character(byte))
            && boundary.last() != Some(&b' ');
        if !is_valid {
            return Err(FormDataError::Boundary);
        }
        Ok(Self {
            delimiter: [b"\r\n--", &*boundary].concat().into(),
        })
    }
}

/// RFC 2046 §5.1.1, `bchars`.
fn is_boundary_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte)
}

/// Longest boundary. RFC 2046 §5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Why content is no form. The peer is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FormDataError {
    /// The content type names no boundary, several, or one that may not be. RFC 2046 §5.1.1.
    Boundary,
    /// A line begins with the boundary and is no delimiter. RFC 2046 §5.1.1 keeps such lines out of
    /// content.
    Delimiter,
    /// A part's head is longer than allowed.
    HeadTooLong {
        /// The most allowed, in bytes.
        limit: u32,
    },
    /// A line in a part's head is no field line.
    FieldLine,
    /// A part has no `Content-Disposition: form-data` with a name, or has two, or has a parameter of it
    /// twice. RFC 7578 §4.2.
    Disposition,
    /// A part is in a transfer encoding that would have to be decoded. RFC 7578 §4.7 has none any more.
    TransferEncoding,
    /// The content ended before the last delimiter.
    Incomplete,
}

impl fmt::Display for FormDataError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Boundary => "the form's content type has no usable boundary",
            Self::Delimiter => "a line in the form begins with its boundary and is no delimiter",
            Self::HeadTooLong { limit } => {
                return write!(
                    formatter,
                    "the head of a part of the form is longer than {limit} bytes"
                );
            }
            Self::FieldLine => "a line in the head of a part of the form is no field line",
            Self::Disposition => "a part of the form has no usable Content-Disposition",
            Self::TransferEncoding => "a part of the form is in a transfer encoding",
            Self::Incomplete => "the form ended before its last delimiter",
        })
    }
}

impl std::error::Error for FormDataError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(content_type: &str) -> Option<Result<String, FormDataError>> {
        let found = Boundary::of_content_type(content_type.as_bytes())?;
        Some(found.map(|found| String::from_utf8(found.delimiter[4..].to_vec()).unwrap()))
    }

    #[test]
    fn the_content_type_names_the_boundary() {
        let longest = "x".repeat(70);
        let cases = [
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Form-Data ;BOUNDARY=abc", "abc"),
            ("multipart/form-data; charset=utf-8; boundary=abc", "abc"),
            (
                "multipart/form-data; boundary=\"a b:c\"; x=\"y;z\"",
                "a b:c",
            ),
            (
                "multipart/form-data; boundary=----a'()+_,-./:=?",
                "----a'()+_,-./:=?",
            ),
            (
                &format!("multipart/form-data; boundary={longest}"),
                &longest,
            ),
        ];
        for (content_type, wanted) in cases {
            assert_eq!(
                boundary(content_type),
                Some(Ok(wanted.to_owned())),
                "{content_type}"
            );
        }
    }

    #[test]
    fn other_types_are_no_forms() {
        for content_type in [
            "",
            "text/plain",
            "multipart/mixed; boundary=a",
            "multipart/form-dat",
        ] {
            assert_eq!(boundary(content_type), None, "{content_type}");
        }
    }

    #[test]
    fn a_boundary_that_may_not_be_is_refused() {
        let too_long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary=a; boundary=a",
            "multipart/form-data; boundary=a@b",
            "multipart/form-data; boundary=\"a\"b",
            &too_long,
        ] {
            assert_eq!(
                boundary(content_type),
                Some(Err(FormDataError::Boundary)),
                "{content_type}"
            );
        }
    }
}
