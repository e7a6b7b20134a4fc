//! A file as it is answered with: all its codings, with their fields, ready to be sent.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tidegate_httpapi::{FieldBlock, FieldError};
use tidegate_os::{FileRange, FileState, Folder, Opened};

use super::CHECK_EVERY_MS;
use super::coding::ContentCoding;
use super::compress::{self, COMPRESSED_BYTES_MIN};
use super::long_contents::LongContent;
use super::settings::FilesSettings;
use crate::http::{etag, http_date, last_modified, media_type};

/// A file in one state.
pub(super) struct Resource {
    pub(super) identity: Representation,
    /// Codings that stand beside it, in the order in which they are preferred.
    pub(super) coded: Vec<(ContentCoding, Representation)>,
    /// Whether it is of a type, and long enough, to be compressed when it is asked for.
    is_compressible: bool,
    made: [Made; ContentCoding::MADE.len()],
    /// What was looked for, and found or not, to make this.
    seen: Vec<(String, Option<FileState>)>,
    /// Whether a change of the file would show in its state: not when it was changed just before it was
    /// read, since times are only so fine.
    is_settled: bool,
    /// When what was seen was last compared with what is there.
    checked: AtomicU64,
    /// Asked for since room was last needed.
    is_used: AtomicBool,
}

/// A coding that is made when it is asked for.
#[derive(Default)]
struct Made {
    /// Somebody makes it, or has made it.
    is_begun: AtomicBool,
    /// `None` in it: it is not worth while.
    representation: OnceLock<Option<Representation>>,
}

/// A file's content in one coding.
pub(super) struct Representation {
    /// The file that has it.
    pub(super) path: Box<str>,
    pub(super) state: FileState,
    /// The fields of a response with status 200.
    pub(super) fields: FieldBlock,
    /// The content, if it is short, or was made.
    content: Option<Bytes>,
    /// Where the content is, if it is long and parts of it are asked for again and again. `None`: it is
    /// never kept.
    pub(super) long: Option<Arc<LongContent>>,
    /// When the system was found to have the file in memory, if it is not too long to be looked at as a whole.
    found_at: AtomicU64,
    /// The file, as long as somebody is being sent it: many clients take one descriptor. Guards which
    /// one it is, held for reading and replacing that only.
    open: Mutex<Weak<File>>,
}

impl Resource {
    /// Makes one of a file that was found; `passed` is what was looked for in vain before. Gives the file
    /// back where it is needed to send the content.
    pub(super) fn load(
        (path, file, state): (&str, File, FileState),
        passed: Vec<(String, Option<FileState>)>,
        folder: &Folder,
        settings: &FilesSettings,
        now: u64,
    ) -> (Self, Option<File>) {
        let mut seen = passed;
        seen.push((path.to_owned(), Some(state)));
        let mut beside = Vec::new();
        for &coding in &settings.precompressed {
            let path = format!("{path}{}", coding.extension());
            let opened = folder.open_file(&path);
            let Ok(Opened::File(coded_file, coded_state)) = opened else {
                seen.push((path, None));
                continue;
            };
            seen.push((path.clone(), Some(coded_state)));
            // What was made of an older version of the file is not this file.
            if coded_state.modified >= state.modified {
                beside.push((coding, path, coded_file, coded_state));
            }
        }
        let content_type = content_type(path, settings);
        let is_compressible = settings.compress
            && state.length >= COMPRESSED_BYTES_MIN
            && media_type::is_compressible(content_type);
        let varies = !beside.is_empty() || is_compressible;
        let fields = |state: &FileState, coding: Option<ContentCoding>| {
            // Constants, and values that were checked when the site was opened.
            fields(content_type, state, coding, varies, settings).unwrap_or_default()
        };
        let coded = beside
            .into_iter()
            .map(|(coding, path, file, state)| {
                let fields = fields(&state, Some(coding));
                let content = read_short(&file, &state);
                let representation = Representation::new(&path, state, fields, content);
                (coding, representation)
            })
            .collect();
        let content = read_short(&file, &state);
        let identity = Representation::new(path, state, fields(&state, None), content);
        let file = identity.content.is_none().then_some(file);
        let resource = Self {
            identity,
            coded,
            is_compressible,
            made: Default::default(),
            is_settled: is_settled(&seen),
            seen,
            checked: AtomicU64::new(now),
            is_used: AtomicBool::new(false),
        };
        (resource, file)
    }

