//! What came with an upload, as handlers see it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// What came with a request's form or file. A clone is a handle to the same.
///
/// ```
/// # fn handler(request: &tidegate::Request<'_>, response: &mut tidegate::Response) -> Result<(), tidegate::ContentError> {
/// let uploads = request.uploads()?;
/// let title = uploads.field("title").unwrap_or("untitled");
/// for file in uploads.files() {
///     println!("{title}: {} is {} bytes at {:?}", file.file_name(), file.size(), file.path());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Uploads(Arc<Parts>);

#[derive(Default)]
pub(super) struct Parts {
    pub(super) fields: Vec<(Box<str>, Box<str>)>,
    pub(super) files: Vec<UploadedFile>,
}

impl Uploads {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The files, in the order received.
    pub fn files(&self) -> &[UploadedFile] {
        &self.0.files
    }

    /// The first file of the form's field `name`.
    pub fn file(&self, name: &str) -> Option<&UploadedFile> {
        self.0.files.iter().find(|file| file.field() == Some(name))
    }

    /// Names and values of the fields that are no files, in the order received.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
    }

    /// The first value of the field `name`.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.0.files.is_empty() && self.0.fields.is_empty()
    }

    pub(crate) fn field_list(&self) -> &[(Box<str>, Box<str>)] {
        &self.0.fields
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Uploads")
            .field("files", &self.0.files)
            .field("fields", &self.0.fields.len())
            .finish()
    }
}

/// A file that came.
#[derive(Clone)]
pub struct UploadedFile {
    pub(super) field: Option<Box<str>>,
    pub(super) sent_name: Box<str>,
    pub(super) file_name: Box<str>,
    pub(super) content_type: Option<Box<str>>,
    pub(super) size: u64,
    pub(super) kept: Kept,
    pub(super) has_replaced: bool,
}

/// Where a file's content is.
#[derive(Clone)]
pub(super) enum Kept {
    Disk(PathBuf),
    Memory(Bytes),
}

impl UploadedFile {
    /// The form's field; `None` for a file that came without a form, and for a whole form.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The file's name as the peer told it: not to be used as one. Bytes that are no UTF-8 became U+FFFD.
    pub fn sent_name(&self) -> &str {
        &self.sent_name
    }

    /// The file's name: on disk, the one it got; in memory, the one it would be given.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The content type that the peer told. Nobody has checked it.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The length, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it is on disk; `None` when it is in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.kept {
            Kept::Disk(path) => Some(path),
            Kept::Memory(_) => None,
        }
    }

    /// Whether it took the place of one that was there.
    pub fn has_replaced(&self) -> bool {
        self.has_replaced
    }

    /// The content, when it is in memory.
    pub fn content(&self) -> Option<&Bytes> {
        match &self.kept {
            Kept::Disk(_) => None,
            Kept::Memory(content) => Some(content),
        }
    }
}

impl fmt::Debug for UploadedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UploadedFile")
            .field("field", &self.field)
            .field("file_name", &self.file_name)
            .field("size", &self.size)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// A file that has arrived and is about to get its name, as
/// [`on_http_upload_before_save_file`](crate::Events::on_http_upload_before_save_file) is given it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SaveFile {
    /// The form's field; `None` for a file that came without a form, and for a whole form.
    pub field: Option<Box<str>>,
    /// The file's name as the peer told it: not to be used as one.
    pub sent_name: Box<str>,
    /// The content type that the peer told.
    pub content_type: Option<Box<str>>,
    /// The length, in bytes.
    pub size: u64,
    /// The name that the file will get: the peer's, made harmless. May be changed, to a name without a path.
    pub file_name: String,
    /// The directory that the file will be in. May be changed to any other, which is made if need be: a
    /// relative one is taken from the directory of the settings. On another file system the file has to be
    /// copied there.
    pub directory: PathBuf,
}

/// What [`Events::on_http_upload_before_create_post_stream`](crate::Events::on_http_upload_before_create_post_stream)
/// says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BeforeUpload {
    /// The content is read.
    Accept,
    /// Nothing of the content is read, and the request is answered with this status, 400 to 599; another is
    /// taken for 403.
    Refuse(u16),
}
