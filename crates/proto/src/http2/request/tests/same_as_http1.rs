//! The same request in both versions is the same to an application.

use super::*;
use crate::http1::{Parsed, ParsedHead, parse_head};

/// A request in either version.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    target: String,
    host: String,
    fields: Vec<(String, String)>,
    ended: bool,
}

/// What an application sees, and what decides how it is answered.
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    path: String,
    query: Option<String>,
    host: Option<String>,
    fields: Vec<(String, String)>,
    flags: String,
}

impl Seen {
    fn new(bytes: &[u8], head: &ParsedHead, spans: &[FieldSpan]) -> Self {
        let text =
            |span: tidegate_httpapi::Span| String::from_utf8(span.of(bytes).to_vec()).unwrap();
        Self {
            method: text(head.line.method),
            target: text(head.line.target),
            path: text(head.line.path),
            query: head.line.query.map(text),
            host: head.host.map(text),
            fields: pairs(bytes, spans),
            flags: format!(
                "{:?} continue {} plain {} head {} asterisk {} close {} upgrade {}",
                head.framing,
                head.expects_continue,
                head.path_is_plain,
                head.head_request,
                head.asterisk,
                head.close,
                head.upgrade
            ),
        }
    }
}

impl Request {
    fn new(method: &str, target: &str, fields: &[Pair<'_>], ended: bool) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            host: "www.example.com:8080".into(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            ended,
        }
    }

    fn in_http_1(&self, limits: &RequestLimits) -> Result<(Seen, usize), Reject> {
        let Self {
            method,
            target,
            host,
            ..
        } = self;
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        if self.has_no_length() {
            text += "Transfer-Encoding: chunked\r\n";
        }
        text += "\r\n";
        let mut spans = Vec::new();
        match parse_head(text.as_bytes(), limits, &mut spans) {
            Parsed::Head(head) => Ok((Seen::new(text.as_bytes(), &head, &spans), head.head_bytes)),
            Parsed::Reject { reason, .. } => Err(reason),
            Parsed::Incomplete => panic!("{text:?} is incomplete"),
        }
    }

    fn in_http_2(&self, limits: &RequestLimits) -> Result<(Seen, usize), Bad> {
        let mut fields: Vec<Pair<'_>> = vec![
            (":method", &self.method),
            (":scheme", "http"),
            (":authority", &self.host),
            (":path", &self.target),
        ];
        fields.extend(
            self.fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let case = Case {
            ended: self.ended,
            limits: limits.clone(),
            ..Case::default()
        };
        let head = case.read(&fields)?;
        Ok((
            Seen::new(&head.bytes, &head.head, &head.spans),
            head.head.head_bytes,
        ))
    }

    fn has_no_length(&self) -> bool {
        !self.ended && !self.fields.iter().any(|(name, _)| name == "content-length")
    }

    #[track_caller]
    fn check_within(&self, limits: &RequestLimits) -> bool {
        match (self.in_http_1(limits), self.in_http_2(limits)) {
            (Ok((one, one_bytes)), Ok((two, two_bytes))) => {
                assert_eq!(one, two, "{self:?}");
                if !self.has_no_length() {
                    assert_eq!(one_bytes, two_bytes, "{self:?}");
                }
                true
            }
            (Err(one), Err(Bad::Reject(two))) => {
                assert_eq!(one, two, "{self:?}");
                false
            }
            (one, two) => panic!("{self:?}: {one:?}, {two:?}"),
        }
    }
}

