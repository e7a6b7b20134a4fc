//! How what a server holds is shown. Labels and their places are a contract for scripts.
//!
//! Source: output of `netsh http show servicestate` and `show cachestate` in the field; http-server-api §13.

use std::fmt::Write as _;
use std::time::Duration;

use tidegate::{
    Cached, EnabledState, InheritedTimeouts, RegisteredUrl, RequestQueueId, RequestQueueState,
    ServerSessionState, ServiceState, UrlGroupState, Verbosity503,
};

use super::show::heading;

/// What is nested in what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum View {
    /// Sessions with their groups, then queues.
    Session,
    /// Queues with their groups, each with its session.
    RequestQueue,
}

/// Sessions, URL groups and request queues. Not verbose leaves the properties out.
pub(super) fn service(state: &ServiceState, view: View, is_verbose: bool) -> String {
    let mut shown = Shown {
        text: match view {
            View::Session => heading("Snapshot of HTTP service state (Server Session View):"),
            View::RequestQueue => heading("Snapshot of HTTP service state (Request Queue View):"),
        },
        state,
        is_verbose,
    };
    match view {
        View::Session => {
            for session in &state.sessions {
                shown.session(session, 0);
                shown.line(1, "URL groups:");
                for group in &session.groups {
                    shown.group(group, 1);
                }
                shown.text.push('\n');
            }
            shown.line(0, "Request queues:");
            for queue in &state.queues {
                shown.queue(queue, 1);
                shown.line(2, "Registered URLs:");
                for group in shown.groups_of(Some(queue.id)) {
                    shown.urls(group, 3);
                }
                shown.text.push('\n');
            }
        }
        View::RequestQueue => {
            for queue in &state.queues {
                shown.queue(queue, 0);
                shown.nested_groups(Some(queue.id));
            }
            // They serve nothing, and would not be seen otherwise.
            if !shown.groups_of(None).is_empty() {
                shown.line(0, "Request queue name: No request queue is bound.");
                shown.nested_groups(None);
            }
        }
    }
    shown.text
}

struct Shown<'a> {
    text: String,
    state: &'a ServiceState,
    is_verbose: bool,
}

