use std::fs;
use std::path::Path;

use jiff::civil::{DateTime, date};
use tidegate_httpapi::LogFormat;

use super::*;

struct Rig {
    folder: tempfile::TempDir,
    file: LogFile,
}

impl Rig {
    fn new(rollover: LogRollover, bytes_max: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = log(folder.path(), rollover, bytes_max);
        Self { folder, file }
    }

    /// Adds a line and gives it to the system.
    fn write(&mut self, date: DateTime, line: &str) {
        assert!(self.add(date, line));
        self.file.flush(time(date));
    }

    fn add(&mut self, date: DateTime, line: &str) -> bool {
        let (time, line) = (time(date), format!("{line}\n"));
        let header = |out: &mut Vec<u8>| out.extend_from_slice(b"#header\n");
        self.file.add(
            time,
            &log_time(time, &TimeZone::UTC),
            header,
            line.as_bytes(),
        )
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("logs").join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("logs")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }
}

fn log(folder: &Path, rollover: LogRollover, bytes_max: Option<u64>) -> LogFile {
    LogFile::new(LogFileSettings {
        title: "test log",
        folder: Some(folder.join("logs")),
        names: LogFileNames::of(LogFormat::W3c),
        begins: Begins::Appending,
        rollover,
        bytes_max,
    })
}

fn time(date: DateTime) -> SystemTime {
    date.to_zoned(TimeZone::UTC).unwrap().timestamp().into()
}

fn at(second: i8) -> DateTime {
    date(2026, 7, 5).at(18, 45, second, 0)
}

#[test]
fn a_restart_goes_on_with_the_file_of_the_day() {
    let mut rig = Rig::new(LogRollover::Daily, None);
    rig.write(at(0), "one");
    rig.file = log(rig.folder.path(), LogRollover::Daily, None);
    rig.write(at(1), "two");
    rig.write(at(2), "three");
    assert_eq!(rig.names(), ["ex260705.log"]);
    assert_eq!(
        rig.text("ex260705.log"),
        "#header\none\n#header\ntwo\nthree\n"
    );
}

#[test]
fn a_line_that_a_restart_broke_off_is_ended() {
    let mut rig = Rig::new(LogRollover::Daily, None);
    fs::create_dir(rig.folder.path().join("logs")).unwrap();
    fs::write(rig.path("ex260705.log"), "#header\nbroken o").unwrap();
    rig.write(at(1), "two");
    assert_eq!(
        rig.text("ex260705.log"),
        "#header\nbroken o\n#header\ntwo\n"
    );
}

#[test]
fn the_next_day_has_a_file_of_its_own() {
    let mut rig = Rig::new(LogRollover::Daily, None);
    rig.write(date(2026, 7, 5).at(23, 59, 59, 0), "one");
    assert!(rig.add(date(2026, 7, 5).at(23, 59, 59, 0), "two"));
    rig.write(date(2026, 7, 6).at(0, 0, 0, 0), "three");
    assert_eq!(rig.text("ex260705.log"), "#header\none\ntwo\n");
    assert_eq!(rig.text("ex260706.log"), "#header\nthree\n");
}

#[test]
fn a_restart_goes_on_with_the_last_number_that_has_room() {
    let mut rig = Rig::new(LogRollover::Size, Some(30));
    rig.write(at(0), "0123456789");
    rig.write(at(1), "0123456789");
    rig.write(at(2), "0123456789");
    assert_eq!(rig.names(), ["extend1.log", "extend2.log"]);
    assert_eq!(rig.text("extend1.log"), "#header\n0123456789\n0123456789\n");

    rig.file = log(rig.folder.path(), LogRollover::Size, Some(30));
    rig.write(at(3), "a");
    assert_eq!(rig.text("extend2.log"), "#header\n0123456789\n#header\na\n");
    rig.file = log(rig.folder.path(), LogRollover::Size, Some(30));
    rig.write(at(3), "b");
    assert_eq!(rig.text("extend3.log"), "#header\nb\n");
}

#[test]
fn a_size_that_is_unlimited_has_one_file() {
    let mut rig = Rig::new(LogRollover::Size, None);
    for second in 0..9 {
        rig.write(at(second), &"a".repeat(400_000));
    }
    assert_eq!(rig.names(), ["extend1.log"]);
}

