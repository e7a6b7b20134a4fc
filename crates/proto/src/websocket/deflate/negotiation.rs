//! Agreeing on permessage-deflate in the opening handshake, as server and as client.
//!
//! Source: RFC 7692 §5 and §7.1.

use std::fmt;

use super::super::{Extension, ExtensionList};
use super::deflater::Deflater;
use super::inflater::Inflater;
use super::parameters::{DeflateParameterError, NAME, Parameters};
use super::settings::DeflateSettings;

/// What both sides have agreed on for one connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeflateAgreement {
    /// Largest window of the server's compressor, as a power of two, 8 to 15.
    pub server_max_window_bits: u8,
    /// Largest window of the client's compressor, as a power of two, 8 to 15.
    pub client_max_window_bits: u8,
    /// Whether the server's compressor forgets each message.
    pub server_no_context_takeover: bool,
    /// Whether the client's compressor forgets each message.
    pub client_no_context_takeover: bool,
}

impl DeflateAgreement {
    /// Takes the first offer of permessage-deflate that can be taken; what the response then says.
    ///
    /// `None`: the extension is disabled, not offered, or no offer is acceptable. Messages then go
    /// uncompressed.
    pub fn negotiate(
        offers: ExtensionList<'_>,
        settings: &DeflateSettings,
    ) -> Option<(Self, String)> {
        if !settings.enabled {
            return None;
        }
        let offers = offers.iter().filter(|offer| offer.name == NAME);
        // RFC 7692 §7: an offer with a parameter that is unknown, repeated or has a wrong value is
        // declined, and the next one may be better.
        let offers = offers.filter_map(|offer| Parameters::parse(offer).ok());
        let mut accepted = offers.filter_map(|offer| Self::accept(&offer, settings));
        accepted.next()
    }

    fn accept(offer: &Parameters, settings: &DeflateSettings) -> Option<(Self, String)> {
        let client_max_window_bits = match offer.client_max_window_bits {
            Some(hint) => hint.unwrap_or(15).min(settings.client_max_window_bits),
            // RFC 7692 §7.1.2.2: this client does not let the server choose.
            None if settings.client_max_window_bits < 15 => return None,
            None => 15,
        };
        let offered = offer.server_max_window_bits;
        let agreement = Self {
            server_max_window_bits: offered.unwrap_or(15).min(settings.server_max_window_bits),
            client_max_window_bits,
            server_no_context_takeover: offer.server_no_context_takeover
                || settings.server_no_context_takeover,
            // The client's hint that it takes no context over. RFC 7692 §7.1.1.2: saying it back
            // makes it binding, and saves us the window.
            client_no_context_takeover: offer.client_no_context_takeover
                || settings.client_no_context_takeover,
        };
        let response = Parameters {
            server_no_context_takeover: agreement.server_no_context_takeover,
            client_no_context_takeover: agreement.client_no_context_takeover,
            // RFC 7692 §7.1.2.1: an offered one is accepted by saying it, 15 as well.
            server_max_window_bits: Some(agreement.server_max_window_bits)
                .filter(|&bits| offered.is_some() || bits < 15),
            client_max_window_bits: (client_max_window_bits < 15)
                .then_some(Some(client_max_window_bits)),
        };
        Some((agreement, response.to_string()))
    }

    /// What a client offers: one element of `Sec-WebSocket-Extensions`.
    pub fn offer(settings: &DeflateSettings) -> String {
        Parameters::offered(settings).to_string()
    }

    /// Reads the server's response to [`offer`](Self::offer), made with the same settings.
    ///
    /// `None`: the server has not taken the offer. Other extensions in the list are not looked at.
    ///
    /// # Errors
    ///
    /// The response is not one to this offer; the connection must fail (RFC 7692 §5.1). The server is
    /// at fault.
    pub fn from_response(
        response: ExtensionList<'_>,
        settings: &DeflateSettings,
    ) -> Result<Option<Self>, DeflateResponseError> {
        let mut agreed = response.iter().filter(|extension| extension.name == NAME);
        let Some(extension) = agreed.next() else {
            return Ok(None);
        };
        if !settings.enabled {
            return Err(DeflateResponseError::NotOffered);
        }
        if agreed.next().is_some() {
            return Err(DeflateResponseError::Repeated);
        }
        Self::answered(extension, &Parameters::offered(settings)).map(Some)
    }

