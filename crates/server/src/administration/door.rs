//! Who may come in to the administration: the token, sessions of browsers, and where requests may come from.
//!
//! A browser sends its session with whatever a page of any site has it send. So a request must name a host that
//! this is (or the page of another site, whose name was made to lead here, could read answers: DNS rebinding), and
//! what changes something, or opens a WebSocket, must come from our own page (cross-site request forgery).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_admission::administrator::{AdministratorToken, OneTimeCodes, Session};
use tidegate_httpapi::{Host, PeerAddress, Scheme, UrlPrefix};

use super::settings::{AdministrationSettings, is_localhost};
use crate::http::{Request, SameSite, SetCookie};

/// Decides who may come in.
pub(super) struct Door {
    token: AdministratorToken,
    prefix: UrlPrefix,
    /// Further names that it may be asked for by, in lower case.
    hosts: Vec<String>,
    session_life: Duration,
    /// Nothing is called while it is held.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    codes: OneTimeCodes,
    /// Sessions that were ended before their time, and when that would have been.
    ended: BTreeMap<Box<str>, Duration>,
    /// Who has shown what was wrong lately.
    attempts: HashMap<Option<IpAddr>, Attempts>,
}

/// Wrong tokens from one address.
struct Attempts {
    count: u32,
    /// When the first of them came.
    since: Duration,
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Visitor {
    /// A program that has shown the token.
    Program,
    /// A browser that has signed in.
    Browser(Session),
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// It asks for a host that this is not: 421.
    Host,
    /// It comes from a page of another site: 403.
    Origin,
    /// It shows nothing, or what is not good: 401.
    Nobody,
    /// Too many wrong tokens have come from its address: 429.
    TooMany,
}

impl Refusal {
    /// The status to answer with.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Host => 421,
            Self::Origin => 403,
            Self::Nobody => 401,
            Self::TooMany => 429,
        }
    }

    /// What a person or a program is told.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Host => {
                "the administration is not asked for by this host name; see `administration.hosts`"
            }
            Self::Origin => "this may be asked by the administration's own page only",
            Self::Nobody => "show the token: Authorization: Bearer TOKEN, or sign in",
            Self::TooMany => "too many wrong tokens; wait a minute",
        }
    }
}

impl Door {
    pub(super) fn new(
        token: AdministratorToken,
        prefix: UrlPrefix,
        settings: &AdministrationSettings,
    ) -> Self {
        let hosts = settings.hosts.iter();
        Self {
            token,
            prefix,
            hosts: hosts.map(|host| host.to_ascii_lowercase()).collect(),
            session_life: settings.session_life,
            state: Mutex::default(),
        }
    }

    /// Whether a request asks for a host that this is. To be asked first.
    pub(super) fn check_host(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let host = request.host().unwrap_or_default();
        match self.is_ours(&host) {
            true => Ok(()),
            false => Err(Refusal::Host),
        }
    }

