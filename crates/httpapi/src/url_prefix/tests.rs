use crate::ErrorCode::{InvalidParameter, NotSupported};

use super::*;

fn check_refused(prefix: &str, code: crate::ErrorCode, part: &str) {
    let error = UrlPrefix::parse(prefix).expect_err(prefix);
    assert_eq!(
        (error.code(), error.part()),
        (code, part),
        "{prefix}: {error}"
    );
}

fn check_canonical(prefix: &str, canonical: &str) {
    let parsed = UrlPrefix::parse(prefix).unwrap_or_else(|error| panic!("{prefix}: {error}"));
    assert_eq!(parsed.to_string(), canonical);
    let again = UrlPrefix::parse(canonical).unwrap();
    assert_eq!(again, parsed);
    assert_eq!(again.path, parsed.path);
}

fn name(name: &str) -> Host {
    Host::Name {
        name: name.into(),
        subdomains: false,
        address: None,
    }
}

// http-server-api N01: no slash after the port.
#[test]
fn n01_prefix_without_slash_is_refused() {
    check_refused("http://h:50000", InvalidParameter, "path");
    check_refused("http://localhost:50000", InvalidParameter, "path");
}

// http-server-api N02.
#[test]
fn n02_prefix_without_scheme_or_port_is_refused() {
    check_refused("http://h:0/", InvalidParameter, "port");
    check_refused("http://h:/", InvalidParameter, "port");
    check_refused("http://h/", InvalidParameter, "port");
    check_refused("h:80/", InvalidParameter, "scheme");
    check_refused("localhost:50000", InvalidParameter, "scheme");
    check_refused("localhost:50000/", InvalidParameter, "scheme");
    check_refused("http://localhost", InvalidParameter, "port");
    check_refused("", InvalidParameter, "scheme");
    check_refused("http://", InvalidParameter, "host");
}

// http-server-api N03, §2.1.
#[test]
fn n03_port_out_of_range_or_with_leading_zero_is_refused() {
    for port in [
        "080",
        "65536",
        "+80",
        "-1",
        "8 0",
        "0x50",
        "99999999999",
        "８０",
    ] {
        check_refused(&format!("http://h:{port}/"), InvalidParameter, "port");
    }
    check_canonical("http://h:1/", "http://h:1/");
    check_canonical("http://h:65535/", "http://h:65535/");
}

// http-server-api N05, §2.1.
#[test]
fn n05_query_fragment_and_controls_are_refused() {
    check_refused("http://h:80/barfoo?a=b", InvalidParameter, "path");
    check_refused("http://h:80/a#b", InvalidParameter, "path");
    check_refused("http://h:80/a\r\n", InvalidParameter, "path");
    check_refused("http://h:80/a\u{85}/", InvalidParameter, "path");
}

// §2.1: the scheme is lower case only, and one of two.
#[test]
fn scheme_is_http_or_https_in_lower_case() {
    check_refused("HTTP://h:80/", InvalidParameter, "scheme");
    check_refused("Https://h:80/", InvalidParameter, "scheme");
    check_refused("ftp://h:80/", InvalidParameter, "scheme");
    check_refused("://h:80/", InvalidParameter, "scheme");
    check_canonical("https://h:443/", "https://h:443/");
}

// §2.1: each kind of host, in its one form.
#[test]
fn hosts_get_their_canonical_form() {
    let parse = |prefix| UrlPrefix::parse(prefix).unwrap().host;
    assert_eq!(parse("http://+:80/"), Host::StrongWildcard);
    assert_eq!(parse("http://*:80/"), Host::WeakWildcard);
    assert_eq!(parse("http://WWW.Adatum.COM:80/"), name("www.adatum.com"));
    assert_eq!(parse("http://my_host-1:80/"), name("my_host-1"));
    assert_eq!(
        parse("http://[0:0::1]:80/"),
        Host::Address([0, 0, 0, 0, 0, 0, 0, 1].into())
    );
    assert_eq!(
        parse("http://10.0.0.4:80/"),
        Host::Address([10, 0, 0, 4].into())
    );
    check_canonical("http://[FE80:0::A]:80/x", "http://[fe80::a]:80/x/");
}

