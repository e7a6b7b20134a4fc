//! Names of files: what a peer sends becomes one that is harmless on every platform.
//!
//! The rules are the same everywhere, since a directory may be another platform's. Sources: RFC 7578 §4.2
//! (no path of a peer is followed), the names that Windows keeps for devices.

use std::path::{Component, Path};

/// The name that a file gets which a peer calls `sent`: its last part, without what could leave the
/// directory, hide the file, name a device or mislead a person; at most [`NAME_BYTES_MAX`] long.
pub(super) fn safe(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .map(|character| match is_harmless(character) {
            true => character,
            false => '_',
        })
        .collect();
    // A dot at the start hides a file, one at the end is lost on Windows, as blanks are.
    let trimmed =
        plain.trim_matches(|character: char| character == '.' || character.is_whitespace());
    let mut name = shortened(trimmed);
    if is_device(&name) {
        name.insert(0, '_');
    }
    match name.is_empty() {
        true => NAMELESS.to_owned(),
        false => name,
    }
}

/// Whether a peer may use a name as it is.
pub(super) fn is_safe(sent: &str) -> bool {
    safe(sent) == sent
}

/// Whether a name that the application gives stays in its directory.
pub(super) fn is_one_component(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let first = matches!(components.next(), Some(Component::Normal(only)) if only == name);
    first && components.next().is_none() && !name.contains(['/', '\\', '\0'])
}

/// The name with `what` in front of its extension: `a (1).txt`.
pub(super) fn with(name: &str, what: impl std::fmt::Display) -> String {
    let (stem, extension) = split(name);
    format!("{stem} ({what}){extension}")
}

/// The name and, with its dot, the extension.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= EXTENSION_BYTES_MAX => name.split_at(dot),
        _ => (name, ""),
    }
}

/// Cut to [`NAME_BYTES_MAX`], with its extension.
fn shortened(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    let end = stem.floor_char_boundary(NAME_BYTES_MAX - extension.len());
    let stem = stem[..end]
        .trim_end_matches(|character: char| character == '.' || character.is_whitespace());
    format!("{stem}{extension}")
}

fn is_harmless(character: char) -> bool {
    !character.is_control() && !"<>:\"|?*\u{FFFD}".contains(character) && !turns(character)
}

/// Characters that have the text around them shown in another order: `exe.txt` for `txt.exe`.
fn turns(character: char) -> bool {
    matches!(character, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Whether Windows takes a file of this name for a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let is = |device: &&str| stem.eq_ignore_ascii_case(device);
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
        .iter()
        .any(is)
    {
        return true;
    }
    let Some((port, number)) = stem.split_at_checked(3) else {
        return false;
    };
    let is_port = port.eq_ignore_ascii_case("COM") || port.eq_ignore_ascii_case("LPT");
    let mut characters = number.chars();
    is_port
        && matches!(characters.next(), Some('0'..='9' | '¹' | '²' | '³'))
        && characters.next().is_none()
}

/// Longest name made of a peer's, in bytes: most file systems take 255, and a number may have to be added.
pub(super) const NAME_BYTES_MAX: usize = 200;

/// Longest end that is taken for an extension, with its dot.
const EXTENSION_BYTES_MAX: usize = 32;

/// The name of a file of whose name nothing is left.
const NAMELESS: &str = "file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_sent_becomes_its_harmless_last_part() {
        let cases = [
            ("a.txt", "a.txt"),
            ("two words.txt", "two words.txt"),
            ("größe 写真.jpg", "größe 写真.jpg"),
            (r"C:\x\y.txt", "y.txt"),
            (r"\\server\share\y.txt", "y.txt"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            (r"..\..\y", "y"),
            ("a/", "file"),
            ("", "file"),
            (".", "file"),
            ("..", "file"),
            ("/..", "file"),
            ("   ", "file"),
            ("...", "file"),
            (".htaccess", "htaccess"),
            (". .x", "x"),
            ("a.txt.", "a.txt"),
            ("a.txt . .", "a.txt"),
            ("a.txt ", "a.txt"),
            ("a\0b.txt", "a_b.txt"),
            ("a\r\nb\u{7F}\u{85}.txt", "a__b__.txt"),
            ("a:b.txt", "a_b.txt"),
            ("a.txt:stream", "a.txt_stream"),
            ("C:y.txt", "C_y.txt"),
            ("<a>|\"b\"?*", "_a___b___"),
            ("a\u{202E}txt.exe", "a_txt.exe"),
            ("a\u{FFFD}", "a_"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("aux.tar.gz", "_aux.tar.gz"),
            ("NUL .txt", "_NUL .txt"),
            ("com1", "_com1"),
            ("Lpt².x", "_Lpt².x"),
            ("com10", "com10"),
            ("comé", "comé"),
            ("console", "console"),
        ];
        for (sent, wanted) in cases {
            assert_eq!(safe(sent), wanted, "{sent:?}");
            assert_eq!(is_safe(sent), sent == wanted, "{sent:?}");
            assert!(is_safe(wanted) && is_one_component(wanted), "{wanted:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_extension() {
        let name = safe(&format!("{}.jpeg", "é".repeat(500)));
        assert_eq!(name, format!("{}.jpeg", "é".repeat(97)));
        let name = safe(&"x".repeat(1000));
        assert_eq!(name.len(), NAME_BYTES_MAX);
        let name = safe(&format!("a.{}", "x".repeat(1000)));
        assert_eq!(name.len(), NAME_BYTES_MAX);
        let name = safe(&format!("{}. .{}", "x".repeat(197), "y".repeat(9)));
        assert!(is_safe(&name), "{name}");
    }

    #[test]
    fn a_number_goes_before_the_extension() {
        assert_eq!(with("a.txt", 1), "a (1).txt");
        assert_eq!(with("a.tar.gz", 2), "a.tar (2).gz");
        assert_eq!(with("a", "x"), "a (x)");
        assert_eq!(with(".a", 1), ".a (1)");
    }

    #[test]
    fn a_name_of_the_application_is_one_component() {
        for name in ["a", ".a", "a b", "a:b"] {
            assert!(is_one_component(name), "{name}");
        }
        for name in ["", ".", "..", "/", "a/", "/a", "a/b", "./a", r"a\b", "a\0"] {
            assert!(!is_one_component(name), "{name}");
        }
    }
}
