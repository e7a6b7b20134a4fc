use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use jiff::civil::{DateTime, date};
use jiff::tz::{self, TimeZone};
use tidegate_httpapi::{LogRollover, LogTime};

use super::*;
use crate::log_file::log_time;

fn record(reason: &'static str) -> ErrorRecord {
    ErrorRecord {
        client: tcp("10.0.0.9:2094"),
        server: tcp("10.0.0.4:80"),
        version: b"HTTP/1.1".to_vec(),
        method: b"GET".to_vec(),
        uri: b"/qos/1kbfile.txt?a=b".to_vec(),
        status: Some(503),
        site_id: Some(7),
        reason,
        queue_name: Some("Site A".into()),
    }
}

fn tcp(address: &str) -> PeerAddress {
    PeerAddress::Tcp(address.parse::<SocketAddr>().unwrap())
}

fn moment() -> DateTime {
    date(2026, 7, 5).at(18, 45, 9, 0)
}

fn shown() -> LogTime {
    log_time(time(moment()), &TimeZone::UTC)
}

fn line_of(record: &ErrorRecord) -> String {
    line_with(ErrorLogSettings::default().fields, record)
}

fn line_with(fields: u32, record: &ErrorRecord) -> String {
    let mut out = Vec::new();
    line::append_record(&mut out, fields, &shown(), record);
    let text = String::from_utf8(out).unwrap();
    text.strip_suffix("\r\n").unwrap().to_owned()
}

#[test]
fn the_default_fields_stand_in_their_order() {
    let mut header = Vec::new();
    line::append_header(&mut header, ErrorLogSettings::default().fields, &shown());
    assert_eq!(
        String::from_utf8(header).unwrap(),
        concat!(
            "#Software: Tidegate ",
            env!("CARGO_PKG_VERSION"),
            "\r\n#Version: 1.0\r\n#Date: 2026-07-05 18:45:09\r\n#Fields: date time c-ip c-port s-ip \
             s-port cs-version cs-method cs-uri sc-status s-siteid s-reason s-queuename\r\n"
        )
    );
    assert_eq!(
        line_of(&record("ConnLimit")),
        "2026-07-05 18:45:09 10.0.0.9 2094 10.0.0.4 80 HTTP/1.1 GET /qos/1kbfile.txt?a=b 503 7 \
         ConnLimit Site+A"
    );
}

#[test]
fn all_fields_have_a_place() {
    let line = line_with(line::ALL_FIELDS, &record("QueueFull"));
    assert_eq!(
        line,
        "2026-07-05 18:45:09 - 10.0.0.9 2094 10.0.0.4 80 HTTP/1.1 GET /qos/1kbfile.txt?a=b - - - - \
         503 - - - 7 QueueFull Site+A"
    );
}

#[test]
fn what_is_not_known_is_a_hyphen() {
    let record = ErrorRecord::of_connection(
        PeerAddress::Unknown,
        PeerAddress::Unix(None),
        "Timer_ConnectionIdle",
    );
    assert_eq!(
        line_of(&record),
        "2026-07-05 18:45:09 - - - - - - - - - Timer_ConnectionIdle -"
    );
}

#[test]
fn ipv6_addresses_carry_their_scope() {
    let mut record = record("URL");
    record.client = tcp("[::1]:5");
    record.server = tcp("[fe80::1%3]:80");
    assert!(line_of(&record).contains(" ::1%0 5 fe80::1%3 80 "));
    record.client = tcp("[::ffff:10.1.2.3]:5");
    assert!(line_of(&record).contains(" 10.1.2.3 5 "));
}

#[test]
fn text_of_a_peer_stays_one_value_on_one_line() {
    let mut record = record("URL");
    record.method = b"G E\tT\r\n#X".to_vec();
    record.uri = "/a b\u{7f}\u{0}/é\u{2028}\u{202e}".into();
    record.uri.push(0xff);
    assert_eq!(
        line_of(&record),
        "2026-07-05 18:45:09 10.0.0.9 2094 10.0.0.4 80 HTTP/1.1 G+E+T++#X /a+b++/é+++ 503 7 URL \
         Site+A"
    );
}

