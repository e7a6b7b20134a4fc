//! Places that take files in without code.

use std::fs;
use std::path::Path;

use axum::Router;
use tempfile::{TempDir, tempdir};
use tidegate::{BeforeUpload, FilesSettings, ServerBuilder, UploadSettings};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Answer, Client};
use crate::form::{FORM_TYPE, Form, head, names, post, post_in_chunks, read, request, to};

fn each_setting(
    set: impl Fn(ServerBuilder, &Path) -> ServerBuilder,
    test: impl Fn(&mut Client, &Path, u16),
) {
    in_each_setting(|builder, port| {
        let folder: TempDir = tempdir().unwrap();
        let builder = builder.on_http_request(|request, response| {
            response.text(format!("handler {}", request.method()));
        });
        let server = start(set(builder, folder.path()));
        let mut client = Client::connect(port);
        test(&mut client, folder.path(), port);
        drop(client);
        stop(server);
    });
}

fn drop_box(builder: ServerBuilder, directory: &Path) -> ServerBuilder {
    builder.upload(UploadSettings::new("/drop/", directory))
}

fn overwriting(builder: ServerBuilder, directory: &Path) -> ServerBuilder {
    let mut settings = UploadSettings::new("/drop/", directory);
    settings.overwrite = true;
    builder.upload(settings)
}

fn put(client: &mut Client, path: &str, fields: &[&str], content: &str) -> Answer {
    request(client, "PUT", path, fields, content.as_bytes())
}

/// Sends a head whose content nobody may ask for.
fn refused_unread(port: u16, method: &str, path: &str, fields: &[&str]) -> Answer {
    let mut client = Client::connect(port);
    let fields = [fields, &["Expect: 100-continue"]].concat();
    client.write(&head(method, path, &fields, 10));
    let answer = client.receive();
    assert_eq!(answer.interim, [0; 0], "{method} {path}");
    assert!(client.is_closed_by_peer());
    answer
}

#[test]
fn a_form_s_files_are_taken_in_and_told() {
    each_setting(drop_box, |client, directory, _| {
        let form = Form::new()
            .field("a", "1")
            .file("f", "a b.txt", "one")
            .file("f", "größe.txt", "three");
        let answer = post(client, "/drop", form);
        assert_eq!(answer.status, 201);
        assert_eq!(answer.field("Location"), Some("/drop/a%20b.txt"));
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
        assert_eq!(
            answer.text(),
            "{\"files\":[{\"name\":\"a b.txt\",\"size\":3,\"location\":\"/drop/a%20b.txt\"},\
             {\"name\":\"größe.txt\",\"size\":5,\"location\":\"/drop/gr%C3%B6%C3%9Fe.txt\"}]}\n"
        );
        assert_eq!(read(directory, "a b.txt"), b"one");
        assert_eq!(names(directory), ["a b.txt", "größe.txt"]);
        // A person gets a page, and a name that is taken a number.
        let form = Form::new().file("f", "a b.txt", "two").finish();
        let content_type = format!("Content-Type: {FORM_TYPE}");
        let fields = [
            &*content_type,
            "Accept: text/html,application/xhtml+xml;q=0.9",
        ];
        let answer = request(client, "POST", "/drop/", &fields, &form);
        assert_eq!(answer.status, 201);
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        let link = "<a href=\"/drop/a%20b%20(1).txt\">a b (1).txt</a>";
        assert!(answer.text().contains(link), "{}", answer.text());
        let answer = post(client, "/drop/", Form::new().field("a", "1"));
        assert_eq!(
            (answer.status, answer.text()),
            (400, "the form has no file\n")
        );
    });
}

#[test]
fn a_file_is_put_under_its_name() {
    each_setting(drop_box, |client, directory, port| {
        let content = "x".repeat(300_000);
        let answer = put(client, "/drop/a%20b.txt", &[], &content);
        assert_eq!(answer.status, 201);
        assert_eq!(answer.field("Location"), Some("/drop/a%20b.txt"));
        assert!(
            answer.text().contains("\"size\":300000"),
            "{}",
            answer.text()
        );
        assert!(read(directory, "a b.txt") == content.as_bytes());
        assert_eq!(put(client, "/drop/empty", &[], "").status, 201);
        assert_eq!(read(directory, "empty"), b"");
        // A second time there is one already: said before anything is read.
        let answer = refused_unread(port, "PUT", "/drop/empty", &[]);
        assert_eq!(answer.status, 409);
        assert_eq!(answer.text(), "there is a file of this name already\n");
        let answer = refused_unread(port, "PUT", "/drop/empty", &["If-None-Match: *"]);
        assert_eq!(answer.status, 412);
        assert_eq!(
            put(client, "/drop/new", &["If-None-Match: *"], "x").status,
            201
        );
        assert_eq!(names(directory), ["a b.txt", "empty", "new"]);
    });
}

