//! How long a response may be served from the response cache.
//!
//! What is asked for, not what comes of it: whether a response is fit to be stored is the engine's
//! matter. Source: `HTTP_CACHE_POLICY`; http-server-api §8.

use std::fmt;
use std::time::Duration;

/// For how long a response may be served again to whoever asks for the same URL.
///
/// The driver then answers before the request queue and without the application. Whoever asks for a copy
/// gets it, whoever it was made for: nothing that is meant for one user may have a policy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CachePolicy {
    /// It is not stored. The default.
    #[default]
    None,
    /// Until it is flushed or replaced.
    UserInvalidates,
    /// For so long, in whole seconds.
    ///
    /// Less than 1 s is not stored; more than 2³²−2 s is as long as that. One that nobody asks for is
    /// dropped earlier, after the [scavenger's period](crate::CacheLimits::scavenger_period).
    TimeToLive(Duration),
}

impl CachePolicy {
    /// Whether the response is to be stored at all.
    #[inline]
    pub fn stores(self) -> bool {
        match self {
            Self::None => false,
            Self::UserInvalidates => true,
            Self::TimeToLive(time) => time.as_secs() > 0,
        }
    }

    /// How long it lasts, in whole seconds; `None` where no time ends it.
    pub fn time_to_live(self) -> Option<Duration> {
        match self {
            Self::None | Self::UserInvalidates => None,
            Self::TimeToLive(time) => Some(Duration::from_secs(time.as_secs().min(SECONDS_MAX))),
        }
    }
}

/// Longest time to live: 136 years.
const SECONDS_MAX: u64 = u32::MAX as u64 - 1;

impl fmt::Display for CachePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "No cache",
            Self::UserInvalidates => "User invalidates",
            Self::TimeToLive(_) => "Time to live",
        })
    }
}

/// A [`CachePolicy`] as a head carries it: in four bytes, which it has to spare. A head is moved with each
/// answer, and most have no policy.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct HeadCachePolicy(u32);

impl HeadCachePolicy {
    /// [`CachePolicy::None`].
    pub const NONE: Self = Self(0);

    const USER_INVALIDATES: Self = Self(u32::MAX);

    /// Whether the response is not to be stored.
    #[inline]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The policy. A time is in whole seconds, at most 2³²−2, which is 136 years.
    pub fn policy(self) -> CachePolicy {
        match self {
            Self::NONE => CachePolicy::None,
            Self::USER_INVALIDATES => CachePolicy::UserInvalidates,
            Self(seconds) => CachePolicy::TimeToLive(Duration::from_secs(seconds.into())),
        }
    }
}

impl From<CachePolicy> for HeadCachePolicy {
    fn from(policy: CachePolicy) -> Self {
        match policy {
            CachePolicy::None => Self::NONE,
            CachePolicy::UserInvalidates => Self::USER_INVALIDATES,
            CachePolicy::TimeToLive(time) => Self(time.as_secs().min(SECONDS_MAX) as u32),
        }
    }
}

impl fmt::Debug for HeadCachePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_carries_a_policy_in_whole_seconds() {
        let carried = |policy: CachePolicy| HeadCachePolicy::from(policy).policy();
        for policy in [
            CachePolicy::None,
            CachePolicy::UserInvalidates,
            CachePolicy::TimeToLive(Duration::from_secs(1)),
            CachePolicy::TimeToLive(Duration::from_secs(4_294_967_294)),
        ] {
            assert_eq!(carried(policy), policy);
        }
        let longer = CachePolicy::TimeToLive(Duration::MAX);
        let longest = CachePolicy::TimeToLive(Duration::from_secs(4_294_967_294));
        assert_eq!(carried(longer), longest);
        let shorter = CachePolicy::TimeToLive(Duration::from_millis(999));
        assert_eq!(carried(shorter), CachePolicy::None);
        assert!(HeadCachePolicy::from(shorter).is_none());
    }

    // http-server-api C05.
    #[test]
    fn c05_less_than_a_second_is_not_stored() {
        let times = [(0, false), (1, false), (900, false), (999, false)];
        for (milliseconds, stores) in times.into_iter().chain([(1000, true), (1999, true)]) {
            let policy = CachePolicy::TimeToLive(Duration::from_millis(milliseconds));
            assert_eq!(policy.stores(), stores, "{milliseconds}");
        }
        assert!(!CachePolicy::None.stores());
        assert!(CachePolicy::UserInvalidates.stores());
    }

    #[test]
    fn a_time_counts_in_whole_seconds_up_to_a_most() {
        let lasts = |time| CachePolicy::TimeToLive(time).time_to_live();
        let second = Duration::from_secs(1);
        assert_eq!(lasts(Duration::from_millis(1999)), Some(second));
        assert_eq!(lasts(Duration::MAX), Some(second * (u32::MAX - 1)));
        assert_eq!(CachePolicy::UserInvalidates.time_to_live(), None);
    }
}
