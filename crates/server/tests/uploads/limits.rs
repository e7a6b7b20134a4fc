//! How much may come: 413, before anything is read where the length is known, and nothing stays.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post as post_route;
use tempfile::tempdir;
use tidegate::HttpUploadFiles;

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::form::{
    FORM_TYPE, Form, failures, head, names, post, post_in_chunks, request, request_in_chunks, to,
};

#[test]
fn an_upload_that_is_too_long_is_refused_before_it_is_read() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let mut settings = to(folder.path());
        settings.max_request_body_size = Some(1000);
        let builder = builder
            .http_upload_files(settings)
            .on_http_request(|_, response| response.text("done"));
        let server = start(builder);
        let fields = [
            &*format!("Content-Type: {FORM_TYPE}"),
            "Expect: 100-continue",
        ];
        let mut client = Client::connect(port);
        client.write(&head("POST", "/", &fields, 1001));
        let answer = client.receive();
        assert_eq!((answer.status, answer.interim.len()), (413, 0));
        assert!(client.is_closed_by_peer());
        drop(client);
        // Of unknown length, as soon as it is too long.
        let form = Form::new().file("f", "x", "y".repeat(2000)).finish();
        let answer = post_in_chunks(&mut Client::connect(port), form.chunks(100));
        assert_eq!(answer.status, 413);
        assert_eq!(names(folder.path()), [""; 0]);
        // Just as long as may be.
        let room = 1000 - Form::new().file("f", "x", "").finish().len();
        let form = Form::new().file("f", "x", "y".repeat(room));
        let mut client = Client::connect(port);
        assert_eq!(post(&mut client, "/", form.clone()).status, 200);
        let answer = post_in_chunks(&mut client, form.finish().chunks(100));
        assert_eq!(answer.status, 200);
        drop(client);
        stop(server);
    });
}

#[test]
fn uploads_may_be_longer_than_other_content() {
    for own in [Some(0), Some(1_000_000)] {
        in_each_setting(|builder, port| {
            let folder = tempdir().unwrap();
            let mut settings = to(folder.path());
            settings.max_request_body_size = own;
            let route = post_route(|body: Bytes| async move { body.len().to_string() });
            let builder = builder
                .http_upload_files(settings)
                .max_request_body_size(1000)
                .mount("/service", Router::new().fallback(route))
                .on_http_request(|request, response| {
                    let length = match request.uploads()?.files() {
                        [] => request.content()?.len() as u64,
                        files => files[0].size(),
                    };
                    response.text(length.to_string());
                    Ok::<(), tidegate::HandlerError>(())
                });
            let server = start(builder);
            let form = Form::new().file("f", "x", "y".repeat(200_000));
            let mut client = Client::connect(port);
            assert_eq!(post(&mut client, "/", form.clone()).text(), "200000");
            let chunks = form.finish();
            let answer = post_in_chunks(&mut client, chunks.chunks(9_999));
            assert_eq!(answer.text(), "200000");
            let content = [b'x'; 1001];
            for path in ["/", "/service/"] {
                let answer = request(&mut client, "POST", path, &[], &content[1..]);
                assert_eq!(answer.text(), "1000", "{path}");
                // Before it is read.
                let mut other = Client::connect(port);
                other.write(&head("POST", path, &["Expect: 100-continue"], 1001));
                let answer = other.receive();
                assert_eq!((answer.status, answer.interim.len()), (413, 0), "{path}");
                let mut other = Client::connect(port);
                let line = format!("POST {path} HTTP/1.1");
                let answer = request_in_chunks(&mut other, &line, content.chunks(500));
                // A service says itself what it makes of content that ends early.
                let refused = matches!((path, answer.status), ("/", 413) | ("/service/", 400..));
                assert!(refused, "{path} {}", answer.status);
            }
            drop(client);
            stop(server);
        });
    }
}

#[test]
fn a_form_may_hold_so_much_and_no_more() {
    let many = |files: usize, fields: usize| {
        let mut form = Form::new();
        for number in 0..files {
            form = form.file("f", &format!("{number}.txt"), number.to_string());
        }
        for number in 0..fields {
            form = form.field(&number.to_string(), "x");
        }
        form
    };
    let limit = |set: fn(&mut HttpUploadFiles)| set;
    let unlimited = limit(|_| ());
    let cases = [
        (unlimited, many(100, 1000), None),
        (
            unlimited,
            many(101, 0),
            Some("files in the form: more than 100"),
        ),
        (
            unlimited,
            many(1, 1001),
            Some("fields in the form: more than 1000"),
        ),
        (
            limit(|settings| settings.limits.field_name_bytes_max = 3),
            Form::new().file("f", "x", "y").field("abcd", ""),
            Some("bytes in the name of a field of the form: more than 3"),
        ),
        (
            limit(|settings| settings.limits.field_value_bytes_max = 3),
            Form::new().file("f", "x", "y").field("a", "1234"),
            Some("bytes in the value of a field of the form: more than 3"),
        ),
        (
            limit(|settings| settings.limits.fields_bytes_max = 1024),
            many(1, 10).field("a", &"x".repeat(1010)),
            Some("bytes in all names and values of the form: more than 1024"),
        ),
        (
            limit(|settings| settings.limits.file_bytes_max = 3),
            Form::new().file("f", "x", "123").file("f", "y", "1234"),
            Some("bytes in a file of the form: more than 3"),
        ),
        (
            limit(|settings| settings.limits.part_head_bytes_max = 256),
            Form::new()
                .file("f", "x", "y")
                .file("f", &"x".repeat(256), ""),
            Some("the head of a part of the form is longer than 256 bytes"),
        ),
    ];
    let everywhere = [0, u64::MAX];
    for (set, form, refused) in &cases {
        for min_size in everywhere {
            in_each_setting(|builder, port| {
                let folder = tempdir().unwrap();
                let mut settings = to(folder.path());
                settings.min_size = min_size;
                set(&mut settings);
                let (builder, told) = failures(builder.http_upload_files(settings));
                let builder = builder.on_http_request(|request, response| {
                    let uploads = request.uploads()?;
                    let (files, fields) = (uploads.files().len(), uploads.fields().count());
                    response.text(format!("{files} {fields}"));
                    Ok::<(), tidegate::HandlerError>(())
                });
                let server = start(builder);
                let answer = post(&mut Client::connect(port), "/", form.clone());
                match refused {
                    None => assert_eq!(answer.text(), "100 1000"),
                    Some(reason) => {
                        assert_eq!(answer.status, 413, "{reason}");
                        assert_eq!(told.recv().unwrap(), format!("error: {reason}"));
                        assert_eq!(names(folder.path()), [""; 0]);
                    }
                }
                stop(server);
            });
        }
    }
}
