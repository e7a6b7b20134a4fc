//! What `tidegate top` shows, as lines of text: made of what the administration tells, without a terminal.

mod words;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate::{
    AdministrationClient, AdministrationClientError, ConnectionActivity, Live, Namespace,
    OpenConnection, ServerInfo, Version,
};

use self::words::{age, bytes, clean, number, short, time};

/// How a part of a line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ink {
    Plain,
    Strong,
    Soft,
    Title,
    Good,
    Warn,
    Bad,
}

/// A line.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(pub(super) Vec<(Ink, String)>);

impl Line {
    fn add(mut self, ink: Ink, text: impl Into<String>) -> Self {
        self.0.push((ink, text.into()));
        self
    }

    fn plain(&self) -> String {
        let whole: String = self.0.iter().map(|(_, text)| &**text).collect();
        whole.trim_end().to_owned()
    }

    /// No longer than a terminal is wide.
    fn cut(mut self, columns: usize) -> Self {
        let mut room = columns;
        for (_, text) in &mut self.0 {
            let count = text.chars().count();
            if count > room {
                *text = text.chars().take(room).collect();
            }
            room = room.saturating_sub(count);
        }
        self
    }
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    url: String,
    server: ServerInfo,
    /// The oldest first.
    lives: VecDeque<Live>,
    namespace: Namespace,
    connections: Vec<OpenConnection>,
    /// Why the server could not be asked the last time.
    fault: Option<String>,
}

impl Seen {
    /// Asks for all there is to see.
    pub(super) fn ask(
        &mut self,
        client: &AdministrationClient,
    ) -> Result<(), AdministrationClientError> {
        client.url().clone_into(&mut self.url);
        let server = client.server()?;
        let is_same = server.started == self.server.started && !self.lives.is_empty();
        self.server = server;
        match is_same {
            true => self.add(client.live()?),
            false => self.lives = client.history()?.into(),
        }
        self.namespace = client.namespace()?;
        self.connections = client.connections(None)?;
        self.fault = None;
        Ok(())
    }

