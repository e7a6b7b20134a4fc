//! Makes forms, sends them, and looks at what became of them.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use tidegate::{HttpUploadFiles, ServerBuilder};

use crate::client::{Answer, Client};

pub(crate) const FORM_TYPE: &str = "multipart/form-data; boundary=b-1";

/// A form, part by part.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    pub(crate) fn file(self, name: &str, file_name: &str, content: impl AsRef<[u8]>) -> Self {
        let disposition = format!("name=\"{name}\"; filename=\"{file_name}\"");
        self.part(&disposition, content.as_ref())
    }

    /// A part with these parameters of its disposition.
    pub(crate) fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        let head = format!("--b-1\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// The form without its end.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"--b-1--\r\n");
        self.0
    }
}

/// The head of a request with content of this length.
pub(crate) fn head(method: &str, path: &str, fields: &[&str], length: usize) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for field in fields {
        head.push_str(&format!("{field}\r\n"));
    }
    head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
    head.into_bytes()
}

pub(crate) fn request(
    client: &mut Client,
    method: &str,
    path: &str,
    fields: &[&str],
    content: &[u8],
) -> Answer {
    let mut request = head(method, path, fields, content.len());
    request.extend_from_slice(content);
    client.write(&request);
    client.receive()
}

/// Sends a form.
pub(crate) fn post(client: &mut Client, path: &str, form: Form) -> Answer {
    let fields = [&*format!("Content-Type: {FORM_TYPE}")];
    request(client, "POST", path, &fields, &form.finish())
}

/// Sends content in these pieces, each a chunk.
pub(crate) fn request_in_chunks<'a>(
    client: &mut Client,
    head: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Answer {
    let mut request =
        format!("{head}\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    client.write(&request);
    client.receive()
}

pub(crate) fn post_in_chunks<'a>(
    client: &mut Client,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Answer {
    let head = format!("POST / HTTP/1.1\r\nContent-Type: {FORM_TYPE}");
    request_in_chunks(client, &head, pieces)
}

/// The names of what is in a directory, but for the lock that a running server has there.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

pub(crate) fn read(directory: &Path, name: &str) -> Vec<u8> {
    fs::read(directory.join(name)).unwrap()
}

/// A settings that send uploads to this directory.
pub(crate) fn to(directory: &Path) -> HttpUploadFiles {
    HttpUploadFiles::in_directory(directory)
}

/// A channel whose sender handlers may share.
pub(crate) fn telling<T: Send>() -> (Arc<Mutex<Sender<T>>>, Receiver<T>) {
    let (sender, receiver) = channel();
    (Arc::new(Mutex::new(sender)), receiver)
}

/// Errors and exceptions told, as text.
pub(crate) fn failures(builder: ServerBuilder) -> (ServerBuilder, Receiver<String>) {
    let (sender, receiver) = telling();
    let other = Arc::clone(&sender);
    let builder = builder
        .on_error(move |error| {
            let _ = sender.lock().unwrap().send(format!("error: {error}"));
        })
        .on_exception(move |exception| {
            let _ = other
                .lock()
                .unwrap()
                .send(format!("exception: {exception}"));
        });
    (builder, receiver)
}
