//! Times in field values. Source: RFC 9110 §5.6.7.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time as field values spell it. One outside the years that they can spell becomes the first or
/// last one.
pub(crate) fn to_field_value(time: SystemTime) -> String {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    httpdate::fmt_http_date(UNIX_EPOCH + since_epoch.min(END_OF_YEAR_9999))
}

/// The time that a field value spells.
pub(super) fn from_field_value(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value).ok()
}

const END_OF_YEAR_9999: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_and_read() {
        let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let text = to_field_value(time);
        assert_eq!(text, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(from_field_value(&text), Some(time));
        assert_eq!(from_field_value("yesterday"), None);
    }

    #[test]
    fn times_out_of_reach_do_not_panic() {
        let text = to_field_value(UNIX_EPOCH + END_OF_YEAR_9999 * 2);
        assert_eq!(text, "Fri, 31 Dec 9999 23:59:59 GMT");
        let text = to_field_value(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