    fn is_ours(&self, authority: &str) -> bool {
        let Some((host, port)) = split_authority(authority) else {
            return false;
        };
        let default_port = match self.prefix.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        if port.unwrap_or(default_port) != self.prefix.port {
            return false;
        }
        let host = host.to_ascii_lowercase();
        // An address leads where it says, whoever's page has it asked for.
        let is_address = host.parse::<IpAddr>().is_ok()
            || host
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|address| address.parse::<IpAddr>().is_ok());
        let is_named = self.hosts.contains(&host);
        is_named
            || match &self.prefix.host {
                Host::Name {
                    name, subdomains, ..
                } => {
                    let ends = || {
                        let rest = host.strip_suffix(&**name);
                        rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                    };
                    let is_it = if *subdomains { ends() } else { host == **name };
                    is_it || (is_address && is_localhost(&self.prefix.host))
                }
                Host::Address(_) => is_address,
                Host::StrongWildcard | Host::WeakWildcard => is_address || host == "localhost",
            }
    }

    /// Who asks, by the token or by a session.
    ///
    /// `acts`: the request changes something, or opens a WebSocket.
    pub(super) fn admit(&self, request: &Request<'_>, acts: bool) -> Result<Visitor, Refusal> {
        self.check_host(request)?;
        self.check_origin(request)?;
        if request.header("Authorization").is_some() {
            self.check_token(request)?;
            return Ok(Visitor::Program);
        }
        let session = self.session(request).ok_or(Refusal::Nobody)?;
        // Browsers send it with all that is meant here.
        if acts && request.header("Origin").is_none() {
            return Err(Refusal::Origin);
        }
        Ok(Visitor::Browser(session))
    }

    /// Whether a request comes from our own page, or from no page.
    fn check_origin(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let host = request.host().unwrap_or_default();
        let scheme = self.prefix.scheme;
        if let Some(origin) = request.header("Origin") {
            let own = format!("{scheme}://{}", host.to_ascii_lowercase());
            if !origin.eq_ignore_ascii_case(without_default_port(&own, scheme)) {
                return Err(Refusal::Origin);
            }
        }
        // What an address bar or a bookmark leads to, and what a link does: such a request changes nothing.
        let is_visit = request.method() == "GET"
            && request.header("Sec-Fetch-Mode").as_deref() == Some("navigate");
        match request.header("Sec-Fetch-Site").as_deref() {
            None | Some("same-origin" | "none") => Ok(()),
            Some(_) if is_visit => Ok(()),
            Some(_) => Err(Refusal::Origin),
        }
    }

    /// Whether a request shows the token, which only so many may get wrong.
    pub(super) fn check_token(&self, request: &Request<'_>) -> Result<(), Refusal> {
        self.attempt(request, |_| {
            let shown = request.bearer_token();
            shown.is_some_and(|shown| self.token.matches(shown))
        })
    }

    /// Whether a code from a link is good, which it is not any more then.
    pub(super) fn take_code(&self, request: &Request<'_>, code: &str) -> Result<(), Refusal> {
        self.attempt(request, |state| state.codes.take(code, now()))
    }

    fn attempt(
        &self,
        request: &Request<'_>,
        is_right: impl FnOnce(&mut State) -> bool,
    ) -> Result<(), Refusal> {
        let address = match request.peer() {
            PeerAddress::Tcp(address) => Some(address.ip()),
            _ => None,
        };
        let now = now();
        let mut state = self.lock();
        state
            .attempts
            .retain(|_, attempts| now.saturating_sub(attempts.since) < ATTEMPTS_PERIOD);
        let count = state.attempts.get(&address).map_or(0, |of| of.count);
        let is_full = state.attempts.len() >= ADDRESSES_MAX && count == 0;
        if count >= ATTEMPTS_MAX || is_full {
            return Err(Refusal::TooMany);
        }
        if is_right(&mut state) {
            state.attempts.remove(&address);
            return Ok(());
        }
        let attempts = state.attempts.entry(address).or_insert(Attempts {
            count: 0,
            since: now,
        });
        attempts.count += 1;
        Err(Refusal::Nobody)
    }

    /// The session that a browser has, if it is good.
    pub(super) fn session(&self, request: &Request<'_>) -> Option<Session> {
        let name = self.cookie_name();
        // Whoever serves something else on this host may have set one of this name: each is looked at.
        let mut sent = request.cookies().iter().filter(|(found, _)| *found == name);
        sent.by_ref().take(COOKIES_MAX).find_map(|(_, value)| {
            let session = self.token.session(value, now())?;
            let is_over = self.lock().ended.contains_key(&session.id);
            (!is_over).then_some(session)
        })
    }

    /// Begins a session: the cookie to be set.
    pub(super) fn begin_session(&self) -> SetCookie {
        let value = self.token.begin_session(now(), self.session_life);
        self.cookie(SetCookie::new(self.cookie_name(), value).max_age(self.session_life))
    }

    /// Ends a session: the cookie to be set.
    pub(super) fn end_session(&self, session: &Session) -> SetCookie {
        let now = now();
        let mut state = self.lock();
        state.ended.retain(|_, ends| *ends > now);
        // Each was signed by us, so none is made up, and whoever fills this has signed in so often.
        if state.ended.len() < ENDED_MAX {
            state.ended.insert(session.id.clone(), session.ends);
        }
        drop(state);
        self.cookie(SetCookie::removed(self.cookie_name()))
    }

    fn cookie(&self, cookie: SetCookie) -> SetCookie {
        let cookie = cookie
            .path(&*self.prefix.path)
            .http_only()
            .same_site(SameSite::Strict);
        match self.prefix.scheme {
            Scheme::Https => cookie.secure(),
            Scheme::Http => cookie,
        }
    }

    /// Cookies know no ports, and another server's may be on the same host.
    fn cookie_name(&self) -> String {
        format!("tidegate-administration-{}", self.prefix.port)
    }

    /// The path of a link that signs in, once and within an hour.
    pub(super) fn link_query(&self) -> String {
        let code = self.lock().codes.give(now());
        format!("sign-in?once={code}")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Host and port of an authority; `None` when it is none.
fn split_authority(authority: &str) -> Option<(Cow<'_, str>, Option<u16>)> {
    let colon = authority.rfind(':');
    let bracket = authority.rfind(']');
    let (host, port) = match colon {
        Some(colon) if bracket.is_none_or(|bracket| bracket < colon) => {
            let port = authority[colon + 1..].parse().ok()?;
            (&authority[..colon], Some(port))
        }
        _ => (authority, None),
    };
    (!host.is_empty()).then_some((host.into(), port))
}

/// An origin as browsers write it: without the port that the scheme has anyway.
fn without_default_port(origin: &str, scheme: Scheme) -> &str {
    let default = match scheme {
        Scheme::Http => ":80",
        Scheme::Https => ":443",
    };
    origin.strip_suffix(default).unwrap_or(origin)
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Wrong tokens that an address may show in a period; then it has to wait for its end.
const ATTEMPTS_MAX: u32 = 10;
const ATTEMPTS_PERIOD: Duration = Duration::from_secs(60);
/// Addresses that have shown a wrong token within a period. When there are more, no new one may try.
const ADDRESSES_MAX: usize = 1024;
const ENDED_MAX: usize = 10_000;
const COOKIES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn door(url: &str, hosts: &[&str]) -> Door {
        let settings = AdministrationSettings {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            ..AdministrationSettings::default()
        };
        let prefix = UrlPrefix::parse(url).unwrap();
        Door::new(AdministratorToken::random(), prefix, &settings)
    }

    fn ours<'a>(door: &Door, hosts: &[&'a str]) -> Vec<&'a str> {
        let hosts = hosts.iter().copied();
        hosts.filter(|host| door.is_ours(host)).collect()
    }

    const ASKED: [&str; 12] = [
        "localhost:9180",
        "LocalHost:9180",
        "127.0.0.1:9180",
        "[::1]:9180",
        "localhost",
        "localhost:80",
        "evil.example:9180",
        "localhost.evil.example:9180",
        "127.0.0.1.evil.example:9180",
        "",
        ":9180",
        "[evil]:9180",
    ];

    #[test]
    fn localhost_is_asked_for_by_name_or_address() {
        let wanted = [
            "localhost:9180",
            "LocalHost:9180",
            "127.0.0.1:9180",
            "[::1]:9180",
        ];
        assert_eq!(ours(&door("http://localhost:9180/a/", &[]), &ASKED), wanted);
        assert_eq!(ours(&door("https://+:9180/a/", &[]), &ASKED), wanted);
    }

    #[test]
    fn an_address_is_asked_for_by_address() {
        let wanted = ["127.0.0.1:9180", "[::1]:9180"];
        assert_eq!(ours(&door("http://127.0.0.1:9180/a/", &[]), &ASKED), wanted);
    }

    #[test]
    fn a_name_is_asked_for_by_itself_and_those_that_were_added() {
        let door = door("https://admin.example:443/a/", &["Also.Example"]);
        let asked = [
            "admin.example",
            "admin.example:443",
            "also.example",
            "x.admin.example",
            "1.2.3.4",
        ];
        assert_eq!(ours(&door, &asked), asked[..3]);
        let sub = door_of_subdomains();
        assert_eq!(
            ours(&sub, &["a.example", "example", ".example", "b.a.example"]),
            ["a.example", "b.a.example"]
        );
    }

    #[test]
    fn a_cookie_is_for_its_prefix_and_no_script() {
        let cookie = |url: &str| format!("{:?}", door(url, &[]).begin_session());
        let secured = cookie("https://+:9180/a/");
        for part in [
            "is_http_only: true",
            "is_secure: true",
            "Strict",
            "\"/a/\"",
            "-9180",
        ] {
            assert!(secured.contains(part), "{secured}");
        }
        assert!(cookie("http://localhost:9180/a/").contains("is_secure: false"));
    }

    fn door_of_subdomains() -> Door {
        door("https://*.example:443/a/", &[])
    }
}
