//! What a start needs, and what it removes.

use std::fs;

use tempfile::tempdir;
use tidegate::{Error, HttpUploadFiles, StreamType, UploadSettings, UploadSetupError};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::form::{Form, names, post, to};

#[test]
fn a_start_removes_what_a_killed_server_left() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let left = folder
            .path()
            .join(".tidegate-upload-0123456789abcdef-3.part");
        fs::write(&left, "half").unwrap();
        fs::write(folder.path().join("kept"), "whole").unwrap();
        let server = start(builder.http_upload_files(to(folder.path())));
        assert_eq!(names(folder.path()), ["kept"]);
        // The second server in one directory leaves the first's files alone.
        let lock = fs::read_dir(folder.path()).unwrap().count();
        let other = crate::client::free_port();
        let (io, mode) = (tidegate::Io::Poll, tidegate::OperatingMode::Classic);
        let builder = crate::client::setting::builder(io, mode, other);
        let second = start(builder.http_upload_files(to(folder.path())));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), lock + 1);
        let form = Form::new().file("f", "x", "y");
        assert_eq!(post(&mut Client::connect(port), "/", form).status, 404);
        stop(second);
        stop(server);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    });
}

#[test]
fn a_directory_that_cannot_be_is_told() {
    in_each_setting(|builder, _| {
        let folder = tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let server = builder.http_upload_files(to(&file)).build().unwrap();
        let error = server.run().unwrap_err();
        assert!(
            matches!(&error, Error::Upload(UploadSetupError::Directory { path, .. }) if *path == file),
            "{error:?}"
        );
        let text = format!("{error:?}");
        assert!(
            text.contains("because: ") && text.contains("to do: make it"),
            "{text}"
        );
    });
}

#[test]
fn settings_that_cannot_be_are_told() {
    in_each_setting(|builder, _| {
        let mut settings = HttpUploadFiles::default();
        settings.stream_type = StreamType::File;
        let server = builder.http_upload_files(settings).build().unwrap();
        let error = server.run().unwrap_err();
        assert!(
            matches!(error, Error::Upload(UploadSetupError::NoSaveDirectory)),
            "{error:?}"
        );
    });
    in_each_setting(|builder, _| {
        let folder = tempdir().unwrap();
        let place = |path: &str| UploadSettings::new(path, folder.path());
        let server = builder
            .upload(place("/a/"))
            .upload(place("b"))
            .upload(place("a"));
        let error = server.build().unwrap().run().unwrap_err();
        assert!(
            matches!(&error, Error::Upload(UploadSetupError::SamePath(path)) if &**path == "/a"),
            "{error:?}"
        );
    });
    in_each_setting(|builder, _| {
        let mut settings = HttpUploadFiles::default();
        settings.limits.part_head_bytes_max = 255;
        let error = builder.http_upload_files(settings).build().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("http_upload_files.limits.part_head_bytes_max"),
            "{text}"
        );
    });
}