    /// As [`ask`](Self::ask); when that fails, what was seen before stays, and the reason is shown.
    pub(super) fn ask_again(&mut self, client: &AdministrationClient) {
        if let Err(error) = self.ask(client) {
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                let _ = write!(text, ": {cause}");
            }
            self.fault = Some(clean(&text.replace('\n', " ")));
        }
    }

    fn add(&mut self, live: Live) {
        if self.lives.back().is_some_and(|last| last.at >= live.at) {
            return;
        }
        while self.lives.len() >= KEPT_MAX {
            self.lives.pop_front();
        }
        self.lives.push_back(live);
    }

    /// All lines, without what only a terminal shows.
    pub(super) fn plain(&self) -> String {
        let lines = self.lines(PLAIN_COLUMNS, usize::MAX);
        let lines: Vec<_> = lines.iter().map(Line::plain).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// As many lines as a terminal has room for.
    pub(super) fn lines(&self, columns: usize, rows: usize) -> Vec<Line> {
        let mut lines = vec![self.title(), Line::default()];
        lines.extend(self.numbers(columns));
        lines.push(Line::default());
        lines.extend(self.urls(columns));
        lines.push(Line::default());
        lines.extend(self.peers(rows.saturating_sub(lines.len())));
        let shown = lines.into_iter().take(rows);
        shown.map(|line| line.cut(columns)).collect()
    }

    fn title(&self) -> Line {
        let server = &self.server;
        let mut about = format!("  {}  process {}", clean(&self.url), server.process);
        let up = age(now() - server.started);
        let _ = write!(about, "  up {up}  {}", clean(&server.mode));
        if let Some(event_loop) = &server.event_loop {
            let _ = write!(about, ", {}", clean(event_loop));
        }
        let line = Line::default()
            .add(Ink::Title, format!("tidegate {}", clean(&server.version)))
            .add(Ink::Soft, about);
        match &self.fault {
            Some(fault) => line.add(Ink::Bad, format!("  {fault}")),
            None => line,
        }
    }

    fn numbers(&self, columns: usize) -> Vec<Line> {
        let Some(now) = self.lives.back() else {
            return Vec::new();
        };
        let before = self.lives.iter().rev().nth(1);
        let rate = |of: fn(&Live) -> u64| rate(before, now, of).unwrap_or(0.0);
        let row = |name: &str, ink: Ink, value: String| {
            Line::default()
                .add(Ink::Soft, format!("{name:<12}"))
                .add(ink, format!("{value:>11}"))
        };
        let class: [fn(&Live) -> u64; 4] = [
            |live| live.responses[1],
            |live| live.responses[2],
            |live| live.responses[3],
            |live| live.responses[4],
        ];
        let class = class.map(rate);
        let each = |index: usize| format!("   {}xx {}/s", index + 2, number(class[index]));
        let requests = format!("{}/s", number(rate(|live| live.requests)));
        let spark = self.sparkline(columns.saturating_sub(30));
        let latency = &now.latency;
        let (value, rest) = match latency.count {
            0 => ("–".to_owned(), String::new()),
            _ => (
                time(latency.p50),
                format!(
                    " p50   {} p90   {} p99   {} mean",
                    time(latency.p90),
                    time(latency.p99),
                    time(latency.mean)
                ),
            ),
        };
        let refused = rate(|live| live.refused);
        let queue = match now.queued as f64 / f64::from(now.queue_length.max(1)) {
            share if share > 0.8 => Ink::Bad,
            share if share > 0.4 => Ink::Warn,
            _ => Ink::Strong,
        };
        let (hits, misses) = (rate(|live| live.cache_hits), rate(|live| live.cache_misses));
        let share = match hits + misses > 0.0 {
            true => format!("{:.1} %", hits / (hits + misses) * 100.0),
            false => "–".to_owned(),
        };
        vec![
            row("requests", Ink::Strong, requests)
                .add(Ink::Good, each(0))
                .add(Ink::Plain, each(1))
                .add(attention(class[2], Ink::Warn), each(2))
                .add(attention(class[3], Ink::Bad), each(3))
                .add(
                    Ink::Soft,
                    format!("   {} in all", number(now.requests as f64)),
                ),
            Line::default().add(Ink::Good, format!("{:<12}{spark}", "")),
            row("latency", Ink::Strong, value).add(Ink::Plain, rest),
            row("queue", queue, now.queued.to_string())
                .add(
                    Ink::Plain,
                    format!(
                        " of {}   oldest {}   {} with the application",
                        now.queue_length,
                        time(now.queue_age),
                        now.active
                    ),
                )
                .add(
                    attention(refused, Ink::Bad),
                    format!("   {}/s refused", number(refused)),
                ),
            row("connections", Ink::Strong, now.connections.to_string()).add(
                Ink::Plain,
                format!(
                    "   {}/s new   {} refused",
                    number(rate(|live| live.connections_accepted)),
                    now.connections_refused
                ),
            ),
            row("bytes", Ink::Strong, bytes(rate(|live| live.bytes_sent))).add(
                Ink::Plain,
                format!(
                    "/s sent   {}/s received",
                    bytes(rate(|live| live.bytes_received))
                ),
            ),
            row("cache", Ink::Strong, share).add(
                Ink::Plain,
                format!(
                    " hits   {}/s   {} responses, {}",
                    number(hits),
                    now.cached,
                    bytes(now.cached_bytes as f64)
                ),
            ),
            row("websockets", Ink::Strong, now.websockets.to_string()).add(
                Ink::Plain,
                format!(
                    "   {}/s sent   {}/s received   {}/s broadcasts to {}/s",
                    number(rate(|live| live.messages_sent)),
                    number(rate(|live| live.messages_received)),
                    number(rate(|live| live.broadcasts)),
                    number(rate(|live| live.broadcast_deliveries))
                ),
            ),
            refusals(now),
        ]
    }

    /// Requests per second, the last at the right.
    fn sparkline(&self, columns: usize) -> String {
        let pairs = self.lives.iter().zip(self.lives.iter().skip(1));
        let rates: Vec<_> = pairs
            .map(|(before, now)| rate(Some(before), now, |live| live.requests).unwrap_or(0.0))
            .collect();
        let shown = &rates[rates.len().saturating_sub(columns)..];
        let highest = shown.iter().copied().fold(0.0, f64::max);
        if highest <= 0.0 {
            return String::new();
        }
        let block = |rate: &f64| match *rate > 0.0 {
            true => BLOCKS[((rate / highest) * 7.0).round().clamp(0.0, 7.0) as usize],
            false => ' ',
        };
        let line: String = shown.iter().map(block).collect();
        format!("{line}  up to {}/s", number(highest))
    }

    fn urls(&self, columns: usize) -> Vec<Line> {
        let width = columns.saturating_sub(48).clamp(24, 60);
        let head = format!(
            "{:<width$} {:<14} {:>12}  STATE",
            "URL", "WHOSE", "REQUESTS"
        );
        let mut lines = vec![Line::default().add(Ink::Title, head)];
        let urls = &self.namespace.urls;
        for url in urls.iter().take(URLS_MAX) {
            let (ink, state) = match url.active {
                true => (Ink::Good, "takes requests"),
                false => (Ink::Bad, "switched off"),
            };
            let (shown, owner) = (short(&clean(&url.url), width), clean(&url.owner));
            let requests = number(url.requests as f64);
            lines.push(
                Line::default()
                    .add(Ink::Plain, format!("{shown:<width$} {owner:<14} "))
                    .add(Ink::Strong, format!("{requests:>12}  "))
                    .add(ink, state),
            );
        }
        if let Some(more @ 1..) = urls.len().checked_sub(URLS_MAX) {
            lines.push(Line::default().add(Ink::Soft, format!("and {more} more")));
        }
        let certificates = self.namespace.tls.iter().flat_map(|binding| {
            let of = binding.certificates.iter();
            of.map(move |certificate| (&binding.key, certificate))
        });
        for (key, certificate) in certificates.take(CERTIFICATES_MAX) {
            let days = ((certificate.not_after - now()) / 86_400.0).floor();
            let (ink, text) = match days {
                days if days < 0.0 => (Ink::Bad, "its certificate has EXPIRED".to_owned()),
                days if days < 15.0 => (Ink::Warn, format!("its certificate ends in {days} days")),
                days => (
                    Ink::Soft,
                    format!("its certificate is good for {days} days"),
                ),
            };
            let line = Line::default().add(Ink::Plain, format!("{}  ", clean(key)));
            lines.push(line.add(ink, text));
        }
        lines
    }

    fn peers(&self, rows: usize) -> Vec<Line> {
        let head = format!(
            "{:<10} {:<32} {:<18} {:<12} {:>9} {:>10} {:>10} {:>12}",
            "CONNECTION", "PEER", "PROTOCOL", "DOING", "REQUESTS", "RECEIVED", "SENT", "OPEN FOR"
        );
        let mut lines = vec![Line::default().add(Ink::Title, head)];
        let mut busiest: Vec<_> = self.connections.iter().collect();
        busiest.sort_by_key(|found| std::cmp::Reverse(found.bytes_received + found.bytes_sent));
        let shown = rows.saturating_sub(1).min(CONNECTIONS_MAX);
        lines.extend(busiest.into_iter().take(shown).map(peer));
        lines
    }
}

