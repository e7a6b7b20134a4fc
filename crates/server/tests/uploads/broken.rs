//! Uploads that end early: whatever ends them, no file stays.

use std::sync::mpsc::Receiver;

use tempfile::tempdir;
use tidegate::{BeforeUpload, ServerBuilder};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::form::{
    FORM_TYPE, Form, failures, head, names, post_in_chunks, read, request, telling, to,
};

/// Tells when an upload begins.
fn watched(builder: ServerBuilder) -> (ServerBuilder, Receiver<()>) {
    let (sender, begun) = telling();
    let builder = builder
        .on_http_upload_before_create_post_stream(move |_| {
            sender.lock().unwrap().send(()).unwrap();
            BeforeUpload::Accept
        })
        .on_http_upload_before_save_file(|_, _| panic!("nothing is whole"))
        .on_http_upload_read_input(|_, _, _| panic!("nothing is whole"))
        .on_http_request(|_, _| -> () { panic!("nothing is whole") });
    (builder, begun)
}

#[test]
fn a_client_that_leaves_takes_its_files_along() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (builder, told) = failures(builder.http_upload_files(to(folder.path())));
        let (builder, begun) = watched(builder);
        let server = start(builder);
        let content = "x".repeat(500_000);
        let form = Form::new()
            .field("a", "1")
            .file("f", "whole", "1")
            .file("f", "half", content);
        let form = form.unfinished();
        // Long enough to have been written to disk, in part.
        for sent in [form.len() - 1000, 300] {
            let mut client = Client::connect(port);
            let fields = [&*format!("Content-Type: {FORM_TYPE}")];
            client.write(&head("POST", "/", &fields, form.len()));
            client.write(&form[..sent]);
            begun.recv().unwrap();
            drop(client);
            let error = told.recv().unwrap();
            assert!(error.starts_with("error: the peer left"), "{error}");
            assert_eq!(names(folder.path()), [""; 0]);
        }
        stop(server);
    });
}

#[test]
fn what_is_no_form_is_refused_and_leaves_nothing() {
    let file = || Form::new().file("f", "x", "y".repeat(200_000));
    let mut bad_delimiter = file().unfinished();
    bad_delimiter.extend_from_slice(b"--b-1x\r\n");
    let mut bad_head = file().unfinished();
    bad_head.extend_from_slice(b"--b-1\r\nno colon\r\n\r\n");
    let forms = [
        (
            file().unfinished(),
            "the form ended before its last delimiter",
        ),
        (
            bad_delimiter,
            "a line in the form begins with its boundary and is no delimiter",
        ),
        (
            bad_head,
            "a line in the head of a part of the form is no field line",
        ),
        (b"x".to_vec(), "the form ended before its last delimiter"),
    ];
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (builder, told) = failures(builder.http_upload_files(to(folder.path())));
        let (builder, _begun) = watched(builder);
        let server = start(builder);
        for (form, reason) in &forms {
            let answer = post_in_chunks(&mut Client::connect(port), form.chunks(10_000));
            assert_eq!(
                (answer.status, answer.text()),
                (400, &*format!("{reason}\n"))
            );
            assert_eq!(told.recv().unwrap(), format!("error: {reason}"));
            assert_eq!(names(folder.path()), [""; 0]);
        }
        let reason = "the form's content type has no usable boundary";
        let fields = ["Content-Type: multipart/form-data"];
        let answer = request(&mut Client::connect(port), "POST", "/", &fields, b"x");
        assert_eq!(
            (answer.status, answer.text()),
            (400, &*format!("{reason}\n"))
        );
        assert_eq!(told.recv().unwrap(), format!("error: {reason}"));
        stop(server);
    });
}

#[test]
fn broken_chunks_leave_nothing() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (builder, told) = failures(builder.http_upload_files(to(folder.path())));
        let (builder, begun) = watched(builder);
        let server = start(builder);
        let mut client = Client::connect(port);
        let form = Form::new().file("f", "x", "y").unfinished();
        client.write(
            format!(
                "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM_TYPE}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
                form.len()
            )
            .as_bytes(),
        );
        client.write(&form);
        begun.recv().unwrap();
        client.write(b"\r\nno size\r\n");
        assert_eq!(client.receive().status, 400);
        assert_eq!(
            told.recv().unwrap(),
            "error: the content's framing is broken"
        );
        assert_eq!(names(folder.path()), [""; 0]);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_server_that_stops_leaves_nothing() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .shutdown_deadline(std::time::Duration::ZERO);
        let (builder, begun) = watched(builder);
        let server = start(builder);
        let mut client = Client::connect(port);
        let form = Form::new().file("f", "x", "y".repeat(500_000)).finish();
        let fields = [&*format!("Content-Type: {FORM_TYPE}")];
        client.write(&head("POST", "/", &fields, form.len()));
        client.write(&form[..400_000]);
        begun.recv().unwrap();
        stop(server);
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "the lock is gone, too");
        drop(client);
    });
}

#[test]
fn a_stop_lets_an_upload_finish() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (sender, begun) = telling();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_upload_before_create_post_stream(move |_| {
                sender.lock().unwrap().send(()).unwrap();
                BeforeUpload::Accept
            })
            .on_http_request(|_, response| response.text("done"));
        let server = start(builder);
        let mut client = Client::connect(port);
        // Longer than what is gathered before the application is called.
        let content = "y".repeat(100_000);
        let form = Form::new().file("f", "x", &content).finish();
        let fields = [&*format!("Content-Type: {FORM_TYPE}")];
        client.write(&head("POST", "/", &fields, form.len()));
        client.write(&form[..20]);
        begun.recv().unwrap();
        server.stop();
        client.write(&form[20..]);
        assert_eq!(client.receive().text(), "done");
        drop(client);
        server.wait_stopped();
        assert_eq!(read(folder.path(), "x"), content.as_bytes());
    });
}
