//! Uploads beside what else serves paths: rules for other origins, static sites, forwarded paths.

use std::fs;
use std::path::Path;

use tempfile::tempdir;
use tidegate::{
    CorsSettings, ForwardSettings, HandlerError, Io, OperatingMode, ServerBuilder, UploadSettings,
};

use crate::client::setting::{self, in_each_setting, start, stop};
use crate::client::{Answer, Client, free_port};
use crate::form::{Form, head, names, post_in_chunks, read, request, request_in_chunks, to};

const ORIGIN: &str = "Origin: https://app.example";

fn for_pages(builder: ServerBuilder) -> ServerBuilder {
    builder.cors(CorsSettings {
        path: "/".to_owned(),
        origins: "https://app.example".parse().unwrap(),
        methods: ["PUT"].into(),
        ..CorsSettings::default()
    })
}

fn assert_readable(answer: &Answer, status: u16) {
    let told = answer.field("Access-Control-Allow-Origin");
    assert_eq!((answer.status, told), (status, Some("https://app.example")));
}

/// Answers with the length of the content.
fn telling_length(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| {
        let length = match request.uploads()?.files() {
            [] => request.content()?.len() as u64,
            files => files[0].size(),
        };
        response.text(length.to_string());
        Ok::<(), HandlerError>(())
    })
}

#[test]
fn pages_of_other_origins_may_read_what_uploads_are_answered_with() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let builder = for_pages(telling_length(builder))
            .upload(UploadSettings::new("/drop/", folder.path()))
            .http_upload_files(to(&folder.path().join("other")));
        let server = start(builder);
        let mut client = Client::connect(port);
        // Stored by a place, answered by the handler once it is on disk, and refused unread.
        let answer = request(&mut client, "PUT", "/drop/a", &[ORIGIN], b"abc");
        assert_readable(&answer, 201);
        let form = Form::new().file("f", "b", "four").finish();
        let content_type = format!("Content-Type: {}", crate::form::FORM_TYPE);
        let fields = [ORIGIN, &content_type];
        let answer = request(&mut client, "POST", "/", &fields, &form);
        assert_readable(&answer, 200);
        assert_eq!(answer.text(), "4");
        let asks = [ORIGIN, "Access-Control-Request-Method: PUT"];
        let answer = request(&mut client, "OPTIONS", "/drop/a", &asks, b"");
        assert_readable(&answer, 204);
        let answer = request(&mut client, "PUT", "/drop/a", &[ORIGIN], b"abc");
        assert_readable(&answer, 409);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_site_may_show_what_a_place_takes_in() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let builder = telling_length(builder)
            .upload(UploadSettings::new("/drop/", folder.path()))
            .files("/drop/", folder.path());
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(client.get("/drop/a.txt").status, 404);
        let answer = request(&mut client, "PUT", "/drop/a.txt", &[], b"abc");
        assert_eq!(answer.status, 201);
        let answer = client.get("/drop/a.txt");
        assert_eq!((answer.status, answer.text()), (200, "abc"));
        let answer = request(&mut client, "DELETE", "/drop/a.txt", &[], b"");
        assert_eq!(answer.status, 405);
        assert_eq!(read(folder.path(), "a.txt"), b"abc");
        drop(client);
        stop(server);
    });
}

/// A server whose uploads may be longer than other content, of which 1000 bytes may come.
fn with_longer_uploads(builder: ServerBuilder, directory: &Path) -> ServerBuilder {
    let mut settings = UploadSettings::new("/drop/", directory);
    settings.max_request_body_size = Some(0);
    builder.upload(settings).max_request_body_size(1000)
}

/// That 1000 bytes pass and one more does not, whether its length is known before or not.
fn holds_to_the_limit(port: u16, path: &str) {
    let content = [b'x'; 1001];
    let mut client = Client::connect(port);
    let answer = request(&mut client, "POST", path, &[], &content[1..]);
    assert_eq!((answer.status, answer.text()), (200, "1000"), "{path}");
    let line = format!("POST {path} HTTP/1.1");
    let answer = request_in_chunks(&mut client, &line, content[1..].chunks(500));
    assert_eq!((answer.status, answer.text()), (200, "1000"), "{path}");
    client.write(&head("POST", path, &["Expect: 100-continue"], 1001));
    let answer = client.receive();
    assert_eq!((answer.status, answer.interim.len()), (413, 0), "{path}");
    for length in [500, 1001] {
        let mut client = Client::connect(port);
        let answer = request_in_chunks(&mut client, &line, content.chunks(length));
        assert_eq!(answer.status, 413, "{path} in chunks of {length}");
    }
}

#[test]
fn forwarded_content_has_the_server_s_limit() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let upstream_port = free_port();
        let upstream = start(telling_length(setting::builder(
            Io::Poll,
            OperatingMode::Classic,
            upstream_port,
        )));
        let url = format!("http://127.0.0.1:{upstream_port}");
        let decided = url.clone();
        let builder = with_longer_uploads(telling_length(builder), folder.path())
            .forward(ForwardSettings::new("/api/", [url.parse().unwrap()]))
            .on_before_forward_http(move |request, forward| {
                if request.document() == "/decided" {
                    forward.to(&decided);
                }
            });
        let server = start(builder);
        for path in ["/api/", "/decided", "/here"] {
            holds_to_the_limit(port, path);
        }
        // The place's own limit is another, and stands before what is forwarded.
        let mut client = Client::connect(port);
        let answer = request(&mut client, "PUT", "/drop/a", &[], &[b'x'; 5000]);
        assert_eq!(answer.status, 201);
        assert_eq!(names(folder.path()), ["a"]);
        drop(client);
        stop(server);
        stop(upstream);
    });
}

#[test]
fn a_site_has_the_server_s_limit() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let site = folder.path().join("site");
        fs::create_dir(&site).unwrap();
        fs::write(site.join("a.txt"), "abc").unwrap();
        let drop_box = folder.path().join("drop");
        let builder =
            with_longer_uploads(telling_length(builder), &drop_box).files("/site/", &*site);
        let server = start(builder);
        let mut client = Client::connect(port);
        let answer = request(&mut client, "GET", "/site/a.txt", &[], &[b'x'; 1000]);
        assert_eq!((answer.status, answer.text()), (200, "abc"));
        client.write(&head("GET", "/site/a.txt", &["Expect: 100-continue"], 1001));
        assert_eq!(client.receive().status, 413);
        drop(client);
        stop(server);
    });
}

#[test]
fn an_upload_to_the_handler_may_pass_who_decides_about_forwarding() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let mut settings = to(folder.path());
        settings.max_request_body_size = Some(0);
        let builder = telling_length(builder)
            .http_upload_files(settings)
            .max_request_body_size(1000)
            .on_before_forward_http(|_, _| {});
        let server = start(builder);
        let mut client = Client::connect(port);
        let form = Form::new().file("f", "a", "x".repeat(5000)).finish();
        let answer = post_in_chunks(&mut client, form.chunks(999));
        assert_eq!((answer.status, answer.text()), (200, "5000"));
        drop(client);
        stop(server);
    });
}
