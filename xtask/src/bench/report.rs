//! The text of a suite's results: what was measured on, the targets, a section for each workload.

use super::idle::IdleOutcome;
use super::load::{Sample, StormCounts};
use super::machine;
use super::options::Options;
use super::overload::OverloadOutcome;
use super::places::Places;
use super::rounds::{Outcome, Row};
use super::server::Server;
use super::table::{markdown, number, number_or_dash, spread};
use super::target::{Limit, Verdict};
use super::transfer::TransferOutcome;
use super::workload::{IdleWorkload, Workload};

/// The text of the results, section by section.
pub(crate) struct Report {
    head: String,
    /// Label of the workload and verdict.
    verdicts: Vec<(&'static str, Verdict)>,
    sections: String,
}

/// What a suite says of itself.
pub(crate) struct Preface {
    /// The heading without its mark; it names the suite's part in the file of results.
    pub(crate) title: &'static str,
    pub(crate) command: &'static str,
    /// What the processor time is divided by.
    pub(crate) per: &'static str,
    pub(crate) peers: Vec<String>,
    pub(crate) left_out: &'static str,
}

impl Report {
    pub(crate) fn begin(places: &Places, options: &Options, preface: &Preface) -> Self {
        let mut head = format!(
            "# {}\n\nMade by `{}`; do not edit. Questions, loads and what they leave out: \
             [README.md](README.md).\n\n",
            preface.title, preface.command
        );
        for line in machine::description(places) {
            head.push_str(&format!("- {line}\n"));
        }
        head.push_str(&format!("- Peers: {}\n", preface.peers.join(", ")));
        let (server, load) = machine::processors();
        head.push_str(&format!(
            "- Method: one worker, pinned to processor {server}, load on processor {load}, loopback. CPU \
             time is the server's `schedstat` over exactly the window, divided by {}. {} rounds of \
             {:.2} s, interleaved there and back; median [lowest–highest]. Ratios are of medians of \
             the same run.\n",
            preface.per,
            options.rounds,
            options.window.as_secs_f64(),
        ));
        head.push_str(&format!("- Left out: {}\n", preface.left_out));
        if options.quick {
            head.push_str("- A quick run: fewer connections than the titles say\n");
        }
        Self {
            head,
            verdicts: Vec::new(),
            sections: String::new(),
        }
    }

    pub(crate) fn add_rounds(&mut self, workload: &Workload, outcome: &Outcome) {
        let mut rows: Vec<&Row> = outcome.rows.iter().collect();
        let cost = |row: &Row| row.cpu_us().map_or(f64::INFINITY, |spread| spread.median);
        rows.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        let columns = columns(workload, outcome);
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| columns.iter().map(|column| (column.cell)(row)).collect())
            .collect();
        let head: Vec<&str> = columns.iter().map(|column| &*column.head).collect();
        self.section(workload.label, workload.title);
        self.sections.push_str(&markdown(&head, &cells));
        if workload.load.is_counted() && rows.iter().all(|row| row.kernel_instructions.is_none()) {
            self.sections.push_str(
                "\nNo instruction counters on this machine: user instructions, where given, are counted by \
                 callgrind, which cannot run our server on io_uring.\n",
            );
        }
        self.note(&outcome.left_out);
        for target in workload.targets {
            let verdict = target.verdict(|server| outcome.figures(server));
            self.verdicts.push((workload.label, verdict));
        }
    }

    /// That none of a storm's connections was lost, as a target of ours.
    pub(crate) fn add_lost(&mut self, workload: &Workload, outcome: &Outcome) {
        for server in OURS {
            let row = outcome.rows.iter().find(|row| row.server == server);
            let verdict = Verdict {
                what: format!("connections not served, worst round, {}", server.name()),
                limit: Limit::AtMost(0.0),
                result: row.and_then(|row| worst(row, |storm| Some(storm.lost()))),
                quiet: None,
            };
            self.verdicts.push((workload.label, verdict));
        }
    }