#[test]
fn requests_are_the_same() {
    let limits = RequestLimits::default();
    let none: &[Pair<'_>] = &[];
    let browser = [
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("cookie", "session=0123456789abcdef; theme=dark"),
        ("te", "trailers"),
        ("x-empty", ""),
    ];
    let mut right = 0;
    let requests = [
        Request::new("GET", "/", none, true),
        Request::new("GET", "/a/b?c=d", &browser, true),
        Request::new("GET", "/a?", none, true),
        Request::new("GET", "/a/./b/../c//d", none, true),
        Request::new("GET", "/%41/%2e", none, true),
        Request::new("GET", "/.well-known/x", none, true),
        Request::new("HEAD", "/a", none, true),
        Request::new("DELETE", "/a", none, true),
        Request::new("QUERY", "/a", none, true),
        Request::new("OPTIONS", "*", none, true),
        Request::new("OPTIONS", "/", none, true),
        Request::new("POST", "/a", &[("content-length", "5")], false),
        Request::new("POST", "/a", &[("content-length", "5, 5")], false),
        Request::new("POST", "/a", &[("content-length", "0")], true),
        Request::new("POST", "/a", &[("content-type", "text/plain")], false),
        Request::new(
            "PUT",
            "/a",
            &[("content-length", "5"), ("expect", "100-continue")],
            false,
        ),
        Request::new("PATCH", "/a", &[("expect", "100-continue")], false),
        Request::new("GET", "/a", none, false),
    ];
    for request in requests {
        right += u32::from(request.check_within(&limits));
    }
    assert_eq!(right, 18);
}

#[test]
fn refusals_are_the_same() {
    let limits = RequestLimits::default();
    let none: &[Pair<'_>] = &[];
    let long = "x".repeat(16_390);
    let requests = [
        Request::new("get", "/", none, true),
        Request::new("G(T", "/", none, true),
        Request::new(&"X".repeat(256), "/", none, true),
        Request::new("GET", "*", none, true),
        Request::new("GET", "a", none, true),
        Request::new("GET", "/a#b", none, true),
        Request::new("GET", "/é", none, true),
        Request::new(
            "GET",
            "/0123456789abcdef0123456789é0123456789abcdef",
            none,
            true,
        ),
        Request::new("GET", &format!("/{long}"), none, true),
        Request::new("GET", "/", &[("x", &long)], true),
        Request::new("GET", "/", &[("x", &long[20..]), ("y", &long[20..])], true),
        Request::new("POST", "/", none, true),
        Request::new("POST", "/", &[("content-length", "1x")], false),
        Request::new("POST", "/", &[("content-length", "")], false),
        Request::new(
            "POST",
            "/",
            &[("content-length", "1"), ("content-length", "2")],
            false,
        ),
        Request::new(
            "POST",
            "/",
            &[("content-length", "9223372036854775808")],
            false,
        ),
        Request::new("GET", "/", &[("expect", "x")], true),
        Request {
            host: "a b".into(),
            ..Request::new("GET", "/", none, true)
        },
        Request {
            host: "[::ffff:1.2.3.4]".into(),
            ..Request::new("GET", "/", none, true)
        },
    ];
    for request in requests {
        assert!(!request.check_within(&limits), "{request:?}");
    }
}

// Any target, and any path of any length before and behind other bytes.
#[test]
fn random_requests_are_the_same() {
    let mut limits = RequestLimits::default();
    limits.field_bytes_max = 64;
    limits.head_bytes_max = 512;
    limits.segment_chars_max = 20;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut right = 0;
    for _ in 0..20_000 {
        let mut target = String::from("/");
        for _ in 0..random.below(40) {
            target.push(random.one_of(b"aaaabbcdz/./?%#\\*-\xE9~!") as char);
        }
        let mut request = Request::new(
            ["GET", "HEAD", "OPTIONS", "post", "X-Y", "POST"][random.below(6)],
            &target,
            &[],
            random.below(4) != 0,
        );
        if random.below(10) == 0 {
            request
                .host
                .insert(random.below(5), random.one_of(b"a:.@[]%-_/") as char);
        }
        for number in 0..random.below(8) {
            let mut value = String::new();
            for _ in 0..random.below(70) {
                value.push(random.one_of(b"abcdefgh =;,*/\"") as char);
            }
            request
                .fields
                .push((format!("x-{number}"), value.trim().into()));
        }
        right += u32::from(request.check_within(&limits));
    }
    assert!((2_000..19_000).contains(&right), "{right}");
}

/// Numbers without a pattern, the same in each run: xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    fn one_of(&mut self, bytes: &[u8]) -> u8 {
        bytes[self.below(bytes.len())]
    }
}