fn peer(found: &OpenConnection) -> Line {
    let version = found.version.map(|version| match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        _ => "HTTP/2",
    });
    let tls = found.tls.as_deref().map(clean);
    let protocol: Vec<_> = version.map(str::to_owned).into_iter().chain(tls).collect();
    let peer = short(&clean(&found.peer.to_string()), 32);
    Line::default()
        .add(Ink::Plain, format!("{:<10} {peer:<32} ", found.id.0))
        .add(Ink::Soft, format!("{:<18} ", protocol.join(" ")))
        .add(
            Ink::Plain,
            format!(
                "{:<12} {:>9} {:>10} {:>10} ",
                doing(found.activity),
                found.requests,
                bytes(found.bytes_received as f64),
                bytes(found.bytes_sent as f64)
            ),
        )
        .add(
            Ink::Soft,
            format!("{:>12}", age(now() - unix_seconds(found.since))),
        )
}

fn refusals(now: &Live) -> Line {
    let causes = now.unavailable.iter();
    let causes = causes.map(|(cause, count)| format!("503 {cause} {count}"));
    let rejected = now.rejected.iter();
    let rejected = rejected.map(|(status, count)| format!("{status} {count}"));
    let timers = now.timed_out.iter();
    let timers = timers.map(|(timer, count)| format!("{timer} {count}"));
    let all: Vec<_> = causes.chain(rejected).chain(timers).collect();
    let line = Line::default().add(Ink::Soft, format!("{:<12}   ", "refused"));
    match all.is_empty() {
        true => line.add(Ink::Soft, "nothing so far"),
        false => line.add(Ink::Warn, clean(&all.join("   "))),
    }
}

