//! A kill at any moment loses nothing that was acknowledged, and leaves files that can be read.
//!
//! This test's program starts itself again as the process that is killed.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tidegate_admission::ban::file::BanFile;
use tidegate_admission::ban::{Ban, BanReason, Change};
use tidegate_admission::rate::{Applies, Caller, Limit, Limiter, LimiterBounds, Per, Rule, Rules};
use tidegate_admission::table::{SECOND, Seed};

const FOLDER: &str = "TIDEGATE_TEST_KILL_FOLDER";
const START: u64 = 1_700_000_000 * SECOND;

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

fn caller(number: u32) -> Caller<'static> {
    Caller {
        method: "GET",
        path: "/",
        api_key: None,
        user: None,
        address: Some(address(number)),
    }
}

fn load(folder: &Path) -> (Limiter, usize) {
    let rules = Rules::new(vec![Rule {
        name: "all".into(),
        applies: Applies::Address(Vec::new()),
        per: Per::Address,
        limit: Some(Limit::new(1, Duration::from_secs(3_600))),
        quotas: [0; 3],
        cost: 1,
    }]);
    let path = folder.join("rates");
    let (limiter, loaded) = Limiter::load(
        &path,
        rules.unwrap(),
        LimiterBounds::default(),
        Seed([1, 2]),
        START,
    );
    (limiter, loaded.unwrap())
}

/// Saves the state with one more address in it each time, and bans it; tells each that is on the disk.
fn work(folder: &Path) {
    let (limiter, loaded) = load(folder);
    let (mut bans, _) = BanFile::open(&folder.join("bans")).unwrap();
    for number in loaded as u32.. {
        limiter.check(&caller(number), START);
        limiter.save(&folder.join("rates"), START).unwrap();
        let ban = Ban {
            address: address(number),
            since: 0,
            until: None,
            level: 1,
            reason: BanReason::Manual,
        };
        bans.exchange(&[Change::Banned(ban)]).unwrap();
        if number % 7 == 0 {
            bans.rewrite(|_| {
                (0..=number)
                    .map(|number| Ban {
                        address: address(number),
                        ..ban
                    })
                    .collect()
            })
            .unwrap();
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "saved {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_saved() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return work(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut saved = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_kill_at_any_moment_loses_nothing_that_was_saved",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).filter_map(|line| {
            let number = line.rsplit_once("saved ")?.1.parse::<u32>().ok()?;
            Some(number)
        });
        // Not at a pause between two saves but wherever it is: it goes on while this reads.
        let last = told.take(1 + round % 3).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        saved = saved.max(last);

        let (limiter, loaded) = load(folder.path());
        assert!(loaded as u32 > saved, "{loaded} of {saved}");
        let (_, read) = BanFile::open(&folder.path().join("bans")).unwrap();
        for number in 0..=saved {
            assert!(
                !limiter.check(&caller(number), START).unwrap().1.allowed,
                "{number}"
            );
            let is_it = |change: &Change| matches!(change, Change::Banned(ban) if ban.address == address(number));
            assert!(read.changes.iter().any(is_it), "{number}");
        }
    }
    assert!(saved > 12);
}
