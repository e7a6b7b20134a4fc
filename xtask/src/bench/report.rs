//! Runs the suites and writes what they found: to the terminal, and a whole run to `RESULTS.md`.

use std::fs;

use super::callgrind;
use super::error::BenchError;
use super::idle::{self, IdleOutcome};
use super::machine;
use super::options::Options;
use super::overload::{self, OverloadOutcome};
use super::places::Places;
use super::rounds::{self, Outcome};
use super::server::Server;
use super::table::{markdown, number, number_or_dash, spread};
use super::target::{Limit, Verdict};
use super::workload::{CLOSED, Id, Workload};

/// Measures HTTP/1.1 and reports it.
pub(crate) fn http1(places: &Places, options: &Options) -> Result<(), BenchError> {
    let mut report = Report::begin(places, options);
    for workload in CLOSED.iter().filter(|workload| options.runs(workload.id)) {
        report.add_closed(workload, &rounds::run(places, options, workload)?);
    }
    if options.runs(Id::W10) {
        report.add_idle(&idle::run(places, options));
    }
    if options.runs(Id::W11) {
        report.add_overload(&overload::run(places, options));
    }
    let text = report.finish();
    println!("{text}");
    if options.is_whole() {
        let path = places.results();
        fs::write(&path, text).map_err(BenchError::file(&path))?;
        eprintln!("bench: written to {}", path.display());
    } else {
        eprintln!("bench: a part or a quick run; bench/RESULTS.md stays as it is");
    }
    Ok(())
}

/// Counts user instructions by callgrind and prints them.
pub(crate) fn callgrind(places: &Places, options: &Options) -> Result<(), BenchError> {
    let mut rows = Vec::new();
    for workload in CLOSED.iter().filter(|workload| options.runs(workload.id)) {
        for server in callgrind::COUNTED {
            if !options.measures(server) {
                continue;
            }
            match callgrind::user_instructions(places, server, workload) {
                Ok(count) => rows.push(vec![
                    server.name().to_owned(),
                    workload.id.name().to_owned(),
                    number(count),
                ]),
                Err(error) => eprintln!("bench: {}: {error}", server.name()),
            }
        }
    }
    println!(
        "{}",
        markdown(
            &["server", "workload", "user instructions per request"],
            &rows
        )
    );
    Ok(())
}

/// The text of the results, section by section.
struct Report {
    head: String,
    /// Workload and verdict.
    verdicts: Vec<(Id, Verdict)>,
    sections: String,
}

impl Report {
    fn begin(places: &Places, options: &Options) -> Self {
        let mut head = String::from(
            "# HTTP/1.1 benchmark results\n\n\
             Made by `cargo xtask bench http1`; do not edit. Questions, loads and what they leave out: \
             [README.md](README.md).\n\n",
        );
        for line in machine::description(places) {
            head.push_str(&format!("- {line}\n"));
        }
        head.push_str(&format!(
            "- Peers: {}\n",
            machine::peer_versions(places).join(", ")
        ));
        let (server, load) = machine::processors();
        head.push_str(&format!(
            "- Method: one worker, pinned to processor {server}, load on processor {load}, loopback. CPU \
             time is the server's `schedstat` over exactly the window, divided by the requests completed \
             in it. {} rounds of {:.2} s, interleaved there and back; median [lowest–highest]. Ratios are \
             of medians of the same run.\n",
            options.rounds,
            options.window.as_secs_f64(),
        ));
        head.push_str(
            "- Left out: network cards, more than one core, clients that wait or fail, memory under load, \
             TLS. Requests per second are what this machine's other work left over.\n",
        );
        Self {
            head,
            verdicts: Vec::new(),
            sections: String::new(),
        }
    }

    fn add_closed(&mut self, workload: &Workload, outcome: &Outcome) {
        let cost = |server| outcome.figures(server).cpu_us.map(|spread| spread.median);
        let ratio = |above: Option<f64>, below: Option<f64>| {
            number_or_dash(above.zip(below).map(|(a, b)| a / b))
        };
        let mut rows: Vec<(f64, Vec<String>)> = Vec::new();
        for row in &outcome.rows {
            let Some(cpu) = row.cpu_us() else { continue };
            let per_second =
                |sample: &super::load::Sample| Some(sample.requests as f64 / sample.seconds);
            rows.push((
                cpu.median,
                vec![
                    row.server.name().to_owned(),
                    spread(&cpu),
                    ratio(Some(cpu.median), cost(row.server.bare())),
                    ratio(Some(cpu.median), cost(Server::TidegateUring)),
                    number_or_dash(row.user_instructions),
                    number_or_dash(row.kernel_instructions),
                    number_or_dash(row.median(per_second)),
                    number_or_dash(row.median(|sample| sample.p99_us)),
                    number_or_dash(row.median(|sample| Some(sample.server_share))),
                    number_or_dash(row.median(|sample| Some(sample.generator_share))),
                ],
            ));
        }
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, cells)| cells).collect();
        self.section(workload.id, workload.title);
        self.sections.push_str(&markdown(&CLOSED_HEAD, &rows));
        if outcome
            .rows
            .iter()
            .all(|row| row.kernel_instructions.is_none())
        {
            self.sections.push_str(
                "\nNo instruction counters on this machine: user instructions, where given, are counted by \
                 callgrind, which cannot run our server on io_uring.\n",
            );
        }
        self.note(&outcome.left_out);
        for target in workload.targets {
            self.verdicts.push((
                workload.id,
                target.verdict(|server| outcome.figures(server)),
            ));
        }
    }

    fn add_idle(&mut self, outcome: &IdleOutcome) {
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
            "resident memory of an idle connection, {} held after one request each",
            outcome.connections
        );
        self.section(Id::W10, &title);
        self.sections.push_str(&markdown(
            &["server", "bytes a connection", "MiB before"],
            &cells,
        ));
        self.note(&outcome.left_out);
        for server in [Server::TidegateUring, Server::TidegatePoll] {
            let row = outcome.rows.iter().find(|row| row.server == server);
            let verdict = Verdict {
                what: format!("bytes a connection, {}", server.name()),
                limit: Limit::AtMost(512.0),
                result: row.map(|row| row.bytes_per_connection),
                quiet: None,
            };
            self.verdicts.push((Id::W10, verdict));
        }
    }

    fn add_overload(&mut self, outcome: &OverloadOutcome) {
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
            Id::W11,
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
            self.verdicts.push((Id::W11, verdict));
        }
    }

    fn section(&mut self, id: Id, title: &str) {
        self.sections
            .push_str(&format!("\n## {}: {title}\n\n", id.name()));
    }

    fn note(&mut self, left_out: &[String]) {
        if !left_out.is_empty() {
            self.sections.push_str("\nLeft out of this table:\n\n");
        }
        for line in left_out {
            self.sections.push_str(&format!("- {line}\n"));
        }
    }

    fn finish(self) -> String {
        let rows: Vec<Vec<String>> = self
            .verdicts
            .iter()
            .map(|(id, verdict)| [vec![id.name().to_owned()], verdict.cells()].concat())
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

const CLOSED_HEAD: [&str; 10] = [
    "server",
    "CPU µs per request",
    "× bare, same loop",
    "× tidegate-uring",
    "user instr.",
    "kernel instr.",
    "requests/s",
    "p99 µs",
    "server busy",
    "load busy",
];

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
