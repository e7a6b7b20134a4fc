//! The four parameters of permessage-deflate, as one offer or response has them.
//!
//! Says what is well-formed; what it leads to is the negotiation's matter. Source: RFC 7692 §7.1.

use std::fmt;

use super::super::Extension;
use super::settings::DeflateSettings;

/// The extension's name. RFC 7692 §7.
pub(super) const NAME: &str = "permessage-deflate";

/// What one offer or one response says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Parameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    /// `Some(None)`: named without a value, which only an offer may do.
    pub(super) client_max_window_bits: Option<Option<u8>>,
}

/// A parameter of permessage-deflate that RFC 7692 does not allow. The peer is at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DeflateParameterError {
    /// The parameter is none of the four.
    Unknown {
        /// Its name, as the peer wrote it.
        name: String,
    },
    /// The parameter stands there twice.
    Repeated {
        /// Its name.
        name: &'static str,
    },
    /// The value is missing, is one where there must be none, or is not 8 to 15 without leading zeros.
    Value {
        /// Name of the parameter.
        name: &'static str,
        /// Its value, as the peer wrote it.
        value: Option<String>,
    },
}

impl Parameters {
    pub(super) fn parse(extension: Extension<'_>) -> Result<Self, DeflateParameterError> {
        let mut parsed = Self::default();
        for (name, value) in extension.params() {
            let value = value.as_deref();
            let is_repeated = match name {
                SERVER_TAKEOVER => parsed.server_no_context_takeover,
                CLIENT_TAKEOVER => parsed.client_no_context_takeover,
                SERVER_WINDOW => parsed.server_max_window_bits.is_some(),
                CLIENT_WINDOW => parsed.client_max_window_bits.is_some(),
                _ => {
                    let name = name.to_owned();
                    return Err(DeflateParameterError::Unknown { name });
                }
            };
            let bits = value.and_then(window_bits);
            let (name, is_valid) = match name {
                SERVER_TAKEOVER => {
                    parsed.server_no_context_takeover = true;
                    (SERVER_TAKEOVER, value.is_none())
                }
                CLIENT_TAKEOVER => {
                    parsed.client_no_context_takeover = true;
                    (CLIENT_TAKEOVER, value.is_none())
                }
                SERVER_WINDOW => {
                    parsed.server_max_window_bits = bits;
                    (SERVER_WINDOW, bits.is_some())
                }
                _ => {
                    parsed.client_max_window_bits = Some(bits);
                    (CLIENT_WINDOW, value.is_none() || bits.is_some())
                }
            };
            if is_repeated {
                return Err(DeflateParameterError::Repeated { name });
            }
            if !is_valid {
                let value = value.map(str::to_owned);
                return Err(DeflateParameterError::Value { name, value });
            }
        }
        Ok(parsed)
    }
}

impl Parameters {
    /// What a client with these settings offers.
    pub(super) fn offered(settings: &DeflateSettings) -> Self {
        Self {
            server_no_context_takeover: settings.server_no_context_takeover,
            client_no_context_takeover: settings.client_no_context_takeover,
            server_max_window_bits: Some(settings.server_max_window_bits).filter(|&bits| bits < 15),
            // Always there, so that the server may choose a smaller one.
            client_max_window_bits: Some(
                Some(settings.client_max_window_bits).filter(|&bits| bits < 15),
            ),
        }
    }
}

impl fmt::Display for Parameters {
    /// The extension with these parameters, as it stands in `Sec-WebSocket-Extensions`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_WINDOW}={bits}")?;
        }
        match self.client_max_window_bits {
            Some(Some(bits)) => write!(f, "; {CLIENT_WINDOW}={bits}"),
            Some(None) => write!(f, "; {CLIENT_WINDOW}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DeflateParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "permessage-deflate has no parameter {name}"),
            Self::Repeated { name } => write!(f, "parameter {name} is repeated"),
            Self::Value { name, value: None } => write!(f, "parameter {name} has no value"),
            Self::Value {
                name,
                value: Some(value),
            } => write!(f, "parameter {name} cannot be {value}"),
        }
    }
}

impl std::error::Error for DeflateParameterError {}

/// RFC 7692 §7.1.2: 8 to 15, in decimal, without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    (8..=15).find(|bits| value == bits.to_string())
}

const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";