#[test]
fn a_file_may_be_replaced_where_that_is_set() {
    each_setting(overwriting, |client, directory, port| {
        assert_eq!(put(client, "/drop/a", &[], "one").status, 201);
        let answer = put(client, "/drop/a", &["If-Match: *"], "two");
        assert_eq!((answer.status, answer.text()), (204, ""));
        assert_eq!(read(directory, "a"), b"two");
        let form = Form::new().file("f", "a", "three");
        assert_eq!(post(client, "/drop/", form).status, 201);
        assert_eq!(read(directory, "a"), b"three");
        fs::create_dir(directory.join("inner")).unwrap();
        let cases = [
            ("/drop/a", "If-None-Match: *", 412),
            ("/drop/a", "If-Match: \"tag\"", 412),
            ("/drop/b", "If-Match: *", 412),
            (
                "/drop/a",
                "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
                412,
            ),
            ("/drop/inner", "X-None: 1", 409),
        ];
        for (path, field, status) in cases {
            let answer = refused_unread(port, "PUT", path, &[field]);
            assert_eq!(answer.status, status, "{path} {field}");
        }
        let late = "If-Unmodified-Since: Fri, 31 Dec 2100 23:59:59 GMT";
        assert_eq!(put(client, "/drop/a", &[late], "four").status, 204);
        assert_eq!(names(directory), ["a", "inner"]);
    });
}

// RFC 9110 §13.1.1, §13.1.2: who has read a state replaces that state, and none that another has made.
#[test]
fn a_tag_says_which_state_is_replaced() {
    let serving = |builder: ServerBuilder, directory: &Path| {
        let site = FilesSettings::new(directory);
        overwriting(builder, directory).files("/drop", site)
    };
    each_setting(serving, |client, directory, port| {
        let first = put(client, "/drop/a", &[], "one");
        let tag = first.field("ETag").unwrap().to_owned();
        // The same that the file is served with.
        let read_back = client.get("/drop/a");
        assert_eq!(read_back.field("ETag"), Some(&*tag));
        let condition = format!("If-Match: \"other\", {tag}");
        let second = put(client, "/drop/a", &[&condition], "three");
        assert_eq!(second.status, 204);
        let new = second.field("ETag").unwrap().to_owned();
        assert_ne!(new, tag);
        let weak = format!("If-Match: W/{new}");
        let is_new = format!("If-None-Match: {new}");
        for field in [&*condition, &weak, &is_new] {
            let answer = refused_unread(port, "PUT", "/drop/a", &[field]);
            assert_eq!(answer.status, 412, "{field}");
        }
        let is_old = format!("If-None-Match: {tag}");
        assert_eq!(put(client, "/drop/a", &[&is_old], "four").status, 204);
        assert_eq!(read(directory, "a"), b"four");
    });
}

// Of two who have read the same state, the one that is done last has lost.
#[test]
fn a_condition_is_looked_at_again_when_all_has_arrived() {
    each_setting(overwriting, |client, directory, port| {
        let tag = put(client, "/drop/a", &[], "one");
        let condition = format!("If-Match: {}", tag.field("ETag").unwrap());
        let mut slow = Client::connect(port);
        let fields = [&*condition, "Expect: 100-continue"];
        slow.write(&head("PUT", "/drop/a", &fields, 4));
        assert_eq!(slow.receive_head().0, 100);
        assert_eq!(put(client, "/drop/a", &[&condition], "fast").status, 204);
        slow.write(b"slow");
        assert_eq!(slow.receive().status, 412);
        assert_eq!(read(directory, "a"), b"fast");
    });
}

#[test]
fn what_a_place_does_not_take_is_refused_unread() {
    each_setting(drop_box, |_, directory, port| {
        let form = format!("Content-Type: {FORM_TYPE}");
        let cases = [
            ("PUT", "/drop", "X-None: 1", 405),
            ("PUT", "/drop/", "X-None: 1", 405),
            ("PUT", "/drop/a/b", "X-None: 1", 409),
            ("PUT", "/drop/a%5Cb", "X-None: 1", 400),
            ("PUT", "/drop/.hidden", "X-None: 1", 400),
            ("PUT", "/drop/NUL", "X-None: 1", 400),
            ("PUT", "/drop/a.", "X-None: 1", 400),
            ("PUT", "/drop/a", "Content-Range: bytes 0-9/20", 400),
            ("PUT", "/drop/a", "Content-Encoding: gzip", 415),
            ("POST", "/drop/a", &form, 405),
            ("POST", "/drop/", "X-None: 1", 415),
            (
                "POST",
                "/drop/",
                "Content-Type: application/x-www-form-urlencoded",
                415,
            ),
            ("POST", "/drop/", "Content-Type: multipart/form-data", 400),
        ];
        for (method, path, field, status) in cases {
            let answer = refused_unread(port, method, path, &[field]);
            // Routing itself resolves or refuses some paths.
            let is_wanted = answer.status == status || path.contains("%5C");
            assert!(is_wanted, "{method} {path} {field}: {}", answer.status);
            if status == 405 {
                let allow = if method == "PUT" { "POST" } else { "PUT" };
                assert_eq!(answer.field("Allow"), Some(allow));
            }
        }
        assert_eq!(names(directory), [""; 0]);
    });
}