// §2.1: IDN allowed. All spellings of a name are one.
#[test]
fn unicode_names_become_a_labels() {
    check_canonical(
        "http://Bücher.example:80/",
        "http://xn--bcher-kva.example:80/",
    );
    check_canonical(
        "http://XN--BCHER-KVA.example:80/",
        "http://xn--bcher-kva.example:80/",
    );
    check_canonical("http://*.例え.jp:80/", "http://*.xn--r8jz45g.jp:80/");
    // Full-width digits are digits: no way around the rules for addresses.
    assert_eq!(
        UrlPrefix::parse("http://１０.0.0.4:80/").unwrap().host,
        Host::Address([10, 0, 0, 4].into())
    );
    check_refused("http://a\u{FFFD}b:80/", InvalidParameter, "host");
    check_refused("http://a／b:80/", InvalidParameter, "host");
    check_refused("http://＊:80/", InvalidParameter, "host");
}

// §2.1, the rows from corefx#19986; the rest of such addresses by our ruling.
#[test]
fn addresses_that_no_connection_arrives_at_are_not_supported() {
    for host in [
        "192.",
        "192.255.255.255",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "127.0.0.256",
        "127.0.0.01",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "[::]",
        "[ff02::1]",
        "[::ffff:10.0.0.4]",
        "[fe80::1%2]",
    ] {
        check_refused(&format!("http://{host}:80/"), NotSupported, "host");
    }
}

#[test]
fn malformed_hosts_are_refused() {
    for host in [
        "",
        "a..b",
        "a.",
        ".a",
        "a b",
        "a*",
        "*a",
        "*.*.a",
        "*.",
        "*.10.0.0.4",
        "++",
        "user@h",
        "a,b",
        "a%41",
        "[::1",
        "[]",
        "[::g]",
        "[10.0.0.4]",
        &"a".repeat(64),
        &["a"; 128].join("."),
    ] {
        check_refused(&format!("http://{host}:80/"), InvalidParameter, "host");
    }
    check_refused("http://[::1]x:80/", InvalidParameter, "port");
    check_refused("http://::1:80/", InvalidParameter, "host");
    check_canonical(
        &format!("http://{}:80/", "a".repeat(63)),
        &format!("http://{}:80/", "a".repeat(63)),
    );
}

// E1.
#[test]
fn subdomain_wildcard_is_a_name() {
    let prefix = UrlPrefix::parse("http://*.Adatum.com:80/").unwrap();
    assert_eq!(
        prefix.host,
        Host::Name {
            name: "adatum.com".into(),
            subdomains: true,
            address: None
        }
    );
    assert_ne!(prefix, UrlPrefix::parse("http://adatum.com:80/").unwrap());
    check_canonical("http://*.Adatum.com:80/a", "http://*.adatum.com:80/a/");
}

// E2.
#[test]
fn name_is_tied_to_a_local_address() {
    check_canonical("http://H:80:10.0.0.4/a", "http://h:80:10.0.0.4/a/");
    check_canonical("http://h:80:[::1]/", "http://h:80:[::1]/");
    check_canonical("http://*.h:80:10.0.0.4/", "http://*.h:80:10.0.0.4/");
    check_refused("http://h:80:10.0.0.4", InvalidParameter, "path");
    check_refused("http://h:80:/", InvalidParameter, "host");
    check_refused("http://h:80:name/", InvalidParameter, "host");
    check_refused("http://h:80:0.0.0.0/", NotSupported, "host");
    check_refused("http://h:80:[::1/", InvalidParameter, "host");
    check_refused("http://+:80:10.0.0.4/", NotSupported, "host");
    check_refused("http://10.0.0.4:80:10.0.0.4/", NotSupported, "host");
}

