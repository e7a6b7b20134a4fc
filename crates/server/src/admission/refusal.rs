//! What a request that may not come in is answered with: alike, whatever was wrong with what it had.

use tidegate_httpapi::{Body, FieldBlock, ResponseHead};

use super::events::Unauthorized;

/// Why, as far as the peer is told.
pub(super) struct Refusal {
    status: u16,
    fields: FieldBlock,
    text: String,
    is_failed_proof: bool,
}

impl Refusal {
    /// 400: what it had cannot be read, or is there twice.
    pub(super) fn malformed() -> Self {
        Self::with_status(400)
    }

    /// 401, with what is asked for, strongest first.
    pub(super) fn unauthorized(challenges: &[String], custom: &FieldBlock) -> Self {
        let mut refusal = Self::with_status(401);
        for challenge in challenges {
            refusal.add("WWW-Authenticate", challenge.as_bytes());
        }
        for field in custom.iter() {
            refusal.add(field.name, field.value);
        }
        refusal
    }

    /// 403: it is known, and may not.
    pub(super) fn forbidden() -> Self {
        Self::with_status(403)
    }

    /// 503: it could not be found out, now.
    pub(super) fn busy() -> Self {
        let mut refusal = Self::with_status(503);
        refusal.add("Retry-After", b"1");
        refusal
    }

    /// 500: the application's handler panicked.
    pub(super) fn failed() -> Self {
        Self::with_status(500)
    }

    /// It is for a key, password or token that is none: somebody may be trying them.
    pub(super) fn of_failed_proof(mut self) -> Self {
        self.is_failed_proof = true;
        self
    }

    pub(super) fn is_failed_proof(&self) -> bool {
        self.is_failed_proof
    }

    /// The answer, as the application may change it: to who has not proved who it is, or may not.
    pub(super) fn unauthorized_answer(&self) -> Option<Unauthorized> {
        matches!(self.status, 401 | 403).then(|| Unauthorized {
            status: self.status,
            text: String::new(),
            headers: Vec::new(),
        })
    }

    /// Takes over what the application has changed.
    pub(super) fn change(&mut self, answer: Unauthorized) {
        match answer.status {
            400..=599 => self.status = answer.status,
            status => tracing::error!(status, "a refusal cannot have this status"),
        }
        for (name, value) in &answer.headers {
            self.add(name, value.as_bytes());
        }
        if !answer.text.is_empty() {
            self.add("Content-Type", b"text/plain; charset=utf-8");
        }
        self.text = answer.text;
    }

    pub(super) fn into_answer(self) -> (ResponseHead, Body) {
        let mut head = ResponseHead::new(self.status);
        head.fields = self.fields;
        match self.text.is_empty() {
            true => (head, Body::Empty),
            false => (head, Body::Shared(self.text.into_bytes().into())),
        }
    }

    fn with_status(status: u16) -> Self {
        Self {
            status,
            fields: FieldBlock::new(),
            text: String::new(),
            is_failed_proof: false,
        }
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        if let Err(error) = self.fields.append(name, value) {
            tracing::error!(name, %error, "a refusal cannot have this field");
        }
    }
}
