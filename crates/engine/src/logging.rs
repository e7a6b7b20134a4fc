//! The rules of logs: which properties may be, which answers and fields are logged, and which file a line of
//! a given time goes to.
//!
//! No file is opened here and no clock is read: a moment is an argument. How lines look is `proto`'s matter.
//! Source: http-server-api §9.

use std::sync::Arc;

use tidegate_httpapi::{
    LOG_DIRECTORY_BYTES_MAX, LOG_ROLLOVER_BYTES_MIN, LOG_SOFTWARE_BYTES_MAX, LogFields, LogFormat,
    LogRollover, LogSelection, LogTime, LoggingFault, LoggingProperties,
};

/// Names a log of requests within a driver's life.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LogId(pub u32);

/// A log of requests, as workers see it.
#[derive(Debug, Eq, PartialEq)]
pub struct LogView {
    /// Names it.
    pub id: LogId,
    /// As they were set, and found right.
    pub properties: LoggingProperties,
    /// What its lines say.
    pub fields: LogFields,
}

/// Whether an answer with this status is logged.
#[inline]
pub fn is_logged(selection: LogSelection, status: u16) -> bool {
    match selection {
        LogSelection::All => true,
        LogSelection::ErrorsOnly => status >= 400,
        LogSelection::SuccessOnly => status < 400,
    }
}

/// Whose property it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogOwner {
    Session,
    Group,
}

/// All logs there have been. One is found again by its properties.
#[derive(Debug, Default)]
pub(crate) struct Logs(Vec<Arc<LogView>>);

impl Logs {
    pub(crate) fn all(&self) -> &[Arc<LogView>] {
        &self.0
    }

    /// The log with these properties. `of_others` are in use by others than its owner-to-be.
    pub(crate) fn find(
        &mut self,
        properties: Option<&LoggingProperties>,
        owner: LogOwner,
        of_others: &[Arc<LogView>],
    ) -> Result<Option<Arc<LogView>>, LoggingFault> {
        let Some(properties) = properties else {
            return Ok(None);
        };
        check(properties, owner)?;
        let has_its_files = |other: &Arc<LogView>| {
            other.properties.directory == properties.directory
                && other.properties.format == properties.format
                && other.properties != *properties
        };
        if of_others.iter().any(has_its_files) {
            return Err(LoggingFault::DirectoryTaken(properties.directory.clone()));
        }
        let known = self.0.iter().find(|log| log.properties == *properties);
        if let Some(known) = known {
            return Ok(Some(Arc::clone(known)));
        }
        let log = Arc::new(LogView {
            id: LogId(self.0.len() as u32),
            properties: properties.clone(),
            fields: fields(properties),
        });
        self.0.push(Arc::clone(&log));
        Ok(Some(log))
    }
}

/// What a log's lines say.
fn fields(properties: &LoggingProperties) -> LogFields {
    let common = LogFields::CLIENT_IP
        | LogFields::USER_NAME
        | LogFields::METHOD
        | LogFields::URI_STEM
        | LogFields::URI_QUERY
        | LogFields::STATUS
        | LogFields::BYTES_SENT;
    match properties.format {
        LogFormat::Ncsa => common | LogFields::VERSION,
        LogFormat::Iis => {
            common
                | LogFields::SITE_NAME
                | LogFields::COMPUTER_NAME
                | LogFields::SERVER_IP
                | LogFields::TIME_TAKEN
                | LogFields::BYTES_RECEIVED
                | LogFields::WIN32_STATUS
        }
        _ => properties.fields,
    }
}

fn check(properties: &LoggingProperties, owner: LogOwner) -> Result<(), LoggingFault> {
    let of_group_only = matches!(properties.format, LogFormat::Ncsa | LogFormat::Iis);
    if owner == LogOwner::Session && of_group_only {
        return Err(LoggingFault::FormatOfSession(properties.format));
    }
    let directory = &properties.directory;
    if !directory.is_absolute() {
        return Err(LoggingFault::DirectoryRelative(directory.clone()));
    }
    let bytes = directory.as_os_str().len();
    if bytes > LOG_DIRECTORY_BYTES_MAX {
        return Err(LoggingFault::DirectoryTooLong(bytes));
    }
    let names = [&properties.software_name, &properties.site_name];
    for name in names.into_iter().flatten() {
        if name.chars().any(char::is_control) {
            return Err(LoggingFault::NameControl);
        }
    }
    let bytes = properties.software_name.as_ref().map_or(0, String::len);
    if bytes > LOG_SOFTWARE_BYTES_MAX {
        return Err(LoggingFault::SoftwareNameTooLong(bytes));
    }
    let bits = properties.fields.bits();
    if bits & LogFields::ALL.bits() != bits || bits == 0 {
        return Err(LoggingFault::Fields(bits & !LogFields::ALL.bits()));
    }
    match (properties.rollover, properties.rollover_bytes) {
        (_, None) => Ok(()),
        (LogRollover::Size, Some(bytes)) if bytes < LOG_ROLLOVER_BYTES_MIN => {
            Err(LoggingFault::RolloverBytes(bytes))
        }
        (LogRollover::Size, Some(_)) => Ok(()),
        (_, Some(_)) => Err(LoggingFault::RolloverBytesByTime),
    }
}

