//! What may be stored, and who may be served from what is stored.
//!
//! One list of rules for each. Whatever is not fit is answered by the application and not stored; nothing
//! is refused here. Source: http-server-api §8; support article 817445.

use tidegate_httpapi::{CacheLimits, CachePolicy, Fields, KnownField};

/// What the rules ask of a request.
#[derive(Clone, Copy, Debug)]
pub struct CacheRequest<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The field lines.
    pub fields: Fields<'a>,
    /// Whether it has content.
    pub has_content: bool,
    /// Whether its target names another authority than its `Host` field.
    pub names_two_hosts: bool,
}

/// Why a request is not served from the cache though what it asks for may be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CacheBypass {
    /// The method is not GET. Of HEAD too: the application may say more.
    Method,
    /// It has content.
    Content,
    /// It has `Authorization`: the answer may be for one user.
    Authorization,
    /// It has `Translate: f`: it asks for the source of what others get.
    Translate,
    /// It asks for another protocol.
    Upgrade,
}

/// What a request that may be served asks besides: where there is any of it, the answer is not the stored
/// response as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheConditions {
    /// It has `Range`.
    pub range: bool,
    /// It has a field that makes it conditional: `If-Match`, `If-None-Match`, `If-Modified-Since`,
    /// `If-Unmodified-Since`.
    pub conditional: bool,
    /// It has `If-Range`.
    pub if_range: bool,
}

/// Whether a request may be served from the cache, and what it asks besides.
///
/// `Cache-Control`, `Pragma` and `Vary` do not count.
///
/// # Errors
///
/// Why it may not.
#[inline]
pub fn may_be_served(request: &CacheRequest<'_>) -> Result<CacheConditions, CacheBypass> {
    if request.method != b"GET" {
        return Err(CacheBypass::Method);
    }
    if request.has_content {
        return Err(CacheBypass::Content);
    }
    let mut conditions = CacheConditions::default();
    for (name, value) in request.fields.lines() {
        let is = |spelling: &[u8]| name.eq_ignore_ascii_case(spelling);
        // The length alone tells most names apart.
        match name.len() {
            5 => conditions.range |= is(b"range"),
            7 if is(b"upgrade") => return Err(CacheBypass::Upgrade),
            8 => {
                conditions.conditional |= is(b"if-match");
                conditions.if_range |= is(b"if-range");
            }
            9 if is(b"translate") && value.eq_ignore_ascii_case(b"f") => {
                return Err(CacheBypass::Translate);
            }
            13 if is(b"authorization") => return Err(CacheBypass::Authorization),
            13 => conditions.conditional |= is(b"if-none-match"),
            17 => conditions.conditional |= is(b"if-modified-since"),
            19 => conditions.conditional |= is(b"if-unmodified-since"),
            _ => {}
        }
    }
    Ok(conditions)
}

/// What the rules ask of an application's answer.
#[derive(Clone, Copy, Debug)]
pub struct CacheAnswer {
    /// For how long it is to be stored.
    pub policy: CachePolicy,
    /// Its status.
    pub status: u16,
    /// The length of its content, if it is there as a whole; `None`: it comes piece by piece, or has a
    /// trailer section.
    pub content_bytes: Option<usize>,
    /// The length of its head, as HTTP/1 sends it.
    pub head_bytes: usize,
    /// Whether it has a `Content-Type`.
    pub has_content_type: bool,
    /// Whether it sets a cookie.
    pub sets_cookie: bool,
    /// Whether its `Last-Modified`, if it has one, is a date.
    pub last_modified_is_right: bool,
    /// Whether its `Content-Length`, if it has one, is that of its content.
    pub length_is_right: bool,
    /// Whether the client has shown a certificate.
    pub client_is_known: bool,
}