impl<'a> Shown<'a> {
    fn line(&mut self, depth: usize, line: impl std::fmt::Display) {
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = depth * 4);
    }

    fn session(&mut self, session: &ServerSessionState, depth: usize) {
        self.line(
            depth,
            format_args!("Server session ID: {:016X}", session.id.0),
        );
        self.line(depth + 1, "Version: 2.0");
        self.line(depth + 1, format_args!("State: {}", active(session.state)));
        if !self.is_verbose {
            return;
        }
        self.line(depth + 1, "Properties:");
        let bandwidth = session.bandwidth_max.unwrap_or(u32::MAX);
        self.line(depth + 2, format_args!("Max bandwidth: {bandwidth}"));
        self.line(depth + 2, "Timeouts:");
        for (label, value) in timeouts(session) {
            self.line(depth + 3, format_args!("{label}: {value}"));
        }
    }

    fn group(&mut self, group: &UrlGroupState, depth: usize) {
        self.line(depth, format_args!("URL group ID: {:016X}", group.id.0));
        self.line(depth + 1, format_args!("State: {}", active(group.state)));
        let name = self.queue_name(group.queue);
        self.line(depth + 1, format_args!("Request queue name: {name}"));
        if self.is_verbose {
            self.line(depth + 1, "Properties:");
            let or_inherited = |value: Option<u32>| match value {
                Some(value) => value.to_string(),
                None => "inherited".to_owned(),
            };
            let bandwidth = or_inherited(group.bandwidth_max);
            self.line(depth + 2, format_args!("Max bandwidth: {bandwidth}"));
            let connections = or_inherited(group.connections_max);
            self.line(depth + 2, format_args!("Max connections: {connections}"));
            self.line(depth + 2, "Timeouts:");
            if group.timeouts == InheritedTimeouts::default() {
                self.line(depth + 3, "Timeout values inherited");
            } else {
                for (label, value) in own_timeouts(&group.timeouts) {
                    self.line(depth + 3, format_args!("{label}: {value}"));
                }
            }
        }
        let count = group.urls.len();
        self.line(
            depth + 2,
            format_args!("Number of registered URLs: {count}"),
        );
        self.line(depth + 2, "Registered URLs:");
        self.urls(group, depth + 3);
    }

    fn urls(&mut self, group: &UrlGroupState, depth: usize) {
        for url in &group.urls {
            let url = match url {
                RegisteredUrl::Prefix(prefix) => {
                    let url = prefix.to_string();
                    let (scheme, rest) = url.split_once(':').unwrap_or((&url, ""));
                    format!("{}:{rest}", scheme.to_ascii_uppercase())
                }
                other => other.to_string(),
            };
            self.line(depth, url);
        }
    }

    fn queue(&mut self, queue: &RequestQueueState, depth: usize) {
        let name = self.queue_name(Some(queue.id));
        self.line(depth, format_args!("Request queue name: {name}"));
        let verbosity = match queue.verbosity_503 {
            Verbosity503::Basic => "Basic",
            Verbosity503::Limited => "Limited",
            Verbosity503::Full => "Full",
        };
        let counters = &queue.counters;
        let lines = [
            ("Version", "2.0".to_owned()),
            ("State", active(queue.state).to_owned()),
            ("Request queue 503 verbosity level", verbosity.to_owned()),
            ("Max requests", queue.requests_max.to_string()),
            ("Active requests", counters.active.to_string()),
            ("Queued requests", counters.queued.to_string()),
            (
                "Max queued request age",
                format!("{}s", counters.age_max.as_secs()),
            ),
            ("Requests arrived", counters.arrived.to_string()),
            ("Requests rejected", counters.rejected.to_string()),
            ("Cache hits", counters.cache_hits.to_string()),
            (
                "Number of active processes attached",
                queue.processes.len().to_string(),
            ),
        ];
        for (label, value) in lines {
            self.line(depth + 1, format_args!("{label}: {value}"));
        }
        self.line(depth + 1, "Processes:");
        for process in &queue.processes {
            let image = match &process.image {
                Some(image) => image.display().to_string(),
                None => "<?>".to_owned(),
            };
            self.line(
                depth + 2,
                format_args!("ID: {}, image: {image}", process.id),
            );
        }
    }

    /// The groups of a queue, each with its session.
    fn nested_groups(&mut self, queue: Option<RequestQueueId>) {
        self.line(1, "URL groups:");
        let state = self.state;
        for session in &state.sessions {
            for group in session.groups.iter().filter(|group| group.queue == queue) {
                self.group(group, 1);
                self.session(session, 2);
            }
        }
        self.text.push('\n');
    }

    fn groups_of(&self, queue: Option<RequestQueueId>) -> Vec<&'a UrlGroupState> {
        let groups = self
            .state
            .sessions
            .iter()
            .flat_map(|session| &session.groups);
        groups.filter(|group| group.queue == queue).collect()
    }

    fn queue_name(&self, id: Option<RequestQueueId>) -> &'a str {
        let Some(id) = id else {
            return "No request queue is bound.";
        };
        let queue = self.state.queues.iter().find(|queue| queue.id == id);
        let name = queue.and_then(|queue| queue.name.as_deref());
        name.unwrap_or(UNNAMED)
    }
}

fn active(state: EnabledState) -> &'static str {
    match state {
        EnabledState::Enabled => "Active",
        EnabledState::Disabled => "Inactive",
    }
}

const LABELS: [&str; 6] = [
    "Entity body timeout (secs)",
    "Drain entity body timeout (secs)",
    "Request queue timeout (secs)",
    "Idle connection timeout (secs)",
    "Header wait timeout (secs)",
    "Minimum send rate (bytes/sec)",
];