    fn answered(
        extension: Extension<'_>,
        offer: &Parameters,
    ) -> Result<Self, DeflateResponseError> {
        let response = Parameters::parse(extension).map_err(DeflateResponseError::Parameter)?;
        if offer.server_no_context_takeover && !response.server_no_context_takeover {
            return Err(DeflateResponseError::ServerContextTakeover);
        }
        // RFC 7692 §7.1.2.1: a server that takes the limit says it, the same or a smaller one.
        let server_max_window_bits = match (
            offer.server_max_window_bits,
            response.server_max_window_bits,
        ) {
            (Some(offered), Some(bits)) if bits <= offered => bits,
            (Some(offered), bits) => {
                return Err(DeflateResponseError::ServerWindow { offered, bits });
            }
            (None, bits) => bits.unwrap_or(15),
        };
        let offered = offer.client_max_window_bits.flatten().unwrap_or(15);
        let client_max_window_bits = match response.client_max_window_bits {
            Some(Some(bits)) if bits <= offered => bits,
            Some(bits) => return Err(DeflateResponseError::ClientWindow { offered, bits }),
            // Nothing said: we keep to what we have offered.
            None => offered,
        };
        Ok(Self {
            server_max_window_bits,
            client_max_window_bits,
            server_no_context_takeover: response.server_no_context_takeover,
            // RFC 7692 §7.1.1.2: what we have offered we also do unasked.
            client_no_context_takeover: response.client_no_context_takeover
                || offer.client_no_context_takeover,
        })
    }

    /// What the server's end of the connection reads and writes with.
    pub fn server(&self, settings: &DeflateSettings) -> (Inflater, Deflater) {
        (
            Inflater::new(
                self.client_max_window_bits,
                !self.client_no_context_takeover,
            ),
            Deflater::new(
                self.server_max_window_bits,
                !self.server_no_context_takeover,
                settings,
            ),
        )
    }

    /// What the client's end of the connection reads and writes with.
    pub fn client(&self, settings: &DeflateSettings) -> (Inflater, Deflater) {
        (
            Inflater::new(
                self.server_max_window_bits,
                !self.server_no_context_takeover,
            ),
            Deflater::new(
                self.client_max_window_bits,
                !self.client_no_context_takeover,
                settings,
            ),
        )
    }
}

/// Why a server's response is not one to the client's offer. The server is at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DeflateResponseError {
    /// The client has not offered the extension. RFC 6455 §4.1.
    NotOffered,
    /// The response has the extension twice.
    Repeated,
    /// A parameter is not allowed, whatever was offered.
    Parameter(DeflateParameterError),
    /// The server would take its context over, though the offer forbids it. RFC 7692 §7.1.1.1.
    ServerContextTakeover,
    /// The server's window is larger than offered, or not said. RFC 7692 §7.1.2.1.
    ServerWindow {
        /// The most that was offered.
        offered: u8,
        /// What the server said.
        bits: Option<u8>,
    },
    /// The client's window shall be larger than offered, or the value is missing. RFC 7692 §7.1.2.2.
    ClientWindow {
        /// The most that was offered.
        offered: u8,
        /// What the server said.
        bits: Option<u8>,
    },
}

impl fmt::Display for DeflateResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |bits: &Option<u8>| match bits {
            Some(bits) => bits.to_string(),
            None => "nothing".to_owned(),
        };
        match self {
            Self::NotOffered => f.write_str("the response has permessage-deflate, not offered"),
            Self::Repeated => f.write_str("the response has permessage-deflate twice"),
            Self::Parameter(_) => f.write_str("the response has a wrong parameter"),
            Self::ServerContextTakeover => {
                f.write_str("the response lacks server_no_context_takeover, which was offered")
            }
            Self::ServerWindow { offered, bits } => write!(
                f,
                "the response says {} for server_max_window_bits, offered was {offered}",
                said(bits)
            ),
            Self::ClientWindow { offered, bits } => write!(
                f,
                "the response says {} for client_max_window_bits, offered was {offered}",
                said(bits)
            ),
        }
    }
}

impl std::error::Error for DeflateResponseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Parameter(error) => Some(error),
            _ => None,
        }
    }
}
