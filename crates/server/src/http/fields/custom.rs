//! Field lines given as one text. Source: the component's CustomHeaders.

use crate::http::response::{Response, ResponseError};

impl Response {
    /// Sets fields from one text of lines with CR LF between them, such as `"X-One: 1\r\nX-Two: 2"`: each
    /// field in place of all lines it had, several lines of one name one after the other.
    ///
    /// Either all lines are set or none: a line that is no field, an empty or folded one among them, makes
    /// the response a 500, as with [`header`](Self::header). A text that has parts from elsewhere can still
    /// bring in fields of its own; [`header`](Self::header) cannot.
    pub fn custom_headers(&mut self, lines: &str) -> &mut Self {
        if let Err(fault) = self.try_custom_headers(lines) {
            self.keep_fault(fault);
        }
        self
    }

    /// As [`custom_headers`](Self::custom_headers), telling at once.
    ///
    /// # Errors
    ///
    /// A line is no field line, or as with [`try_header`](Self::try_header); nothing is set then. The
    /// caller's fault.
    pub fn try_custom_headers(&mut self, lines: &str) -> Result<&mut Self, ResponseError> {
        let lines = lines.strip_suffix("\r\n").unwrap_or(lines);
        if lines.is_empty() {
            return Ok(self);
        }
        // A response of nothing else takes them first.
        let mut tried = Self::with_memory(Vec::new());
        let mut fields = Vec::new();
        for line in lines.split("\r\n") {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| ResponseError::Line(line.into()))?;
            let value = value.trim_matches([' ', '\t']);
            tried.try_append_header(name, value)?;
            fields.push((name, value));
        }
        for (name, _) in &fields {
            if self.headers().value(name).is_some() {
                self.remove_header(name);
            }
        }
        for (name, value) in fields {
            self.try_append_header(name, value)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Response {
        let mut response = Response::with_memory(Vec::new());
        response.header("X-One", "0").header("X-Two", "0");
        response
    }

    #[test]
    fn each_line_is_a_field() {
        for (lines, wanted) in [
            ("", "X-One: 0\r\nX-Two: 0\r\n"),
            ("\r\n", "X-One: 0\r\nX-Two: 0\r\n"),
            ("A: 1", "X-One: 0\r\nX-Two: 0\r\nA: 1\r\n"),
            (
                "A: 1\r\nB:2\r\n",
                "X-One: 0\r\nX-Two: 0\r\nA: 1\r\nB: 2\r\n",
            ),
            (
                "A:\r\nB: \t b \t",
                "X-One: 0\r\nX-Two: 0\r\nA: \r\nB: b\r\n",
            ),
            ("x-two: 1: 2", "X-One: 0\r\nx-two: 1: 2\r\n"),
            (
                "X-One: 1\r\nA: a\r\nX-one: 2",
                "X-Two: 0\r\nX-One: 1\r\nA: a\r\nX-one: 2\r\n",
            ),
        ] {
            let mut response = response();
            response.try_custom_headers(lines).unwrap();
            assert_eq!(
                response.headers().as_bytes(),
                wanted.as_bytes(),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_text_that_is_more_than_fields_sets_none() {
        for lines in [
            "A: 1\r\n\r\n<html>",
            "A: 1\r\n\r\nB: 2",
            "\r\nA: 1",
            "A: 1\r\n\r\n",
            "A: 1\r\n folded",
            "A: 1\r\n\tfolded: 2",
            "A: 1\r\nB",
            "A: 1\nB: 2",
            "A: 1\rB: 2",
            "A: 1\r\nB: \0",
            "A : 1",
            ": 1",
            "A: 1\r\nTransfer-Encoding: chunked",
            "A: 1\r\nConnection: upgrade",
            "A: 1\r\nContent-Length: x",
        ] {
            let mut response = response();
            assert!(response.try_custom_headers(lines).is_err(), "{lines:?}");
            let kept = b"X-One: 0\r\nX-Two: 0\r\n";
            assert_eq!(response.headers().as_bytes(), kept, "{lines:?}");
        }
    }

    #[test]
    fn what_is_the_driver_s_is_taken_over() {
        let mut response = response();
        let lines =
            "Connection: close\r\nContent-Length: 7\r\nContent-Type: text/plain; charset=us-ascii";
        response.try_custom_headers(lines).unwrap();
        assert!(response.head.close);
        assert_eq!(response.rare().content_length, Some(7));
        assert_eq!(
            response.headers().as_bytes(),
            b"X-One: 0\r\nX-Two: 0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
        );
    }
}
