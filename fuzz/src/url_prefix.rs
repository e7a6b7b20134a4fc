//! A URL prefix, any text: no panic, and what is accepted is written in a form that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::UrlPrefix;

fuzz_target!(|text: &str| {
    let Ok(prefix) = UrlPrefix::parse(text) else {
        return;
    };
    let written = prefix.to_string();
    let read = UrlPrefix::parse(&written).expect("a canonical prefix is a prefix");
    assert_eq!(read, prefix);
    assert_eq!(read.to_string(), written);
    assert_ne!(prefix.port, 0);
    assert!(prefix.path.starts_with('/') && prefix.path.ends_with('/'));
});
