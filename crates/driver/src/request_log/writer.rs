//! The thread that writes all logs of requests.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use tidegate_engine::{LogFileNames, LogId, LogView};
use tidegate_httpapi::{LogFormat, LogTime};
use tidegate_proto::log::{LogRecord, LogStyle};

use super::{Inner, Record, Ring, Rows, Texts, lock};
use crate::log_file::{Begins, LogFile, LogFileSettings, log_time};

/// All logs, and where their records come from.
pub(super) struct Writers {
    inner: Arc<Inner>,
    logs: Vec<Writer>,
    local: TimeZone,
    computer: Option<String>,
    /// All rings, each with memory given for what is taken out of it.
    rings: Vec<(Arc<Ring>, Rows)>,
    /// Losses that a person was told of, and when.
    told: (u64, Option<Instant>),
}

impl Writers {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        for ring in &*lock(&inner.rings) {
            lock(&ring.rows).reserve();
        }
        Self {
            inner,
            logs: Vec::new(),
            local: TimeZone::system(),
            computer: tidegate_os::host_name(),
            rings: Vec::new(),
            told: (0, None),
        }
    }

    /// Writes until it is to stop.
    pub(super) fn run(mut self) {
        loop {
            self.wait();
            let inner = Arc::clone(&self.inner);
            // Acquire: what was put into the rings before is visible.
            let stops = inner.stops.load(Ordering::Acquire);
            inner.is_urgent.swap(false, Ordering::Acquire);
            inner.is_pending.swap(false, Ordering::Acquire);
            let asked = std::mem::take(&mut *lock(&inner.asked));
            self.take_all();
            let now = SystemTime::now();
            for log in &mut self.logs {
                match asked.is_empty() {
                    true => log.file.flush(now),
                    false => log.file.reopen(now),
                }
            }
            if stops {
                self.finish(now);
                return;
            }
            self.tell_lost();
            drop(asked);
            self.gather();
        }
    }

    /// Waits until there is something to do.
    fn wait(&self) {
        let inner = &self.inner;
        let tries_again = self.logs.iter().any(|log| log.file.has_failed());
        let is_idle = || {
            !inner.is_pending.load(Ordering::Relaxed)
                && !inner.is_urgent.load(Ordering::Relaxed)
                && !inner.stops.load(Ordering::Relaxed)
        };
        let since = Instant::now();
        while is_idle() {
            match tries_again {
                true if since.elapsed() >= TRY_AGAIN_EVERY => return,
                true => thread::park_timeout(TRY_AGAIN_EVERY),
                false => thread::park(),
            }
        }
    }

    /// Lets more come, so that many lines are written at once.
    fn gather(&self) {
        let inner = &self.inner;
        let since = Instant::now();
        while let Some(rest) = GATHERS_FOR.checked_sub(since.elapsed())
            && !inner.is_urgent.load(Ordering::Relaxed)
            && !inner.stops.load(Ordering::Relaxed)
        {
            thread::park_timeout(rest);
        }
    }

    fn take_all(&mut self) {
        let rings = lock(&self.inner.rings);
        for ring in rings.iter().skip(self.rings.len()) {
            self.rings.push((Arc::clone(ring), Rows::default()));
        }
        drop(rings);
        let mut rings = std::mem::take(&mut self.rings);
        for (ring, rows) in &mut rings {
            rows.clear();
            // What is given away is not to grow in a worker's hands.
            rows.reserve();
            ring.take(rows);
            for &(log, count) in &rows.lost {
                if let Some(writer) = self.writer(log) {
                    writer.lost += count;
                }
            }
        }
        self.write_in_order(&rings);
        self.rings = rings;
    }

    /// Writes what all workers had, the earliest first.
    fn write_in_order(&mut self, rings: &[(Arc<Ring>, Rows)]) {
        let mut places = vec![(0, 0); rings.len()];
        let next = |ring: usize, place: usize| {
            let record = rings[ring].1.records.get(place)?;
            Some(Reverse((record.unix_ms, ring)))
        };
        let mut heads: BinaryHeap<_> = (0..rings.len()).filter_map(|ring| next(ring, 0)).collect();
        let (mut written, mut lost) = (0, 0);
        while let Some(Reverse((_, ring))) = heads.pop() {
            let (place, at) = &mut places[ring];
            let rows = &rings[ring].1;
            let record = &rows.records[*place];
            let (texts, length) = record.texts(&rows.texts[*at..]);
            *at += length;
            *place += 1;
            heads.extend(next(ring, *place));
            let writer = self.writer(record.log);
            match writer.is_some_and(|writer| writer.write(record, &texts)) {
                true => written += 1,
                false => lost += 1,
            }
        }
        self.inner.written.fetch_add(written, Ordering::Relaxed);
        self.inner.lose(lost);
    }

    /// What writes a log. A worker never names one that was not made known before.
    fn writer(&mut self, log: LogId) -> Option<&mut Writer> {
        let index = log.0 as usize;
        if index >= self.logs.len() {
            let known = lock(&self.inner.logs);
            let new = known.iter().skip(self.logs.len());
            let new: Vec<_> = new
                .map(|log| Writer::new(log, &self.local, self.computer.as_deref()))
                .collect();
            drop(known);
            self.logs.extend(new);
        }
        self.logs.get_mut(index)
    }

    /// Tells of losses, not too often.
    fn tell_lost(&mut self) {
        let lost = self.inner.lost.load(Ordering::Relaxed);
        let (told, when) = self.told;
        if lost > told && when.is_none_or(|when| when.elapsed() >= TELLS_EVERY) {
            tracing::warn!(
                records = lost - told,
                "records of request logs are lost: they come faster than they can be written, or their \
                 disk has no room"
            );
            self.told = (lost, Some(Instant::now()));
        }
    }

    fn finish(&mut self, now: SystemTime) {
        for log in &mut self.logs {
            log.tell_lost_last(now);
            let lost = log.file.finish(now);
            self.inner.written.fetch_sub(lost, Ordering::Relaxed);
            self.inner.lose(lost);
        }
        self.told.1 = None;
        self.tell_lost();
    }
}