fn timeouts(session: &ServerSessionState) -> [(&'static str, String); 6] {
    let timeouts = &session.timeouts;
    let times = [
        timeouts.entity_body,
        timeouts.drain_entity_body,
        timeouts.request_queue,
        timeouts.idle_connection,
        timeouts.header_wait,
    ];
    let mut values = times.map(seconds).to_vec();
    values.push(rate(timeouts.min_send_rate));
    labelled(values)
}

fn own_timeouts(timeouts: &InheritedTimeouts) -> [(&'static str, String); 6] {
    let times = [
        timeouts.entity_body,
        timeouts.drain_entity_body,
        timeouts.request_queue,
        timeouts.idle_connection,
        timeouts.header_wait,
    ];
    let inherited = || "inherited".to_owned();
    let mut values = times
        .map(|time| time.map_or_else(inherited, seconds))
        .to_vec();
    values.push(timeouts.min_send_rate.map_or_else(inherited, rate));
    labelled(values)
}

fn labelled(values: Vec<String>) -> [(&'static str, String); 6] {
    let mut values = values.into_iter();
    LABELS.map(|label| (label, values.next().unwrap_or_default()))
}

/// Off is the greatest number that the HTTP Server API can tell.
fn seconds(time: Option<Duration>) -> String {
    match time {
        Some(time) => time.as_secs_f64().to_string(),
        None => u16::MAX.to_string(),
    }
}

fn rate(rate: Option<u32>) -> String {
    rate.unwrap_or(u32::MAX).to_string()
}

/// Cached responses.
pub(super) fn cache(cached: &[Cached]) -> String {
    let mut text = heading("Snapshot of HTTP response cache:");
    for response in cached {
        let policy = match response.time_left {
            Some(_) => "Time to live",
            None => "User invalidates",
        };
        let _ = writeln!(text, "URL: {}", response.url);
        let mut line = |label: &str, value: String| {
            let _ = writeln!(text, "    {label}: {value}");
        };
        line("Status code", response.status.to_string());
        line("HTTP verb", "GET".to_owned());
        line("Cache policy type", policy.to_owned());
        if let Some(left) = response.time_left {
            line("Cache entry TTL", format!("{left:.0}"));
        }
        line("Creation time", date(response.created));
        line("Request queue name", UNNAMED.to_owned());
        line("Content type", response.content_type.clone());
        let encoding = response.content_encoding.as_deref().unwrap_or("(null)");
        line("Content encoding", encoding.to_owned());
        line("Headers length", response.head_bytes.to_string());
        line("Content length", response.content_bytes.to_string());
        line("Hit count", response.hits.to_string());
        let is_forced = if response.force_disconnect {
            "TRUE"
        } else {
            "FALSE"
        };
        line("Force disconnect after serving", is_forced.to_owned());
        text.push('\n');
    }
    text
}

/// `2015.5.4:23.9.11:0`, UTC, of seconds since 1970.
fn date(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let date = httpdate::HttpDate::from(std::time::UNIX_EPOCH + time).to_string();
    // `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
    let parts: Vec<_> = date.split(' ').collect();
    let [_, day, month, year, clock, _] = parts[..] else {
        return date;
    };
    let month = MONTHS.iter().position(|name| *name == month).unwrap_or(0) + 1;
    let clock: Vec<_> = clock.split(':').map(unpadded).collect();
    format!("{year}.{month}.{}:{}:0", unpadded(day), clock.join("."))
}

fn unpadded(number: &str) -> &str {
    match number.trim_start_matches('0') {
        "" => "0",
        number => number,
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The name of a queue that has none.
const UNNAMED: &str = "Request queue is unnamed.";

#[cfg(test)]
mod tests {
    use tidegate::{ServerSessionId, ServingProcess, UrlGroupId, UrlPrefix};

    use super::*;

    fn state() -> ServiceState {
        let mut queue = RequestQueueState::new(RequestQueueId(2));
        queue.counters.arrived = 6;
        queue.counters.age_max = Duration::from_millis(1_500);
        let mut process = ServingProcess::this();
        process.id = 2688;
        process.image = Some("/usr/bin/tidegate".into());
        queue.processes.push(process);
        let mut group = UrlGroupState::new(UrlGroupId(0xFE00_0002_2000_001B));
        group.queue = Some(queue.id);
        let prefix = UrlPrefix::parse("https://+:443/Shop/").unwrap();
        group.urls.push(RegisteredUrl::Prefix(prefix));
        let mut own = UrlGroupState::new(UrlGroupId(4));
        own.state = EnabledState::Disabled;
        own.connections_max = Some(7);
        own.timeouts.header_wait = Some(None);
        own.timeouts.entity_body = Some(Some(Duration::from_secs(5)));
        let mut session = ServerSessionState::new(ServerSessionId(1));
        session.groups = vec![group, own];
        let mut state = ServiceState::default();
        state.sessions.push(session);
        state.queues.push(queue);
        state
    }

    #[test]
    fn sessions_are_shown_with_all_labels() {
        assert_eq!(
            service(&state(), View::Session, true),
            "
Snapshot of HTTP service state (Server Session View):
-----------------------------------------------------

Server session ID: 0000000000000001
    Version: 2.0
    State: Active
    Properties:
        Max bandwidth: 4294967295
        Timeouts:
            Entity body timeout (secs): 120
            Drain entity body timeout (secs): 120
            Request queue timeout (secs): 120
            Idle connection timeout (secs): 120
            Header wait timeout (secs): 120
            Minimum send rate (bytes/sec): 150
    URL groups:
    URL group ID: FE0000022000001B
        State: Active
        Request queue name: Request queue is unnamed.
        Properties:
            Max bandwidth: inherited
            Max connections: inherited
            Timeouts:
                Timeout values inherited
            Number of registered URLs: 1
            Registered URLs:
                HTTPS://+:443/Shop/
    URL group ID: 0000000000000004
        State: Inactive
        Request queue name: No request queue is bound.
        Properties:
            Max bandwidth: inherited
            Max connections: 7
            Timeouts:
                Entity body timeout (secs): 5
                Drain entity body timeout (secs): inherited
                Request queue timeout (secs): inherited
                Idle connection timeout (secs): inherited
                Header wait timeout (secs): 65535
                Minimum send rate (bytes/sec): inherited
            Number of registered URLs: 0
            Registered URLs:

Request queues:
    Request queue name: Request queue is unnamed.
        Version: 2.0
        State: Active
        Request queue 503 verbosity level: Basic
        Max requests: 1000
        Active requests: 0
        Queued requests: 0
        Max queued request age: 1s
        Requests arrived: 6
        Requests rejected: 0
        Cache hits: 0
        Number of active processes attached: 1
        Processes:
            ID: 2688, image: /usr/bin/tidegate
        Registered URLs:
            HTTPS://+:443/Shop/

"
        );
    }

    #[test]
    fn queues_are_shown_with_their_groups() {
        assert_eq!(
            service(&state(), View::RequestQueue, false),
            "
Snapshot of HTTP service state (Request Queue View):
----------------------------------------------------

Request queue name: Request queue is unnamed.
    Version: 2.0
    State: Active
    Request queue 503 verbosity level: Basic
    Max requests: 1000
    Active requests: 0
    Queued requests: 0
    Max queued request age: 1s
    Requests arrived: 6
    Requests rejected: 0
    Cache hits: 0
    Number of active processes attached: 1
    Processes:
        ID: 2688, image: /usr/bin/tidegate
    URL groups:
    URL group ID: FE0000022000001B
        State: Active
        Request queue name: Request queue is unnamed.
            Number of registered URLs: 1
            Registered URLs:
                HTTPS://+:443/Shop/
        Server session ID: 0000000000000001
            Version: 2.0
            State: Active

Request queue name: No request queue is bound.
    URL groups:
    URL group ID: 0000000000000004
        State: Inactive
        Request queue name: No request queue is bound.
            Number of registered URLs: 0
            Registered URLs:
        Server session ID: 0000000000000001
            Version: 2.0
            State: Active

"
        );
    }

    #[test]
    fn cached_responses_are_shown_with_all_labels() {
        let mut forever = Cached::default();
        forever.url = "http://localhost:8080/a?b=c".to_owned();
        forever.status = 200;
        forever.created = 1_430_780_951.5;
        forever.content_type = "image/jpeg".to_owned();
        (forever.head_bytes, forever.content_bytes, forever.hits) = (212, 21_335, 3);
        let mut brief = forever.clone();
        brief.time_left = Some(9.0);
        brief.content_encoding = Some("gzip".to_owned());
        brief.force_disconnect = true;
        let text = cache(&[forever, brief]);
        assert!(
            text.starts_with(
                "
Snapshot of HTTP response cache:
--------------------------------

URL: http://localhost:8080/a?b=c
    Status code: 200
    HTTP verb: GET
    Cache policy type: User invalidates
    Creation time: 2015.5.4:23.9.11:0
    Request queue name: Request queue is unnamed.
    Content type: image/jpeg
    Content encoding: (null)
    Headers length: 212
    Content length: 21335
    Hit count: 3
    Force disconnect after serving: FALSE

URL: "
            ),
            "{text}"
        );
        assert!(text.contains("    Cache policy type: Time to live\n    Cache entry TTL: 9\n"));
        assert!(text.contains("    Content encoding: gzip\n"), "{text}");
        assert!(
            text.ends_with("    Force disconnect after serving: TRUE\n\n"),
            "{text}"
        );
    }
}
