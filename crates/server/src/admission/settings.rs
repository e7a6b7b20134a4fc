//! What is asked of requests before they come in: plain values.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tidegate_httpapi::LimitError;

use crate::settings::format;

/// Who has to say who they are, and how. `[authentication]` in a settings file.
///
/// Source: the component's Authentication. There, sessions and credentials in URLs are on unless switched off; here
/// they are off, since what is in a URL ends up in logs, histories and `Referer` fields.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthenticationSettings {
    /// Whether anybody is asked. Default false.
    pub enabled: bool,
    /// Whether who says nothing may come in as well, where [`paths`](Self::paths) does not say. What is said has to be
    /// right all the same. Default false.
    pub allow_non_auth: bool,
    /// The protection space, which clients show, and which Digest's secrets are bound to. Default `tidegate`.
    pub realm: String,
    /// A file of users with their passwords' hashes; `tidegate user` makes and changes it, and changes count at once.
    pub users_file: Option<PathBuf>,
    /// Further users, `user=password`, with passwords as they are. They come before the file's.
    ///
    /// Source: the component's AuthUsers.
    pub users: Vec<AuthUser>,
    /// Whether Basic may be used. Default true. The password travels as it is: only over TLS.
    pub basic: bool,
    /// Digest, for clients that will not send passwords.
    pub digest: DigestOptions,
    /// Signed tokens. In a settings file `[authentication.jwt]`.
    pub jwt: Option<JwtOptions>,
    /// Whether a session may be begun and used: `GET /sgc/req/auth/session` with credentials in `Authorization`, or
    /// `/sgc/req/auth/session/USER/PASSWORD`, is answered with an id, and `/sgc/auth/session/ID` is that user's.
    /// Default false.
    pub session: bool,
    /// How long an id can be used. Default 5 minutes, range 1 s to a day.
    #[serde(deserialize_with = "format::seconds")]
    pub session_life: Duration,
    /// Whether `/sgc/auth/url/USER/PASSWORD` is that user's. Default false.
    pub url: bool,
    /// Fields that the answer 401 has besides, one in a line: `Name: value`. Source: the component's
    /// Basic.CustomHeaders.
    pub custom_headers: String,
    /// How many passwords are hashed at a time; each takes a processor for tens of milliseconds, and 19 MiB.
    ///
    /// A quarter of the handler threads may wait for one besides; further requests are answered with 503. Default 2,
    /// range 1 to 64.
    pub hashing_max: u32,
    /// What some paths need, instead of the above. The longest path counts.
    pub paths: Vec<AuthenticationPath>,
}

impl Default for AuthenticationSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            allow_non_auth: false,
            realm: "tidegate".to_owned(),
            users_file: None,
            users: Vec::new(),
            basic: true,
            digest: DigestOptions::default(),
            jwt: None,
            session: false,
            session_life: Duration::from_secs(300),
            url: false,
            custom_headers: String::new(),
            hashing_max: 2,
            paths: Vec::new(),
        }
    }
}

impl AuthenticationSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        LimitError::check("authentication.hashing_max", self.hashing_max, 1..=64)?;
        if let Some(jwt) = &self.jwt {
            for (name, time, most) in [
                (
                    "authentication.jwt.jwk_set_refresh",
                    jwt.jwk_set_refresh,
                    604_800,
                ),
                (
                    "authentication.jwt.jwk_set_early_refresh",
                    jwt.jwk_set_early_refresh,
                    86_400,
                ),
                (
                    "authentication.jwt.jwk_set_timeout",
                    jwt.jwk_set_timeout,
                    60,
                ),
            ] {
                LimitError::check(name, seconds(time), 1..=most)?;
            }
        }
        LimitError::check(
            "authentication.session_life",
            seconds(self.session_life),
            1..=86_400,
        )?;
        LimitError::check(
            "authentication.digest.nonce_life",
            seconds(self.digest.nonce_life),
            1..=86_400,
        )
    }
}

/// A user and the password. In a settings file `"user=password"`.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct AuthUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl FromStr for AuthUser {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let user = line.split_once('=').map(|(name, password)| Self {
            name: name.to_owned(),
            password: password.to_owned(),
        });
        // The line itself may be a password.
        user.ok_or_else(|| "a user is written as user=password, and there is no `=`".to_owned())
    }
}

impl TryFrom<String> for AuthUser {
    type Error = String;

    fn try_from(line: String) -> Result<Self, String> {
        line.parse()
    }
}

impl fmt::Debug for AuthUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AuthUser")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The Digest scheme (RFC 7616).
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DigestOptions {
    /// Whether it may be used. Default false. Users of the file need what `tidegate user add --digest` adds.
    pub enabled: bool,
    /// Whether MD5 may be used besides SHA-256. Default false; for old clients.
    pub md5: bool,
    /// Whether clients are told that they may hide users' names. Default false.
    pub userhash: bool,
    /// How long a nonce can be used. Default 5 minutes, range 1 s to a day.
    #[serde(deserialize_with = "format::seconds")]
    pub nonce_life: Duration,
}

impl Default for DigestOptions {
    fn default() -> Self {
        Self {
            enabled: false,
            md5: false,
            userhash: false,
            nonce_life: Duration::from_secs(300),
        }
    }
}

