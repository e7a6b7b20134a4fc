//! Dates that peers send. Source: RFC 9110 §5.6.7.

use std::time::UNIX_EPOCH;

/// Reads a date in one of the three forms that HTTP has, as seconds since 1970-01-01 00:00:00 UTC.
///
/// `None` for what is no date, for a weekday that is not the date's, and for times before 1970. Two digits
/// of a year (RFC 850's form) mean 1970 to 2069.
pub fn parse_date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    let since_epoch = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since_epoch.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::format_date;

    #[test]
    fn all_three_forms_are_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_date(text.as_bytes()), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "784111777",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1999 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:60 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            "\u{a0}Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_date(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_date(b"Sun, 06 Nov 1994 08:49:3\xFF GMT"), None);
    }

    #[test]
    fn dates_that_are_written_are_read() {
        for seconds in (0..253_402_300_799).step_by(86_400 * 97 + 12_345) {
            assert_eq!(parse_date(&format_date(seconds)), Some(seconds));
        }
    }
}
