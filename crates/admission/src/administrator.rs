//! The secret of a server's administration: a token in a file, and what stands for it for a while.
//!
//! Programs show the token itself. A browser shows it once and gets a session, which is signed with a key made of the
//! token: it outlives a restart of the server, and ends when the token is replaced. A code can be used once, in place
//! of the token, so that a link may have it.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::random;

/// What whoever administers a server has to know.
pub struct AdministratorToken {
    text: Box<str>,
    /// Of the sessions.
    key: [u8; 32],
}

/// Why there is no token. Whoever keeps the file is at fault, or the system.
#[derive(Debug)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read or made.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in the file is no token.
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for TokenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, .. } => write!(formatter, "cannot use {}", path.display()),
            Self::Malformed { path } => write!(
                formatter,
                "{} holds no token of {TOKEN_MIN} to {TOKEN_MAX} letters, digits, `-` and `_`",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Malformed { .. } => None,
        }
    }
}

impl AdministratorToken {
    /// The token that a text is, space around it aside: 32 to 256 letters, digits, `-` and `_`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_token = (TOKEN_MIN..=TOKEN_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_token.then(|| Self {
            text: text.into(),
            key: hmac(text.as_bytes(), b"tidegate administration session 1"),
        })
    }

    /// A token that nobody has had before, of 43 characters.
    pub fn random() -> Self {
        let text = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>());
        Self::parse(&text).expect("base64 of 32 bytes is a token")
    }

    /// The token in a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds none.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| {
                let mut start = file.take(BYTES_READ_MAX);
                start.read_to_string(&mut text)
            })
            .map_err(|source| TokenError::Io {
                path: path.into(),
                source,
            })?;
        Self::parse(&text).ok_or_else(|| TokenError::Malformed { path: path.into() })
    }

    /// The token in a file, which is made with a random one if there is none: then only the user may read it.
    ///
    /// # Errors
    ///
    /// The file cannot be read or made, or holds none.
    pub fn read_or_make(path: &Path) -> Result<Self, TokenError> {
        match Self::read(path) {
            Err(TokenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let token = Self::random();
        match token.write_new(path) {
            Ok(()) => Ok(token),
            // Another server has made it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(source) => Err(TokenError::Io {
                path: path.into(),
                source,
            }),
        }
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // Others may read it neither now nor before it has its name; and whoever finds it finds all of it.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        writeln!(file, "{}", self.text)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)
            .map(drop)
            .map_err(|error| error.error)
    }

    /// The token, to be shown to a server.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether what somebody shows is the token. How long that takes tells nothing of it.
    pub fn matches(&self, shown: &str) -> bool {
        let hash = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
        hash(&self.text).ct_eq(&hash(shown)).into()
    }

    /// A session of somebody who has shown the token: what a cookie may hold. `now` is since 1970.
    pub fn begin_session(&self, now: Duration, life: Duration) -> String {
        let ends = now.saturating_add(life).as_secs();
        let id = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let signed = format!("{ends}.{id}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac(&self.key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The session that a text is; `None` when it was not given by whoever knows this token, or has ended.
    pub fn session(&self, text: &str, now: Duration) -> Option<Session> {
        if text.len() > SESSION_BYTES_MAX {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let right = hmac(&self.key, signed.as_bytes());
        if !bool::from(right.ct_eq(&signature[..])) {
            return None;
        }
        let (ends, id) = signed.split_once('.')?;
        let session = Session {
            id: id.into(),
            ends: Duration::from_secs(ends.parse().ok()?),
        };
        (now < session.ends).then_some(session)
    }
}

impl fmt::Debug for AdministratorToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AdministratorToken")
            .finish_non_exhaustive()
    }
}

/// A session that goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Names it.
    pub id: Box<str>,
    /// When it ends, since 1970.
    pub ends: Duration,
}

/// Codes that stand for the token once, and for a while.
#[derive(Debug, Default)]
pub struct OneTimeCodes {
    /// Their hashes and ends, in the order in which they were given.
    codes: VecDeque<([u8; 32], Duration)>,
}

