//! A disk that is really full: the test runs once more on a small file system of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::tempdir;
use tidegate::UploadSettings;

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::form::{FORM_TYPE, Form, failures, head, names, post, request, to};

/// Says where the small file system is.
const SMALL: &str = "TIDEGATE_TEST_SMALL_FILE_SYSTEM";

#[test]
fn an_upload_that_finds_no_room_is_507_and_leaves_nothing() {
    match std::env::var_os(SMALL) {
        Some(directory) => fill(&PathBuf::from(directory)),
        None => run_on_small_file_system(),
    }
}

/// Runs this test where a file system of 256 KiB is mounted, which nobody else sees.
fn run_on_small_file_system() {
    let folder = tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=256k tidegate \"$0\"";
    let within = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--map-root-user", "sh", "-c", script])
            .arg(folder.path());
        command
    };
    let can = within(mount).status().is_ok_and(|status| status.success());
    if !can {
        // Where nobody would read that it was left out, it may not be.
        assert!(
            std::env::var_os("CI").is_none(),
            "cannot mount a file system"
        );
        eprintln!("left out: this system lets no small file system be mounted");
        return;
    }
    let name = "disk_full::an_upload_that_finds_no_room_is_507_and_leaves_nothing";
    let output = within(&format!("{mount} && exec \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(SMALL, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn fill(directory: &Path) {
    in_each_setting(|builder, port| {
        let drop_box = UploadSettings::new("/drop/", directory.join("drop"));
        let (builder, told) = failures(builder.http_upload_files(to(directory)).upload(drop_box));
        let builder = builder.on_http_request(|_, response| response.text("done"));
        let server = start(builder);
        let large = "x".repeat(1_000_000);
        let form = Form::new()
            .file("f", "small", "y")
            .file("f", "large", &large);
        let answer = post(&mut Client::connect(port), "/", form.clone());
        let text = "there is no room for the file\n";
        assert_eq!((answer.status, answer.text()), (507, text));
        let exception = told.recv().unwrap();
        let wanted = format!(
            "exception: cannot store an uploaded file in {}: No space left",
            directory.display()
        );
        assert!(exception.starts_with(&wanted), "{exception}");
        assert_eq!(names(directory), ["drop"]);
        let answer = request(
            &mut Client::connect(port),
            "PUT",
            "/drop/a",
            &[],
            large.as_bytes(),
        );
        assert_eq!(answer.status, 507);
        told.recv().unwrap();
        assert_eq!(names(&directory.join("drop")), [""; 0]);
        // While the client is in the middle of it, too: it hears of it before it has sent all.
        let mut client = Client::connect(port);
        let fields = [&*format!("Content-Type: {FORM_TYPE}")];
        client.write(&head("POST", "/", &fields, 50_000_000));
        client.write(&form.unfinished());
        assert_eq!(client.receive().status, 507);
        told.recv().unwrap();
        drop(client);
        // There is room again.
        let form = Form::new().file("f", "small", "y");
        assert_eq!(post(&mut Client::connect(port), "/", form).text(), "done");
        assert_eq!(names(directory), ["drop", "small"]);
        fs::remove_file(directory.join("small")).unwrap();
        stop(server);
    });
}
