//! What a request that may not come in is answered with: alike, whatever was wrong with what it had.

use tidegate_httpapi::{FieldBlock, ResponseHead};

/// Why, as far as the peer is told.
pub(super) struct Refusal {
    status: u16,
    fields: FieldBlock,
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

    pub(super) fn into_head(self) -> ResponseHead {
        let mut head = ResponseHead::new(self.status);
        head.fields = self.fields;
        head
    }

    fn with_status(status: u16) -> Self {
        Self {
            status,
            fields: FieldBlock::new(),
            is_failed_proof: false,
        }
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        if let Err(error) = self.fields.append(name, value) {
            tracing::error!(name, %error, "a refusal cannot have this field");
        }
    }
}
