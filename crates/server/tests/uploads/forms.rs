//! Forms as clients send them, in every split, to disk and in memory.

use std::fs;
use std::path::Path;

use tempfile::tempdir;
use tidegate::{ContentError, HttpUploadFiles, ServerBuilder};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Answer, Client};
use crate::form::{FORM_TYPE, Form, names, post, post_in_chunks, read, request, telling, to};

/// Answers with what came, and removes the files.
fn describing(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request(|request, response| {
        let uploads = request.uploads()?;
        let mut text = String::new();
        for (name, value) in uploads.fields() {
            text.push_str(&format!("{name}={value:?}\n"));
        }
        for file in uploads.files() {
            let (content, place) = match file.path() {
                Some(path) => {
                    let content = fs::read(path)?;
                    fs::remove_file(path)?;
                    (content, "disk")
                }
                None => (file.content().unwrap().to_vec(), "memory"),
            };
            assert_eq!(content.len() as u64, file.size());
            let field = file.field().unwrap_or("-");
            let content = String::from_utf8_lossy(&content).into_owned();
            text.push_str(&format!(
                "{field}: {} {content:?} {place}\n",
                file.file_name()
            ));
        }
        response.text(text);
        Ok::<(), tidegate::HandlerError>(())
    })
}

fn each_setting_to_disk(test: impl Fn(&mut Client, &Path)) {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let server = start(describing(builder.http_upload_files(to(folder.path()))));
        let mut client = Client::connect(port);
        test(&mut client, folder.path());
        drop(client);
        stop(server);
    });
}

#[test]
fn a_form_is_read_the_same_wherever_it_is_cut() {
    let form = Form::new()
        .field("a", "--b-\r\n")
        .file("f", "a b.txt", "\r\n--b-\r\n\r\n--b")
        .file("g", "empty", "")
        .finish();
    let wanted = "a=\"--b-\\r\\n\"\nf: a b.txt \"\\r\\n--b-\\r\\n\\r\\n--b\" disk\n\
                  g: empty \"\" disk\n";
    each_setting_to_disk(|client, directory| {
        for at in 0..form.len() {
            let (first, second) = form.split_at(at);
            let answer = post_in_chunks(client, [first, second]);
            assert_eq!(answer.text(), wanted, "cut at {at}");
        }
        assert_eq!(post_in_chunks(client, form.chunks(1)).text(), wanted);
        assert_eq!(names(directory), [""; 0]);
    });
}

#[test]
fn files_are_what_was_sent() {
    let all: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let contents: [&[u8]; 6] = [b"", b"\r\n", b"x", b"\0", &all, b"--b-1"];
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_request(|_, response| response.text("done"));
        let server = start(builder);
        let mut client = Client::connect(port);
        let mut form = Form::new();
        for (index, content) in contents[..5].iter().enumerate() {
            form = form.file("f", &format!("file number {index}.bin"), content);
        }
        assert_eq!(post(&mut client, "/", form).status, 200);
        for (index, content) in contents[..5].iter().enumerate() {
            let name = format!("file number {index}.bin");
            assert!(read(folder.path(), &name) == *content, "{name}");
        }
        assert_eq!(names(folder.path()).len(), 5);
        drop(client);
        stop(server);
    });
}

#[test]
fn a_file_that_nobody_chose_is_none() {
    each_setting_to_disk(|client, directory| {
        let form = Form::new().file("f", "", "").field("a", "1");
        assert_eq!(post(client, "/", form).text(), "a=\"1\"\n");
        let form = Form::new().file("f", "", "content");
        assert_eq!(post(client, "/", form).text(), "f: file \"content\" disk\n");
        assert_eq!(post(client, "/", Form::new()).text(), "");
        assert_eq!(names(directory), [""; 0]);
    });
}

#[test]
fn fields_are_text_in_their_charset() {
    each_setting_to_disk(|client, _| {
        let form =
            b"--b-1\r\nContent-Disposition: form-data; name=\"\xC3\xA9\"\r\n\r\n\xC3\xA9\r\n\
            --b-1\r\nContent-Disposition: form-data; name=b\r\n\
            Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xE9\r\n\
            --b-1\r\nContent-Disposition: form-data; name=c\r\n\r\n\xE9\r\n--b-1--";
        let fields = [&*format!("Content-Type: {FORM_TYPE}")];
        let answer = request(client, "POST", "/", &fields, form);
        assert_eq!(answer.text(), "é=\"é\"\nb=\"é\"\nc=\"\u{FFFD}\"\n");
    });
}

#[test]
fn a_form_in_memory_is_read_as_one_on_disk() {
    let form = || Form::new().field("a", "1").file("f", "x.txt", "content");
    in_each_setting(|builder, port| {
        let server = start(describing(builder));
        let mut client = Client::connect(port);
        let wanted = "a=\"1\"\nf: x.txt \"content\" memory\n";
        assert_eq!(post(&mut client, "/", form()).text(), wanted);
        let chunks = form().finish();
        assert_eq!(
            post_in_chunks(&mut client, chunks.chunks(10)).text(),
            wanted
        );
        let broken = form().unfinished();
        let fields = [&*format!("Content-Type: {FORM_TYPE}")];
        assert_eq!(
            request(&mut client, "POST", "/", &fields, &broken).status,
            400
        );
        // What is no form has nothing of one.
        assert_eq!(request(&mut client, "POST", "/", &[], &broken).text(), "");
        drop(client);
        stop(server);
    });
}

