//! What is asked of requests before they come in: plain values.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_httpapi::LimitError;

use crate::settings::format;

/// Who has to say who they are, and how. `[authentication]` in a settings file.
///
/// Source: the component's Authentication. There, sessions and credentials in URLs are on unless switched off; here
/// they are off, since what is in a URL ends up in logs, histories and `Referer` fields.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
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
    #[schemars(with = "Vec<String>")]
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
#[derive(Clone, Deserialize, Eq, JsonSchema, PartialEq)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
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
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeySettings {
    /// Whether keys are asked for. Default false.
    pub enabled: bool,
    /// Where keys are kept. Default in a file.
    pub storage: ApiKeyStorage,
    /// The database; `tidegate apikey` works on it, also while the server runs. No default.
    pub file: Option<PathBuf>,
    /// A file with a passphrase of at least 16 bytes, or a random key, that all is encrypted by. A store is encrypted
    /// from its beginning on, or never; export and import change that. Default `None`: keys are kept as hashes, and
    /// what is known of them as it is.
    pub passphrase_file: Option<PathBuf>,
    /// As which hash keys are kept that are issued from now on.
    pub hash: ApiKeyHash,
    /// What keys look like that are issued from now on. In a settings file `[api_keys.format]`.
    pub format: ApiKeyFormat,
    /// How long a key lives that is issued without an end. Default zero: it has none.
    #[serde(deserialize_with = "format::seconds")]
    pub life: Duration,
    /// How long after its end, or its revocation, a key is removed. Default zero: never.
    #[serde(deserialize_with = "format::seconds")]
    pub purge_after: Duration,
    /// How often it is looked which keys have ended or are to be removed. Default 1 s, range 1 s to a day.
    #[serde(deserialize_with = "format::seconds")]
    pub sweep_interval: Duration,
    /// How long the old key of a rotation that nobody asks for still works; see
    /// [`Events::on_api_key_rotation`](crate::Events::on_api_key_rotation). Default a day.
    #[serde(deserialize_with = "format::seconds")]
    pub rotation_grace: Duration,
    /// What is kept of what was done, and of keys that were refused. In a settings file `[api_keys.audit]`.
    pub audit: ApiKeyAudit,
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
            storage: ApiKeyStorage::File,
            file: None,
            passphrase_file: None,
            hash: ApiKeyHash::Sha256,
            format: ApiKeyFormat::default(),
            life: Duration::ZERO,
            purge_after: Duration::ZERO,
            sweep_interval: Duration::from_secs(1),
            rotation_grace: Duration::from_secs(86_400),
            audit: ApiKeyAudit::default(),
            header: "X-API-Key".to_owned(),
            accept_in_query: false,
            query: "api_key".to_owned(),
            require_https: false,
            fail_closed: true,
            paths: Vec::new(),
        }
    }
}

impl ApiKeySettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        LimitError::check(
            "api_keys.sweep_interval",
            seconds(self.sweep_interval),
            1..=86_400,
        )?;
        LimitError::check("api_keys.format.length", self.format.length, 22..=128)?;
        LimitError::check("api_keys.audit.kept", self.audit.kept, 0..=100_000)?;
        LimitError::check("api_keys.audit.days", self.audit.days, 1..=3_650)?;
        LimitError::check("api_keys.audit.entries", self.audit.entries, 1..=1_000_000)
    }
}

/// Where API keys are kept. A storage of the application's own comes with
/// [`ServerBuilder::api_key_storage`](crate::ServerBuilder::api_key_storage), before this.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ApiKeyStorage {
    /// In [`ApiKeySettings::file`].
    #[default]
    File,
    /// In memory, as long as there is the [`Server`](crate::Server).
    Memory,
}

/// As which hash API keys are kept. In a file nothing else is kept of them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ApiKeyHash {
    /// SHA-256 with a salt: all that random keys need. Default.
    #[default]
    Sha256,
    /// SHA-512 with a salt, where a rule asks for it.
    Sha512,
    /// argon2id with a salt for each key (19 MiB, 2 passes), where a rule asks for a slow hash. The first use of a
    /// key after a start takes tens of milliseconds, on a thread that may be held up; later ones take none.
    Argon2id,
}

/// What API keys look like.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeyFormat {
    /// What they begin with: up to 32 letters, digits, `_`, `-`. Default `tg_`.
    pub prefix: String,
    /// How many random characters follow. Default 43, range 22 to 128; never less than 128 bits.
    pub length: u32,
    /// Of which characters: `alphanumeric`, the default, `hex`, `unambiguous` or `base64url`.
    pub charset: String,
    /// Whether a checksum of six characters follows. Default true.
    pub checksum: bool,
}

impl Default for ApiKeyFormat {
    fn default() -> Self {
        Self {
            prefix: "tg_".to_owned(),
            length: 43,
            charset: "alphanumeric".to_owned(),
            checksum: true,
        }
    }
}

/// What is kept of what was done with API keys. Keys themselves never are.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeyAudit {
    /// How many entries the store keeps of keys issued, revoked and so on. Default 10,000, range 1 to 1,000,000.
    pub entries: u32,
    /// How many of the last refused keys are kept in memory. Default 1000, range up to 100,000.
    pub kept: u32,
    /// A folder for files of refused keys, a line of JSON for each, a file for each day; at most 20 lines a second
    /// and 16 MiB a day. It has to be there. Default `None`: none are written.
    pub folder: Option<PathBuf>,
    /// How many days entries and files are kept. Default 90, range 1 to 3650.
    pub days: u32,
}

impl Default for ApiKeyAudit {
    fn default() -> Self {
        Self {
            entries: 10_000,
            kept: 1000,
            folder: None,
            days: 90,
        }
    }
}

/// What a part of the paths needs of a key.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
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