#[test]
fn a_line_never_passes_as_a_directive() {
    let mut record = record("URL");
    record.uri = b"#Fields:".to_vec();
    assert_eq!(line_with(0x80_0000, &record), "+Fields:");
}

#[test]
fn versions_of_two_digits_are_told_and_others_are_not() {
    let told = |version: &str| {
        let mut record = record("Version_N/S");
        record.version = version.into();
        line_with(0x8_0000, &record)
    };
    assert_eq!(told("HTTP/1.0"), "HTTP/1.0");
    assert_eq!(told("HTTP/9.9"), "HTTP/9.9");
    assert_eq!(told("HTTP/10.0"), "HTTP/?.?");
    assert_eq!(told("HTTP/1.10"), "HTTP/?.?");
    for unknown in [
        "",
        "HTTP/",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/a.b",
        "HTTP/1.1.1",
        "http/1.1",
    ] {
        assert_eq!(told(unknown), "-", "{unknown}");
    }
}

#[test]
fn long_values_are_cut() {
    let mut record = record("Verb");
    record.method = vec![b'M'; 256];
    record.uri = vec![b'u'; 4097];
    assert_eq!(line_with(0x80, &record).len(), 255);
    assert_eq!(line_with(0x80_0000, &record).len(), 4096);
    record.status = Some(999);
    assert_eq!(line_with(0x400, &record), "999");
    record.status = Some(1000);
    assert_eq!(line_with(0x400, &record), "-");
}

/// A log in a folder of its own, with the time as an argument.
struct Rig {
    folder: tempfile::TempDir,
    lost: Arc<AtomicU64>,
    writer: Writer,
}

impl Rig {
    fn new(rollover: LogRollover, zone: TimeZone) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), rollover);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = writer(&settings, zone, &lost);
        Self {
            folder,
            lost,
            writer,
        }
    }

    fn write_at(&mut self, date: DateTime, reason: &'static str) {
        self.writer.write(time(date), &record(reason));
        self.writer.flush_at(time(date));
    }

    fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }

    fn lines(&self, name: &str) -> Vec<String> {
        lines(self.folder.path(), name)
    }
}

fn writer(settings: &ErrorLogSettings, zone: TimeZone, lost: &Arc<AtomicU64>) -> Writer {
    let folder = settings
        .directory
        .as_ref()
        .map(|place| place.join("HTTPERR"));
    Writer::new(settings, folder.as_deref(), zone, Arc::clone(lost))
}

fn settings(folder: &Path, rollover: LogRollover) -> ErrorLogSettings {
    ErrorLogSettings {
        directory: Some(folder.to_owned()),
        rollover,
        fields: 0x0200_0003,
        ..ErrorLogSettings::default()
    }
}

fn time(date: DateTime) -> SystemTime {
    date.to_zoned(TimeZone::UTC).unwrap().timestamp().into()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.join("HTTPERR")) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<_> = entries.map(|entry| name(entry).unwrap()).collect();
    names.sort();
    names
}

/// The lines of a file without its header.
fn lines(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("HTTPERR").join(name)).unwrap();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    assert!(text.ends_with("\r\n"));
    assert!(lines[0].starts_with("#Software: "));
    assert_eq!(lines[3], "#Fields: date time s-reason");
    lines[4..].to_vec()
}

#[test]
fn a_file_is_made_with_the_first_record() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    assert!(rig.names().is_empty());
    rig.write_at(moment(), "URL");
    rig.write_at(moment(), "Verb");
    assert_eq!(rig.names(), ["httperr1.log"]);
    assert_eq!(
        rig.lines("httperr1.log"),
        ["2026-07-05 18:45:09 URL", "2026-07-05 18:45:09 Verb"]
    );
}