#[test]
fn other_methods_and_paths_are_not_the_place_s() {
    each_setting(drop_box, |client, _, _| {
        assert_eq!(client.get("/drop/a").text(), "handler GET");
        assert_eq!(
            request(client, "DELETE", "/drop/a", &[], b"").text(),
            "handler DELETE"
        );
        assert_eq!(put(client, "/dropped/a", &[], "x").text(), "handler PUT");
        assert_eq!(post(client, "/", Form::new()).text(), "handler POST");
    });
}

#[test]
fn the_longest_path_wins() {
    let set = |builder: ServerBuilder, directory: &Path| {
        let service = |name: &'static str| Router::new().fallback(move || async move { name });
        drop_box(builder, directory)
            .upload(UploadSettings::new("/drop/inner", directory.join("inner")))
            .mount("/", service("outer"))
            .mount("/drop/api", service("api"))
            .mount("/drop/inner/", service("same"))
    };
    each_setting(set, |client, directory, _| {
        assert_eq!(put(client, "/drop/api/a", &[], "x").text(), "api");
        assert_eq!(put(client, "/other", &[], "x").text(), "outer");
        assert_eq!(put(client, "/drop/a", &[], "x").status, 201);
        assert_eq!(put(client, "/drop/inner/b", &[], "x").status, 201);
        assert_eq!(client.get("/drop/inner/b").text(), "same");
        assert_eq!(client.get("/drop/a").text(), "outer");
        assert_eq!(names(directory), ["a", "inner"]);
        assert_eq!(names(&directory.join("inner")), ["b"]);
    });
}

#[test]
fn a_place_has_limits_and_events_of_its_own() {
    let set = |builder: ServerBuilder, directory: &Path| {
        let mut settings = UploadSettings::new("/drop/", directory);
        settings.max_request_body_size = Some(100_000);
        settings.limits.files_max = 1;
        builder
            .upload(settings)
            .max_request_body_size(1_000)
            .on_http_upload_before_create_post_stream(|request| {
                match request.query() == Some(b"no") {
                    true => BeforeUpload::Refuse(403),
                    false => BeforeUpload::Accept,
                }
            })
            .on_http_upload_before_save_file(|_, file| {
                file.file_name.push_str(".new");
                file.directory = match &*file.sent_name {
                    "elsewhere" => file.directory.with_extension("elsewhere"),
                    _ => "inner".into(),
                };
            })
    };
    each_setting(set, |client, directory, port| {
        let content = "x".repeat(100_000);
        let answer = put(client, "/drop/a", &[], &content);
        assert_eq!(
            (answer.status, answer.field("Location")),
            (201, Some("/drop/inner/a.new"))
        );
        let answer = put(client, "/drop/elsewhere", &[], "x");
        assert_eq!((answer.status, answer.field("Location")), (201, None));
        let elsewhere = directory.with_extension("elsewhere");
        assert_eq!(read(&elsewhere, "elsewhere.new"), b"x");
        fs::remove_dir_all(elsewhere).unwrap();
        let mut other = Client::connect(port);
        other.write(&head("PUT", "/drop/b", &["Expect: 100-continue"], 100_001));
        assert_eq!(other.receive().status, 413);
        assert_eq!(refused_unread(port, "PUT", "/drop/b?no", &[]).status, 403);
        let form = Form::new().file("f", "c", "1").file("f", "d", "2");
        assert_eq!(post(&mut Client::connect(port), "/drop/", form).status, 413);
        let mut other = Client::connect(port);
        let answer = put(&mut other, "/elsewhere", &[], &content);
        assert_eq!(answer.status, 413);
        assert_eq!(names(directory), ["inner"]);
    });
}

#[test]
fn places_stand_beside_uploads_to_the_handler() {
    let set = |builder: ServerBuilder, directory: &Path| {
        drop_box(builder, &directory.join("drop")).http_upload_files(to(&directory.join("other")))
    };
    each_setting(set, |client, directory, _| {
        let form = || Form::new().file("f", "a", "x");
        assert_eq!(post(client, "/drop/", form()).status, 201);
        let chunks = form().finish();
        assert_eq!(
            post_in_chunks(client, chunks.chunks(9)).text(),
            "handler POST"
        );
        assert_eq!(names(&directory.join("drop")), ["a"]);
        assert_eq!(names(&directory.join("other")), ["a"]);
    });
}