    /// Whether it is time to compare it with what is there; says so to one of those who ask at a time.
    #[inline]
    pub(super) fn is_due(&self, now: u64) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        now.saturating_sub(checked) >= CHECK_EVERY_MS
            && self
                .checked
                .compare_exchange(checked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    pub(super) fn seen(&self) -> &[(String, Option<FileState>)] {
        &self.seen
    }

    /// Whether which of its codings is sent depends on the request.
    pub(super) fn varies(&self) -> bool {
        !self.coded.is_empty() || self.is_compressible
    }

    /// The codings that can be made, in the order in which they are preferred.
    pub(super) fn makeable(&self) -> &'static [ContentCoding] {
        match self.is_compressible {
            true => &ContentCoding::MADE,
            false => &[],
        }
    }

    /// The representation made in this coding: `None` when it has yet to be made, `Some(None)` when it is
    /// not worth while.
    pub(super) fn made(&self, coding: ContentCoding) -> Option<Option<&Representation>> {
        let made = self.made[coding as usize].representation.get()?;
        Some(made.as_ref())
    }

    /// Whether somebody makes it, or has made it.
    pub(super) fn is_begun(&self, coding: ContentCoding) -> bool {
        self.made[coding as usize].is_begun.load(Ordering::Relaxed)
    }

    /// Makes the representation in this coding, unless somebody does.
    pub(super) fn make(&self, coding: ContentCoding, content: &[u8]) -> Option<&Representation> {
        let made = &self.made[coding as usize];
        if made.is_begun.swap(true, Ordering::Relaxed) {
            return None;
        }
        let compressed = compress::whole(coding, content);
        let representation = compressed.map(|compressed| {
            let (state, fields) = (self.identity.state, self.made_fields(coding));
            Representation::new("", state, fields, Some(compressed.into()))
        });
        made.representation.get_or_init(|| representation).as_ref()
    }

    /// The fields of a response in a coding that is made.
    pub(super) fn made_fields(&self, coding: ContentCoding) -> FieldBlock {
        let mut fields = FieldBlock::new();
        for field in self.identity.fields.iter() {
            let appended = match field.name {
                // What a compressor makes is the same to whoever decodes it, but not byte for byte: its
                // next version may do better. So its tag is a weak one (RFC 9110 §8.8.1), and there are
                // no ranges of it.
                "ETag" => {
                    let tag = field.value.strip_suffix(b"\"").unwrap_or(field.value);
                    let coding = coding.name().as_bytes();
                    fields.append("ETag", [b"W/", tag, b"-", coding, b"\""].concat())
                }
                "Accept-Ranges" => Ok(()),
                name => fields.append(name, field.value),
            };
            debug_assert!(appended.is_ok(), "{} was one before", field.name);
        }
        let appended = fields.append("Content-Encoding", coding.name());
        debug_assert!(appended.is_ok(), "a coding's name is a value");
        fields
    }

    /// Remembers that it was asked for.
    #[inline]
    pub(super) fn touch(&self) {
        // Written once only, so that the threads that read it can all keep it.
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was asked for again since room was last needed.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Whether it was asked for since this was last asked.
    pub(super) fn take_used(&self) -> bool {
        self.is_used.swap(false, Ordering::Relaxed)
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let coded = self.coded.iter().map(|(_, representation)| representation);
        let made = self.made.iter();
        let made = made.filter_map(|made| made.representation.get()?.as_ref());
        let representations = coded.chain([&self.identity]).chain(made);
        let seen: usize = self.seen.iter().map(|(path, _)| path.len()).sum();
        let contents: usize = representations.map(Representation::bytes).sum();
        size_of::<Self>() + seen + contents
    }
}

impl Representation {
    fn new(path: &str, state: FileState, fields: FieldBlock, content: Option<Bytes>) -> Self {
        let is_long = content.is_none() && state.length <= LONG_BYTES_MAX;
        Self {
            path: path.into(),
            state,
            fields,
            content,
            long: is_long.then(Arc::default),
            found_at: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    /// The content's length in bytes.
    pub(super) fn length(&self) -> u64 {
        let content = self.content.as_ref();
        content.map_or(self.state.length, |content| content.len() as u64)
    }

    /// The content, if it is short or was made.
    #[inline]
    pub(super) fn short_content(&self) -> Option<&Bytes> {
        self.content.as_ref()
    }

    /// The content, if it is in memory.
    pub(super) fn content(&self) -> Option<Bytes> {
        match (&self.content, &self.long) {
            (Some(content), _) => Some(content.clone()),
            (None, Some(long)) => long.get(),
            (None, None) => None,
        }
    }

    /// The file in this state, if it is open; `found` is what was opened to find it.
    pub(super) fn file(&self, found: Option<File>) -> Option<Arc<File>> {
        match found {
            Some(found) => Some(self.share(found)),
            None => {
                let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                let open = open.upgrade()?;
                let state = tidegate_os::file_state(&open).ok()?;
                (state == Some(self.state)).then_some(open)
            }
        }
    }

    /// Whether the system has the file in memory, which is looked at once in a while only.
    pub(super) fn is_in_memory(&self, file: &Arc<File>, now: u64) -> bool {
        let found_at = self.found_at.load(Ordering::Relaxed);
        if found_at != 0 && now.saturating_sub(found_at) < CHECK_EVERY_MS {
            return true;
        }
        let whole = FileRange {
            file: Arc::clone(file),
            offset: 0,
            length: self.state.length,
        };
        let is_found = self.long.is_some() && tidegate_os::is_in_memory(&whole);
        if is_found {
            self.found_at.store(now, Ordering::Relaxed);
        }
        is_found
    }

    /// Has others who come meanwhile use this open file, too.
    pub(super) fn share(&self, file: File) -> Arc<File> {
        let file = Arc::new(file);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = Arc::downgrade(&file);
        file
    }

    fn bytes(&self) -> usize {
        let content = self.content.as_ref().map_or(0, Bytes::len);
        let place = self.long.as_ref().map_or(0, |_| size_of::<LongContent>());
        size_of::<Self>() + self.path.len() + self.fields.as_bytes().len() + content + place
    }
}

fn content_type<'a>(path: &str, settings: &'a FilesSettings) -> &'a str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = media_type::extension(name);
    let own = settings
        .content_types
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(extension));
    match own {
        Some((_, content_type)) if !extension.is_empty() => content_type,
        _ => media_type::of_name(name),
    }
}

