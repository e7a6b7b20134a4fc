//! Reads a form's parts within limits, as they come in: whole fields, and files piece by piece.

use tidegate_proto::form_data::{Boundary, FormDataDecoder, FormDataStep, PartHead};

use super::settings::UploadLimits;
use crate::http::{Charset, ContentError, FormLimit};

/// What [`FormReader::read`] found.
pub(super) enum FormStep<'a> {
    /// Nothing to be told; there may be more in the bytes.
    Nothing,
    /// Nothing, and all bytes are used up.
    NeedMore,
    /// A field that is no file, whole.
    Field(Box<str>, Box<str>),
    /// A file begins.
    File(FileHead),
    /// Content of the file.
    Data(&'a [u8]),
    /// The file has ended.
    FileEnd,
}

/// What a form tells of a file.
#[derive(Clone, Debug)]
pub(super) struct FileHead {
    pub(super) field: Option<Box<str>>,
    pub(super) sent_name: Box<str>,
    pub(super) content_type: Option<Box<str>>,
}

pub(super) struct FormReader {
    decoder: FormDataDecoder,
    limits: UploadLimits,
    files: u32,
    fields: u32,
    /// What is kept in memory so far.
    kept_bytes: u64,
    part: Part,
}

/// The part that is being read.
enum Part {
    None,
    Field { head: PartHead, value: Vec<u8> },
    File { bytes: u64 },
}

impl FormReader {
    pub(super) fn new(boundary: Boundary, limits: &UploadLimits) -> Self {
        Self {
            decoder: FormDataDecoder::new(boundary, limits.part_head_bytes_max),
            limits: *limits,
            files: 0,
            fields: 0,
            kept_bytes: 0,
            part: Part::None,
        }
    }

    /// Reads from the start of `bytes`. Says what there is, and how many of them are used up.
    pub(super) fn read<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Result<(FormStep<'a>, usize), ContentError> {
        let limits = self.limits;
        match self.decoder.decode(bytes)? {
            FormDataStep::Part { head, consumed } => {
                let names = head.name.len() + head.file_name.as_ref().map_or(0, |name| name.len());
                check(
                    FormLimit::FieldName,
                    head.name.len(),
                    limits.field_name_bytes_max,
                )?;
                keep(&mut self.kept_bytes, names, &limits)?;
                let step = match &head.file_name {
                    Some(file_name) => {
                        count(&mut self.files, FormLimit::Files, limits.files_max)?;
                        self.part = Part::File { bytes: 0 };
                        FormStep::File(FileHead {
                            field: Some(text(&head.name)),
                            sent_name: text(file_name),
                            content_type: head.content_type.as_deref().map(text),
                        })
                    }
                    None => {
                        count(&mut self.fields, FormLimit::Fields, limits.fields_max)?;
                        let value = Vec::new();
                        self.part = Part::Field { head, value };
                        FormStep::Nothing
                    }
                };
                Ok((step, consumed))
            }
            FormDataStep::Data { data, consumed } => {
                let step = match &mut self.part {
                    Part::File { bytes } => {
                        *bytes += data.len() as u64;
                        check_long(FormLimit::File, *bytes, limits.file_bytes())?;
                        FormStep::Data(data)
                    }
                    Part::Field { value, .. } => {
                        let length = value.len() + data.len();
                        check(FormLimit::FieldValue, length, limits.field_value_bytes_max)?;
                        keep(&mut self.kept_bytes, data.len(), &limits)?;
                        value.extend_from_slice(data);
                        FormStep::Nothing
                    }
                    Part::None => FormStep::Nothing,
                };
                Ok((step, consumed))
            }
            FormDataStep::PartEnd { consumed } => {
                let step = match std::mem::replace(&mut self.part, Part::None) {
                    Part::File { .. } => FormStep::FileEnd,
                    Part::Field { head, value } => FormStep::Field(
                        text(&head.name),
                        decoded(&value, head.content_type.as_deref()),
                    ),
                    Part::None => FormStep::Nothing,
                };
                Ok((step, consumed))
            }
            FormDataStep::NeedMore | FormDataStep::End => Ok((FormStep::NeedMore, bytes.len())),
        }
    }

    /// Says that the content has ended.
    pub(super) fn finish(&self) -> Result<(), ContentError> {
        Ok(self.decoder.finish()?)
    }
}

fn count(count: &mut u32, what: FormLimit, limit: u32) -> Result<(), ContentError> {
    *count += 1;
    check_long(what, u64::from(*count), u64::from(limit))
}

fn keep(kept: &mut u64, bytes: usize, limits: &UploadLimits) -> Result<(), ContentError> {
    *kept += bytes as u64;
    check_long(
        FormLimit::AllFields,
        *kept,
        u64::from(limits.fields_bytes_max),
    )
}

fn check(what: FormLimit, value: usize, limit: u32) -> Result<(), ContentError> {
    check_long(what, value as u64, u64::from(limit))
}

fn check_long(what: FormLimit, value: u64, limit: u64) -> Result<(), ContentError> {
    match value > limit {
        true => Err(ContentError::FormLimit { what, limit }),
        false => Ok(()),
    }
}

fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

/// A value in the character set that its part names. What is none in it is taken as UTF-8, as queries are.
fn decoded(value: &[u8], content_type: Option<&[u8]>) -> Box<str> {
    let charset = content_type.map_or(Charset::Utf8, Charset::of_content_type);
    match charset.decode(value) {
        Some(value) => value.into(),
        None => text(value),
    }
}
