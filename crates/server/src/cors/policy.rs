//! What a path's settings come to for a request: the answer to a pre-flight, and what is added to another
//! answer. Source: the Fetch standard, §3.3.3, "HTTP responses", §4.8, "CORS-preflight fetch".

use http::{HeaderName, Method};
use tidegate_httpapi::{FieldBlock, HeadCachePolicy, RequestHead, ResponseHead};

use super::origins::CorsOrigins;
use super::settings::{CorsList, CorsSettings};
use crate::http::add_vary;
use crate::place;

/// A path's settings, ready to be told.
#[derive(Debug)]
pub(crate) struct Policy {
    path: Box<str>,
    origins: CorsOrigins,
    methods: Told,
    headers: Told,
    /// Empty: nothing.
    exposed: Box<str>,
    credentials: bool,
    max_age: Box<str>,
    private_network: bool,
}

/// What browsers are told of methods or header fields.
#[derive(Debug)]
enum Told {
    /// What they have asked for.
    AsAsked,
    /// These, if any.
    These(Box<str>),
}

/// What an answer is to say of its request's origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Grant {
    /// Any may read it.
    Any,
    /// This one may.
    This(Box<str>),
    /// It may not, or there is none.
    None,
}

impl Policy {
    pub(super) fn new(settings: &CorsSettings) -> Self {
        let told = |list: &CorsList| match list {
            CorsList::Any => Told::AsAsked,
            CorsList::These(names) => Told::These(names.join(", ").into()),
        };
        Self {
            path: place::path(&settings.path),
            origins: settings.origins.clone(),
            methods: told(&settings.methods),
            headers: told(&settings.headers),
            exposed: match &settings.exposed_headers {
                CorsList::Any => "*".into(),
                CorsList::These(names) => names.join(", ").into(),
            },
            credentials: settings.credentials,
            max_age: settings.max_age.as_secs().to_string().into(),
            private_network: settings.private_network,
        }
    }

    /// Without a slash at its end; empty is all paths.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What a request's answer is to say.
    pub(super) fn grant(&self, request: &RequestHead<'_>) -> Grant {
        match single(request, "Origin") {
            // It may be told to whoever asks, which spares caches one answer for each origin.
            _ if self.origins.is_any() => Grant::Any,
            Some(origin) if self.origins.allows(origin) => Grant::This(origin.into()),
            _ => Grant::None,
        }
    }

    /// The answer to a pre-flight, if it is one.
    pub(super) fn preflight(&self, request: &RequestHead<'_>) -> Option<ResponseHead> {
        if request.method() != "OPTIONS" || request.fields.value("Origin").is_none() {
            return None;
        }
        request.fields.value(REQUEST_METHOD)?;
        let grant = self.grant(request);
        let mut head = ResponseHead::new(match grant {
            Grant::None => 403,
            _ => 204,
        });
        let fields = &mut head.fields;
        self.tell(&grant, fields);
        if grant == Grant::None {
            return Some(head);
        }
        // What is not granted is left out: the browser says which it was.
        if let Some(methods) = self
            .methods
            .told(request, REQUEST_METHOD, is_method, fields)
        {
            put(fields, "Access-Control-Allow-Methods", &methods);
        }
        if let Some(names) = self
            .headers
            .told(request, REQUEST_HEADERS, is_field, fields)
        {
            put(fields, "Access-Control-Allow-Headers", &names);
        }
        put(fields, "Access-Control-Max-Age", &self.max_age);
        if self.private_network && single(request, REQUEST_PRIVATE) == Some("true") {
            put(fields, "Access-Control-Allow-Private-Network", "true");
        }
        Some(head)
    }

    /// Adds to an answer what it says of its request's origin. One that says something else to others is not
    /// kept in the driver's cache, which does not look at `Vary`.
    pub(super) fn add_to(&self, grant: &Grant, head: &mut ResponseHead) {
        self.add(grant, &mut head.fields);
        if !self.origins.is_any() {
            head.cache = HeadCachePolicy::NONE;
        }
    }

    /// Adds what an answer says of its request's origin, in place of what somebody else has said.
    fn add(&self, grant: &Grant, fields: &mut FieldBlock) {
        for said in [ALLOW_ORIGIN, ALLOW_CREDENTIALS, EXPOSE] {
            if fields.value(said).is_some() {
                fields.remove(said);
            }
        }
        self.tell(grant, fields);
        if *grant != Grant::None && !self.exposed.is_empty() {
            put(fields, EXPOSE, &self.exposed);
        }
    }

    fn tell(&self, grant: &Grant, fields: &mut FieldBlock) {
        match grant {
            Grant::Any => put(fields, ALLOW_ORIGIN, "*"),
            Grant::This(origin) => put(fields, ALLOW_ORIGIN, origin),
            Grant::None => {}
        }
        if *grant != Grant::None && self.credentials {
            put(fields, ALLOW_CREDENTIALS, "true");
        }
        // Else a cache would give one origin's answer to another; that of a request without an origin too.
        if !self.origins.is_any() {
            add_vary(fields, "Origin");
        }
    }
}

impl Told {
    /// What is told to who asks for what stands in the field `name`.
    fn told<'a>(
        &'a self,
        request: &RequestHead<'_>,
        name: &'static str,
        is_one: fn(&str) -> bool,
        fields: &mut FieldBlock,
    ) -> Option<std::borrow::Cow<'a, str>> {
        match self {
            Self::These(names) => (!names.is_empty()).then(|| (&**names).into()),
            Self::AsAsked => {
                add_vary(fields, name);
                let asked = request.fields.value(name)?;
                let asked = std::str::from_utf8(&asked).ok()?;
                let are_all = asked
                    .split(',')
                    .all(|one| is_one(one.trim_matches([' ', '\t'])));
                are_all.then(|| asked.to_owned().into())
            }
        }
    }
}

fn is_method(text: &str) -> bool {
    Method::from_bytes(text.as_bytes()).is_ok()
}

fn is_field(text: &str) -> bool {
    HeaderName::from_bytes(text.as_bytes()).is_ok()
}

/// The value of a field that has one line.
fn single<'a>(request: &RequestHead<'a>, name: &str) -> Option<&'a str> {
    let mut lines = request
        .fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name));
    match (lines.next(), lines.next()) {
        (Some(line), None) => std::str::from_utf8(line.value).ok(),
        _ => None,
    }
}

/// Adds a line that is not there yet. Each value is a list of names, a number, or an origin that is
/// allowed: nothing in them cannot be sent.
fn put(fields: &mut FieldBlock, name: &'static str, value: &str) {
    let _ = fields.append(name, value);
}

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const EXPOSE: &str = "Access-Control-Expose-Headers";
const REQUEST_METHOD: &str = "Access-Control-Request-Method";
const REQUEST_HEADERS: &str = "Access-Control-Request-Headers";
const REQUEST_PRIVATE: &str = "Access-Control-Request-Private-Network";