#[test]
fn a_file_of_another_is_never_written() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    let folder = rig.folder.path().join("HTTPERR");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("httperr9.log"), "another's").unwrap();
    fs::write(folder.join("httperr.log"), "").unwrap();
    fs::write(folder.join("httperrX.log"), "").unwrap();
    rig.write_at(moment(), "URL");
    assert_eq!(rig.lines("httperr10.log").len(), 1);
    assert_eq!(fs::read(folder.join("httperr9.log")).unwrap(), b"another's");

    let mut second = writer(
        &settings(rig.folder.path(), LogRollover::Size),
        TimeZone::UTC,
        &Arc::default(),
    );
    second.write(time(moment()), &record("Verb"));
    second.flush_at(time(moment()));
    rig.write_at(moment(), "URL");
    assert_eq!(rig.lines("httperr10.log").len(), 2);
    assert_eq!(rig.lines("httperr11.log").len(), 1);
}

#[test]
fn a_full_file_is_followed_by_the_next() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    // 29 bytes a line: a little more than 1 MiB in all.
    let count = 1_048_576 / 29 + 1;
    for _ in 0..count {
        rig.writer.write(time(moment()), &record("Hostname"));
    }
    rig.writer.flush_at(time(moment()));
    assert_eq!(rig.names(), ["httperr1.log", "httperr2.log"]);
    let first = fs::metadata(rig.folder.path().join("HTTPERR/httperr1.log")).unwrap();
    assert!(
        (1_048_576 - 29..=1_048_576).contains(&first.len()),
        "{}",
        first.len()
    );
    let written = rig.lines("httperr1.log").len() + rig.lines("httperr2.log").len();
    assert_eq!(written, count);
}

#[test]
fn files_by_time_begin_with_the_period() {
    let mut rig = Rig::new(LogRollover::Hourly, TimeZone::UTC);
    rig.write_at(date(2026, 7, 5).at(18, 59, 59, 0), "URL");
    rig.write_at(date(2026, 7, 5).at(19, 0, 0, 0), "Verb");
    assert_eq!(rig.names(), ["ht26070518.log", "ht26070519.log"]);
    assert_eq!(rig.lines("ht26070519.log"), ["2026-07-05 19:00:00 Verb"]);
    // The name is taken: the next one has a number.
    for name in ["ht26070519-1.log", "ht26070519-2.log"] {
        let settings = settings(rig.folder.path(), LogRollover::Hourly);
        rig.writer = writer(&settings, TimeZone::UTC, &Arc::default());
        rig.write_at(date(2026, 7, 5).at(19, 30, 0, 0), "Header");
        assert_eq!(rig.lines(name), ["2026-07-05 19:30:00 Header"]);
    }
}

#[test]
fn local_time_names_files_and_records_stay_utc() {
    let zone = TimeZone::fixed(tz::offset(9));
    let mut rig = Rig::new(LogRollover::Daily, zone);
    rig.write_at(date(2026, 7, 5).at(14, 59, 0, 0), "URL");
    rig.write_at(date(2026, 7, 5).at(15, 0, 0, 0), "Verb");
    assert_eq!(rig.names(), ["ht260705.log", "ht260706.log"]);
    assert_eq!(rig.lines("ht260706.log"), ["2026-07-05 15:00:00 Verb"]);
}

#[test]
fn what_cannot_be_written_waits_and_what_has_no_room_is_told() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    let obstacle = rig.folder.path().join("HTTPERR");
    fs::write(&obstacle, "a file").unwrap();
    let at = |second| date(2026, 7, 5).at(18, 45, second, 0);
    // 30 bytes a line, of which 1 MiB waits.
    let count = 1_048_576 / 30 + 3;
    for _ in 0..count {
        rig.write_at(at(0), "Hostname");
    }
    assert_eq!(rig.lost.load(Ordering::Relaxed), 3);

    fs::remove_file(&obstacle).unwrap();
    rig.write_at(at(1), "Verb");
    rig.write_at(at(2), "Verb");
    assert_eq!(rig.lost.load(Ordering::Relaxed), 3);
    let lines = [rig.lines("httperr1.log"), rig.lines("httperr2.log")].concat();
    assert_eq!(lines.len(), count - 3 + 3);
    assert_eq!(
        lines[count - 3..],
        [
            "#Remark: 3 records lost before this line",
            "2026-07-05 18:45:01 Verb",
            "2026-07-05 18:45:02 Verb"
        ]
    );
}

