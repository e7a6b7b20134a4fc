//! Who a peer was found to be.

use std::fmt;
use std::sync::Arc;

use tidegate_admission::api_keys::ValidKey;
use tidegate_admission::jwt::Claims;
use tidegate_httpapi::AuthInfo;

/// Who a peer was found to be, and by what.
///
/// The component's object has the password, too; here nobody keeps it.
/// Source: the component's Authentication (Authenticated, AuthType, SessionID, User).
#[derive(Clone)]
pub struct Authentication(Arc<Identity>);

/// By what a peer has proved who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuthType {
    /// A name and a password in the `Authorization` field (RFC 7617).
    Basic,
    /// A proof of knowing the password (RFC 7616).
    Digest,
    /// A signed token (RFC 6750, RFC 7519).
    Bearer,
    /// The id of a session, in the URL.
    Session,
    /// A name and a password in the URL.
    Url,
}

#[derive(Default)]
pub(super) struct Identity {
    pub(super) key: Option<ValidKey>,
    pub(super) user: Option<Arc<str>>,
    pub(super) auth_type: Option<AuthType>,
    pub(super) session_id: Option<Box<str>>,
    pub(super) claims: Option<Claims>,
}

impl Identity {
    pub(super) fn is_anybody(&self) -> bool {
        self.key.is_some() || self.auth_type.is_some()
    }
}

impl Authentication {
    pub(crate) fn of(info: Option<AuthInfo>) -> Option<Self> {
        info?.downcast().ok().map(Self)
    }

    /// Whether it is known which user it is. An API key alone tells no user.
    pub fn is_authenticated(&self) -> bool {
        self.0.auth_type.is_some()
    }

    /// By what.
    pub fn auth_type(&self) -> Option<AuthType> {
        self.0.auth_type
    }

    /// The user's name; of a token it is the subject, if it has one.
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    pub(crate) fn shared_user(&self) -> Option<Arc<str>> {
        self.0.user.clone()
    }

    /// The id of the session that was begun before. Whoever has it can come in as long as the session lives.
    pub fn session_id(&self) -> Option<&str> {
        self.0.session_id.as_deref()
    }

    /// The API key that came along.
    pub fn api_key(&self) -> Option<&ValidKey> {
        self.0.key.as_ref()
    }

    /// What the token said.
    pub fn claims(&self) -> Option<&Claims> {
        self.0.claims.as_ref()
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authentication")
            .field("auth_type", &self.0.auth_type)
            .field("user", &self.0.user)
            .field("api_key", &self.0.key)
            .finish_non_exhaustive()
    }
}
