//! Which rule a request falls under, and whom it is counted with.
//!
//! Rules for endpoints come first, then those for API keys, for users, for addresses; within a kind they are
//! asked in the order given, and the first that applies is the only one. Source: the component's RateLimiter.

use std::fmt;
use std::net::IpAddr;

use tidegate_httpapi::AddressRange;

use super::calendar::Period;
use super::limit::{Limit, LimitFault};

/// What a rule applies to.
#[derive(Clone, Debug, PartialEq)]
pub enum Applies {
    /// Requests for an endpoint.
    Endpoint(EndpointPattern),
    /// Requests with an API key: this one, by its id, or with any.
    ApiKey(Option<Box<str>>),
    /// Requests of a user: this one, or any.
    User(Option<Box<str>>),
    /// Requests from these addresses; empty is all.
    Address(Vec<AddressRange>),
}

/// Who shares an allowance.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Per {
    /// Whoever has the same API key; without one, the same address.
    ApiKey,
    /// The same user; without one, the same address.
    User,
    /// The same address. IPv6 addresses of a network count as one.
    Address,
    /// All that the rule applies to together.
    All,
}

/// A rule: what it applies to, and what is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Names it, in events and to clients. Letters, digits, `-`, `_` and `.`; each name once.
    ///
    /// Allowances are kept by it, also over a restart.
    pub name: Box<str>,
    /// What it applies to.
    pub applies: Applies,
    /// Who shares the allowance.
    pub per: Per,
    /// What is allowed. `None`: as often as one likes, within the quotas.
    pub limit: Option<Limit>,
    /// Most calls in an hour, a day and a month; 0 is unlimited. In the order of [`Period::ALL`].
    pub quotas: [u32; 3],
    /// What a request costs. Default 1; 0 is free.
    pub cost: u32,
}

/// What is known of who calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as routing goes by it, without a query.
    pub path: &'a str,
    /// The id of the API key, when a valid one was given.
    pub api_key: Option<&'a str>,
    /// The user, when one has proved to be it.
    pub user: Option<&'a str>,
    /// The address. `None`: a Unix socket, whose callers count as one.
    pub address: Option<IpAddr>,
}

/// A server's rules, in the order they are asked in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Puts rules into their order.
    ///
    /// # Errors
    ///
    /// The first rule that cannot be.
    pub fn new(mut rules: Vec<Rule>) -> Result<Self, RuleFault> {
        for (index, rule) in rules.iter().enumerate() {
            let fault = |what| RuleFault {
                rule: rule.name.clone(),
                what,
            };
            let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if rule.name.is_empty() || !rule.name.bytes().all(is_named) {
                return Err(fault(WhatFault::Name));
            }
            if rules[..index].iter().any(|other| other.name == rule.name) {
                return Err(fault(WhatFault::Twice));
            }
            match &rule.limit {
                Some(limit) => limit
                    .check()
                    .map_err(|limit| fault(WhatFault::Limit(limit)))?,
                None if rule.quotas == [0; 3] => return Err(fault(WhatFault::Nothing)),
                None => {}
            }
        }
        rules.sort_by_key(|rule| match rule.applies {
            Applies::Endpoint(_) => 0,
            Applies::ApiKey(_) => 1,
            Applies::User(_) => 2,
            Applies::Address(_) => 3,
        });
        Ok(Self(rules))
    }

    /// The rule that a caller falls under.
    #[inline]
    pub fn find(&self, caller: &Caller<'_>) -> Option<&Rule> {
        self.place(caller).map(|place| &self.0[place])
    }

    /// Its place among all rules.
    #[inline]
    pub(super) fn place(&self, caller: &Caller<'_>) -> Option<usize> {
        self.0.iter().position(|rule| rule.applies.to(caller))
    }

    /// Whether the rule that a caller falls under, or whom it counts, depends on which user it is: then it is to
    /// be charged when that is known.
    #[inline]
    pub fn depend_on_user(&self, caller: &Caller<'_>) -> bool {
        let may_apply =
            |rule: &&Rule| matches!(rule.applies, Applies::User(_)) || rule.applies.to(caller);
        let first = self.0.iter().find(may_apply);
        first.is_some_and(|rule| rule.per == Per::User || matches!(rule.applies, Applies::User(_)))
    }

    /// All rules.
    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    /// Whether any rule asks which API key there is.
    pub fn ask_for_api_key(&self) -> bool {
        let asks =
            |rule: &Rule| rule.per == Per::ApiKey || matches!(rule.applies, Applies::ApiKey(_));
        self.0.iter().any(asks)
    }

    /// Whether any rule asks who the user is.
    pub fn ask_for_user(&self) -> bool {
        let asks = |rule: &Rule| rule.per == Per::User || matches!(rule.applies, Applies::User(_));
        self.0.iter().any(asks)
    }
}