#[test]
fn a_file_that_is_gone_is_made_again() {
    let mut rig = Rig::new(LogRollover::Daily, None);
    rig.write(at(0), "one");
    fs::rename(rig.path("ex260705.log"), rig.path("old")).unwrap();
    // It is looked for once a second.
    rig.write(at(0), "two");
    rig.write(at(1), "three");
    assert_eq!(rig.text("old"), "#header\none\ntwo\n");
    assert_eq!(rig.text("ex260705.log"), "#header\nthree\n");
    // And when somebody says so.
    fs::rename(rig.path("ex260705.log"), rig.path("older")).unwrap();
    rig.file.reopen(time(at(1)));
    rig.write(at(1), "four");
    assert_eq!(rig.text("ex260705.log"), "#header\nfour\n");
    // With its folder, too.
    fs::remove_dir_all(rig.folder.path().join("logs")).unwrap();
    rig.write(at(3), "five");
    assert_eq!(rig.text("ex260705.log"), "#header\nfive\n");
}

// /dev/full is a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn what_a_full_disk_does_not_take_is_written_later() {
    let mut rig = Rig::new(LogRollover::Daily, None);
    fs::create_dir(rig.folder.path().join("logs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", rig.path("ex260705.log")).unwrap();
    rig.write(at(0), "one");
    rig.write(at(0), "two");
    assert!(rig.file.has_failed());
    // The clock strikes meanwhile: what waits is for the file that it was meant for.
    rig.write(date(2026, 7, 6).at(0, 0, 0, 0), "three");
    fs::remove_file(rig.path("ex260705.log")).unwrap();
    rig.write(date(2026, 7, 6).at(0, 0, 1, 0), "four");
    assert!(!rig.file.has_failed());
    assert_eq!(rig.text("ex260705.log"), "#header\none\ntwo\nthree\n");
    assert_eq!(rig.text("ex260706.log"), "#header\nfour\n");
    assert_eq!(rig.file.finish(time(at(2))), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn what_waits_is_bounded_and_counted_in_the_end() {
    let mut rig = Rig::new(LogRollover::Daily, None);
    fs::create_dir(rig.folder.path().join("logs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", rig.path("ex260705.log")).unwrap();
    let line = "a".repeat(999);
    let mut taken = 0;
    while rig.add(at(0), &line) {
        taken += 1;
        assert!(taken < 2000);
    }
    assert_eq!(taken, WAITING_BYTES_MAX / 1000);
    assert_eq!(rig.file.finish(time(at(1))), taken as u64);
}

// A file that takes a part of a line, as a disk does that is nearly full.
#[test]
fn the_rest_of_a_line_goes_where_its_beginning_is_or_nowhere() {
    let mut rig = Rig::new(LogRollover::Daily, None);
    rig.write(at(0), "one");
    rig.file.lines.extend_from_slice(b"rest\nthree\n");
    rig.file.is_mid_line = true;
    rig.file.flush(time(at(0)));
    assert_eq!(rig.text("ex260705.log"), "#header\none\nrest\nthree\n");
    assert!(!rig.file.is_mid_line);

    rig.file.lines.extend_from_slice(b"rest\nfour\n");
    rig.file.is_mid_line = true;
    fs::rename(rig.path("ex260705.log"), rig.path("old")).unwrap();
    rig.file.reopen(time(at(0)));
    assert_eq!(rig.text("ex260705.log"), "#header\nfour\n");
}

#[cfg(unix)]
#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut rig = Rig::new(LogRollover::Daily, None);
    rig.write(at(0), "one");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&rig.path("ex260705.log")) & !0o640, 0);
    assert_eq!(mode(&rig.folder.path().join("logs")) & !0o750, 0);
}

#[test]
fn a_date_beyond_the_calendar_is_no_panic() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50);
    assert_eq!(log_time(far, &TimeZone::UTC).year, 1970);
}

#[test]
fn a_zone_is_told_in_minutes_before_utc() {
    let zone = TimeZone::fixed(jiff::tz::offset(-3));
    let shown = log_time(time(at(9)), &zone);
    assert_eq!((shown.hour, shown.utc_offset_minutes), (15, -180));
    // 5 July 2026 is a Sunday.
    assert_eq!((shown.weekday, shown.day, shown.year), (0, 5, 2026));
}
