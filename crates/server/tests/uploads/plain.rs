//! Content that is stored whole: files without a form, and forms as they came.

use std::fs;

use tempfile::tempdir;
use tidegate::{HandlerError, ServerBuilder};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::form::{FORM_TYPE, Form, failures, names, post, read, request, request_in_chunks, to};

/// Answers with the name of the one file that came, or with the content.
fn naming(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| {
        match request.uploads()?.files() {
            [file] => {
                assert_eq!(file.field(), None);
                assert_eq!(file.content_type(), request.content_type());
                assert_eq!(fs::metadata(file.path().unwrap())?.len(), file.size());
                response.text(file.file_name().to_owned());
            }
            _ => response.text(format!("content {}", request.text()?)),
        }
        Ok::<(), HandlerError>(())
    })
}

#[test]
fn plain_bodies_go_to_disk_when_asked_for() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let mut settings = to(folder.path());
        settings.plain_bodies = true;
        let server = start(naming(builder.http_upload_files(settings)));
        let mut client = Client::connect(port);
        let large = "x".repeat(500_000);
        let cases = [
            ("PUT", "/a/b.bin", "Content-Type: application/pdf", "b.bin"),
            (
                "POST",
                "/a/b.bin",
                "Content-Type: application/pdf",
                "b (1).bin",
            ),
            ("POST", "/a/b%20c", "X-None: 1", "b c"),
            ("POST", "/", "X-None: 1", "file"),
            ("PUT", "/.hidden", "X-None: 1", "hidden"),
        ];
        for (method, path, field, wanted) in cases {
            let answer = request(&mut client, method, path, &[field], large.as_bytes());
            assert_eq!(answer.text(), wanted, "{method} {path}");
            assert!(read(folder.path(), wanted) == large.as_bytes());
        }
        let answer = request_in_chunks(&mut client, "PUT /chunks HTTP/1.1", [&b"ab"[..], b"c"]);
        assert_eq!(answer.text(), "chunks");
        assert_eq!(read(folder.path(), "chunks"), b"abc");
        // What is no file is not taken for one.
        let simple = "Content-Type: application/x-www-form-urlencoded; charset=utf-8";
        let answer = request(&mut client, "POST", "/", &[simple], b"a=b");
        assert_eq!(answer.text(), "content a=b");
        let answer = request(&mut client, "PATCH", "/b.bin", &[], b"diff");
        assert_eq!(answer.text(), "content diff");
        assert_eq!(client.get("/b.bin").text(), "content ");
        assert_eq!(names(folder.path()).len(), 6);
        drop(client);
        stop(server);
    });
}

#[test]
fn plain_bodies_stay_in_memory_unless_asked_for() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let server = start(naming(builder.http_upload_files(to(folder.path()))));
        let answer = request(&mut Client::connect(port), "PUT", "/a", &[], b"abc");
        assert_eq!(answer.text(), "content abc");
        assert_eq!(names(folder.path()), [""; 0]);
        stop(server);
    });
}

#[test]
fn a_form_is_one_file_when_its_boundaries_stay() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let mut settings = to(folder.path());
        settings.remove_boundaries = false;
        let (builder, _told) = failures(naming(builder.http_upload_files(settings)));
        let builder = builder
            .on_http_upload_read_input(|_, _, _| panic!("the form is not read"))
            .on_http_upload_before_save_file(|_, file| {
                assert_eq!(
                    (&*file.sent_name, &*file.file_name),
                    ("form.multipart", "form.multipart")
                );
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        let form = Form::new().field("a", "1").file("f", "x", "content");
        assert_eq!(
            post(&mut client, "/", form.clone()).text(),
            "form.multipart"
        );
        assert_eq!(read(folder.path(), "form.multipart"), form.clone().finish());
        // Nobody looks whether it is one.
        let fields = [&*format!("Content-Type: {FORM_TYPE}")];
        let answer = request(
            &mut client,
            "POST",
            "/",
            &fields,
            &form.clone().unfinished(),
        );
        assert_eq!(answer.text(), "form (1).multipart");
        assert_eq!(read(folder.path(), "form (1).multipart"), form.unfinished());
        drop(client);
        stop(server);
    });
}
