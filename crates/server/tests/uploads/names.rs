//! Names that clients give never leave the directory, nor mislead.

use tempfile::tempdir;

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::form::{Form, names, post, to};

#[test]
fn whatever_a_client_calls_a_file_it_stays_in_the_directory() {
    let cases = [
        (r"C:\x\y.txt", "y.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/shadow", "shadow"),
        (r"..\..\z.txt", "z.txt"),
        ("..", "file"),
        ("a/", "file (1)"),
        (".profile", "profile"),
        (
            ".tidegate-upload-0123456789abcdef-0.part",
            "tidegate-upload-0123456789abcdef-0.part",
        ),
        ("two words.txt", "two words.txt"),
        ("größe 写真.jpg", "größe 写真.jpg"),
        ("NUL", "_NUL"),
        ("com1.txt", "_com1.txt"),
        ("trailing. .", "trailing"),
        ("a:stream", "a_stream"),
        ("%2e%2e%2fb", "%2e%2e%2fb"),
        (r#"quoted \"q\".txt"#, "quoted _q_.txt"),
    ];
    let long = "n".repeat(1000) + ".txt";
    let shortened = "n".repeat(196) + ".txt";
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let directory = folder.path().join("inner");
        let builder =
            builder
                .http_upload_files(to(&directory))
                .on_http_request(|request, response| {
                    let uploads = request.uploads().unwrap();
                    response.text(uploads.files()[0].file_name().to_owned());
                });
        let server = start(builder);
        let mut client = Client::connect(port);
        let mut stored = Vec::new();
        for (sent, wanted) in cases.into_iter().chain([(&*long, &*shortened)]) {
            let answer = post(&mut client, "/", Form::new().file("f", sent, "x"));
            assert_eq!(answer.text(), wanted, "{sent}");
            stored.push(wanted.to_owned());
        }
        stored.sort();
        assert_eq!(names(&directory), stored);
        assert_eq!(names(folder.path()), ["inner"]);
        // A control character makes a head that is none.
        let answer = post(&mut client, "/", Form::new().file("f", "a\0b", "x"));
        assert_eq!(answer.status, 400);
        assert_eq!(names(&directory), stored);
        drop(client);
        stop(server);
    });
}

#[test]
fn an_extended_name_is_not_looked_at() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_request(|request, response| {
                let uploads = request.uploads().unwrap();
                response.text(format!("{:?}", uploads.field("g")));
            });
        let server = start(builder);
        let form = Form::new()
            .part("name=f; filename=\"a\"; filename*=UTF-8''..%2Fb", b"x")
            .part("name=g; filename*=UTF-8''c", b"y");
        let answer = post(&mut Client::connect(port), "/", form);
        assert_eq!(answer.text(), "Some(\"y\")");
        assert_eq!(names(folder.path()), ["a"]);
        stop(server);
    });
}
