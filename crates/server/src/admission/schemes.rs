//! Who a request says it is of, and whether it is.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tidegate_admission::authorization::{
    Authorization, BasicCredentials, Digest, DigestAlgorithm, DigestCredentials, DigestSettings,
    DigestVerdict, basic_challenge, bearer_challenge,
};
use tidegate_admission::sessions::{SessionSettings, Sessions};
use tidegate_admission::users::{ListedUser, Users, UsersSettings, Verdict};
use tidegate_httpapi::{Body, Exchange, FieldBlock, RequestHead, ResponseHead};

use super::error::AdmissionError;
use super::events::{BeforeAuthentication, ask};
use super::identity::{AuthType, Identity};
use super::refusal::Refusal;
use super::rules::Rules;
use super::settings::{AuthScheme, AuthenticationSettings};
use crate::component::Shared;
use crate::event::{AuthDecision, ExceptionCause};
use tokens::Tokens;

mod issuer;
mod tokens;
mod url;

pub(super) struct SchemeGate {
    users: Users,
    realm: String,
    has_basic: bool,
    digest: Option<Digest>,
    tokens: Option<Arc<Tokens>>,
    sessions: Option<Sessions>,
    has_url: bool,
    custom_headers: FieldBlock,
    rules: Rules<Rule>,
}

struct Rule {
    is_required: bool,
    schemes: Vec<AuthScheme>,
}

impl Rule {
    fn allows(&self, scheme: AuthScheme) -> bool {
        self.schemes.is_empty() || self.schemes.contains(&scheme)
    }
}

/// What becomes of a request.
pub(super) enum Step {
    /// It goes on; whether it had to say who it is of.
    Pass {
        is_required: bool,
    },
    Refuse(Refusal),
    /// It asked for a session: the answer.
    Session(ResponseHead, Body),
    /// A password has to be hashed, which is nothing for this thread.
    MayBlock,
}

/// What came of what a request said.
enum Found {
    Nobody,
    User(Arc<str>, AuthType),
    Token(Box<tidegate_admission::jwt::Claims>),
    /// Somebody whom the application lets in with a token that says nothing.
    TokenHolder,
    Session(Arc<str>, Box<str>),
    /// It is wrong; whether Digest's nonce was all that was wrong, and whether it was a token.
    Wrong {
        is_stale: bool,
        is_token: bool,
    },
    Malformed,
    Busy,
    MayBlock,
    Refused(Refusal),
}

const WRONG: Found = Found::Wrong {
    is_stale: false,
    is_token: false,
};