/// Why an answer is not stored though a policy was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NotStored {
    /// There is no cache.
    CacheDisabled,
    /// The policy is for less than a second.
    Policy,
    /// The request could not have been served from the cache either.
    Request(CacheBypass),
    /// The request expects what is not 100-continue.
    Expectation,
    /// The request has `Range` or `If-Range`.
    Range,
    /// The request's target names another host than its `Host` field: who goes by the latter has answered
    /// something else.
    TwoHosts,
    /// The answer depends on who asked: the client has shown a certificate.
    ClientIsKnown,
    /// The status is none from 200 to 599, or 206.
    Status,
    /// The status answers the request's conditions, which others do not make.
    Conditions,
    /// Content comes piece by piece, or there is a trailer section.
    NotWhole,
    /// There is no `Content-Type`.
    ContentType,
    /// It sets a cookie, which is meant for one user.
    Cookie,
    /// `Last-Modified` is no date.
    LastModified,
    /// `Content-Length` is not that of the content.
    Length,
    /// The content is too long.
    ContentTooLong,
    /// The head is too long.
    HeadTooLong,
}

/// Whether an answer to a request may be stored.
///
/// # Errors
///
/// The first rule that forbids it.
pub fn may_be_stored(
    request: &CacheRequest<'_>,
    answer: &CacheAnswer,
    limits: &CacheLimits,
) -> Result<(), NotStored> {
    let unless = |is_right: bool, why| if is_right { Ok(()) } else { Err(why) };
    unless(limits.enabled, NotStored::CacheDisabled)?;
    unless(answer.policy.stores(), NotStored::Policy)?;
    let conditions = may_be_served(request).map_err(NotStored::Request)?;
    let expectation = request.fields.known(KnownField::Expect);
    let expects_more =
        expectation.is_some_and(|value| !value.eq_ignore_ascii_case(b"100-continue"));
    unless(!expects_more, NotStored::Expectation)?;
    unless(!conditions.range && !conditions.if_range, NotStored::Range)?;
    unless(!request.names_two_hosts, NotStored::TwoHosts)?;
    unless(!answer.client_is_known, NotStored::ClientIsKnown)?;
    let is_final = (200..=599).contains(&answer.status);
    unless(
        is_final && answer.status != PARTIAL_CONTENT,
        NotStored::Status,
    )?;
    let answers_conditions = matches!(answer.status, NOT_MODIFIED | PRECONDITION_FAILED);
    unless(
        !(conditions.conditional && answers_conditions),
        NotStored::Conditions,
    )?;
    let content_bytes = answer.content_bytes.ok_or(NotStored::NotWhole)?;
    unless(answer.has_content_type, NotStored::ContentType)?;
    unless(!answer.sets_cookie, NotStored::Cookie)?;
    unless(answer.last_modified_is_right, NotStored::LastModified)?;
    unless(answer.length_is_right, NotStored::Length)?;
    unless(
        content_bytes <= limits.content_bytes_max as usize,
        NotStored::ContentTooLong,
    )?;
    unless(
        answer.head_bytes <= limits.head_bytes_max as usize,
        NotStored::HeadTooLong,
    )
}