fn fields(
    content_type: &str,
    state: &FileState,
    coding: Option<ContentCoding>,
    varies: bool,
    settings: &FilesSettings,
) -> Result<FieldBlock, FieldError> {
    let mut fields = FieldBlock::new();
    fields.append("Content-Type", content_type)?;
    if let Some(coding) = coding {
        fields.append("Content-Encoding", coding.name())?;
    }
    if varies {
        fields.append("Vary", "Accept-Encoding")?;
    }
    let variant = coding.map_or("", ContentCoding::extension);
    fields.append("ETag", etag(state, &variant.replace('.', "-")))?;
    fields.append("Last-Modified", http_date(last_modified(state)))?;
    if let Some(cache_control) = &settings.cache_control {
        fields.append("Cache-Control", cache_control)?;
    }
    fields.append("Accept-Ranges", "bytes")?;
    Ok(fields)
}

/// The whole content of a file, if it is short.
fn read_short(file: &File, state: &FileState) -> Option<Bytes> {
    match state.length {
        length if length <= SHORT_BYTES_MAX as u64 => read_whole(file, state),
        _ => None,
    }
}

/// The whole content of a file, if it is as long as it was said to be.
pub(super) fn read_whole(file: &File, state: &FileState) -> Option<Bytes> {
    // One more byte shows whether the file has become longer.
    let max = state.length as usize + 1;
    let mut content = Vec::with_capacity(max);
    while content.len() < max {
        let offset = content.len() as u64;
        let left = max - content.len();
        if tidegate_os::append_at(&mut content, file, offset, left).ok()? == 0 {
            break;
        }
    }
    (content.len() as u64 == state.length).then(|| {
        content.shrink_to_fit();
        content.into()
    })
}

/// The whole content of a file that is still in this state then. Where it may not wait for the disk, it gives
/// up instead.
pub(super) fn read_unchanged(file: &File, state: &FileState, may_block: bool) -> Option<Vec<u8>> {
    let append = match may_block {
        true => tidegate_os::append_at,
        false => tidegate_os::append_now,
    };
    let length = usize::try_from(state.length).ok()?;
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        let (offset, left) = (content.len() as u64, length - content.len());
        if append(&mut content, file, offset, left).ok()? == 0 {
            return None;
        }
    }
    let state_now = tidegate_os::file_state(file).ok()?;
    (state_now.as_ref() == Some(state)).then_some(content)
}

/// Whether the files seen were last changed long enough ago for the next change to show.
fn is_settled(seen: &[(String, Option<FileState>)]) -> bool {
    let Some(limit) = SystemTime::now().checked_sub(TIME_FINENESS) else {
        return false;
    };
    let states = seen.iter().filter_map(|(_, state)| *state);
    let mut unsettled = states.filter(|state| state.modified >= limit);
    unsettled.next().is_none()
}

/// Longest content that is kept in memory from the first request on, in bytes.
///
/// Shorter ones cost more to open than to send. 64 KiB is what the driver has in memory for a peer that is
/// reading anyway.
pub(super) const SHORT_BYTES_MAX: usize = 64 * 1024;

/// Longest content that is kept in memory when it is asked for again and again, in bytes.
///
/// Of these, parts are sent, and what is encrypted or framed: whoever gets the bytes as they are gets them from
/// the system's memory, at half the cost.
const LONG_BYTES_MAX: u64 = 512 * 1024;

/// The coarsest times that file systems in use keep: FAT's.
const TIME_FINENESS: Duration = Duration::from_secs(2);
