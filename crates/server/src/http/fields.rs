//! Fields whose values have a form of their own, typed: what responses say, what requests ask for.
//!
//! Fields that are just a text, a time or a number are in `head`; the content's length, type, ranges and
//! validators are with what they describe. Each type here is in a file of its own.

mod cache_control;
mod challenge;
mod cookie;
mod custom;
mod link;
mod parameter;
mod quality;

use std::time::{Duration, SystemTime};

use http::Method;
use tidegate_httpapi::KnownField;

pub use cache_control::CacheControl;
pub use challenge::Challenge;
pub use cookie::{SameSite, SetCookie};
pub use link::Link;

use super::date;
use super::request::Request;
use super::response::{Response, ResponseError};
use super::source::RequestSource;
use super::vary::add_vary;
use parameter::{Malformed, is_token};

impl Response {
    /// Sets `Cache-Control`, to a text or to [`CacheControl`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate::CacheControl;
    ///
    /// # fn handler(response: &mut tidegate::Response) {
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// response.cache_control(CacheControl::new().public().max_age(day).immutable());
    /// # }
    /// ```
    pub fn cache_control(&mut self, value: impl AsRef<str>) -> &mut Self {
        self.header("Cache-Control", value.as_ref())
    }

    /// Adds a name to `Vary`: a field of the request that decides what is answered, so that caches keep
    /// an answer for each of its values; `*` for what is no field.
    pub fn vary(&mut self, name: &str) -> &mut Self {
        match is_token(name) {
            true => add_vary(&mut self.head.fields, name),
            false => self.keep_malformed("Vary", Malformed(name.into())),
        }
        self
    }

    /// Sets `Allow`: the methods that there are for what was asked for, as a response with status 405
    /// has to say.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// response.status(405).allow(["GET", "HEAD"]).empty();
    /// # }
    /// ```
    pub fn allow<M: AsRef<str>>(&mut self, methods: impl IntoIterator<Item = M>) -> &mut Self {
        let mut value = String::new();
        for method in methods {
            let method = method.as_ref();
            if Method::from_bytes(method.as_bytes()).is_err() {
                self.keep_malformed("Allow", Malformed(method.into()));
                return self;
            }
            if !value.is_empty() {
                value.push_str(", ");
            }
            value.push_str(method);
        }
        self.header("Allow", value)
    }

    /// Sets `Retry-After` to this time from now, in whole seconds, a part of one counted as one.
    pub fn retry_after(&mut self, wait: Duration) -> &mut Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header("Retry-After", seconds.to_string())
    }

    /// Sets `Retry-After` to a point in time.
    pub fn retry_at(&mut self, time: SystemTime) -> &mut Self {
        self.header("Retry-After", date::to_field_value(time))
    }

    /// Adds a `Link`.
    ///
    /// ```
    /// use tidegate::Link;
    ///
    /// # fn handler(response: &mut tidegate::Response) {
    /// response.link(Link::new("/style.css", "preload").param("as", "style"));
    /// # }
    /// ```
    pub fn link(&mut self, link: Link) -> &mut Self {
        self.append_typed("Link", link.into_value())
    }

    /// Adds a `WWW-Authenticate`: a way to prove who one is, of which a response with status 401 has to
    /// name one.
    ///
    /// ```
    /// use tidegate::Challenge;
    ///
    /// # fn handler(response: &mut tidegate::Response) {
    /// response.status(401).www_authenticate(Challenge::basic("harbour office")).empty();
    /// # }
    /// ```
    pub fn www_authenticate(&mut self, challenge: Challenge) -> &mut Self {
        self.append_typed("WWW-Authenticate", challenge.into_value())
    }

    /// Adds a `Set-Cookie`.
    ///
    /// ```
    /// use tidegate::{SameSite, SetCookie};
    ///
    /// # fn handler(response: &mut tidegate::Response) {
    /// let cookie = SetCookie::new("session", "0f9c2d61").path("/").http_only().secure().same_site(SameSite::Lax);
    /// response.set_cookie(cookie);
    /// # }
    /// ```
    pub fn set_cookie(&mut self, cookie: SetCookie) -> &mut Self {
        self.append_typed("Set-Cookie", cookie.into_value())
    }

    fn append_typed(&mut self, field: &'static str, value: Result<String, Malformed>) -> &mut Self {
        match value {
            Ok(value) => {
                self.append_header(field, value);
            }
            Err(malformed) => self.keep_malformed(field, malformed),
        }
        self
    }

    #[cold]
    fn keep_malformed(&mut self, field: &'static str, Malformed(part): Malformed) {
        self.keep_fault(ResponseError::Malformed { field, part });
    }
}

impl<S: RequestSource> Request<'_, S> {
    /// The `Origin`: where the page is from that has a browser make the request; `null` for one that is
    /// from nowhere.
    pub fn origin(&self) -> Option<&str> {
        self.one("Origin")
    }

    /// The `User-Agent`, as the peer calls itself.
    pub fn user_agent(&self) -> Option<&str> {
        std::str::from_utf8(self.headers().known(KnownField::UserAgent)?).ok()
    }

    /// The `Referer`: what led to the request.
    pub fn referer(&self) -> Option<&str> {
        std::str::from_utf8(self.headers().known(KnownField::Referer)?).ok()
    }

    /// The token of an `Authorization` of the Bearer scheme, as the peer gave it: nobody has checked it.
    /// RFC 6750 §2.1.
    pub fn bearer_token(&self) -> Option<&str> {
        let value = self.headers().known(KnownField::Authorization)?;
        let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let token = token.trim_start_matches(' ');
        let is_token68 = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let is_one = !token.is_empty() && token.bytes().all(is_token68);
        (scheme.eq_ignore_ascii_case("bearer") && is_one).then_some(token)
    }

    /// The media type among these that the peer likes best by its `Accept`, of several the one that it names
    /// most exactly, then the first; `None` when it takes none of them (406). A response that goes by it
    /// says `Vary: Accept`.
    ///
    /// ```
    /// # fn handler(request: &tidegate::Request<'_>, response: &mut tidegate::Response) {
    /// response.vary("Accept");
    /// match request.accepts(["application/json", "text/html"]) {
    ///     Some("text/html") => response.content_type("text/html; charset=utf-8").text("<p>calm"),
    ///     Some(_) => response.content_type("application/json").text(r#"{"sea":"calm"}"#),
    ///     None => response.status(406).empty(),
    /// }
    /// # }
    /// ```
    pub fn accepts<'a>(&self, offers: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let field = self.header("Accept").unwrap_or_default();
        quality::best(&field, offers, quality::media_type)
    }

    /// The language among these, such as `en` or `de-AT`, that the peer likes best by its
    /// `Accept-Language`, of several the nearest, then the first; `None` when it wants none of them, where
    /// one of them is mostly better than nothing. A response that goes by it says `Vary: Accept-Language`.
    pub fn accepts_language<'a>(
        &self,
        offers: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        let field = self.header("Accept-Language").unwrap_or_default();
        quality::best(&field, offers, quality::language)
    }

    /// The value of a field that has one line.
    fn one(&self, name: &str) -> Option<&str> {
        let lines = self.headers().iter();
        let mut lines = lines.filter(|field| field.name.eq_ignore_ascii_case(name));
        match (lines.next(), lines.next()) {
            (Some(line), None) => std::str::from_utf8(line.value).ok(),
            _ => None,
        }
    }
}
