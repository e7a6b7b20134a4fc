//! The cooked path: decoded once, slashes and dot segments resolved.
#![allow(clippy::unwrap_used, reason = "the helper functions are tests, too")]

use tidegate_httpapi::RequestLimits;
use tidegate_proto::http1::{Reject, cook_path};

fn cook_within(raw: &str, limits: &RequestLimits) -> Result<String, Reject> {
    let mut cooked = String::from("left over");
    cook_path(raw.as_bytes(), limits, &mut cooked).map(|()| cooked)
}

fn cook(raw: &str) -> String {
    cook_within(raw, &RequestLimits::default()).unwrap()
}

// Cases N23 to N26, and the paths of http-server-api's worked examples.
#[test]
fn every_spelling_of_a_path_is_cooked_the_same() {
    for raw in [
        "/base/ball/p",
        "/base\\ball//p",
        "/base%2Fball/p",
        "/base%2fball/p",
        "/base/%5cball/p",
        "/base/%5Cball/p",
        "/base/call/../ball/p",
        "/base/call//../ball/p",
        "/base/call/.%2e/ball/p",
        "/base/call/%2e%2E/ball/p",
        "/base/call%2f..%2fball/p",
        "/base/./ball/p",
        "/base/%2e/ball/p",
        "/./base/ball/p",
        "/../base/ball/p",
        "/x/../../base/ball/p",
        "//base///ball\\\\p",
        "/%62ase/b%61ll/%70",
        "/%u0062ase/ball/p",
        "/base%u002fball/p",
        "/base/ball/%u0070",
        "\\base\\ball\\p",
        "/base/ball/x/../p",
        "/base/ball/x/y/../../p",
    ] {
        assert_eq!(cook(raw), "/base/ball/p", "{raw}");
    }
}

#[test]
fn the_end_of_a_path_is_kept() {
    for (raw, cooked) in [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a//", "/a/"),
        ("/a/.", "/a/"),
        ("/a/./", "/a/"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/...", "/a/..."),
        ("/a/.b", "/a/.b"),
        ("/a/b.", "/a/b."),
        ("/a/..b", "/a/..b"),
        ("/a%20b", "/a b"),
        ("/caf%C3%A9", "/café"),
        ("/%E4%B8%AD", "/中"),
        ("/%F0%9F%8C%8A", "/🌊"),
        ("/%uD83C%uDF0A", "/🌊"),
        ("/%U00e9", "/é"),
        ("/a;b=c,d:e@f!$&'()*+", "/a;b=c,d:e@f!$&'()*+"),
    ] {
        assert_eq!(cook(raw), cooked, "{raw}");
    }
}

#[test]
fn nothing_is_decoded_twice() {
    assert_eq!(cook("/%252F"), "/%2F");
    assert_eq!(cook("/%25%32%46"), "/%2F");
    assert_eq!(cook("/%252e%252e/a"), "/%2e%2e/a");
    assert_eq!(cook("/%u0025u002F"), "/%u002F");
}

#[test]
fn escapes_that_are_not_utf8_stay_or_are_refused() {
    let mut strict = RequestLimits::default();
    strict.allow_non_utf8 = false;
    for raw in [
        "/%C0%A4",
        "/%c0%af",
        "/%80",
        "/%FF",
        "/%C3",
        "/%C3a",
        "/%C3%41",
        "/%E0%80%AF",
        "/%ED%A0%80",
        "/%F4%90%80%80",
        "/%F5%80%80%80",
        "/%E4%B8",
        "/%E4%B8a",
        "/%C3%C3",
    ] {
        assert_eq!(
            cook(raw).to_uppercase(),
            raw.replace("%41", "A").to_uppercase(),
            "{raw}"
        );
        assert_eq!(
            cook_within(raw, &strict),
            Err(Reject::EscapeNotUtf8),
            "{raw}"
        );
    }
    // What follows is still read as it should be.
    assert_eq!(cook("/%C3/%2e%2e/a"), "/a");
    assert_eq!(cook("/%C3%C3%A9"), "/%C3é");
    for raw in ["/%C3%", "/%C3%G0", "/%E4%B8%"] {
        assert_eq!(
            cook_within(raw, &RequestLimits::default()),
            Err(Reject::Escape),
            "{raw}"
        );
    }
}

#[test]
fn percent_u_can_be_refused() {
    let mut limits = RequestLimits::default();
    limits.percent_u_allowed = false;
    for raw in ["/%u0061", "/%U0061", "/%u"] {
        assert_eq!(
            cook_within(raw, &limits),
            Err(Reject::EscapePercentU),
            "{raw}"
        );
    }
    for raw in [
        "/%uD83C",
        "/%uD83Ca",
        "/%uDF0A",
        "/%uD83C%u0061",
        "/%uDF0A%uD83C",
        "/%uD83C%DF",
    ] {
        assert_eq!(
            cook_within(raw, &RequestLimits::default()),
            Err(Reject::Escape),
            "{raw}"
        );
    }
}

#[test]
fn restricted_characters_can_be_allowed() {
    let mut limits = RequestLimits::default();
    limits.allow_restricted_chars = true;
    assert_eq!(
        cook_within("/a%01%7F%C2%80%u0000", &limits).unwrap(),
        "/a\u{1}\u{7F}\u{80}\0"
    );
    assert_eq!(
        cook_within("/a%C2%80", &RequestLimits::default()),
        Err(Reject::EscapeRestricted)
    );
    assert_eq!(cook("/a%C2%A0"), "/a\u{A0}");
}

#[test]
fn bytes_no_target_has_are_refused() {
    for raw in ["/a b", "/a\tb", "/caf\u{e9}", "/\u{7f}", "/\0"] {
        assert_eq!(
            cook_within(raw, &RequestLimits::default()),
            Err(Reject::TargetByte),
            "{raw}"
        );
    }
}
