//! The guide holds together: every page can be found, and every link leads somewhere.

// The lint knows functions that are tests, and not what these call.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/server/guide")
}

/// Names and texts of all pages.
fn pages() -> Vec<(String, String)> {
    let files = fs::read_dir(guide())
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .filter(|path| path.file_stem().unwrap() != "SUMMARY")
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_page_is_in_the_contents_and_in_the_documentation() {
    let contents = fs::read_to_string(guide().join("SUMMARY.md")).unwrap();
    let modules = fs::read_to_string(guide().join("../src/guide.rs")).unwrap();
    for (name, _) in pages() {
        assert!(
            contents.contains(&format!("({name})")),
            "{name} is not in SUMMARY.md"
        );
        assert!(
            modules.contains(&format!("\"{name}\"")),
            "{name} is not in src/guide.rs"
        );
    }
}

#[test]
fn every_link_between_pages_leads_to_one() {
    let modules = fs::read_to_string(guide().join("../src/guide.rs")).unwrap();
    for (name, text) in pages() {
        for line in text.lines() {
            let link = line
                .strip_prefix('[')
                .and_then(|line| line.split_once("]: "));
            let Some((link, target)) = link.filter(|(_, target)| target.ends_with(".md")) else {
                continue;
            };
            assert!(
                guide().join(target).exists(),
                "{name}: there is no {target}"
            );
            let known = format!(
                "[{link}]: crate::guide::{}\n",
                target.trim_end_matches(".md").replace('-', "_")
            );
            assert!(
                modules.contains(&known),
                "{name}: src/guide.rs does not know [{link}]"
            );
            assert!(
                text.contains(&format!("][{link}]")),
                "{name}: nobody uses [{link}]"
            );
        }
        for used in text.split("][").skip(1) {
            let Some((link, _)) = used.split_once(']') else {
                continue;
            };
            let is_link = link
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            if is_link && !link.is_empty() {
                assert!(
                    text.contains(&format!("\n[{link}]: ")),
                    "{name}: [{link}] leads nowhere"
                );
            }
        }
    }
}

#[test]
fn every_program_is_a_test() {
    for (name, text) in pages() {
        let odd = text
            .lines()
            .find(|line| line.starts_with("```rust") && *line != "```rust");
        assert_eq!(odd, None, "{name}: programs of the guide run");
    }
}