impl Rule {
    /// The quota of a period; `None` is unlimited.
    pub fn quota(&self, period: Period) -> Option<u32> {
        let calls = self.quotas[period as usize];
        (calls > 0).then_some(calls)
    }

    /// Whether it has a quota.
    pub fn has_quota(&self) -> bool {
        self.quotas != [0; 3]
    }
}

impl Applies {
    fn to(&self, caller: &Caller<'_>) -> bool {
        match self {
            Self::Endpoint(pattern) => pattern.matches(caller.method, caller.path),
            Self::ApiKey(None) => caller.api_key.is_some(),
            Self::ApiKey(Some(id)) => caller.api_key == Some(id),
            Self::User(None) => caller.user.is_some(),
            Self::User(Some(name)) => caller.user == Some(name),
            Self::Address(ranges) if ranges.is_empty() => true,
            Self::Address(ranges) => caller
                .address
                .is_some_and(|address| ranges.iter().any(|range| range.contains(address))),
        }
    }
}

/// Names endpoints: a path in which `*` stands for anything, a method before it if it is for one alone.
///
/// `/api/*`, `POST /login`, `/users/*/photo`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointPattern {
    method: Option<Box<str>>,
    /// What is between the stars.
    parts: Box<[Box<str>]>,
}

/// A text that names no endpoints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatternFault {
    /// The text refused.
    pub text: Box<str>,
}

impl EndpointPattern {
    /// Whether it names this endpoint.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        if self.method.as_deref().is_some_and(|own| own != method) {
            return false;
        }
        let (first, others) = self
            .parts
            .split_first()
            .expect("split gives one part at least");
        let Some((last, between)) = others.split_last() else {
            return path == &**first;
        };
        let Some(rest) = path.strip_prefix(&**first) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(&**last) else {
            return false;
        };
        // The first place where a part is, is the one that leaves most for those after it.
        for part in between {
            match rest.find(&**part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

impl std::str::FromStr for EndpointPattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        let refuse = || PatternFault { text: text.into() };
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path),
            None => (None, text),
        };
        let is_token = |method: &str| {
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic())
        };
        if !path.starts_with(['/', '*'])
            || path.contains([' ', '?', '#'])
            || !method.is_none_or(is_token)
        {
            return Err(refuse());
        }
        Ok(Self {
            method: method.map(Into::into),
            parts: path.split('*').map(Into::into).collect(),
        })
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(formatter, "{method} ")?;
        }
        formatter.write_str(&self.parts.join("*"))
    }
}

impl fmt::Display for PatternFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(
            formatter,
            "`{text}` is no endpoint such as /api/*, /login or POST /login"
        )
    }
}

impl std::error::Error for PatternFault {}

/// A rule that cannot be. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleFault {
    /// Its name.
    pub rule: Box<str>,
    /// Why.
    pub what: WhatFault,
}

/// Why a rule cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WhatFault {
    /// Its name is empty or has characters that a name may not have.
    Name,
    /// Another rule has the name.
    Twice,
    /// It limits nothing.
    Nothing,
    /// Its limit cannot be.
    Limit(LimitFault),
}

impl fmt::Display for RuleFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.rule;
        match self.what {
            WhatFault::Name => write!(
                formatter,
                "`{rule}` is no name for a rule: use letters, digits, `-`, `_` and `.`"
            ),
            WhatFault::Twice => write!(
                formatter,
                "there are two rules named `{rule}`: give each its own name"
            ),
            WhatFault::Nothing => {
                write!(
                    formatter,
                    "rule `{rule}` limits nothing: give it a limit and window, or a quota"
                )
            }
            WhatFault::Limit(fault) => write!(formatter, "rule `{rule}`: {fault}"),
        }
    }
}

impl std::error::Error for RuleFault {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rule(name: &str, applies: Applies) -> Rule {
        Rule {
            name: name.into(),
            applies,
            per: Per::Address,
            limit: Some(Limit::new(1, Duration::from_secs(1))),
            quotas: [0; 3],
            cost: 1,
        }
    }