impl OneTimeCodes {
    /// Gives a code, which can be used within an hour. The last eight are good. `now` never goes back.
    pub fn give(&mut self, now: Duration) -> String {
        let code = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<24>());
        while self.codes.len() >= CODES_MAX {
            self.codes.pop_front();
        }
        let hash = Sha256::digest(code.as_bytes()).into();
        self.codes.push_back((hash, now + CODE_LIFE));
        code
    }

    /// Whether a code is good, which it is not any more then.
    pub fn take(&mut self, code: &str, now: Duration) -> bool {
        // Of hashes, so how long that takes tells nothing of a code.
        let hash: [u8; 32] = Sha256::digest(code.as_bytes()).into();
        let Some(index) = self.codes.iter().position(|(given, _)| *given == hash) else {
            return false;
        };
        let taken = self.codes.remove(index);
        taken.is_some_and(|(_, ends)| now < ends)
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// As many bits as a key has that nobody can try out.
const TOKEN_MIN: usize = 32;
const TOKEN_MAX: usize = 256;
/// A token and space around it.
const BYTES_READ_MAX: u64 = 1024;
const SESSION_BYTES_MAX: usize = 128;
const CODES_MAX: usize = 8;
const CODE_LIFE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);
    const LIFE: Duration = Duration::from_secs(60);

    #[test]
    fn a_token_matches_itself_alone() {
        let token = AdministratorToken::random();
        assert_eq!(token.as_str().len(), 43);
        assert!(token.matches(token.as_str()));
        assert!(!token.matches(&token.as_str()[1..]));
        assert!(!token.matches(""));
        assert!(!token.matches(AdministratorToken::random().as_str()));
    }

    #[test]
    fn a_short_or_odd_text_is_no_token() {
        let good = "a".repeat(32);
        assert!(AdministratorToken::parse(&format!(" {good}\n")).is_some());
        for text in [
            "",
            &good[1..],
            &format!("{good} b"),
            &"a".repeat(257),
            &format!("{good}ä"),
        ] {
            assert!(AdministratorToken::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_session_is_good_until_it_ends_and_for_its_token_only() {
        let token = AdministratorToken::random();
        let text = token.begin_session(NOW, LIFE);
        assert!(token.session(&text, NOW).is_some());
        assert!(
            token
                .session(&text, NOW + LIFE - Duration::from_secs(1))
                .is_some()
        );
        assert_eq!(token.session(&text, NOW + LIFE), None);
        assert_eq!(AdministratorToken::random().session(&text, NOW), None);
        // As another process reads it from the file.
        let same = AdministratorToken::parse(token.as_str()).unwrap();
        assert!(same.session(&text, NOW).is_some());
    }

    #[test]
    fn a_session_that_was_changed_is_none() {
        let token = AdministratorToken::random();
        let text = token.begin_session(NOW, LIFE);
        let (ends, rest) = text.split_once('.').unwrap();
        let later = ends.parse::<u64>().unwrap() + 1;
        for changed in [
            format!("{later}.{rest}"),
            text[..text.len() - 1].to_owned(),
            format!("{text}A"),
            String::new(),
            "..".to_owned(),
            "9".repeat(10_000),
        ] {
            assert_eq!(token.session(&changed, NOW), None, "{changed}");
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_a_while() {
        let mut codes = OneTimeCodes::default();
        let (one, two) = (codes.give(NOW), codes.give(NOW));
        assert!(!codes.take("", NOW));
        assert!(codes.take(&one, NOW));
        assert!(!codes.take(&one, NOW));
        assert!(!codes.take(&two, NOW + CODE_LIFE));
        let first = codes.give(NOW);
        for _ in 0..CODES_MAX {
            codes.give(NOW);
        }
        assert!(!codes.take(&first, NOW));
    }

    #[test]
    fn a_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = AdministratorToken::read_or_make(&path).unwrap();
        let read = AdministratorToken::read_or_make(&path).unwrap();
        assert_eq!(made.as_str(), read.as_str());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "short").unwrap();
        let error = AdministratorToken::read_or_make(&path).unwrap_err();
        assert!(error.to_string().contains("holds no token"), "{error}");
    }
}