const PARTIAL_CONTENT: u16 = 206;
const NOT_MODIFIED: u16 = 304;
const PRECONDITION_FAILED: u16 = 412;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_httpapi::FieldSpan;

    use super::*;

    /// Field lines, one string each.
    struct Lines {
        bytes: Vec<u8>,
        spans: Vec<FieldSpan>,
    }

    impl Lines {
        fn new(lines: &[&str]) -> Self {
            let (mut bytes, mut spans) = (Vec::new(), Vec::new());
            for line in lines {
                let (name, value) = line.split_once(": ").unwrap();
                let start = bytes.len() as u32;
                bytes.extend_from_slice(line.as_bytes());
                spans.push(FieldSpan {
                    name_start: start,
                    value_start: start + name.len() as u32 + 2,
                    value_len: value.len() as u32,
                    name_len: name.len() as u16,
                    known: KnownField::of(name.as_bytes()),
                });
            }
            Self { bytes, spans }
        }

        fn request(&self) -> CacheRequest<'_> {
            CacheRequest {
                method: b"GET",
                fields: Fields::new(&self.bytes, &self.spans),
                has_content: false,
                names_two_hosts: false,
            }
        }
    }

    const ANSWER: CacheAnswer = CacheAnswer {
        policy: CachePolicy::UserInvalidates,
        status: 200,
        content_bytes: Some(5),
        head_bytes: 100,
        has_content_type: true,
        sets_cookie: false,
        last_modified_is_right: true,
        length_is_right: true,
        client_is_known: false,
    };

    fn store(lines: &[&str], answer: CacheAnswer) -> Result<(), NotStored> {
        let lines = Lines::new(lines);
        may_be_stored(&lines.request(), &answer, &CacheLimits::default())
    }

    fn stores(answer: CacheAnswer) -> Result<(), NotStored> {
        store(&[], answer)
    }

    // Cases C06, C07, C09, C18, C20.
    #[test]
    fn who_may_be_served() {
        let serve = |lines: &[&str]| may_be_served(&Lines::new(lines).request());
        let plain = Ok(CacheConditions::default());
        for lines in [
            &[][..],
            &["Cache-Control: no-cache, max-age=0", "Pragma: no-cache"],
            &["Accept-Language: de", "Cookie: a=b", "User-Agent: x"],
            &["Translate: t"],
            &["Expect: 100-continue"],
            &["Authorisation: x", "If-Nonematch: y", "Rangf: bytes=0-1"],
        ] {
            assert_eq!(serve(lines), plain, "{lines:?}");
        }
        for (line, bypass) in [
            ("AUTHORIZATION: Basic x", CacheBypass::Authorization),
            ("translate: F", CacheBypass::Translate),
            ("Upgrade: websocket", CacheBypass::Upgrade),
        ] {
            assert_eq!(serve(&["Accept: */*", line]), Err(bypass), "{line}");
        }
        for (line, range, conditional, if_range) in [
            ("Range: bytes=0-1", true, false, false),
            ("If-Range: \"a\"", false, false, true),
            ("If-Match: *", false, true, false),
            ("If-None-Match: *", false, true, false),
            ("If-Modified-Since: x", false, true, false),
            ("If-Unmodified-Since: x", false, true, false),
        ] {
            let conditions = CacheConditions {
                range,
                conditional,
                if_range,
            };
            assert_eq!(serve(&[line]), Ok(conditions), "{line}");
        }
        let lines = Lines::new(&[]);
        for method in [
            "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "XYZZY",
        ] {
            let mut request = lines.request();
            request.method = method.as_bytes();
            assert_eq!(
                may_be_served(&request),
                Err(CacheBypass::Method),
                "{method}"
            );
        }
        let mut request = lines.request();
        request.has_content = true;
        assert_eq!(may_be_served(&request), Err(CacheBypass::Content));
    }

    // Cases C08, C12, C20.
    #[test]
    fn which_requests_fill_the_cache() {
        assert_eq!(
            store(&["Expect: 100-continue", "If-None-Match: x"], ANSWER),
            Ok(())
        );
        for (line, why) in [
            (
                "Authorization: x",
                NotStored::Request(CacheBypass::Authorization),
            ),
            ("Translate: f", NotStored::Request(CacheBypass::Translate)),
            ("Upgrade: x", NotStored::Request(CacheBypass::Upgrade)),
            ("Expect: tea", NotStored::Expectation),
            ("Range: bytes=0-1", NotStored::Range),
            ("If-Range: x", NotStored::Range),
        ] {
            assert_eq!(store(&[line], ANSWER), Err(why), "{line}");
        }
        let lines = Lines::new(&[]);
        let mut request = lines.request();
        request.method = b"HEAD";
        let limits = CacheLimits::default();
        let why = NotStored::Request(CacheBypass::Method);
        assert_eq!(may_be_stored(&request, &ANSWER, &limits), Err(why));
        let mut request = lines.request();
        request.names_two_hosts = true;
        let why = NotStored::TwoHosts;
        assert_eq!(may_be_stored(&request, &ANSWER, &limits), Err(why));
    }

    // Cases C12, C13.
    #[test]
    fn every_final_status_but_206_is_stored() {
        for status in 0..1000 {
            let stored = stores(CacheAnswer { status, ..ANSWER }).is_ok();
            assert_eq!(
                stored,
                (200..600).contains(&status) && status != 206,
                "{status}"
            );
        }
    }

    #[test]
    fn an_answer_to_conditions_is_not_for_who_makes_none() {
        for status in [304, 412] {
            let answer = CacheAnswer { status, ..ANSWER };
            assert_eq!(stores(answer), Ok(()));
            for line in [
                "If-Match: x",
                "If-None-Match: x",
                "If-Modified-Since: x",
                "If-Unmodified-Since: x",
            ] {
                assert_eq!(store(&[line], answer), Err(NotStored::Conditions), "{line}");
            }
        }
    }

    // Cases C04, C05, C14, C15.
    #[test]
    fn which_answers_fill_the_cache() {
        let milliseconds = |time| CachePolicy::TimeToLive(Duration::from_millis(time));
        let stored = [
            CacheAnswer {
                policy: milliseconds(1000),
                ..ANSWER
            },
            CacheAnswer {
                policy: CachePolicy::TimeToLive(Duration::MAX),
                ..ANSWER
            },
            CacheAnswer {
                content_bytes: Some(0),
                ..ANSWER
            },
            CacheAnswer {
                content_bytes: Some(262_144),
                head_bytes: 1024,
                ..ANSWER
            },
        ];
        for answer in stored {
            assert_eq!(stores(answer), Ok(()), "{answer:?}");
        }
        let not_stored = [
            (
                CacheAnswer {
                    policy: CachePolicy::None,
                    ..ANSWER
                },
                NotStored::Policy,
            ),
            (
                CacheAnswer {
                    policy: milliseconds(0),
                    ..ANSWER
                },
                NotStored::Policy,
            ),
            (
                CacheAnswer {
                    policy: milliseconds(900),
                    ..ANSWER
                },
                NotStored::Policy,
            ),
            (
                CacheAnswer {
                    content_bytes: None,
                    ..ANSWER
                },
                NotStored::NotWhole,
            ),
            (
                CacheAnswer {
                    has_content_type: false,
                    ..ANSWER
                },
                NotStored::ContentType,
            ),
            (
                CacheAnswer {
                    sets_cookie: true,
                    ..ANSWER
                },
                NotStored::Cookie,
            ),
            (
                CacheAnswer {
                    last_modified_is_right: false,
                    ..ANSWER
                },
                NotStored::LastModified,
            ),
            (
                CacheAnswer {
                    length_is_right: false,
                    ..ANSWER
                },
                NotStored::Length,
            ),
            (
                CacheAnswer {
                    client_is_known: true,
                    ..ANSWER
                },
                NotStored::ClientIsKnown,
            ),
            (
                CacheAnswer {
                    content_bytes: Some(262_145),
                    ..ANSWER
                },
                NotStored::ContentTooLong,
            ),
            (
                CacheAnswer {
                    head_bytes: 1025,
                    ..ANSWER
                },
                NotStored::HeadTooLong,
            ),
        ];
        for (answer, why) in not_stored {
            assert_eq!(stores(answer), Err(why), "{answer:?}");
        }
    }

    #[test]
    fn nothing_is_stored_where_there_is_no_cache() {
        let lines = Lines::new(&[]);
        let mut limits = CacheLimits::default();
        limits.enabled = false;
        let stored = may_be_stored(&lines.request(), &ANSWER, &limits);
        assert_eq!(stored, Err(NotStored::CacheDisabled));
    }
}