    pub(crate) fn add_idle(&mut self, workload: &IdleWorkload, outcome: &IdleOutcome) {
        let mut rows: Vec<_> = outcome.rows.iter().collect();
        rows.sort_by(|a, b| a.bytes_per_connection.total_cmp(&b.bytes_per_connection));
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                vec![
                    row.server.name().to_owned(),
                    number(row.bytes_per_connection),
                    number(row.resident_before as f64 / f64::from(1 << 20)),
                ]
            })
            .collect();
        let title = format!(
            "{}, {} held after {}",
            workload.title, outcome.connections, workload.after
        );
        self.section(workload.label, &title);
        self.sections.push_str(&markdown(
            &["server", "bytes a connection", "MiB before"],
            &cells,
        ));
        self.note(&outcome.left_out);
        for server in OURS {
            let row = outcome.rows.iter().find(|row| row.server == server);
            let verdict = Verdict {
                what: format!("bytes a connection, {}", server.name()),
                limit: Limit::AtMost(workload.bytes_max),
                result: row.map(|row| row.bytes_per_connection),
                quiet: None,
            };
            self.verdicts.push((workload.label, verdict));
        }
    }

    pub(crate) fn add_overload(&mut self, outcome: &OverloadOutcome) {
        let milliseconds = |us: Option<f64>| number_or_dash(us.map(|us| us / 1000.0));
        let rows: Vec<Vec<String>> = outcome
            .rows
            .iter()
            .map(|row| {
                vec![
                    row.server.name().to_owned(),
                    number(row.saturation),
                    milliseconds(row.calm_p99_us),
                    milliseconds(row.overload_p99_us),
                    number(row.goodput),
                    number(row.refused_per_second),
                    number(row.reset_per_second),
                    number(row.answer_us),
                    number(row.hello_us),
                    number_or_dash(row.refusal_us),
                ]
            })
            .collect();
        self.section(
            "W11",
            "open loop on `/work` at twice saturation, Poisson arrivals, 512 connections",
        );
        self.sections.push_str(&markdown(&OVERLOAD_HEAD, &rows));
        self.sections.push_str(
            "\nLatency counts from the instant a request was due. The cost of a refusal is from a run at 6 × \
             saturation: the server's CPU time, less that of its answers at the closed loop's cost, over \
             the refusals. A server that refuses nothing has a p99 that grows with the length of the run.\n",
        );
        self.note(&outcome.left_out);
        for verdict in outcome.verdicts() {
            self.verdicts.push(("W11", verdict));
        }
    }

    pub(crate) fn add_transfers(&mut self, outcome: &TransferOutcome) {
        let rows: Vec<Vec<String>> = outcome
            .rows
            .iter()
            .map(|row| {
                vec![
                    row.what.to_owned(),
                    row.server.name().to_owned(),
                    number(row.mebibytes_before),
                    number(row.mebibytes_grown),
                ]
            })
            .collect();
        self.section("W5 memory", "one transfer of 1 GiB, resident memory");
        let head = ["1 GiB", "server", "MiB before", "MiB grown at most"];
        self.sections.push_str(&markdown(&head, &rows));
        self.note(&outcome.left_out);
        for verdict in outcome.verdicts() {
            self.verdicts.push(("W5 memory", verdict));
        }
    }

    fn section(&mut self, label: &str, title: &str) {
        self.sections
            .push_str(&format!("\n## {label}: {title}\n\n"));
    }

    fn note(&mut self, left_out: &[String]) {
        if !left_out.is_empty() {
            self.sections.push_str("\nLeft out of this table:\n\n");
        }
        for line in left_out {
            self.sections.push_str(&format!("- {line}\n"));
        }
    }

    pub(crate) fn finish(self) -> String {
        let rows: Vec<Vec<String>> = self
            .verdicts
            .iter()
            .map(|(label, verdict)| [vec![(*label).to_owned()], verdict.cells()].concat())
            .collect();
        let mut text = self.head;
        text.push_str("\n## Targets\n\n");
        text.push_str(&markdown(
            &[
                "workload",
                "what",
                "target",
                "result",
                "of the lowest",
                "outcome",
            ],
            &rows,
        ));
        text.push_str(&self.sections);
        text
    }
}

