//! When the log says that a certificate ends.

use std::time::{Duration, SystemTime};

/// What there is to say of a certificate's end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Notice {
    /// It ends soon.
    Soon,
    /// It has ended.
    Ended,
}

/// What to say at `now` of a certificate that is good until `not_after`, and of which `last` was said.
///
/// Each day once; and at once when it has ended.
pub(super) fn notice(
    not_after: SystemTime,
    now: SystemTime,
    last: Option<(Notice, SystemTime)>,
) -> Option<Notice> {
    let notice = match not_after.duration_since(now) {
        Ok(left) if left > SOON => return None,
        Ok(_) => Notice::Soon,
        Err(_) => Notice::Ended,
    };
    match last {
        Some((said, when)) if said == notice => {
            // A clock that was set back is no reason to be silent for longer.
            let since = now.duration_since(when).unwrap_or(DAY);
            (since >= DAY).then_some(notice)
        }
        _ => Some(notice),
    }
}

/// How long before its end a certificate is spoken of. Renewals are due long before: with a third of its
/// time left, as a rule.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_day() {
        let end = SystemTime::UNIX_EPOCH + 1000 * DAY;
        let mut last = None;
        let mut said = |now| {
            let notice = notice(end, now, last);
            if let Some(notice) = notice {
                last = Some((notice, now));
            }
            notice
        };
        let second = Duration::from_secs(1);
        assert_eq!(said(end - SOON - second), None);
        assert_eq!(said(end - SOON), Some(Notice::Soon));
        assert_eq!(said(end - SOON + DAY - second), None);
        assert_eq!(said(end - SOON + DAY), Some(Notice::Soon));
        assert_eq!(said(end - second), Some(Notice::Soon));
        assert_eq!(said(end), None);
        assert_eq!(said(end + second), Some(Notice::Ended));
        assert_eq!(said(end + DAY), None);
        assert_eq!(said(end + second + DAY), Some(Notice::Ended));
    }
}