/// Signed tokens (RFC 7519), which come as `Authorization: Bearer`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JwtOptions {
    /// Which algorithms may sign: `HS256`, `RS256`, `PS256`, `ES256` and their like, `EdDSA`. No default.
    pub algorithms: Vec<String>,
    /// Whose tokens are accepted (`iss`). Empty: anybody's whose key is here.
    pub issuers: Vec<String>,
    /// For whom a token must be (`aud`). Empty: for nobody in particular.
    pub audiences: Vec<String>,
    /// How far the issuer's clock may be off. Default 60 s.
    #[serde(deserialize_with = "format::seconds")]
    pub leeway: Duration,
    /// Where the issuer has his JWK set: https, or http to this machine itself. Keys from here are public ones only.
    ///
    /// Redirections are not followed. While the issuer cannot be had, the keys that were last had stay good; as long
    /// as there were none, tokens are answered with 503.
    pub jwk_set_url: Option<String>,
    /// File with the certificates (PEM) of the authorities that are trusted for
    /// [`jwk_set_url`](Self::jwk_set_url). Default `None`: those that the system trusts.
    pub jwk_set_ca: Option<PathBuf>,
    /// How often the set is asked for. The answer's `Cache-Control: max-age` may make it sooner; after a failure it is
    /// a second, then twice as long each time up to this. Default 5 minutes, range 1 s to a week.
    #[serde(deserialize_with = "format::seconds")]
    pub jwk_set_refresh: Duration,
    /// How often, at most, a token that names an unknown key has the set asked for before its time. Such a token is
    /// answered with 503 meanwhile. Default 10 s, range 1 s to a day.
    #[serde(deserialize_with = "format::seconds")]
    pub jwk_set_early_refresh: Duration,
    /// How long the set may take, from connecting to its last byte. It may have 256 KiB. Default 10 s, range 1 s to
    /// a minute.
    #[serde(deserialize_with = "format::seconds")]
    pub jwk_set_timeout: Duration,
    /// A JWK set: keys by their ids. Read again when it has changed.
    pub jwk_set_file: Option<PathBuf>,
    /// A public key in PEM.
    pub public_key_file: Option<PathBuf>,
    /// A secret for HMAC, of 32 bytes at least: all bytes of the file.
    pub secret_file: Option<PathBuf>,
}

impl Default for JwtOptions {
    fn default() -> Self {
        Self {
            algorithms: Vec::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(60),
            jwk_set_url: None,
            jwk_set_ca: None,
            jwk_set_refresh: Duration::from_secs(300),
            jwk_set_early_refresh: Duration::from_secs(10),
            jwk_set_timeout: Duration::from_secs(10),
            jwk_set_file: None,
            public_key_file: None,
            secret_file: None,
        }
    }
}

/// How somebody may say who they are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuthScheme {
    /// [`AuthenticationSettings::basic`].
    Basic,
    /// [`AuthenticationSettings::digest`].
    Digest,
    /// [`AuthenticationSettings::jwt`].
    Bearer,
    /// [`AuthenticationSettings::session`].
    Session,
    /// [`AuthenticationSettings::url`].
    Url,
}

/// What a part of the paths needs.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationPath {
    /// The path; what is under it belongs to it. Letter case and repeated slashes do not count.
    pub path: String,
    /// Whether one has to say who one is. Default true.
    #[serde(default = "yes")]
    pub required: bool,
    /// By which of the schemes that are on. Empty, the default: any.
    #[serde(default)]
    pub schemes: Vec<AuthScheme>,
}

/// Which requests need an API key. `[api_keys]` in a settings file.
///
/// Source: the component's APIKeyManager.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeySettings {
    /// Whether keys are asked for. Default false.
    pub enabled: bool,
    /// The database; `tidegate apikey` works on it, also while the server runs. No default.
    pub file: Option<PathBuf>,
    /// The field that has the key. Default `X-API-Key`.
    pub header: String,
    /// Whether the query may have it as well, where a client cannot set fields. Default false: what is in a URL ends
    /// up in logs.
    pub accept_in_query: bool,
    /// The parameter's name. Default `api_key`.
    pub query: String,
    /// Whether keys are accepted over https only. Default false.
    pub require_https: bool,
    /// Whether nobody comes in when the database has not been readable for ten seconds. Default true; false goes by
    /// what was last read.
    pub fail_closed: bool,
    /// What some paths need, instead of any key. The longest path counts.
    pub paths: Vec<ApiKeyPath>,
}

impl Default for ApiKeySettings {
    fn default() -> Self {
        Self {
            enabled: false,
            file: None,
            header: "X-API-Key".to_owned(),
            accept_in_query: false,
            query: "api_key".to_owned(),
            require_https: false,
            fail_closed: true,
            paths: Vec::new(),
        }
    }
}

/// What a part of the paths needs of a key.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyPath {
    /// The path; what is under it belongs to it. Letter case and repeated slashes do not count.
    pub path: String,
    /// Whether there has to be one. Default true. One that is there has to be good all the same.
    #[serde(default = "yes")]
    pub required: bool,
    /// What it must be for. Default `None`: anything.
    #[serde(default)]
    pub scope: Option<String>,
}

fn yes() -> bool {
    true
}
