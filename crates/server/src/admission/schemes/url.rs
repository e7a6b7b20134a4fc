//! What the component has in paths: `/sgc/req/auth/session/USER/PASSWORD`, `/sgc/auth/session/ID`,
//! `/sgc/auth/url/USER/PASSWORD`. Source: the component's help, "Authentication".
//!
//! Paths are read as received, since an escaped slash belongs to a name or a password. Whatever is found here has to
//! be proved: a path that is spelled otherwise has no proof in it.

use tidegate_admission::authorization::BasicCredentials;

pub(super) fn asks_for_session(path: &[u8]) -> bool {
    path.strip_prefix(ASK)
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// `None`: the path has none.
pub(super) fn credentials_of_session(path: &[u8]) -> Option<Result<BasicCredentials, ()>> {
    let rest = path.strip_prefix(ASK)?.strip_prefix(b"/")?;
    (!rest.is_empty()).then(|| pair(rest))
}

/// The id of a session.
pub(super) fn session(path: &[u8]) -> Option<&str> {
    std::str::from_utf8(path.strip_prefix(SESSION)?).ok()
}

/// `None`: the path has none.
pub(super) fn credentials(path: &[u8]) -> Option<Result<BasicCredentials, ()>> {
    path.strip_prefix(URL).map(pair)
}

fn pair(rest: &[u8]) -> Result<BasicCredentials, ()> {
    let slash = rest.iter().position(|byte| *byte == b'/').ok_or(())?;
    let (username, password) = (unescape(&rest[..slash])?, unescape(&rest[slash + 1..])?);
    // As with Basic (RFC 7617 §2): none of them ends up as somebody's forged log line.
    if username.contains(':')
        || username
            .chars()
            .chain(password.chars())
            .any(char::is_control)
    {
        return Err(());
    }
    Ok(BasicCredentials { username, password })
}

fn unescape(text: &[u8]) -> Result<String, ()> {
    let mut unescaped = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let value = digit()
                .zip(digit())
                .map(|(high, low)| high * 16 + low)
                .ok_or(())?;
            unescaped.push(u8::try_from(value).map_err(|_| ())?);
        } else {
            unescaped.push(byte);
        }
    }
    String::from_utf8(unescaped).map_err(|_| ())
}

const ASK: &[u8] = b"/sgc/req/auth/session";
const SESSION: &[u8] = b"/sgc/auth/session/";
const URL: &[u8] = b"/sgc/auth/url/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_component_has_them() {
        let pair = |path: &str| {
            credentials(path.as_bytes())
                .map(|pair| pair.map(|basic| (basic.username, basic.password)))
        };
        let own = |user: &str, password: &str| Some(Ok((user.to_owned(), password.to_owned())));
        assert_eq!(pair("/sgc/auth/url/admin/1234"), own("admin", "1234"));
        assert_eq!(pair("/sgc/auth/url/a%2Fb/c%2fd/e"), own("a/b", "c/d/e"));
        assert_eq!(pair("/sgc/auth/url/admin"), Some(Err(())));
        assert_eq!(pair("/sgc/auth/url/a%0Ab/c"), Some(Err(())));
        assert_eq!(pair("/sgc/auth/url/a%f/c"), Some(Err(())));
        assert_eq!(pair("/sgc/auth/url/%ff/c"), Some(Err(())));
        assert_eq!(pair("/sgc/auth/urls/a/b"), None);
        assert_eq!(session(b"/sgc/auth/session/abc"), Some("abc"));
        assert!(asks_for_session(b"/sgc/req/auth/session"));
        assert!(!asks_for_session(b"/sgc/req/auth/sessions"));
        assert!(credentials_of_session(b"/sgc/req/auth/session").is_none());
        assert!(credentials_of_session(b"/sgc/req/auth/session/").is_none());
        assert!(credentials_of_session(b"/sgc/req/auth/session/a/b").is_some());
    }
}