#[test]
fn a_clock_set_back_does_not_keep_the_log_waiting() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    let obstacle = rig.folder.path().join("HTTPERR");
    fs::write(&obstacle, "a file").unwrap();
    rig.write_at(date(2026, 7, 5).at(18, 0, 0, 0), "URL");
    fs::remove_file(&obstacle).unwrap();
    rig.write_at(date(2026, 7, 5).at(17, 0, 0, 0), "URL");
    assert_eq!(rig.lines("httperr1.log").len(), 2);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_enter_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    rig.write_at(moment(), "URL");
    let folder = fs::metadata(rig.folder.path().join("HTTPERR")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

// A device that is always full: the records are lost in the end, and nothing but that happens.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_records_only() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    fs::create_dir(rig.folder.path().join("HTTPERR")).unwrap();
    rig.writer.replace_file("/dev/full");
    rig.write_at(moment(), "URL");
    rig.write_at(moment(), "URL");
    assert_eq!(rig.lost.load(Ordering::Relaxed), 0);
    assert!(rig.writer.has_failed());
    rig.writer.finish(time(moment()));
    assert_eq!(rig.lost.load(Ordering::Relaxed), 2);
}

#[test]
fn a_file_that_was_moved_away_is_followed_by_the_next() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    rig.write_at(moment(), "URL");
    let folder = rig.folder.path().join("HTTPERR");
    fs::rename(folder.join("httperr1.log"), folder.join("old")).unwrap();
    rig.writer.reopen(time(moment()));
    rig.write_at(moment(), "Verb");
    assert_eq!(rig.lines("httperr1.log"), ["2026-07-05 18:45:09 Verb"]);
    assert_eq!(rig.lines("old"), ["2026-07-05 18:45:09 URL"]);
}

#[test]
fn a_log_that_is_off_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (enabled, fields) in [(false, line::ALL_FIELDS), (true, 0)] {
        let log = ErrorLog::start(&ErrorLogSettings {
            enabled,
            fields,
            ..settings(folder.path(), LogRollover::Size)
        });
        log.record(record("URL"));
        log.stop();
        assert_eq!(log.lost(), 0);
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn stopping_writes_what_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let log = ErrorLog::start(&settings(folder.path(), LogRollover::Size));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| log.record(record("URL"))));
        }
    });
    log.stop();
    log.stop();
    assert_eq!(log.lost(), 0);
    assert_eq!(lines(folder.path(), "httperr1.log").len(), 400);
    log.record(record("URL"));
    assert_eq!(log.lost(), 1);
}

#[test]
fn a_flood_is_lost_in_part_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let log = ErrorLog::start(&settings(folder.path(), LogRollover::Size));
    let count = 20 * RECORDS_WAITING_MAX;
    for _ in 0..count {
        log.record(record("URL"));
    }
    log.stop();
    let mut told = 0;
    let mut written = 0;
    for name in names(folder.path()) {
        for line in lines(folder.path(), &name) {
            match line.strip_prefix("#Remark: ") {
                Some(remark) => told += remark.split(' ').next().unwrap().parse::<u64>().unwrap(),
                None => written += 1,
            }
        }
    }
    assert_eq!(told, log.lost());
    assert_eq!(written + log.lost(), count as u64);
}

#[test]
fn time_before_1970_is_no_panic() {
    let mut rig = Rig::new(LogRollover::Size, TimeZone::UTC);
    let before = UNIX_EPOCH - Duration::from_secs(1);
    rig.writer.write(before, &record("URL"));
    rig.writer.flush_at(before);
    assert_eq!(rig.lines("httperr1.log"), ["1969-12-31 23:59:59 URL"]);
}
