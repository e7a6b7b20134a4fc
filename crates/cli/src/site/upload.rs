//! `/upload`: what came with a form, as JSON. Nothing of it is kept, unless the settings send uploads to disk.

use serde::Serialize;
use tidegate::{ContentError, Request, Response, UploadedFile, Uploads};

pub(super) fn upload(request: &Request<'_>, response: &mut Response) {
    if request.method() != "POST" {
        response.status(405).header("Allow", "POST");
        return response.text("Only POST is answered here.\n");
    }
    response.cache_control("no-store");
    response.answer_async(|request, mut response| async move {
        tell(request.uploads_async().await, &mut response);
        response
    });
}

fn tell(uploads: Result<&Uploads, ContentError>, response: &mut Response) {
    let uploads = match uploads {
        Ok(uploads) => uploads,
        Err(error) => return response.status(error.status()).text(format!("{error}\n")),
    };
    if uploads.is_empty() {
        let wanted = "Send a form with something in it (multipart/form-data).\n";
        return response.status(415).text(wanted);
    }
    let came = Came {
        fields: uploads.fields().collect(),
        files: uploads.files().iter().map(File::of).collect(),
    };
    response.content_type("application/json");
    match serde_json::to_vec_pretty(&came) {
        Ok(json) => response.bytes(json),
        Err(_) => response.status(500).empty(),
    }
}

/// What is told, in this order.
#[derive(Serialize)]
struct Came<'a> {
    /// Names and values, as received.
    fields: Vec<(&'a str, &'a str)>,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    field: Option<&'a str>,
    /// As the client told it, and what it would be called on disk.
    sent_name: &'a str,
    file_name: &'a str,
    content_type: Option<&'a str>,
    size: u64,
    on_disk: bool,
}

impl<'a> File<'a> {
    fn of(file: &'a UploadedFile) -> Self {
        Self {
            field: file.field(),
            sent_name: file.sent_name(),
            file_name: file.file_name(),
            content_type: file.content_type(),
            size: file.size(),
            on_disk: file.path().is_some(),
        }
    }
}
