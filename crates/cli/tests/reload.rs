//! A settings file that changes while the program serves it.

#![cfg(unix)]
// The lint knows functions that are tests, and these are called by them alone.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{Program, start};

/// A folder with a settings file and two sites.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("a.txt"), name).unwrap();
        }
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("site.toml")
    }

    /// Writes the settings file: this, and the site of that name.
    fn write(&self, settings: &str, site: &str) {
        let root = self.0.path().join(site).display().to_string();
        let text = format!("{settings}\n[[files]]\nroot = {root:?}\n");
        // Put in place at once, as editors and configuration tools do.
        let new = self.0.path().join("new.toml");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.file()).unwrap();
    }
}

fn serve(file: &Path) -> Program {
    start(&[&file.display().to_string(), "--io-threads", "1"]).unwrap()
}

#[test]
fn at_sighup_and_with_what_differs() {
    let site = Site::new();
    site.write("shutdown_deadline = 5", "one");
    let program = serve(&site.file());
    assert_eq!(program.get("/a.txt").text(), "one");
    site.write("shutdown_deadline = 6", "two");
    program.signal("HUP");
    let output = program.output_until("shutdown_deadline: 5 -> 6");
    assert!(output.contains("shutdown_deadline: 5 -> 6"), "{output}");
    assert_eq!(program.get("/a.txt").text(), "two");
    program.signal("HUP");
    let output = program.output_until("has not changed");
    assert!(output.contains("has not changed"), "{output}");
}

#[test]
fn by_itself() {
    let site = Site::new();
    site.write("", "one");
    let program = serve(&site.file());
    assert_eq!(program.get("/a.txt").text(), "one");
    site.write("max_request_body_size = 7", "two");
    let output = program.output_until("max_request_body_size: 7");
    assert!(output.contains("max_request_body_size: 7"), "{output}");
    assert_eq!(program.get("/a.txt").text(), "two");
}

#[test]
fn what_is_refused_changes_nothing() {
    let site = Site::new();
    site.write("", "one");
    let program = serve(&site.file());
    for (settings, told) in [
        ("prot = 7", "did you mean `port`?"),
        (
            "listen_backlog = 7",
            "only a start puts a change of these into effect: listen_backlog",
        ),
        ("[[forward]]\npath = \"/a.txt\"\nto = []", "forward"),
    ] {
        site.write(settings, "two");
        program.signal("HUP");
        let output = program.output_until(told);
        assert!(
            output.contains("is refused, all stays as it was"),
            "{output}"
        );
        assert!(output.contains(told), "{output}");
        assert_eq!(program.get("/a.txt").text(), "one", "{settings}");
    }
    fs::remove_file(site.file()).unwrap();
    program.signal("HUP");
    let output = program.output_until("cannot read the settings file");
    assert!(output.contains("cannot read the settings file"), "{output}");
    assert_eq!(program.get("/a.txt").text(), "one");
}
