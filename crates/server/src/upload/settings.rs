//! Where uploads go, and how much may come.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_httpapi::LimitError;

/// What becomes of forms with files, and of files that are sent without a form. Source: the component's
/// HTTPUploadFiles.
///
/// By default they are content like any other, in memory. With
/// [`in_directory`](Self::in_directory) they go to disk as they arrive, and the handler of requests is called
/// once all is there: [`Request::uploads`](crate::Request::uploads) tells it what came.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpUploadFiles {
    /// Whether uploads go to disk. Default memory.
    pub stream_type: StreamType,
    /// Content shorter than this stays in memory, as if `stream_type` were memory. Bytes, default 0: all
    /// of it goes to disk.
    pub min_size: u64,
    /// The directory that files go to; made if it does not exist. Has to be set where uploads go to disk.
    ///
    /// The component's default is the application's folder, which a program mostly must not write to, and
    /// where the files of strangers have no business.
    pub save_directory: PathBuf,
    /// Whether files and fields are taken out of a form. Default true. False: the whole form, with what
    /// separates its parts, is one file.
    ///
    /// The component's default is not documented.
    pub remove_boundaries: bool,
    /// Whether content of other types goes to disk too, each as one file: what `PUT`, or `POST` without a
    /// form, sends. Default false. Simple forms (`application/x-www-form-urlencoded`) never do.
    pub plain_bodies: bool,
    /// What happens when there is a file of the name already. Default: a free name is chosen.
    pub existing_files: ExistingFiles,
    /// Longest content of an upload, in bytes, in place of the server's
    /// [`max_request_body_size`](crate::Settings::max_request_body_size), which it may exceed; 0 is
    /// unlimited. Default `None`, the server's. A longer one is answered with 413, before it is read where
    /// its length is known.
    ///
    /// Of no meaning in memory.
    pub max_request_body_size: Option<u64>,
    /// How much a form may hold.
    pub limits: UploadLimits,
}

impl HttpUploadFiles {
    /// Uploads go to disk, to this directory.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            stream_type: StreamType::File,
            save_directory: directory.into(),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), LimitError> {
        self.limits.check(&HTTP_UPLOAD_FILES)
    }
}

impl Default for HttpUploadFiles {
    fn default() -> Self {
        Self {
            stream_type: StreamType::Memory,
            min_size: 0,
            save_directory: PathBuf::new(),
            remove_boundaries: true,
            plain_bodies: false,
            existing_files: ExistingFiles::FreeName,
            max_request_body_size: None,
            limits: UploadLimits::default(),
        }
    }
}

/// Where the content of uploads is kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamType {
    /// In memory. The default. Source: pstMemoryStream.
    #[default]
    Memory,
    /// On disk. Source: pstFileStream.
    File,
}

/// What happens when an upload's file has the name of one that is there.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExistingFiles {
    /// The new one gets a free name, `name (1).txt`. The default.
    #[default]
    FreeName,
    /// The new one takes its place.
    Replace,
    /// The whole upload is refused with 409.
    Refuse,
}

/// A place that takes files in without code: forms by `POST` to its path, and files by `PUT` to names under
/// it.
///
/// Both are answered with 201 and where the files are, as JSON, or as a page where the client wants one. All
/// other requests under the path are served as if this place were not there: with static files of the same
/// directory under the same path, what was put there can be had again.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UploadSettings {
    /// The path, such as `/drop/`.
    pub path: String,
    /// The directory that files go to; made if it does not exist.
    pub directory: PathBuf,
    /// Whether a file may take the place of one that is there. Default false: `PUT` is answered with 409
    /// then, and a form's file gets a free name.
    #[serde(default)]
    pub overwrite: bool,
    /// Longest content, as [`HttpUploadFiles::max_request_body_size`]. Default the server's.
    #[serde(default)]
    pub max_request_body_size: Option<u64>,
    /// How much a form may hold.
    #[serde(default)]
    pub limits: UploadLimits,
}

impl UploadSettings {
    /// Takes files in under this path, into this directory.
    pub fn new(path: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            directory: directory.into(),
            overwrite: false,
            max_request_body_size: None,
            limits: UploadLimits::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), LimitError> {
        self.limits.check(&UPLOAD)
    }
}

/// How much a form may hold. More is answered with 413, and nothing of the upload stays.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UploadLimits {
    /// Most files. Default 100, range 0 to 10,000.
    pub files_max: u32,
    /// Most fields that are no files. Default 1,000, range 0 to 100,000.
    pub fields_max: u32,
    /// Longest name of a field, in bytes. Default 1,024, range 1 to 65,536.
    pub field_name_bytes_max: u32,
    /// Longest value of a field that is no file, in bytes. Default 1 MiB, range 0 to 64 MiB.
    pub field_value_bytes_max: u32,
    /// All that is kept in memory of one form together, in bytes: names and values of fields, names of
    /// files. Default 4 MiB, range 1,024 to 1 GiB.
    pub fields_bytes_max: u32,
    /// Longest file, in bytes; 0 is as long as the content may be. Default 0.
    pub file_bytes_max: u64,
    /// Longest head of a part of the form, in bytes. Default 8,192, range 256 to 65,536.
    pub part_head_bytes_max: u32,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl UploadLimits {
    pub(crate) const DEFAULT: Self = Self {
        files_max: 100,
        fields_max: 1_000,
        field_name_bytes_max: 1_024,
        field_value_bytes_max: 1024 * 1024,
        fields_bytes_max: 4 * 1024 * 1024,
        file_bytes_max: 0,
        part_head_bytes_max: 8_192,
    };

    fn check(&self, names: &LimitNames) -> Result<(), LimitError> {
        let mebibyte = 1024 * 1024;
        let values = [
            (self.files_max, 0..=10_000),
            (self.fields_max, 0..=100_000),
            (self.field_name_bytes_max, 1..=65_536),
            (self.field_value_bytes_max, 0..=64 * mebibyte),
            (self.fields_bytes_max, 1_024..=1024 * mebibyte),
            (self.part_head_bytes_max, 256..=65_536),
        ];
        for (name, (value, range)) in names.iter().zip(values) {
            LimitError::check(name, value, range)?;
        }
        Ok(())
    }

    /// The longest file.
    pub(super) fn file_bytes(&self) -> u64 {
        match self.file_bytes_max {
            0 => u64::MAX,
            bytes => bytes,
        }
    }
}

/// The names of limits, as a settings file has them.
type LimitNames = [&'static str; 6];

const HTTP_UPLOAD_FILES: LimitNames = [
    "http_upload_files.limits.files_max",
    "http_upload_files.limits.fields_max",
    "http_upload_files.limits.field_name_bytes_max",
    "http_upload_files.limits.field_value_bytes_max",
    "http_upload_files.limits.fields_bytes_max",
    "http_upload_files.limits.part_head_bytes_max",
];

const UPLOAD: LimitNames = [
    "upload.limits.files_max",
    "upload.limits.fields_max",
    "upload.limits.field_name_bytes_max",
    "upload.limits.field_value_bytes_max",
    "upload.limits.fields_bytes_max",
    "upload.limits.part_head_bytes_max",
];
