//! Tells the application of an upload's parts, in the order received, and gives files their names.
//!
//! All of the upload has arrived by then. May block.

use std::fs;
use std::path::PathBuf;

use super::directory::is_reserved;
use super::error::UploadError;
use super::form_reader::FileHead;
use super::name;
use super::publish::publish;
use super::receive::{Failure, ReceivedPart, Receiver};
use super::settings::ExistingFiles;
use super::spool::Spooled;
use super::uploads::{Kept, Parts, SaveFile, UploadedFile, Uploads};
use crate::event::Events;
use crate::http::Request;

/// Stores what has arrived.
///
/// # Errors
///
/// Nothing of the upload stays then, but for files that took the place of others.
pub(super) fn store(
    events: &dyn Events,
    request: &Request<'_>,
    received: Vec<ReceivedPart>,
    receiver: &Receiver,
    existing: ExistingFiles,
) -> Result<Uploads, Failure> {
    let mut parts = Parts::default();
    // A handler's panic takes the files along, too.
    let mut undo = Undo(Vec::new());
    for part in received {
        match part {
            ReceivedPart::Field(name, value) => {
                events.on_http_upload_read_input(request, &name, &value);
                parts.fields.push((name, value));
            }
            ReceivedPart::File(head, spooled) => {
                let file = name_file(events, request, (head, spooled), receiver, existing)?;
                if let Kept::Disk(path) = &file.kept
                    && !file.has_replaced
                {
                    undo.0.push(path.clone());
                }
                events.on_http_upload_after_save_file(request, &file);
                parts.files.push(file);
            }
        }
    }
    undo.0.clear();
    Ok(Uploads::new(parts))
}

/// Gives a file its name.
fn name_file(
    events: &dyn Events,
    request: &Request<'_>,
    (head, spooled): (FileHead, Spooled),
    receiver: &Receiver,
    existing: ExistingFiles,
) -> Result<UploadedFile, Failure> {
    let mut file = SaveFile {
        field: head.field.clone(),
        sent_name: head.sent_name.clone(),
        content_type: head.content_type.clone(),
        size: spooled.size,
        file_name: name::safe(&head.sent_name),
        directory: receiver.directory.path().to_owned(),
    };
    events.on_http_upload_before_save_file(request, &mut file);
    if !name::is_one_component(&file.file_name) || is_reserved(&file.file_name) {
        let name = file.file_name;
        return Err(Failure::Upload(UploadError::FileName { name }));
    }
    let directory = receiver.directory.path().join(&file.directory);
    let published = publish(spooled.temporary, &directory, &file.file_name, existing);
    let published = published.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::Exists,
        _ => Failure::Upload(UploadError::Storage { directory, source }),
    })?;
    Ok(UploadedFile {
        field: head.field,
        sent_name: head.sent_name,
        file_name: published.name.into(),
        content_type: head.content_type,
        size: spooled.size,
        kept: Kept::Disk(published.path),
        has_replaced: !published.is_new,
    })
}

/// Removes files that have their names, unless there are none left in it.
struct Undo(Vec<PathBuf>);

impl Drop for Undo {
    fn drop(&mut self) {
        for path in &self.0 {
            // The application may have taken it away.
            let _ = fs::remove_file(path);
        }
    }
}
