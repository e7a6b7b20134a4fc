//! A form that is in memory.

use tidegate_proto::form_data::Boundary;

use super::form_reader::{FileHead, FormReader, FormStep};
use super::name;
use super::settings::UploadLimits;
use super::uploads::{Kept, Parts, UploadedFile, Uploads};
use crate::http::ContentError;

impl Uploads {
    /// What is in a form.
    pub(crate) fn in_memory(
        boundary: Boundary,
        content: &[u8],
        limits: &UploadLimits,
    ) -> Result<Self, ContentError> {
        let mut reader = FormReader::new(boundary, limits);
        let mut parts = Parts::default();
        let mut open: Option<(FileHead, Vec<u8>)> = None;
        let mut rest = content;
        loop {
            let (step, consumed) = reader.read(rest)?;
            match step {
                FormStep::NeedMore => break,
                FormStep::Nothing => {}
                FormStep::Field(name, value) => parts.fields.push((name, value)),
                FormStep::File(head) => open = Some((head, Vec::new())),
                FormStep::Data(data) => {
                    if let Some((_, content)) = &mut open {
                        content.extend_from_slice(data);
                    }
                }
                FormStep::FileEnd => parts.files.extend(open.take().and_then(file)),
            }
            rest = &rest[consumed..];
        }
        reader.finish()?;
        Ok(Self::new(parts))
    }
}

/// `None` for what a browser sends where no file was chosen.
fn file((head, content): (FileHead, Vec<u8>)) -> Option<UploadedFile> {
    if head.sent_name.is_empty() && content.is_empty() {
        return None;
    }
    Some(UploadedFile {
        field: head.field,
        file_name: name::safe(&head.sent_name).into(),
        sent_name: head.sent_name,
        content_type: head.content_type,
        size: content.len() as u64,
        kept: Kept::Memory(content.into()),
        has_replaced: false,
    })
}
