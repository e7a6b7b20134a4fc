//! Hours, days and months of UTC, by which quotas are counted.

use crate::table::{Nanoseconds, SECOND};

/// The period that a quota is for. It begins and ends by the calendar, in UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Period {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Period {
    /// All periods, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The first second of the period that a moment is in, and the first after it; since the Unix epoch.
    #[inline]
    pub fn around(self, now: Nanoseconds) -> (u64, u64) {
        let now = now / SECOND;
        match self {
            Self::Hour => around(now, 3_600),
            Self::Day => around(now, DAY),
            Self::Month => {
                let (year, month) = month_of(now / DAY);
                let (next_year, next) = if month == 12 {
                    (year + 1, 1)
                } else {
                    (year, month + 1)
                };
                (
                    first_day(year, month) * DAY,
                    first_day(next_year, next) * DAY,
                )
            }
        }
    }

    /// As settings and events call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

const DAY: u64 = 86_400;

fn around(now: u64, length: u64) -> (u64, u64) {
    let start = now - now % length;
    (start, start + length)
}

/// Year and month of a day, counted from 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day is a year's last, and 400 of them are an era, after
/// which the Gregorian calendar repeats.
fn month_of(day: u64) -> (u64, u64) {
    let day = day + DAYS_BEFORE_1970;
    let (era, day) = (day / ERA, day % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let year = era * 400 + year;
    match from_march < 10 {
        true => (year, from_march + 3),
        false => (year + 1, from_march - 9),
    }
}

/// Year, month and day of a day, counted from 1970-01-01.
pub(crate) fn date_of(day: u64) -> (u64, u64, u64) {
    let (year, month) = month_of(day);
    (year, month, day - first_day(year, month) + 1)
}

/// The first day of a month, counted from 1970-01-01.
fn first_day(year: u64, month: u64) -> u64 {
    let (year, from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5;
    era * ERA + 365 * year + year / 4 - year / 100 + of_year - DAYS_BEFORE_1970
}

/// Days in 400 years.
const ERA: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn around(period: Period, seconds: u64) -> (u64, u64) {
        period.around(seconds * SECOND)
    }

    #[test]
    fn a_month_is_as_long_as_the_calendar_says() {
        // 2024-02-29T12:00:00Z, in a leap year.
        assert_eq!(
            around(Period::Month, 1_709_208_000),
            (1_706_745_600, 1_709_251_200)
        );
        // 2023-12-31T23:59:59Z and a second later.
        assert_eq!(
            around(Period::Month, 1_704_067_199),
            (1_701_388_800, 1_704_067_200)
        );
        assert_eq!(
            around(Period::Month, 1_704_067_200),
            (1_704_067_200, 1_706_745_600)
        );
        assert_eq!(around(Period::Month, 0), (0, 31 * 86_400));
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let (_, mut end) = around(Period::Month, 0);
        let lengths = [28, 29, 30, 31];
        for _ in 0..12 * 200 {
            let (start, next) = around(Period::Month, end);
            assert_eq!(start, end);
            assert!(lengths.contains(&((next - start) / 86_400)), "{start}");
            assert_eq!(around(Period::Month, next - 1), (start, next));
            end = next;
        }
        // 2170-02-01.
        assert_eq!(end, 6_314_112_000);
    }

    #[test]
    fn hours_and_days_are_those_of_utc() {
        assert_eq!(around(Period::Hour, 7_199), (3_600, 7_200));
        assert_eq!(around(Period::Day, 86_400), (86_400, 172_800));
    }
}
