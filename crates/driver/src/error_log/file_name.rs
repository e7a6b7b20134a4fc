//! How the files of the HTTPERR log are called, and when the next one begins.
//!
//! Source: http-server-api §9: `httperrN.log` by size; `htYYMMDDHH`, `htYYMMDD`, `htYYMMWW` and
//! `htYYMM` by time, where WW is the week of the month.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::settings::LogRollover;

/// What all files of one period have in their names; one period is all of time when size decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Period(String);

impl Period {
    /// The period that `date` lies in.
    pub(super) fn of(rollover: LogRollover, date: DateTime) -> Self {
        let (year, month, day) = (date.year().rem_euclid(100), date.month(), date.day());
        Self(match rollover {
            LogRollover::Size => String::new(),
            LogRollover::Hourly => format!("ht{year:02}{month:02}{day:02}{:02}", date.hour()),
            LogRollover::Daily => format!("ht{year:02}{month:02}{day:02}"),
            LogRollover::Weekly => format!("ht{year:02}{month:02}{:02}", week_of_month(date)),
            LogRollover::Monthly => format!("ht{year:02}{month:02}"),
        })
    }

    /// Makes a file that nobody else has made: the name's next free number is taken.
    pub(super) fn create_file(&self, folder: &Path) -> io::Result<File> {
        if !self.0.is_empty() {
            match create(folder, &format!("{}.log", self.0)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
        let prefix = if self.0.is_empty() {
            "httperr".to_owned()
        } else {
            format!("{}-", self.0)
        };
        let mut number = highest_number(folder, &prefix)?;
        loop {
            number = number.checked_add(1).ok_or(io::ErrorKind::QuotaExceeded)?;
            match create(folder, &format!("{prefix}{number}.log")) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
    }
}

/// `time` as a date in `zone`; the beginning of 1970 where it cannot be told.
pub(super) fn date(time: SystemTime, zone: &TimeZone) -> DateTime {
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(timestamp)
}

/// Weeks begin on Sunday; the one with the first of the month is the first.
fn week_of_month(date: DateTime) -> i8 {
    let days_before_first = date.first_of_month().weekday().to_sunday_zero_offset();
    (date.day() + days_before_first - 1) / 7 + 1
}

fn create(folder: &Path, name: &str) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .open(folder.join(name))
}

/// The highest number of the files that `prefix` begins; 0 when there is none.
fn highest_number(folder: &Path, prefix: &str) -> io::Result<u64> {
    let mut highest = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            name.strip_prefix(prefix)?
                .strip_suffix(".log")?
                .parse()
                .ok()
        });
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_of_a_month_begin_on_sunday() {
        let week = |month, day| week_of_month(jiff::civil::date(2026, month, day).at(12, 0, 0, 0));
        // 1 August 2026 is a Saturday.
        assert_eq!(week(8, 1), 1);
        assert_eq!(week(8, 2), 2);
        assert_eq!(week(8, 8), 2);
        assert_eq!(week(8, 9), 3);
        assert_eq!(week(8, 30), 6);
        // 1 March 2026 is a Sunday.
        assert_eq!(week(3, 1), 1);
        assert_eq!(week(3, 7), 1);
        assert_eq!(week(3, 31), 5);
    }

    #[test]
    fn files_are_named_after_their_period() {
        let date = jiff::civil::date(2026, 3, 5).at(7, 8, 9, 0);
        let name = |rollover| Period::of(rollover, date).0;
        assert_eq!(name(LogRollover::Hourly), "ht26030507");
        assert_eq!(name(LogRollover::Daily), "ht260305");
        assert_eq!(name(LogRollover::Weekly), "ht260301");
        assert_eq!(name(LogRollover::Monthly), "ht2603");
    }

    #[test]
    fn a_date_beyond_the_calendar_is_no_panic() {
        let far = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 50);
        assert_eq!(date(far, &TimeZone::UTC).year(), 1970);
    }
}