// C12, and the segments of §2.1.
#[test]
fn path_keeps_its_spelling_and_gets_its_slash() {
    check_canonical("http://h:80/a", "http://h:80/a/");
    check_canonical("http://h:80/", "http://h:80/");
    check_canonical("http://h:80/Base Path/漢字/", "http://h:80/Base Path/漢字/");
    check_canonical("http://h:80/a:b/%20/...", "http://h:80/a:b/%20/.../");
}

// Our ruling: routing never sees such segments, so the prefix would be dead.
#[test]
fn segments_that_no_request_matches_are_refused() {
    for path in ["//", "/a//", "//a/", "/a//b/", "/./", "/a/..", "/a\\b/"] {
        check_refused(&format!("http://h:80{path}"), InvalidParameter, "path");
    }
}

#[test]
fn prefixes_that_name_the_same_urls_are_equal() {
    let hash = |prefix: &UrlPrefix| {
        use std::hash::BuildHasher;
        std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(prefix)
    };
    let parse = |prefix| UrlPrefix::parse(prefix).unwrap();
    let left = parse("http://H:80/Straße/ΟΔΟΣ");
    let right = parse("http://h:80/straße/οδος/");
    assert_eq!(left, right);
    assert_eq!(hash(&left), hash(&right));
    assert_ne!(parse("http://h:80/a/"), parse("https://h:80/a/"));
    assert_ne!(parse("http://h:80/a/"), parse("http://h:81/a/"));
    assert_ne!(parse("http://h:80/s/"), parse("http://h:80/ſ/"));
}

#[test]
fn messages_name_the_value_and_the_way_out() {
    let message = |prefix| UrlPrefix::parse(prefix).unwrap_err().to_string();
    assert_eq!(
        message("http://h:080/"),
        "port \"080\" of a URL prefix is no decimal number from 1 to 65535 without leading zero"
    );
    assert_eq!(
        message("http://0.0.0.0:80/"),
        "address \"0.0.0.0\" of a URL prefix is no local address, write * for every address"
    );
}

/// Whatever is pieced together: no panic, and what is accepted has one canonical form.
#[test]
fn random_text_is_refused_or_has_a_canonical_form() {
    const PIECES: [&str; 40] = [
        "http://",
        "https://",
        "HTTP://",
        "://",
        "/",
        "//",
        ":",
        "::",
        "80",
        "0",
        "65535",
        "65536",
        "+",
        "*",
        "*.",
        ".",
        "..",
        "[",
        "]",
        "[::1]",
        "::1",
        "10.0.0.4",
        "0x7f",
        "192.",
        "h",
        "A-b",
        "localhost",
        "ü",
        "ß",
        "漢",
        "１",
        "＊",
        "\u{200d}",
        "\u{fffd}",
        "\0",
        "?",
        "#",
        "\\",
        " ",
        "%2F",
    ];
    let mut state = 1_u64;
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % end
    };
    let mut accepted = 0;
    for _ in 0..200_000 {
        // Some in the shape of a prefix, so that many get past the first checks.
        let shape = below(4) > 0;
        let mut text = if shape { "http://" } else { "" }.to_owned();
        for part in [":80", "/", ""] {
            for _ in 0..below(4) {
                text += PIECES[below(PIECES.len())];
            }
            text += if shape { part } else { "" };
        }
        let Ok(prefix) = UrlPrefix::parse(&text) else {
            continue;
        };
        accepted += 1;
        let canonical = prefix.to_string();
        let again = UrlPrefix::parse(&canonical);
        assert_eq!(again.as_ref(), Ok(&prefix), "{text:?}");
        assert_eq!(
            again.map(|again| again.to_string()),
            Ok(canonical),
            "{text:?}"
        );
    }
    assert!(accepted > 1_000, "only {accepted} accepted");
}
