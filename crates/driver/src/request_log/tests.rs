use std::fs;
use std::path::Path;

use tidegate_httpapi::{
    ContentFraming, Fields, LogFields, LogFormat, LogRollover, LoggingProperties, RequestLimits,
    Version,
};
use tidegate_proto::http1::{Parsed, parse_head};

use super::*;

fn view(id: u32, folder: &Path, format: LogFormat) -> Arc<LogView> {
    let mut properties = LoggingProperties::new(folder);
    properties.format = format;
    properties.rollover = LogRollover::Size;
    properties.fields = LogFields::METHOD | LogFields::URI_STEM | LogFields::USER_AGENT;
    Arc::new(LogView {
        id: LogId(id),
        fields: properties.fields,
        properties,
    })
}

/// A record of a request with this head, and its texts.
fn record(view: &LogView, head: &[u8]) -> (Record, Vec<u8>) {
    let mut spans = Vec::new();
    let Parsed::Head(parsed) = parse_head(head, &RequestLimits::default(), &mut spans) else {
        panic!("not a head: {head:?}");
    };
    assert_eq!(parsed.framing, ContentFraming::None);
    let mut record = Record::new(view, Version::Http11);
    let mut texts = Vec::new();
    let kept = Texts::of(view.fields, head, &parsed.line, Fields::new(head, &spans));
    record.keep(&mut texts, &kept);
    (record, texts)
}

const HEAD: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: x\r\nUser-Agent: a b\r\nCookie: secret\r\n\r\n";

fn lines(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#') || line.starts_with("#Remark"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_is_not_told_is_not_kept() {
    let view = view(0, Path::new("/a"), LogFormat::W3c);
    let (record, texts) = record(&view, HEAD);
    assert_eq!(texts, b"GET/aa b");
    let (found, length) = record.texts(&texts);
    assert_eq!(
        (found.method, found.uri_stem),
        (Some(&b"GET"[..]), Some(&b"/a"[..]))
    );
    assert_eq!((found.user_agent, found.cookie), (Some(&b"a b"[..]), None));
    assert_eq!((found.uri_query, length), (None, texts.len()));
}

#[test]
fn long_texts_are_cut() {
    let view = view(0, Path::new("/a"), LogFormat::W3c);
    let head = format!(
        "{} /{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "M".repeat(255),
        "a".repeat(5000)
    );
    let (record, texts) = record(&view, head.as_bytes());
    let (found, _) = record.texts(&texts);
    assert_eq!(found.method.map(<[u8]>::len), Some(255));
    assert_eq!(found.uri_stem.map(<[u8]>::len), Some(4096));
}

#[test]
fn an_asterisk_is_told_as_the_path() {
    let view = view(0, Path::new("/a"), LogFormat::W3c);
    let (record, texts) = record(&view, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(record.texts(&texts).0.uri_stem, Some(&b"*"[..]));
}

#[test]
fn what_workers_hand_over_is_written_to_the_log_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let log = RequestLog::new();
    let views = [
        view(0, &folder.path().join("w3c"), LogFormat::W3c),
        view(1, &folder.path().join("json"), LogFormat::Json),
    ];
    log.set_logs(&views);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut worker = log.worker();
                for number in 0..1000 {
                    let (record, texts) = record(&views[number % 2], HEAD);
                    worker.push(record, &texts);
                }
            });
        }
    });
    log.flush();
    assert_eq!((log.written(), log.lost()), (3000, 0));
    let w3c = lines(&folder.path().join("w3c"), "extend1.log");
    assert_eq!(w3c.len(), 1500);
    assert!(w3c.iter().all(|line| line == "GET /a a+b"));
    assert_eq!(lines(&folder.path().join("json"), "json1.log").len(), 1500);
    log.stop();
    log.stop();
}

#[test]
fn what_comes_too_fast_is_lost_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = RequestLog::new();
    let view = view(0, folder.path(), LogFormat::W3c);
    let mut worker = log.worker();
    let (record, texts) = record(&view, HEAD);
    // Nobody writes yet.
    for _ in 0..RECORDS_MAX + 512 {
        worker.push(record, &texts);
    }
    drop(worker);
    assert_eq!(log.lost(), 512);
    log.set_logs(&[view]);
    log.flush();
    assert_eq!(log.written(), RECORDS_MAX as u64);
    let lines = lines(folder.path(), "extend1.log");
    assert_eq!(lines[0], "#Remark: 512 records lost before this line");
    assert_eq!(lines.len(), RECORDS_MAX + 1);
}

#[test]
fn stopping_writes_what_was_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let log = RequestLog::new();
    let view = view(0, folder.path(), LogFormat::W3c);
    log.set_logs(&[Arc::clone(&view)]);
    let mut worker = log.worker();
    let (record, texts) = record(&view, HEAD);
    (0..10).for_each(|_| worker.push(record, &texts));
    drop(worker);
    log.stop();
    assert_eq!(lines(folder.path(), "extend1.log").len(), 10);
}

// /dev/full is a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_counted_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("extend1.log")).unwrap();
    let log = RequestLog::new();
    let view = view(0, folder.path(), LogFormat::W3c);
    log.set_logs(&[Arc::clone(&view)]);
    let mut worker = log.worker();
    let (record, texts) = record(&view, HEAD);
    (0..10).for_each(|_| worker.push(record, &texts));
    worker.hand_over();
    log.flush();
    assert_eq!(log.lost(), 0);
    log.stop();
    assert_eq!((log.written(), log.lost()), (0, 10));
}

#[test]
fn records_of_all_workers_are_in_the_order_of_time_and_open_no_file_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut properties = LoggingProperties::new(folder.path());
    properties.fields = LogFields::DATE | LogFields::TIME;
    let view = Arc::new(LogView {
        id: LogId(0),
        fields: properties.fields,
        properties,
    });
    let log = RequestLog::new();
    let day_ms = 86_400_000;
    let (mut early, mut late) = (log.worker(), log.worker());
    let push = |worker: &mut WorkerLog, unix_ms| {
        let (mut record, texts) = record(&view, HEAD);
        record.unix_ms = unix_ms;
        worker.push(record, &texts);
        worker.hand_over();
    };
    // On both sides of a midnight.
    push(&mut late, day_ms - 2000);
    push(&mut late, day_ms + 1000);
    push(&mut early, day_ms - 1000);
    log.set_logs(&[Arc::clone(&view)]);
    log.flush();
    push(&mut early, day_ms - 500);
    push(&mut early, day_ms + 2000);
    log.flush();
    assert_eq!(
        lines(folder.path(), "ex700101.log"),
        ["1970-01-01 23:59:58", "1970-01-01 23:59:59"]
    );
    assert_eq!(
        lines(folder.path(), "ex700102.log"),
        [
            "1970-01-02 00:00:01",
            "1970-01-01 23:59:59",
            "1970-01-02 00:00:02"
        ]
    );
}
