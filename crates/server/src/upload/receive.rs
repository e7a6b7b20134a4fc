//! Takes an upload's content in: files to disk, under temporary names, fields into memory.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tidegate_httpapi::{BodyError, BodyReader};
use tidegate_proto::form_data::Boundary;

use super::directory::SaveDirectory;
use super::error::UploadError;
use super::form_reader::{FileHead, FormReader, FormStep};
use super::settings::{ExistingFiles, UploadLimits};
use super::spool::{Spool, Spooled};
use crate::http::ContentError;

/// Where uploads are taken in, and how much of one.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) directory: Arc<SaveDirectory>,
    pub(super) existing: ExistingFiles,
    /// Longest content.
    pub(super) content_bytes_max: u64,
    pub(super) limits: UploadLimits,
}

/// Why an upload came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The peer's fault mostly.
    Content(ContentError),
    /// This side's.
    Upload(UploadError),
    /// There is a file of its name, which must not be replaced.
    Exists,
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Self::Content(error.into())
    }
}

impl Receiver {
    /// A failure to write, as it is told.
    pub(super) fn storage(&self, source: io::Error) -> Failure {
        Failure::Upload(UploadError::Storage {
            directory: self.directory.path().to_owned(),
            source,
        })
    }
}

/// A part that has arrived.
pub(super) enum ReceivedPart {
    Field(Box<str>, Box<str>),
    File(FileHead, Spooled),
}

/// Content, and what of it was looked at already.
pub(super) struct Incoming {
    first: Option<Bytes>,
    body: BodyReader,
}

impl Incoming {
    pub(super) fn new(body: BodyReader) -> Self {
        Self { first: None, body }
    }

    /// The whole content, if it is shorter than `bytes`. What was read is read again else.
    pub(super) async fn shorter_than(&mut self, bytes: u64) -> Result<Option<Bytes>, BodyError> {
        let mut first = Vec::new();
        while (first.len() as u64) < bytes {
            match self.body.chunk().await? {
                Some(chunk) => first.extend_from_slice(&chunk),
                None => return Ok(Some(first.into())),
            }
        }
        self.first = (!first.is_empty()).then(|| first.into());
        Ok(None)
    }

    pub(super) fn is_end(&self) -> bool {
        self.first.is_none() && self.body.is_end()
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.body.chunk().await,
        }
    }
}

/// What has arrived so far. Files are removed when this is dropped, which may take a moment.
#[derive(Default)]
pub(super) struct Received {
    pub(super) parts: Vec<ReceivedPart>,
    open: Option<(FileHead, Spool)>,
}

impl Received {
    /// Takes in all parts of a form.
    pub(super) async fn form(
        &mut self,
        content: &mut Incoming,
        boundary: Boundary,
        receiver: &Receiver,
    ) -> Result<(), Failure> {
        let mut reader = FormReader::new(boundary, &receiver.limits);
        while let Some(chunk) = content.chunk().await? {
            let mut rest = &chunk[..];
            loop {
                let (step, consumed) = reader.read(rest)?;
                match step {
                    FormStep::NeedMore => break,
                    FormStep::Nothing => {}
                    FormStep::Field(name, value) => {
                        self.parts.push(ReceivedPart::Field(name, value));
                    }
                    FormStep::File(head) => self.begin(head, receiver).await?,
                    FormStep::Data(data) => self.write(data, receiver).await?,
                    FormStep::FileEnd => self.end(receiver).await?,
                }
                rest = &rest[consumed..];
            }
        }
        Ok(reader.finish()?)
    }

    /// Takes in all content as one file.
    pub(super) async fn whole(
        &mut self,
        content: &mut Incoming,
        head: FileHead,
        receiver: &Receiver,
    ) -> Result<(), Failure> {
        self.begin(head, receiver).await?;
        while let Some(chunk) = content.chunk().await? {
            self.write(&chunk, receiver).await?;
        }
        self.end(receiver).await
    }

    async fn begin(&mut self, head: FileHead, receiver: &Receiver) -> Result<(), Failure> {
        let spool = Spool::create(&receiver.directory).await;
        let spool = spool.map_err(|error| receiver.storage(error))?;
        self.open = Some((head, spool));
        Ok(())
    }

    async fn write(&mut self, data: &[u8], receiver: &Receiver) -> Result<(), Failure> {
        if let Some((_, spool)) = &mut self.open {
            let written = spool.write(data).await;
            written.map_err(|error| receiver.storage(error))?;
        }
        Ok(())
    }

    async fn end(&mut self, receiver: &Receiver) -> Result<(), Failure> {
        let Some((head, spool)) = self.open.take() else {
            return Ok(());
        };
        let written = spool.finish().await;
        let spooled = written.map_err(|error| receiver.storage(error))?;
        // A browser sends an empty name where no file was chosen.
        let is_none = head.field.is_some() && head.sent_name.is_empty() && spooled.size == 0;
        if !is_none {
            self.parts.push(ReceivedPart::File(head, spooled));
        }
        Ok(())
    }
}