/// One log.
pub(super) struct Writer {
    view: Arc<LogView>,
    software: String,
    computer: Option<String>,
    local: TimeZone,
    file: LogFile,
    /// The lines of the record at hand.
    lines: Vec<u8>,
    /// How many records were lost of which no remark tells.
    lost: u64,
    /// The latest record, and as which time that names a file.
    last: (u64, LogTime),
    /// The second of the last record, as it is read in UTC and here.
    second: (u64, LogTime, LogTime),
}

impl Writer {
    pub(super) fn new(view: &Arc<LogView>, local: &TimeZone, computer: Option<&str>) -> Self {
        let properties = &view.properties;
        let software = concat!("Tidegate ", env!("CARGO_PKG_VERSION"));
        let software = properties.software_name.as_deref().unwrap_or(software);
        let begin = log_time(UNIX_EPOCH, &TimeZone::UTC);
        Self {
            view: Arc::clone(view),
            software: software.to_owned(),
            computer: computer.map(str::to_owned),
            local: local.clone(),
            file: LogFile::new(LogFileSettings {
                title: "request log",
                folder: Some(PathBuf::clone(&properties.directory)),
                names: LogFileNames::of(properties.format),
                begins: Begins::Appending,
                rollover: properties.rollover,
                bytes_max: properties.rollover_bytes,
            }),
            lines: Vec::new(),
            lost: 0,
            last: (0, begin),
            second: (u64::MAX, begin, begin),
        }
    }

    /// Writes a record; it may wait to be given to the system. Says whether there was room for it.
    pub(super) fn write(&mut self, record: &Record, texts: &Texts<'_>) -> bool {
        let time = UNIX_EPOCH + Duration::from_millis(record.unix_ms);
        let (utc, local) = self.times(time, record.unix_ms / 1000);
        let properties = &self.view.properties;
        let style = LogStyle {
            format: properties.format,
            fields: self.view.fields,
            utf8: properties.utf8,
            software: &self.software,
        };
        self.lines.clear();
        if self.lost > 0 {
            style.append_lost(&mut self.lines, &utc, self.lost);
        }
        let site = properties.site_name.as_deref().map(str::as_bytes);
        style.append_record(
            &mut self.lines,
            &LogRecord {
                time: utc,
                millisecond: (record.unix_ms % 1000) as u16,
                local_time: local,
                client: record.client,
                server: record.server,
                site_name: site,
                computer_name: self.computer.as_deref().map(str::as_bytes),
                user_name: texts.user_name,
                method: texts.method,
                uri_stem: texts.uri_stem,
                uri_query: texts.uri_query,
                version: record.version,
                user_agent: texts.user_agent,
                cookie: texts.cookie,
                referer: texts.referer,
                host: texts.host,
                status: record.status,
                substatus: record.substatus,
                win32_status: record.win32_status,
                bytes_sent: record.bytes_sent,
                bytes_received: record.bytes_received,
                time_taken: record.time_taken.into(),
                stream_id: record.stream_id,
            },
        );
        let named_by = match self.names_by_local_time() {
            true => local,
            false => utc,
        };
        // Workers are not quite in step. A record that comes a little late opens no file again.
        let is_late = (1..LATE_MAX_MS).contains(&self.last.0.saturating_sub(record.unix_ms));
        if !is_late {
            self.last = (record.unix_ms, named_by);
        }
        let named_by = self.last.1;
        let header = |out: &mut Vec<u8>| style.append_header(out, &utc);
        let has_room = self.file.add(time, &named_by, header, &self.lines);
        self.lost = if has_room { 0 } else { self.lost + 1 };
        has_room
    }

    /// Tells of losses that no record has told of yet.
    fn tell_lost_last(&mut self, now: SystemTime) {
        if self.lost == 0 {
            return;
        }
        let properties = &self.view.properties;
        let style = LogStyle {
            format: properties.format,
            fields: self.view.fields,
            utf8: properties.utf8,
            software: &self.software,
        };
        self.lines.clear();
        style.append_lost(&mut self.lines, &log_time(now, &TimeZone::UTC), self.lost);
        self.file.append_last(&self.lines);
    }

    fn names_by_local_time(&self) -> bool {
        let properties = &self.view.properties;
        properties.local_time_rollover
            || matches!(properties.format, LogFormat::Ncsa | LogFormat::Iis)
    }

    /// A moment as it is read in UTC and here. It is the same for all records of a second.
    fn times(&mut self, time: SystemTime, second: u64) -> (LogTime, LogTime) {
        if self.second.0 != second {
            let utc = log_time(time, &TimeZone::UTC);
            self.second = (second, utc, log_time(time, &self.local));
        }
        (self.second.1, self.second.2)
    }
}

/// How much later than the latest a record may come and still go to its file, in milliseconds.
const LATE_MAX_MS: u64 = 60_000;
/// For how long records are gathered before they are written.
const GATHERS_FOR: Duration = Duration::from_millis(100);
/// How often it is tried to write what could not be written.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(1);
/// How often a person is told of losses.
const TELLS_EVERY: Duration = Duration::from_secs(60);
