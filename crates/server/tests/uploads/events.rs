//! What the application is told of an upload, in which order, and what it may change.

use std::fs;
use std::sync::{Arc, Mutex};

use tempfile::tempdir;
use tidegate::{BeforeUpload, ContentError, ServerBuilder, StreamType};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::form::{
    FORM_TYPE, Form, failures, head, names, post, post_in_chunks, read, telling, to,
};

/// All events, one line each.
fn journal(builder: ServerBuilder) -> (ServerBuilder, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let write = {
        let lines = Arc::clone(&lines);
        move |line: String| lines.lock().unwrap().push(line)
    };
    let (before, input, save, after, request) = (
        write.clone(),
        write.clone(),
        write.clone(),
        write.clone(),
        write,
    );
    let builder = builder
        .on_http_upload_before_create_post_stream(move |request| {
            assert_eq!(request.content().unwrap_err(), ContentError::Taken);
            before(format!("before {}", request.document()));
            BeforeUpload::Accept
        })
        .on_http_upload_read_input(move |_, name, value| input(format!("input {name}={value}")))
        .on_http_upload_before_save_file(move |_, file| {
            let field = file.field.as_deref().unwrap_or("-");
            save(format!("save {field} {} {}", file.file_name, file.size));
        })
        .on_http_upload_after_save_file(move |_, file| {
            assert!(file.path().unwrap().ends_with(file.file_name()));
            after(format!("saved {}", file.file_name()));
        })
        .on_http_request(move |_, response| {
            request("request".to_owned());
            response.text("done");
        });
    (builder, lines)
}

fn two_of_each() -> Form {
    Form::new()
        .field("a", "1")
        .file("f", "x.txt", "first")
        .field("b", "two words")
        .file("g", "y.txt", "")
}

#[test]
fn events_come_in_the_order_of_the_parts() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (builder, lines) = journal(builder.http_upload_files(to(folder.path())));
        let server = start(builder);
        let answer = post(&mut Client::connect(port), "/form", two_of_each());
        assert_eq!((answer.status, answer.text()), (200, "done"));
        let wanted = [
            "before /form",
            "input a=1",
            "save f x.txt 5",
            "saved x.txt",
            "input b=two words",
            "save g y.txt 0",
            "saved y.txt",
            "request",
        ];
        assert_eq!(*lines.lock().unwrap(), wanted);
        assert_eq!(names(folder.path()), ["x.txt", "y.txt"]);
        stop(server);
    });
}

#[test]
fn in_memory_the_application_is_asked_and_told_no_more() {
    in_each_setting(|builder, port| {
        let (builder, lines) = journal(builder);
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(post(&mut client, "/form", two_of_each()).text(), "done");
        let form = two_of_each().finish();
        let answer = post_in_chunks(&mut client, [&form[..9], &form[9..]]);
        assert_eq!(answer.text(), "done");
        let wanted = ["before /form", "request", "before /", "request"];
        assert_eq!(*lines.lock().unwrap(), wanted);
        drop(client);
        stop(server);
    });
}

#[test]
fn the_handler_has_all_that_came() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let directory = folder.path().to_owned();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_request(move |request, response| {
                let uploads = request.uploads().unwrap();
                assert_eq!(uploads.field("b"), Some("two words"));
                assert_eq!(uploads.field("f"), None);
                let fields: Vec<_> = uploads.fields().collect();
                assert_eq!(fields, [("a", "1"), ("b", "two words")]);
                let file = uploads.file("f").unwrap();
                assert_eq!((file.sent_name(), file.size()), ("x.txt", 5));
                assert_eq!(file.path(), Some(&*directory.join("x.txt")));
                assert_eq!((file.content(), file.content_type()), (None, None));
                assert_eq!(uploads.files().len(), 2);
                assert_eq!(request.form().unwrap().first("b").unwrap(), "two words");
                assert_eq!(request.content().unwrap_err(), ContentError::Taken);
                assert!(request.body().is_end());
                assert_eq!(request.document(), "/form");
                response.text("all there");
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(
            post(&mut client, "/form", two_of_each()).text(),
            "all there"
        );
        drop(client);
        stop(server);
    });
}

#[test]
fn a_handler_that_answers_later_has_all_that_came() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_request_async(|request, mut response| async move {
                let form = request.form_async().await.unwrap();
                assert_eq!(form.first("a").unwrap(), "1");
                let uploads = request.uploads_async().await.unwrap();
                let path = uploads.file("f").unwrap().path().unwrap().to_owned();
                assert_eq!(request.content_async().await, Err(ContentError::Taken));
                response.text(fs::read_to_string(path).unwrap());
                response
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(post(&mut client, "/", two_of_each()).text(), "first");
        // The connection goes on.
        assert_eq!(post(&mut client, "/", two_of_each()).text(), "first");
        drop(client);
        stop(server);
    });
}

#[test]
fn a_refused_upload_is_not_read() {
    for stream_type in [StreamType::File, StreamType::Memory] {
        in_each_setting(|builder, port| {
            let folder = tempdir().unwrap();
            let mut settings = to(folder.path());
            settings.stream_type = stream_type;
            let builder = builder
                .http_upload_files(settings)
                .on_http_upload_before_create_post_stream(|request| match request.header("X-Key") {
                    Some(key) if key == "right" => BeforeUpload::Accept,
                    Some(_) => BeforeUpload::Refuse(401),
                    None => BeforeUpload::Refuse(200),
                })
                .on_http_request(|_, response| response.text("done"));
            let server = start(builder);
            let form = two_of_each().finish();
            for (key, status) in [("X-Key: wrong", 401), ("X-Other: 1", 403)] {
                let mut client = Client::connect(port);
                let content_type = format!("Content-Type: {FORM_TYPE}");
                let fields = [&*content_type, key, "Expect: 100-continue"];
                client.write(&head("POST", "/", &fields, form.len()));
                let answer = client.receive();
                assert_eq!((answer.status, answer.interim.len()), (status, 0));
                assert!(client.is_closed_by_peer());
            }
            let mut client = Client::connect(port);
            let content_type = format!("Content-Type: {FORM_TYPE}");
            let fields = [&*content_type, "X-Key: right", "Expect: 100-continue"];
            client.write(&head("POST", "/", &fields, form.len()));
            client.write(&form);
            assert_eq!(client.receive().text(), "done");
            drop(client);
            stop(server);
        });
    }
}

