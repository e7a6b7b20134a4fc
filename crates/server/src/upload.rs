//! Uploads: forms with files, and files without a form, that go to disk as they arrive.
//!
//! A request that is an upload leaves its thread at once (`intake`), and arrives on the async runtime with
//! little of it in memory (`job`, `receive`): its files under temporary names (`directory`). When all of it
//! is there the application hears of each part in turn, files get their names (`store`, `publish`), and the
//! handler of requests is called, or a place that needs none answers (`place`). Before that nothing of an
//! upload can be seen, and whatever ends it early takes its files along.
//! Sources: the component's HTTPUploadFiles and its events; RFC 7578; RFC 9110 §9.3.4 (PUT).

mod answer;
mod directory;
mod error;
mod form_reader;
mod in_memory;
mod in_progress;
mod intake;
mod job;
mod name;
mod place;
mod publish;
mod receive;
mod settings;
mod spool;
mod store;
mod uploads;

pub use error::{UploadError, UploadSetupError};
pub use settings::{ExistingFiles, HttpUploadFiles, StreamType, UploadLimits, UploadSettings};
pub use uploads::{BeforeUpload, SaveFile, UploadedFile, Uploads};

pub(crate) use in_progress::InProgress;
pub(crate) use intake::Intake;