/// How often in a second; `None` when the server was started anew in between.
fn rate(before: Option<&Live>, now: &Live, of: impl Fn(&Live) -> u64) -> Option<f64> {
    let before = before?;
    let seconds = now.at - before.at;
    let happened = of(now).checked_sub(of(before))?;
    (seconds > 0.0).then(|| happened as f64 / seconds)
}

fn attention(rate: f64, ink: Ink) -> Ink {
    if rate > 0.0 { ink } else { Ink::Plain }
}

fn doing(activity: ConnectionActivity) -> String {
    match activity {
        ConnectionActivity::Idle => "idle".to_owned(),
        ConnectionActivity::Receiving => "receiving".to_owned(),
        ConnectionActivity::Requests(1) => "request".to_owned(),
        ConnectionActivity::Requests(count) => format!("{count} requests"),
        ConnectionActivity::Opaque => "upgraded".to_owned(),
        _ => "closing".to_owned(),
    }
}

fn now() -> f64 {
    unix_seconds(SystemTime::now())
}

fn unix_seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const KEPT_MAX: usize = 600;
const PLAIN_COLUMNS: usize = 140;
const URLS_MAX: usize = 12;
const CERTIFICATES_MAX: usize = 4;
const CONNECTIONS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn live(at: f64, requests: u64) -> Live {
        let mut live = Live::default();
        live.at = at;
        live.requests = requests;
        live
    }

    fn seen(lives: &[(f64, u64)]) -> Seen {
        Seen {
            lives: lives.iter().map(|(at, count)| live(*at, *count)).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn requests_are_told_by_the_second() {
        let text = seen(&[(10.0, 100), (12.0, 500)]).plain();
        assert!(text.contains(" 200/s"), "{text}");
        assert!(text.contains("500 in all"), "{text}");
        assert!(text.contains("nothing so far"), "{text}");
    }

    #[test]
    fn a_server_that_was_started_anew_has_no_rate() {
        let text = seen(&[(10.0, 100), (11.0, 5)]).plain();
        assert!(text.contains(" 0/s"), "{text}");
    }

    #[test]
    fn lines_fit_into_the_terminal() {
        let seen = seen(&[(10.0, 100), (11.0, 200)]);
        for (columns, rows) in [(20, 5), (80, 24), (0, 0), (300, 100)] {
            let lines = seen.lines(columns, rows);
            assert!(lines.len() <= rows);
            for line in lines {
                assert!(line.plain().chars().count() <= columns);
            }
        }
    }
}