/// How the files of a kind of log are called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogFileNames {
    /// What a name begins with when files roll over by size; a number follows.
    pub by_size: &'static str,
    /// What a name begins with when files roll over by time; the period follows.
    pub by_time: &'static str,
}

impl LogFileNames {
    /// Of the HTTPERR log.
    pub const HTTPERR: Self = Self {
        by_size: "httperr",
        by_time: "ht",
    };

    /// Of a log of requests.
    pub fn of(format: LogFormat) -> Self {
        let (by_size, by_time) = match format {
            LogFormat::Ncsa => ("ncsa", "nc"),
            LogFormat::Iis => ("inetsv", "in"),
            LogFormat::Json => ("json", "js"),
            _ => ("extend", "ex"),
        };
        Self { by_size, by_time }
    }
}

/// What all files of one period have in common; one period is all of time when size decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogPeriod {
    rollover: LogRollover,
    year: u8,
    month: u8,
    /// Or the week of the month.
    day: u8,
    hour: u8,
}

impl LogPeriod {
    /// The period that `time` lies in.
    pub fn of(rollover: LogRollover, time: &LogTime) -> Self {
        let none = Self {
            rollover,
            year: 0,
            month: 0,
            day: 0,
            hour: 0,
        };
        if rollover == LogRollover::Size {
            return none;
        }
        let month = Self {
            year: time.year.rem_euclid(100) as u8,
            month: time.month,
            ..none
        };
        match rollover {
            LogRollover::Hourly => Self {
                day: time.day,
                hour: time.hour,
                ..month
            },
            LogRollover::Daily => Self {
                day: time.day,
                ..month
            },
            LogRollover::Weekly => Self {
                day: week_of_month(time),
                ..month
            },
            _ => month,
        }
    }

    /// What the names of its files begin with: all of the name, but for what makes it one of several.
    /// Ends in a number, unless size decides.
    pub fn name(&self, names: LogFileNames) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            ..
        } = self;
        let prefix = names.by_time;
        match self.rollover {
            LogRollover::Size => names.by_size.to_owned(),
            LogRollover::Hourly => format!("{prefix}{year:02}{month:02}{day:02}{hour:02}"),
            LogRollover::Daily | LogRollover::Weekly => {
                format!("{prefix}{year:02}{month:02}{day:02}")
            }
            _ => format!("{prefix}{year:02}{month:02}"),
        }
    }

    /// Whether size decides when the next file is begun.
    pub fn is_by_size(&self) -> bool {
        self.rollover == LogRollover::Size
    }
}

