//! Makes documentation tests of the guide's pages.
//!
//! A page shows whole programs, as one would write them. What visits them stands in a comment behind each, which
//! readers do not see:
//!
//! ```text
//! <!-- visit
//! assert_eq!(site.get("/").text(), "OK");
//! -->
//! ```
//!
//! Here the one is put into the other: `.run()` becomes a visit, ports become free ones, and the HTTPERR log is
//! left off. Lines stay where they are, so that a failure's line is the page's.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Ports that programs of the guide use; free ones take their places.
const PORTS: [&str; 9] = [
    "443", "8080", "8081", "8443", "9000", "9001", "9180", "9181", "9464",
];

fn main() {
    let pages = Path::new("../../crates/server/guide");
    println!("cargo::rerun-if-changed={}", pages.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut modules = String::new();
    let mut names: Vec<_> = fs::read_dir(pages)
        .expect("the guide is there")
        .map(|entry| entry.expect("a folder's entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    names.sort();
    names.push("../../README.md".into());
    for page in names {
        println!("cargo::rerun-if-changed={}", page.display());
        let text = fs::read_to_string(&page).expect("a page can be read");
        let name = page
            .file_stem()
            .expect("a page has a name")
            .to_string_lossy();
        let module = name.replace('-', "_").to_lowercase();
        fs::write(out.join(format!("{module}.md")), tests(&name, &text)).expect("can write");
        writeln!(
            modules,
            "#[doc = include_str!(concat!(env!(\"OUT_DIR\"), \"/{module}.md\"))] pub mod {module} {{}}"
        )
        .expect("a text grows");
    }
    fs::write(out.join("pages.rs"), modules).expect("can write");
}

/// The page with its visits in its programs.
fn tests(page: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut made = String::new();
    let mut index = 0;
    while index < lines.len() {
        if lines[index] != "```rust" {
            made += lines[index];
            made.push('\n');
            index += 1;
            continue;
        }
        let length = lines[index..].iter().position(|line| *line == "```");
        let end = index + length.unwrap_or_else(|| panic!("{page}: a snippet has no end"));
        let program = &lines[index + 1..end];
        let visit = visit(&lines[end + 1..]);
        made += "```rust\n";
        made += &test(page, program, visit.as_deref());
        made += "```\n";
        index = end + 1;
    }
    made
}

/// What stands in the comment that these lines begin with.
fn visit(lines: &[&str]) -> Option<String> {
    let first = lines.iter().position(|line| !line.is_empty())?;
    if lines[first] != "<!-- visit" {
        return None;
    }
    let rest = &lines[first + 1..];
    let end = rest.iter().position(|line| *line == "-->")?;
    Some(rest[..end].join(" "))
}

fn test(page: &str, program: &[&str], visit: Option<&str>) -> String {
    let mut made = String::from("#[allow(unused_imports)] use tidegate_guide::prelude::*; ");
    let mut visited = false;
    for line in with_free_ports(&program.join("\n")).lines() {
        let mut line = line.replace(".build()?", ".build_quietly()?");
        if line.contains("fn main()") {
            line += " let _folder = tidegate_guide::folder();";
        }
        for (end, call) in [(".run()", "visit"), (".wait_stopped();", "visit_started")] {
            if line.contains(end) {
                let visit = visit.unwrap_or_else(|| panic!("{page}: nobody visits a program"));
                let semicolon = if end.ends_with(';') { ";" } else { "" };
                let call = format!(".{call}(|site| {{ let _ = site; {visit} }}){semicolon}");
                line = line.replace(end, &call);
                visited = true;
            }
        }
        made += &line;
        made.push('\n');
    }
    assert!(
        visited || visit.is_none(),
        "{page}: a visit that is never made"
    );
    made
}

/// The program with free ports in place of those that it names.
fn with_free_ports(program: &str) -> String {
    let mut made = String::new();
    for (index, part) in program.split('"').enumerate() {
        let is_text = index % 2 == 1;
        match is_text {
            true if PORTS.iter().any(|port| part.contains(&format!(":{port}"))) => {
                made += &format!("tidegate_guide::moved(\"{part}\")");
            }
            true => made += &format!("\"{part}\""),
            false => made += &numbers_moved(part),
        }
    }
    made
}

fn numbers_moved(code: &str) -> String {
    let mut made = String::new();
    let mut number = String::new();
    for character in code.chars().chain([' ']) {
        let continues = character.is_alphanumeric() || character == '_' || character == '.';
        if continues {
            number.push(character);
            continue;
        }
        match PORTS.contains(&&*number) {
            true => made += &format!("tidegate_guide::port({number})"),
            false => made += &number,
        }
        number.clear();
        made.push(character);
    }
    made.pop();
    made
}