    #[test]
    fn endpoint_then_key_then_user_then_address() {
        let rules = Rules::new(vec![
            rule("address", Applies::Address(Vec::new())),
            rule("user", Applies::User(None)),
            rule("key-a", Applies::ApiKey(Some("a".into()))),
            rule("key", Applies::ApiKey(None)),
            rule("login", Applies::Endpoint("POST /login".parse().unwrap())),
        ])
        .unwrap();
        let found = |method, path, api_key, user| {
            let address = None;
            rules
                .find(&Caller {
                    method,
                    path,
                    api_key,
                    user,
                    address,
                })
                .map(|rule| &*rule.name)
        };
        assert_eq!(found("POST", "/login", Some("a"), Some("u")), Some("login"));
        assert_eq!(found("GET", "/login", Some("a"), Some("u")), Some("key-a"));
        assert_eq!(found("GET", "/", Some("b"), Some("u")), Some("key"));
        assert_eq!(found("GET", "/", None, Some("u")), Some("user"));
        assert_eq!(found("GET", "/", None, None), Some("address"));
    }

    #[test]
    fn what_depends_on_the_user_is_known_before_the_user_is() {
        let mut shared = rule("shared", Applies::Endpoint("/shared".parse().unwrap()));
        shared.per = Per::User;
        let rules = Rules::new(vec![
            rule("address", Applies::Address(Vec::new())),
            rule("user", Applies::User(Some("u".into()))),
            rule("key", Applies::ApiKey(Some("a".into()))),
            rule("login", Applies::Endpoint("/login".parse().unwrap())),
            shared,
        ])
        .unwrap();
        let depends = |path, api_key| {
            rules.depend_on_user(&Caller {
                method: "GET",
                path,
                api_key,
                user: None,
                address: None,
            })
        };
        assert!(!depends("/login", None) && !depends("/", Some("a")));
        assert!(depends("/shared", Some("a")) && depends("/", Some("b")) && depends("/", None));
        let rules = Rules::new(vec![rule("address", Applies::Address(Vec::new()))]).unwrap();
        let caller = Caller {
            method: "GET",
            path: "/",
            api_key: None,
            user: None,
            address: None,
        };
        assert!(!rules.depend_on_user(&caller));
    }

    #[test]
    fn a_rule_for_addresses_applies_to_those_alone() {
        let ranges = vec![
            "192.0.2.0/24".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ];
        let rules = Rules::new(vec![rule("some", Applies::Address(ranges))]).unwrap();
        let applies = |address: Option<&str>| {
            let address = address.map(|text| text.parse().unwrap());
            rules
                .find(&Caller {
                    method: "GET",
                    path: "/",
                    api_key: None,
                    user: None,
                    address,
                })
                .is_some()
        };
        assert!(applies(Some("192.0.2.9")) && applies(Some("2001:db8::1")));
        assert!(!applies(Some("192.0.3.9")) && !applies(Some("2001:db9::1")) && !applies(None));
    }

    #[test]
    fn a_star_stands_for_anything() {
        let cases = [
            ("/api/*", "/api/", true),
            ("/api/*", "/api/a/b", true),
            ("/api/*", "/api", false),
            ("/api*", "/api", true),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/users/*/photo", "/users/7/photo", true),
            ("/users/*/photo", "/users/photo", false),
            ("*.php", "/x/y.php", true),
            ("/a*a", "/a", false),
            ("/*a*b*c", "/xaybzc", true),
            ("/*a*b*c", "/xbyazc", false),
            ("*", "/", true),
        ];
        for (pattern, path, is_named) in cases {
            let parsed: EndpointPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches("GET", path), is_named, "{pattern} {path}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for bad in ["", "api", "GET", "GET ", " /", "/a b", "/a?b", "G1 /"] {
            assert!(bad.parse::<EndpointPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_rule_is_told() {
        let fault = |rules: Vec<Rule>| Rules::new(rules).unwrap_err().what;
        let all = || Applies::Address(Vec::new());
        assert_eq!(fault(vec![rule("a b", all())]), WhatFault::Name);
        assert_eq!(
            fault(vec![rule("a", all()), rule("a", all())]),
            WhatFault::Twice
        );
        assert_eq!(
            fault(vec![Rule {
                limit: None,
                ..rule("a", all())
            }]),
            WhatFault::Nothing
        );
        let limit = Some(Limit::new(0, Duration::from_secs(1)));
        let none = LimitFault::Calls(0);
        assert_eq!(
            fault(vec![Rule {
                limit,
                ..rule("a", all())
            }]),
            WhatFault::Limit(none)
        );
    }
}