#[test]
fn the_application_may_choose_name_and_directory() {
    in_each_setting(|builder, port| {
        let (folder, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
        let other = elsewhere.path().to_owned();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_upload_before_save_file(move |_, file| {
                file.file_name = format!(".{} {}", file.size, file.sent_name);
                file.directory = match &*file.sent_name {
                    "x" => "a/b".into(),
                    _ => other.join("c"),
                };
            })
            .on_http_request(|request, response| {
                let files = request.uploads().unwrap().files();
                let contents = files
                    .iter()
                    .map(|file| fs::read_to_string(file.path().unwrap()));
                response.text(contents.collect::<Result<String, _>>().unwrap());
            });
        let server = start(builder);
        let form = Form::new().file("f", "x", "one").file("f", "y", "three");
        let answer = post(&mut Client::connect(port), "/", form);
        assert_eq!(answer.text(), "onethree");
        assert_eq!(read(folder.path(), "a/b/.3 x"), b"one");
        assert_eq!(read(elsewhere.path(), "c/.5 y"), b"three");
        assert_eq!(names(folder.path()), ["a"]);
        stop(server);
    });
}

#[test]
fn a_directory_on_another_file_system_gets_a_copy() {
    // Where there is one: mostly memory.
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    in_each_setting(|builder, port| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let other = elsewhere.path().to_owned();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_upload_before_save_file(move |_, file| file.directory.clone_from(&other))
            .on_http_request(|_, response| response.text("done"));
        let server = start(builder);
        let content = "x".repeat(300_000);
        for name in ["a", "a (1)"] {
            let form = Form::new().file("f", "a", &content);
            assert_eq!(post(&mut Client::connect(port), "/", form).status, 200);
            assert_eq!(read(elsewhere.path(), name), content.as_bytes());
        }
        assert_eq!(names(folder.path()), [""; 0]);
        assert_eq!(names(elsewhere.path()), ["a", "a (1)"]);
        for name in names(elsewhere.path()) {
            fs::remove_file(elsewhere.path().join(name)).unwrap();
        }
        stop(server);
    });
}

#[test]
fn a_name_that_is_none_is_the_application_s_fault_and_nothing_stays() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (builder, told) = failures(builder.http_upload_files(to(folder.path())));
        let builder = builder.on_http_upload_before_save_file(|_, file| {
            if &*file.sent_name == "second" {
                file.file_name = "../second".to_owned();
            }
        });
        let server = start(builder);
        let form = Form::new().file("f", "first", "1").file("f", "second", "2");
        let answer = post(&mut Client::connect(port), "/", form);
        assert_eq!((answer.status, answer.text()), (500, ""));
        let told = told.recv().unwrap();
        assert_eq!(
            told,
            "exception: \"../second\" is no name for an uploaded file"
        );
        assert_eq!(names(folder.path()), [""; 0]);
        stop(server);
    });
}

#[test]
fn a_panic_of_the_application_leaves_nothing() {
    for event in ["before", "input", "save", "after"] {
        in_each_setting(|builder, port| {
            let folder = tempdir().unwrap();
            let (builder, told) = failures(builder.http_upload_files(to(folder.path())));
            let builder = builder
                .on_http_upload_before_create_post_stream(move |_| {
                    assert_ne!(event, "before");
                    BeforeUpload::Accept
                })
                .on_http_upload_read_input(move |_, name, _| {
                    assert!(name != "b" || event != "input");
                })
                .on_http_upload_before_save_file(move |_, file| {
                    assert!(file.size > 0 || event != "save");
                })
                .on_http_upload_after_save_file(move |_, file| {
                    assert!(file.size() > 0 || event != "after");
                });
            let server = start(builder);
            let answer = post(&mut Client::connect(port), "/", two_of_each());
            assert_eq!(answer.status, 500);
            assert!(
                told.recv()
                    .unwrap()
                    .starts_with("exception: a handler panicked")
            );
            assert_eq!(names(folder.path()), [""; 0], "{event}");
            assert_eq!(Client::connect(port).get("/").status, 404);
            stop(server);
        });
    }
}

#[test]
fn handlers_of_uploads_may_block_in_either_mode() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (sender, receiver) = telling::<()>();
        let (handler_sender, handled) = telling::<()>();
        let receiver = Mutex::new(receiver);
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_upload_read_input(move |_, _, _| {
                handler_sender.lock().unwrap().send(()).unwrap();
                receiver.lock().unwrap().recv().unwrap();
            })
            .on_http_request(|_, response| response.text("done"));
        let server = start(builder);
        let mut client = Client::connect(port);
        let form = Form::new().field("a", "1").finish();
        let fields = [&*format!("Content-Type: {FORM_TYPE}")];
        client.write(&head("POST", "/", &fields, form.len()));
        client.write(&form);
        handled.recv().unwrap();
        // The worker is free.
        assert_eq!(Client::connect(port).get("/").text(), "done");
        sender.lock().unwrap().send(()).unwrap();
        assert_eq!(client.receive().text(), "done");
        drop(client);
        stop(server);
    });
}
