//! Forms with files, taken to the directory `uploads`, with all the events of an upload.
//!
//! `curl -F title=Holiday -F photo=@beach.jpg http://localhost:8080/`, or
//! `curl -T beach.jpg http://localhost:8080/drop/`, which no code answers.

use tidegate::{BeforeUpload, HandlerError, HttpUploadFiles, Server, UploadSettings};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut files = HttpUploadFiles::in_directory("uploads");
    // However long: it does not go through memory.
    files.max_request_body_size = Some(0);
    Server::builder()
        .port(port)
        .http_upload_files(files)
        .upload(UploadSettings::new("/drop/", "uploads/dropped"))
        .on_http_upload_before_create_post_stream(|request| {
            // Nothing of the content has been read.
            match request.header("X-Unwanted") {
                Some(_) => BeforeUpload::Refuse(403),
                None => BeforeUpload::Accept,
            }
        })
        .on_http_upload_read_input(|_, name, value| println!("field {name}: {value}"))
        .on_http_upload_before_save_file(|request, file| {
            // A directory for each client, under the one of the settings.
            let peer = request.peer().to_string();
            let host = peer.rsplit_once(':').map_or(&*peer, |(host, _)| host);
            file.directory = host
                .replace(|mark: char| !mark.is_alphanumeric(), "-")
                .into();
        })
        .on_http_upload_after_save_file(|_, file| {
            println!("{} bytes at {:?}", file.size(), file.path());
        })
        .on_http_request(|request, response| {
            let uploads = request.uploads()?;
            let title = uploads.field("title").unwrap_or("untitled");
            let names: Vec<_> = uploads
                .files()
                .iter()
                .map(|file| file.file_name())
                .collect();
            response.text(format!("{title}: {}\n", names.join(", ")));
            Ok::<(), HandlerError>(())
        })
        .on_exception(|exception| eprintln!("{exception}"))
        .build()?
        .run()
}
