//! That no path, whatever it is, leads out of a site's folder.

use std::fs;

use tidegate_httpapi::RequestLimits;
use tidegate_proto::http1::cook_path;

use super::*;

/// What paths are made of: names that are there, ways up, and the spellings of both.
const PARTS: [&str; 64] = [
    "/",
    "/",
    "/",
    "/",
    "/",
    "\\",
    "%2f",
    "%2F",
    "%5c",
    "%5C",
    "%u002f",
    "%u2215",
    "%c0%af",
    "%e0%80%af",
    "..",
    "..",
    ".",
    "...",
    "%2e",
    "%2E",
    "%2e%2e",
    ".%2e",
    "%u002e%u002e",
    "%c0%ae%c0%ae",
    "%252e%252e",
    "%%32%65",
    "a.txt",
    "A.TXT",
    "sub",
    "sub/b.txt",
    "secret",
    "outer",
    "site",
    "out",
    "up",
    "in",
    "%00",
    "\0",
    "%0a",
    "%0d%0a",
    ":",
    "C:",
    "c:%5cwindows",
    "::$DATA",
    "NUL",
    "com1.txt",
    "~",
    "*",
    "?",
    "#",
    ";",
    "%20",
    " ",
    "%",
    "%zz",
    "%ff",
    "é",
    "%C3%A9",
    "\u{202e}",
    "｡｡",
    "．．",
    "/etc/passwd",
    "proc/self/root",
    "index.html",
];

/// What leads to a file more often than not.
const NAMES: [&str; 9] = [
    "a.txt",
    "a.txt",
    "sub",
    "in",
    "..",
    "%2e%2e",
    ".",
    "b.txt",
    "index.html",
];

/// Numbers that look random and are the same each time. Source: Marsaglia, "Xorshift RNGs".
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }

    fn path(&mut self) -> String {
        let mut path = String::from("/");
        if self.below(4) == 0 {
            for _ in 0..1 + self.below(4) {
                path.push_str(NAMES[self.below(NAMES.len())]);
                path.push_str(["/", "%2f", "\\", ""][self.below(4)]);
            }
            return path;
        }
        for _ in 0..self.below(12) {
            match self.below(16) {
                0 => path.push(char::from(self.below(256) as u8)),
                1 => path.extend(char::from_u32(self.below(0x11_0000) as u32)),
                2 => path.push_str(&format!("%{:02x}", self.below(256))),
                _ => path.push_str(PARTS[self.below(PARTS.len())]),
            }
        }
        if self.below(100) == 0 {
            path = path.repeat(1 + self.below(400));
        }
        path
    }
}

/// A folder `site` whose files all say `inside`, in a folder whose other files say something else.
fn outer() -> tempfile::TempDir {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("site");
    fs::create_dir_all(root.join("sub")).unwrap();
    for path in ["a.txt", "sub/b.txt", "sub/index.html"] {
        fs::write(root.join(path), "inside").unwrap();
    }
    for path in ["secret", "a.txt", "index.html"] {
        fs::write(outer.path().join(path), "secret").unwrap();
    }
    #[cfg(unix)]
    for (name, to) in [
        ("out", "../secret"),
        ("up", ".."),
        ("in", "sub"),
        ("secret", "/etc/passwd"),
    ] {
        std::os::unix::fs::symlink(to, root.join(name)).unwrap();
    }
    outer
}

/// Looks a path up; counts the files it finds.
fn check(site: &Site, path: &str) -> usize {
    match site.find(path) {
        Ok(Found::File(resource, file)) => {
            let content = resource.identity.content();
            assert_eq!(content.as_deref(), Some(&b"inside"[..]), "{path:?}");
            assert!(file.is_none());
            1
        }
        Ok(Found::Listing) => panic!("nobody asked for lists: {path:?}"),
        Ok(Found::Folder | Found::Missing | Found::Forbidden) | Err(_) => 0,
    }
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let outer = outer();
    for hidden in [false, true] {
        let mut settings = FilesSettings::new(outer.path().join("site"));
        settings.hidden = hidden;
        let site = Site::open(&settings).unwrap();
        let mut limits = RequestLimits::default();
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        let (mut cooked, mut found) = (String::new(), 0);
        for index in 0..10_000 {
            let path = numbers.path();
            limits.allow_restricted_chars = index % 2 == 0;
            if cook_path(path.as_bytes(), &limits, &mut cooked).is_ok() {
                found += check(&site, &cooked);
            }
            // Even a path that routing did not go by.
            found += check(&site, &path);
        }
        // Else nothing was tried.
        assert!(found > 100, "{found}");
    }
}

#[test]
fn hidden_names_are_hidden_at_any_place() {
    for (path, expected) in [
        ("a", false),
        ("a/b.c", false),
        (".a", true),
        ("a/.b", true),
        ("a/.b/c", true),
        ("..a", true),
        (".well-known", true),
        (".well-known/a", false),
        (".well-known/.a", true),
        ("a/.well-known/a", true),
        ("", false),
    ] {
        assert_eq!(is_hidden(path), expected, "{path}");
    }
}
