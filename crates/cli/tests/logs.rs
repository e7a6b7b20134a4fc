//! The log of requests, as a settings file asks for it.
#![cfg(unix)]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod program;

use std::fs;
use std::path::Path;
use std::thread;

use program::{everywhere_with, start};

/// What is in a file, once its last line is about `path`.
fn text_with(file: &Path, path: &str) -> String {
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') && text.contains(path) {
            return text;
        }
        thread::yield_now();
    }
}

#[test]
fn a_file_that_logrotate_has_moved_is_begun_anew_at_sighup() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("site.toml");
    let logs = folder.path().join("logs");
    let text = format!(
        "[log]\nenabled = true\ndirectory = '{}'\nrollover = 'size'\nfields = ['cs-uri-stem', 'sc-status']\n",
        logs.display()
    );
    fs::write(&settings, text).unwrap();
    everywhere_with(&[settings.to_str().unwrap()], |program| {
        let told = program.output();
        assert!(
            told.contains(&format!("requests  {}", logs.display())),
            "{told}"
        );
        let (file, moved) = (logs.join("extend1.log"), logs.join("moved"));
        assert_eq!(program.get("/hello").status, 200);
        text_with(&file, "/hello 200");
        fs::rename(&file, &moved).unwrap();
        program.signal("HUP");
        let told = program.output_until("SIGHUP");
        assert!(told.contains("logs go on in their files"), "{told}");
        assert_eq!(program.get("/status/404").status, 404);
        let text = text_with(&file, "/status/404 404");
        assert!(text.starts_with("#Software: "), "{text}");
        assert!(!text.contains("/hello"), "{text}");
        program.signal("TERM");
        assert_eq!(program.wait(), Some(0));
        fs::remove_dir_all(&logs).unwrap();
    });
}

#[test]
fn a_log_that_cannot_be_is_told_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("site.toml");
    let text = "[log]\nenabled = true\nrollover = 'daily'\nrollover_bytes = 2000000\n";
    fs::write(&settings, text).unwrap();
    let told = start(&[settings.to_str().unwrap()]).unwrap_err();
    assert!(
        told.contains("log files that roll over by time have no largest size"),
        "{told}"
    );
}