/// Weeks begin on Sunday; the one with the first of the month is the first.
fn week_of_month(time: &LogTime) -> u8 {
    // The first's weekday: so many days before it the week began.
    let days_before_first = (time.weekday + 35 - (time.day - 1)) % 7;
    (time.day - 1 + days_before_first) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(day: u8, weekday: u8) -> LogTime {
        LogTime {
            year: 2026,
            month: 3,
            day,
            hour: 7,
            minute: 8,
            second: 9,
            weekday,
            utc_offset_minutes: 0,
        }
    }

    #[test]
    fn weeks_of_a_month_begin_on_sunday() {
        // A month that begins on Saturday.
        let week = |day: u8| week_of_month(&time(day, (day + 5) % 7));
        assert_eq!([week(1), week(2), week(8), week(9)], [1, 2, 2, 3]);
        assert_eq!(week(30), 6);
        // One that begins on Sunday.
        let week = |day: u8| week_of_month(&time(day, (day - 1) % 7));
        assert_eq!([week(1), week(7), week(8), week(31)], [1, 1, 2, 5]);
    }

    // http-server-api §9, the table of file names.
    #[test]
    fn files_are_named_after_their_period() {
        let name =
            |format, rollover| LogPeriod::of(rollover, &time(5, 4)).name(LogFileNames::of(format));
        assert_eq!(name(LogFormat::W3c, LogRollover::Size), "extend");
        assert_eq!(name(LogFormat::Ncsa, LogRollover::Size), "ncsa");
        assert_eq!(name(LogFormat::Iis, LogRollover::Size), "inetsv");
        assert_eq!(name(LogFormat::W3c, LogRollover::Hourly), "ex26030507");
        assert_eq!(name(LogFormat::Ncsa, LogRollover::Daily), "nc260305");
        assert_eq!(name(LogFormat::Iis, LogRollover::Weekly), "in260301");
        assert_eq!(name(LogFormat::Json, LogRollover::Monthly), "js2603");
    }

    #[test]
    fn a_moment_of_the_next_period_is_of_another() {
        let period = |rollover, hour| LogPeriod::of(rollover, &LogTime { hour, ..time(5, 4) });
        assert_ne!(
            period(LogRollover::Hourly, 1),
            period(LogRollover::Hourly, 2)
        );
        assert_eq!(period(LogRollover::Daily, 1), period(LogRollover::Daily, 2));
        assert_eq!(period(LogRollover::Size, 1), period(LogRollover::Size, 2));
    }

    fn properties() -> LoggingProperties {
        LoggingProperties::new("/var/log/a")
    }

    #[test]
    fn properties_that_cannot_be_are_refused() {
        let mut logs = Logs::default();
        let mut refused = |change: fn(&mut LoggingProperties), owner| {
            let mut changed = properties();
            change(&mut changed);
            logs.find(Some(&changed), owner, &[]).err()
        };
        let group = LogOwner::Group;
        assert_eq!(refused(|_| {}, LogOwner::Session), None);
        assert_eq!(
            refused(|log| log.format = LogFormat::Ncsa, LogOwner::Session),
            Some(LoggingFault::FormatOfSession(LogFormat::Ncsa))
        );
        assert_eq!(refused(|log| log.format = LogFormat::Ncsa, group), None);
        assert_eq!(
            refused(|log| log.directory = "logs".into(), group),
            Some(LoggingFault::DirectoryRelative("logs".into()))
        );
        assert_eq!(
            refused(
                |log| log.directory = format!("/{}", "a".repeat(423)).into(),
                group
            ),
            None
        );
        assert_eq!(
            refused(
                |log| log.directory = format!("/{}", "a".repeat(424)).into(),
                group
            ),
            Some(LoggingFault::DirectoryTooLong(425))
        );
        assert_eq!(
            refused(|log| log.software_name = Some("s".repeat(261)), group),
            Some(LoggingFault::SoftwareNameTooLong(261))
        );
        assert_eq!(
            refused(|log| log.site_name = Some("a\nb".to_owned()), group),
            Some(LoggingFault::NameControl)
        );
        assert_eq!(
            refused(|log| log.fields = LogFields::NONE, group),
            Some(LoggingFault::Fields(0))
        );
        // Of the HTTPERR log only.
        assert_eq!(
            refused(|log| log.fields = LogFields::from_bits(0x40_0001), group),
            Some(LoggingFault::Fields(0x40_0000))
        );
    }

    #[test]
    fn a_size_is_for_files_that_roll_over_by_size() {
        let mut logs = Logs::default();
        let mut checked = |rollover, bytes| {
            let mut changed = properties();
            (changed.rollover, changed.rollover_bytes) = (rollover, bytes);
            logs.find(Some(&changed), LogOwner::Group, &[]).err()
        };
        assert_eq!(checked(LogRollover::Size, Some(1_048_576)), None);
        assert_eq!(checked(LogRollover::Size, None), None);
        assert_eq!(
            checked(LogRollover::Size, Some(1_048_575)),
            Some(LoggingFault::RolloverBytes(1_048_575))
        );
        assert_eq!(
            checked(LogRollover::Daily, Some(1_048_576)),
            Some(LoggingFault::RolloverBytesByTime)
        );
    }

    #[test]
    fn equal_logs_are_one_and_different_ones_need_their_own_folder() {
        let mut logs = Logs::default();
        let mut find = |properties: &LoggingProperties, of_others: &[Arc<LogView>]| {
            logs.find(Some(properties), LogOwner::Group, of_others)
        };
        let first = find(&properties(), &[]).unwrap().unwrap();
        let again = find(&properties(), &[Arc::clone(&first)]).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let mut other = properties();
        other.fields = LogFields::STATUS;
        assert_eq!(
            find(&other, &[Arc::clone(&first)]).err(),
            Some(LoggingFault::DirectoryTaken("/var/log/a".into()))
        );
        // Its owner may change it, and another format has other files.
        assert_eq!(find(&other, &[]).unwrap().unwrap().id, LogId(1));
        other.format = LogFormat::Json;
        assert_eq!(find(&other, &[first]).unwrap().unwrap().id, LogId(2));
    }

    #[test]
    fn a_selection_goes_by_status() {
        assert!(is_logged(LogSelection::All, 200) && is_logged(LogSelection::All, 500));
        assert!(
            !is_logged(LogSelection::ErrorsOnly, 399) && is_logged(LogSelection::ErrorsOnly, 400)
        );
        assert!(
            is_logged(LogSelection::SuccessOnly, 399) && !is_logged(LogSelection::SuccessOnly, 400)
        );
    }
}