impl SchemeGate {
    pub(super) fn open(
        settings: &AuthenticationSettings,
        handler_threads: u32,
    ) -> Result<Self, AdmissionError> {
        let setting = |name, what| AdmissionError::Setting { name, what };
        let mut custom_headers = FieldBlock::new();
        for line in settings
            .custom_headers
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            let added = line
                .split_once(':')
                .map(|(name, value)| custom_headers.append(name.trim(), value.trim()));
            if !matches!(added, Some(Ok(_))) {
                let what = "has one field in a line, `Name: value`";
                return Err(setting("authentication.custom_headers", what));
            }
        }
        let rules = settings.paths.iter().map(|path| {
            let rule = Rule {
                is_required: path.required,
                schemes: path.schemes.clone(),
            };
            (&*path.path, rule)
        });
        let other = Rule {
            is_required: !settings.allow_non_auth,
            schemes: Vec::new(),
        };
        let users = Users::open(UsersSettings {
            realm: settings.realm.clone(),
            file: settings.users_file.clone(),
            listed: settings
                .users
                .iter()
                .map(|user| ListedUser {
                    name: user.name.clone(),
                    password: user.password.clone(),
                })
                .collect(),
            hashing_max: settings.hashing_max as usize,
            // The other handler threads stay free for requests that need no hash.
            waiting_max: (handler_threads / 4) as usize,
            ..UsersSettings::default()
        });
        let digest = &settings.digest;
        let algorithms = match digest.md5 {
            true => DigestAlgorithm::ALL.to_vec(),
            false => vec![DigestAlgorithm::Sha256],
        };
        let tokens = settings.jwt.as_ref().map(Tokens::open).transpose()?;
        let tokens = tokens.map(Arc::new);
        Ok(Self {
            users: users.map_err(AdmissionError::Users)?,
            realm: settings.realm.clone(),
            has_basic: settings.basic,
            digest: digest.enabled.then(|| {
                Digest::new(DigestSettings {
                    realm: settings.realm.clone(),
                    algorithms,
                    nonce_life: digest.nonce_life,
                    userhash: digest.userhash,
                    ..DigestSettings::default()
                })
            }),
            tokens,
            sessions: settings.session.then(|| {
                Sessions::new(SessionSettings {
                    life: settings.session_life,
                    ..SessionSettings::default()
                })
            }),
            has_url: settings.url,
            custom_headers,
            rules: Rules::new(rules, other),
        })
    }

    /// Begins what goes on for as long as requests come.
    pub(super) fn begin(&self, before: Option<&Self>, shared: &Shared) {
        let Some(tokens) = self
            .tokens
            .as_ref()
            .filter(|tokens| tokens.issuer().is_some())
        else {
            return;
        };
        match shared.runtime().handle() {
            Ok(runtime) => {
                tokens.begin(before.and_then(|before| before.tokens.as_deref()), runtime)
            }
            Err(error) => {
                let cause = ExceptionCause::Runtime(error);
                shared.events().exception(None, cause);
            }
        }
    }

    pub(super) fn hashed(&self) -> u64 {
        self.users.counters().hashed
    }

    pub(super) fn maintain(&self) {
        if let Err(error) = self.users.refresh() {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "users stay as they were");
        }
        if let Some(tokens) = &self.tokens {
            tokens.refresh();
        }
    }

    pub(super) fn judge(
        &self,
        shared: &Arc<Shared>,
        exchange: &Exchange<'_>,
        identity: &mut Identity,
    ) -> Step {
        if shared.events().watches_before_authentication() {
            let asked = ask(shared, exchange, |events, request| {
                events.on_before_authentication(request)
            });
            match asked {
                Ok(BeforeAuthentication::Check) => {}
                Ok(BeforeAuthentication::Bypass) => return Step::Pass { is_required: true },
                Err(refusal) => return Step::Refuse(refusal),
            }
        }
        let head = exchange.head();
        let rule = self.rules.find(head.cooked_path);
        let asks_for_session = self.sessions.is_some()
            && matches!(head.method(), "GET" | "POST")
            && url::asks_for_session(head.raw_path());
        match self.look(shared, exchange, rule, asks_for_session) {
            Found::Nobody if rule.is_required || asks_for_session => {
                Step::Refuse(self.challenge(rule, false, false))
            }
            Found::Nobody => Step::Pass { is_required: false },
            Found::User(user, auth_type) => {
                if asks_for_session {
                    return self.begin_session(user);
                }
                identity.user = Some(user);
                identity.auth_type = Some(auth_type);
                Step::Pass {
                    is_required: rule.is_required,
                }
            }
            Found::Token(claims) => {
                let subject: Option<Arc<str>> = claims.subject().map(Arc::from);
                if asks_for_session {
                    return match subject {
                        Some(subject) => self.begin_session(subject),
                        None => Step::Refuse(Refusal::forbidden()),
                    };
                }
                identity.user = subject;
                identity.auth_type = Some(AuthType::Bearer);
                identity.claims = Some(*claims);
                Step::Pass {
                    is_required: rule.is_required,
                }
            }
            Found::TokenHolder => {
                identity.auth_type = Some(AuthType::Bearer);
                Step::Pass {
                    is_required: rule.is_required,
                }
            }
            Found::Session(user, id) => {
                identity.user = Some(user);
                identity.auth_type = Some(AuthType::Session);
                identity.session_id = Some(id);
                Step::Pass {
                    is_required: rule.is_required,
                }
            }
            Found::Wrong { is_stale, is_token } => {
                let refusal = self.challenge(rule, is_stale, is_token);
                Step::Refuse(match is_stale {
                    true => refusal,
                    false => refusal.of_failed_proof(),
                })
            }
            Found::Malformed => Step::Refuse(Refusal::malformed()),
            Found::Busy => Step::Refuse(Refusal::busy()),
            Found::MayBlock => Step::MayBlock,
            Found::Refused(refusal) => Step::Refuse(refusal),
        }
    }

    fn look(
        &self,
        shared: &Arc<Shared>,
        exchange: &Exchange<'_>,
        rule: &Rule,
        asks_for_session: bool,
    ) -> Found {
        let head = exchange.head();
        let mut fields = head.fields.iter();
        let is_authorization = |name: &str| name.eq_ignore_ascii_case("Authorization");
        let field = fields.find(|field| is_authorization(field.name));
        // RFC 9110 §11.6.2: one. The second would be for somebody else.
        if fields.any(|field| is_authorization(field.name)) {
            return Found::Malformed;
        }
        if let Some(field) = field {
            match Authorization::parse(field.value) {
                Err(_) => return Found::Malformed,
                Ok(Authorization::Basic(basic))
                    if self.has_basic && rule.allows(AuthScheme::Basic) =>
                {
                    return self.password(shared, exchange, &basic, AuthType::Basic);
                }
                Ok(Authorization::Digest(credentials)) if rule.allows(AuthScheme::Digest) => {
                    if let Some(digest) = &self.digest {
                        return self.digest(digest, &credentials, head);
                    }
                }
                Ok(Authorization::Bearer(token)) if rule.allows(AuthScheme::Bearer) => {
                    if let Some(tokens) = &self.tokens {
                        return tokens.check(shared, exchange, token);
                    }
                }
                // What is not asked for is somebody else's affair, as with the HTTP Server API.
                Ok(_) => {}
            }
        }
        if asks_for_session {
            return match url::credentials_of_session(head.raw_path()) {
                None => Found::Nobody,
                Some(Err(())) => Found::Malformed,
                Some(Ok(basic)) => self.password(shared, exchange, &basic, AuthType::Session),
            };
        }
        if let Some(sessions) = &self.sessions
            && rule.allows(AuthScheme::Session)
            && let Some(id) = url::session(head.raw_path())
        {
            let user = sessions.user(id, Instant::now());
            return user.map_or(WRONG, |user| Found::Session(user, id.into()));
        }
        if self.has_url && rule.allows(AuthScheme::Url) {
            match url::credentials(head.raw_path()) {
                None => {}
                Some(Err(())) => return Found::Malformed,
                Some(Ok(basic)) => return self.password(shared, exchange, &basic, AuthType::Url),
            }
        }
        Found::Nobody
    }

    fn password(
        &self,
        shared: &Arc<Shared>,
        exchange: &Exchange<'_>,
        credentials: &BasicCredentials,
        auth_type: AuthType,
    ) -> Found {
        let BasicCredentials { username, password } = credentials;
        let now = Instant::now();
        let recalled = self.users.recall(username, password, now);
        // Before the application is asked, so that it is asked once.
        if recalled.is_none() && !exchange.may_block() {
            return Found::MayBlock;
        }
        let events = shared.events();
        let decision = match events.watches_authentication() {
            false => AuthDecision::ByList,
            true => {
                let asked = ask(shared, exchange, |events, request| {
                    events.on_authentication(request, username, password)
                });
                match asked {
                    Ok(decision) => decision,
                    Err(refusal) => return Found::Refused(refusal),
                }
            }
        };
        match (decision, recalled) {
            (AuthDecision::Refuse, _) => WRONG,
            (AuthDecision::Accept, _) => Found::User(username.as_str().into(), auth_type),
            (AuthDecision::ByList, Some(user)) => Found::User(user, auth_type),
            (AuthDecision::ByList, None) => match self.users.verify(username, password, now) {
                Verdict::Accepted(user) => Found::User(user, auth_type),
                Verdict::Refused => WRONG,
                Verdict::Busy => Found::Busy,
            },
        }
    }

    fn digest(
        &self,
        digest: &Digest,
        credentials: &DigestCredentials,
        head: &RequestHead<'_>,
    ) -> Found {
        let algorithm = credentials.algorithm;
        let name = match credentials.userhash {
            true => self
                .users
                .name_of_userhash(&credentials.username, algorithm),
            false => Some(credentials.username.as_str().into()),
        };
        let found = name.and_then(|name| self.users.digest_secret(&name, algorithm));
        let Ok(target) = std::str::from_utf8(head.target()) else {
            return WRONG;
        };
        let secret = found.as_ref().map(|(_, secret)| secret.as_str());
        match (
            digest.check(
                credentials,
                head.method(),
                target,
                secret,
                SystemTime::now(),
            ),
            &found,
        ) {
            (DigestVerdict::Accepted, Some((name, _))) => {
                Found::User(Arc::clone(name), AuthType::Digest)
            }
            (DigestVerdict::Stale, _) => Found::Wrong {
                is_stale: true,
                is_token: false,
            },
            _ => WRONG,
        }
    }

    fn begin_session(&self, user: Arc<str>) -> Step {
        let Some(sessions) = &self.sessions else {
            return Step::Refuse(Refusal::forbidden());
        };
        let id = sessions.begin(user, Instant::now());
        let mut head = ResponseHead::new(200);
        let fields = [
            ("Content-Type", "text/plain"),
            ("Cache-Control", "no-store"),
        ];
        for (name, value) in fields {
            head.fields.append(name, value).expect("the field is one");
        }
        Step::Session(head, Body::Shared(id.into()))
    }

    fn challenge(&self, rule: &Rule, is_stale: bool, is_token: bool) -> Refusal {
        let mut challenges = Vec::new();
        if let Some(digest) = self
            .digest
            .as_ref()
            .filter(|_| rule.allows(AuthScheme::Digest))
        {
            challenges.extend(digest.challenges(SystemTime::now(), is_stale));
        }
        if self.tokens.is_some() && rule.allows(AuthScheme::Bearer) {
            let error = is_token.then_some("invalid_token");
            challenges.push(bearer_challenge(&self.realm, error));
        }
        // Also where nothing else is on: a 401 has a challenge (RFC 9110 §15.5.2).
        if (self.has_basic && rule.allows(AuthScheme::Basic)) || challenges.is_empty() {
            challenges.push(basic_challenge(&self.realm));
        }
        Refusal::unauthorized(&challenges, &self.custom_headers)
    }
}