/// A column of a table: its head, and what stands in it for a server.
struct Column<'a> {
    head: String,
    cell: Box<dyn Fn(&Row) -> String + 'a>,
}

/// The columns that a workload's outcome has values for.
fn columns<'a>(workload: &'a Workload, outcome: &'a Outcome) -> Vec<Column<'a>> {
    let ratio = |to: fn(Server) -> Server| {
        move |row: &Row| {
            let cost = |server| outcome.figures(server).cpu_us.map(|spread| spread.median);
            let both = cost(row.server).zip(cost(to(row.server)));
            number_or_dash(both.map(|(ours, other)| ours / other))
        }
    };
    let mut columns = vec![
        column("server", |row| row.server.name().to_owned()),
        column(&format!("CPU µs per {}", workload.unit.one), |row| {
            row.cpu_us()
                .map_or_else(|| "-".to_owned(), |cpu| spread(&cpu))
        }),
    ];
    let measures = |server| workload.servers.contains(&server);
    if measures(Server::BareUring) {
        columns.push(column("× bare, same loop", ratio(Server::bare)));
    }
    if measures(Server::Rustls) {
        columns.push(column("× rustls", ratio(|_| Server::Rustls)));
    }
    columns.push(column("× tidegate-uring", ratio(|_| Server::TidegateUring)));
    if workload.load.is_counted() {
        columns.extend([
            column("user instr.", |row| number_or_dash(row.user_instructions)),
            column("kernel instr.", |row| {
                number_or_dash(row.kernel_instructions)
            }),
        ]);
    }
    columns.extend([
        of_samples(&format!("{}/s", workload.unit.many), |sample| {
            Some(sample.requests as f64 / sample.seconds)
        }),
        of_samples("p99 µs", |sample| sample.p99_us),
        of_samples("server busy", |sample| Some(sample.server_share)),
        of_samples("load busy", |sample| Some(sample.generator_share)),
    ]);
    let has = |of: fn(&Sample) -> bool| outcome.rows.iter().flat_map(|row| &row.samples).any(of);
    if has(|sample| sample.storm.is_some()) {
        columns.extend([
            column("not served", |row| {
                number_or_dash(worst(row, |storm| Some(storm.lost())))
            }),
            column("had to try again", |row| {
                number_or_dash(worst(row, |storm| storm.overflows))
            }),
        ]);
    }
    if workload.load.is_compressed() {
        columns.push(of_samples("bytes an echo", |sample| {
            sample.first.map(|first| first.answer_bytes as f64)
        }));
    }
    columns
}

fn column<'a>(head: &str, cell: impl Fn(&Row) -> String + 'a) -> Column<'a> {
    Column {
        head: head.to_owned(),
        cell: Box::new(cell),
    }
}

/// The median of something in the samples.
fn of_samples<'a>(head: &str, of: impl Fn(&Sample) -> Option<f64> + 'a) -> Column<'a> {
    column(head, move |row| number_or_dash(row.median(&of)))
}

/// The highest count of a server's storms.
fn worst(row: &Row, of: impl Fn(&StormCounts) -> Option<u64>) -> Option<f64> {
    let counts = row
        .samples
        .iter()
        .filter_map(|sample| sample.storm.as_ref());
    counts.filter_map(of).max().map(|count| count as f64)
}

/// The servers that targets of a whole suite are about.
const OURS: [Server; 2] = [Server::TidegateUring, Server::TidegatePoll];

const OVERLOAD_HEAD: [&str; 10] = [
    "server",
    "saturation/s",
    "p99 ms at 0.8 ×",
    "p99 ms at 2 ×",
    "goodput at 2 × / saturation",
    "503/s at 2 ×",
    "resets/s at 2 ×",
    "CPU µs /work",
    "CPU µs /hello",
    "CPU µs a refusal",
];
