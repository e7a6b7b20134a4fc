//! The API key of a request.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderName;
use tidegate_admission::api_keys::{self, ApiKeys, KeyRefusal, KeyVerdict, ValidKey, check_scope};
use tidegate_admission::authorization::basic_challenge;
use tidegate_httpapi::{Exchange, FieldBlock, PeerAddress, RequestHead, Scheme};

use super::error::AdmissionError;
use super::refusal::Refusal;
use super::rules::Rules;
use super::settings::ApiKeySettings;

pub(super) struct KeyGate {
    store: Arc<ApiKeys>,
    header: String,
    query: Option<String>,
    require_https: bool,
    fail_closed: bool,
    rules: Rules<Rule>,
    challenge: [String; 1],
}

struct Rule {
    is_required: bool,
    scope: Option<String>,
}

impl KeyGate {
    pub(super) fn open(settings: &ApiKeySettings) -> Result<Self, AdmissionError> {
        let setting = |name, what| AdmissionError::Setting { name, what };
        let file = settings
            .file
            .as_ref()
            .ok_or_else(|| setting("api_keys.file", "names the database, and is needed"))?;
        if HeaderName::from_bytes(settings.header.as_bytes()).is_err() {
            return Err(setting("api_keys.header", "has to be the name of a field"));
        }
        let is_scope = |scope: &String| check_scope(scope).is_ok();
        if !settings
            .paths
            .iter()
            .filter_map(|path| path.scope.as_ref())
            .all(is_scope)
        {
            return Err(setting("api_keys.paths.scope", "has to be a scope"));
        }
        let rules = settings.paths.iter().map(|path| {
            let rule = Rule {
                is_required: path.required,
                scope: path.scope.clone(),
            };
            (&*path.path, rule)
        });
        let any = Rule {
            is_required: true,
            scope: None,
        };
        let store = ApiKeys::open(api_keys::ApiKeySettings::new(file), SystemTime::now())
            .map_err(AdmissionError::ApiKeys)?;
        Ok(Self {
            store: Arc::new(store),
            header: settings.header.clone(),
            query: settings.accept_in_query.then(|| settings.query.clone()),
            require_https: settings.require_https,
            fail_closed: settings.fail_closed,
            rules: Rules::new(rules, any),
            // RFC 9110 §15.5.2: a 401 has a challenge. There is no registered scheme for this one.
            challenge: [basic_challenge("API key").replacen("Basic", "ApiKey", 1)],
        })
    }

    pub(super) fn store(&self) -> &Arc<ApiKeys> {
        &self.store
    }

    pub(super) fn maintain(&self) {
        if let Err(error) = self.store.maintain(SystemTime::now()) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "API keys are not up to date"
            );
        }
    }

    /// The key that lets a request in, and whether one is needed.
    pub(super) fn judge(
        &self,
        exchange: &Exchange<'_>,
    ) -> Result<(Option<ValidKey>, bool), Refusal> {
        let head = exchange.head();
        let rule = self.rules.find(head.cooked_path);
        let unauthorized = || Refusal::unauthorized(&self.challenge, &FieldBlock::new());
        let Some(key) = self.given(&head)? else {
            return match rule.is_required {
                true => Err(unauthorized()),
                false => Ok((None, false)),
            };
        };
        if self.require_https && head.registration.prefix.scheme != Scheme::Https {
            // Whether it is good is not told to who may have overheard it.
            return Err(Refusal::forbidden());
        }
        let now = SystemTime::now();
        if self.fail_closed && !self.store.is_reliable(now) {
            return Err(Refusal::busy());
        }
        let address = match exchange.peer() {
            PeerAddress::Tcp(address) => address.ip(),
            // This machine.
            PeerAddress::Unix(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            PeerAddress::Unknown => return Err(unauthorized()),
        };
        match self
            .store
            .validate(&key, rule.scope.as_deref(), address, now)
        {
            KeyVerdict::Accepted(key) => Ok((Some(key), rule.is_required)),
            KeyVerdict::Refused(KeyRefusal::Scope | KeyRefusal::Address) => {
                Err(Refusal::forbidden())
            }
            KeyVerdict::Refused(_) => Err(unauthorized().of_failed_proof()),
        }
    }

    /// The key that a request has. Two would be one for us and another for somebody else.
    fn given(&self, head: &RequestHead<'_>) -> Result<Option<String>, Refusal> {
        let mut found = None;
        let mut keep = |key: String| match found.replace(key) {
            None => Ok(()),
            Some(_) => Err(Refusal::malformed()),
        };
        for (name, value) in head.fields.lines() {
            if name.eq_ignore_ascii_case(self.header.as_bytes()) {
                let key = std::str::from_utf8(value).map_err(|_| Refusal::malformed())?;
                keep(key.to_owned())?;
            }
        }
        if let (Some(wanted), Some(query)) = (&self.query, head.query()) {
            for (name, value) in form_urlencoded::parse(query) {
                if name == wanted.as_str() {
                    keep(value.into_owned())?;
                }
            }
        }
        Ok(found)
    }
}