#[test]
fn the_fields_of_a_form_in_memory_are_those_of_any_form() {
    in_each_setting(|builder, port| {
        let builder = builder.on_http_request(|request, response| {
            let form = request.form()?;
            response.text(form.all("a").collect::<Vec<_>>().join(","));
            Ok::<(), ContentError>(()).map_err(Into::into)
        });
        let server = start(builder);
        let mut client = Client::connect(port);
        let form = Form::new()
            .field("a", "1")
            .file("a", "x", "y")
            .field("a", "2");
        assert_eq!(post(&mut client, "/", form).text(), "1,2");
        let fields = ["Content-Type: application/x-www-form-urlencoded"];
        let answer = request(&mut client, "POST", "/", &fields, b"a=1&a=2");
        assert_eq!(answer.text(), "1,2");
        drop(client);
        stop(server);
    });
}

#[test]
fn what_is_shorter_than_min_size_stays_in_memory() {
    let form = || Form::new().field("a", "1").file("f", "x", "content");
    let length = form().finish().len() as u64;
    let cases: [(u64, &str); 3] = [(length, "disk"), (length + 1, "memory"), (1, "disk")];
    for (min_size, place) in cases {
        in_each_setting(|builder, port| {
            let folder = tempdir().unwrap();
            let mut settings = to(folder.path());
            settings.min_size = min_size;
            let server = start(describing(builder.http_upload_files(settings)));
            let mut client = Client::connect(port);
            let wanted = format!("a=\"1\"\nf: x \"content\" {place}\n");
            assert_eq!(post(&mut client, "/", form()).text(), wanted);
            let form = form().finish();
            for size in [1, 7, 1000] {
                let answer = post_in_chunks(&mut client, form.chunks(size));
                assert_eq!(answer.text(), wanted, "{min_size}, {size}");
            }
            drop(client);
            stop(server);
        });
    }
}

#[test]
fn two_files_of_one_name_at_once_both_stay() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let (sender, begun) = telling();
        let builder = builder
            .http_upload_files(to(folder.path()))
            .on_http_upload_before_create_post_stream(move |_| {
                sender.lock().unwrap().send(()).unwrap();
                tidegate::BeforeUpload::Accept
            })
            .on_http_request(|request, response| {
                let uploads = request.uploads().unwrap();
                response.text(uploads.files()[0].file_name().to_owned());
            });
        let server = start(builder);
        let mut clients: Vec<_> = (0..8)
            .map(|number| {
                let mut client = Client::connect(port);
                // Longer than what is gathered before the application is called.
                let content = number.to_string().repeat(20_000);
                let form = Form::new().file("f", "a.txt", content).finish();
                let fields = [&*format!("Content-Type: {FORM_TYPE}")];
                client.write(&crate::form::head("POST", "/", &fields, form.len()));
                let (first, last) = form.split_at(form.len() - 1);
                client.write(first);
                (client, last.to_vec())
            })
            .collect();
        for _ in &clients {
            begun.recv().unwrap();
        }
        for (client, last) in &mut clients {
            client.write(last);
        }
        let mut contents = Vec::new();
        for (client, _) in &mut clients {
            let answer: Answer = client.receive();
            contents.push(read(folder.path(), answer.text())[19_999]);
        }
        assert_eq!(contents, b"01234567");
        assert_eq!(names(folder.path()).len(), 8);
        assert!(names(folder.path()).contains(&"a (7).txt".to_owned()));
        drop(clients);
        stop(server);
    });
}

#[test]
fn a_file_of_the_same_name_is_kept_replaced_or_refused() {
    use tidegate::ExistingFiles::{FreeName, Refuse, Replace};
    let cases: [(_, u16, &[&str], &[u8]); 3] = [
        (FreeName, 200, &["a", "a (1)"], b"old"),
        (Replace, 200, &["a"], b"new"),
        (Refuse, 409, &["a"], b"old"),
    ];
    for (existing, status, wanted, content) in cases {
        in_each_setting(|builder, port| {
            let folder = tempdir().unwrap();
            let mut settings: HttpUploadFiles = to(folder.path());
            settings.existing_files = existing;
            let builder = builder
                .http_upload_files(settings)
                .on_http_request(|_, response| response.text("done"));
            fs::write(folder.path().join("a"), "old").unwrap();
            let server = start(builder);
            let form = Form::new().file("f", "a", "new");
            let mut client = Client::connect(port);
            assert_eq!(post(&mut client, "/", form).status, status);
            assert_eq!(names(folder.path()), wanted);
            assert_eq!(read(folder.path(), "a"), content);
            // What came before the refused one is taken back.
            let form = Form::new().file("f", "b", "1").file("f", "a", "2");
            assert_eq!(post(&mut client, "/", form).status, status);
            assert_eq!(folder.path().join("b").exists(), status == 200);
            drop(client);
            stop(server);
        });
    }
}
