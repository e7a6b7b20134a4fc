//! What may stand in a store, and who may change what of it. Plain values.
//!
//! Source: http-server-api §2.2 (conflicts), §3 (reservations, delegation), §6, §10, §13.

use std::net::IpAddr;

use tidegate_httpapi::{
    ApiError, Caller, LimitError, Reservation, TlsBindingKey, UrlPrefix, UrlRights,
};

use super::certificate::HttpCertificate;

/// The settings of the whole service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HttpConfiguration {
    pub(super) reservations: Vec<Reservation>,
    pub(super) certificates: Vec<HttpCertificate>,
    pub(super) listen_addresses: Vec<IpAddr>,
    pub(super) idle_connection_timeout: Option<u16>,
    pub(super) header_wait_timeout: Option<u16>,
    pub(super) cache_response_bytes_max: Option<u32>,
}

impl HttpConfiguration {
    /// Nothing kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// The reservations, in the order they were made.
    pub fn reservations(&self) -> &[Reservation] {
        &self.reservations
    }

    /// Reserves a prefix. `None` as caller is an administrator.
    ///
    /// # Errors
    ///
    /// It is reserved already; its port carries the other scheme; or the caller is no administrator and may not
    /// delegate what the longest reservation above the prefix covers.
    pub fn reserve(
        &mut self,
        reservation: Reservation,
        caller: Option<&Caller>,
    ) -> Result<(), ApiError> {
        let prefix = &reservation.prefix;
        let mut others = self.reservations.iter().map(|other| &other.prefix);
        if let Some(other) =
            others.find(|other| other.port == prefix.port && other.scheme != prefix.scheme)
        {
            return Err(ApiError::SchemeConflict {
                prefix: prefix.to_string(),
                carried: other.scheme,
            });
        }
        self.check_delegation(prefix, caller)?;
        if self
            .reservations
            .iter()
            .any(|other| other.prefix == *prefix)
        {
            return Err(ApiError::AlreadyReserved {
                prefix: prefix.to_string(),
            });
        }
        self.reservations.push(reservation);
        Ok(())
    }

    /// Deletes a reservation. `None` as caller is an administrator.
    ///
    /// # Errors
    ///
    /// There is none, or the caller may not, as for [`reserve`](Self::reserve).
    pub fn delete_reservation(
        &mut self,
        prefix: &UrlPrefix,
        caller: Option<&Caller>,
    ) -> Result<(), ApiError> {
        let place = self
            .reservations
            .iter()
            .position(|other| other.prefix == *prefix)
            .ok_or_else(|| ApiError::NotReserved {
                prefix: prefix.to_string(),
            })?;
        self.check_delegation(prefix, caller)?;
        self.reservations.remove(place);
        Ok(())
    }

    /// An administrator may do everything here: what is above, he could delete.
    fn check_delegation(
        &self,
        prefix: &UrlPrefix,
        caller: Option<&Caller>,
    ) -> Result<(), ApiError> {
        let Some(caller) = caller.filter(|caller| !caller.is_administrator) else {
            return Ok(());
        };
        let above = self.reservations.iter().map(|other| (other, &other.prefix));
        let above = above.filter(|(_, other)| other.covers(prefix) && *other != prefix);
        let parent = above.max_by_key(|(_, other)| other.path.len());
        let list = parent.map(|(reservation, _)| &reservation.list);
        match caller.may(UrlRights::DELEGATE, list) {
            true => Ok(()),
            false => Err(ApiError::AccessDenied {
                prefix: prefix.to_string(),
                caller: caller.to_string(),
                reserved: parent.map(|(_, prefix)| prefix.to_string()),
            }),
        }
    }

    /// The certificates, in the order they were bound.
    pub fn certificates(&self) -> &[HttpCertificate] {
        &self.certificates
    }

    /// Binds a certificate.
    ///
    /// # Errors
    ///
    /// The key has one, or it cannot be used: all that belongs to it is read.
    pub fn bind_certificate(&mut self, certificate: HttpCertificate) -> Result<(), ApiError> {
        let key = &certificate.key;
        if self.certificates.iter().any(|other| other.key == *key) {
            return Err(ApiError::AlreadyBound { key: key.clone() });
        }
        certificate.check_paths()?;
        certificate.certificates()?;
        self.certificates.push(certificate);
        Ok(())
    }

    /// Puts another certificate, or other rules, in the place of those of the same key.
    ///
    /// # Errors
    ///
    /// The key has none, or it cannot be used.
    pub fn update_certificate(&mut self, certificate: HttpCertificate) -> Result<(), ApiError> {
        let key = &certificate.key;
        let mut all = self.certificates.iter_mut();
        let Some(place) = all.find(|other| other.key == *key) else {
            return Err(ApiError::NotBound { key: key.clone() });
        };
        certificate.check_paths()?;
        certificate.certificates()?;
        *place = certificate;
        Ok(())
    }

    /// Removes a certificate's binding.
    ///
    /// # Errors
    ///
    /// The key has none.
    pub fn unbind_certificate(&mut self, key: &TlsBindingKey) -> Result<(), ApiError> {
        let place = self.certificates.iter().position(|other| other.key == *key);
        let place = place.ok_or_else(|| ApiError::NotBound { key: key.clone() })?;
        self.certificates.remove(place);
        Ok(())
    }

    /// The addresses that prefixes without one of their own listen on; none: all.
    pub fn listen_addresses(&self) -> &[IpAddr] {
        &self.listen_addresses
    }

    /// Adds one.
    ///
    /// # Errors
    ///
    /// It is there.
    pub fn add_listen_address(&mut self, address: IpAddr) -> Result<(), ApiError> {
        if self.listen_addresses.contains(&address) {
            return Err(ApiError::AlreadyListed { address });
        }
        self.listen_addresses.push(address);
        Ok(())
    }

    /// Takes one out.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn delete_listen_address(&mut self, address: IpAddr) -> Result<(), ApiError> {
        let place = self
            .listen_addresses
            .iter()
            .position(|other| *other == address);
        let place = place.ok_or(ApiError::NotListed { address })?;
        self.listen_addresses.remove(place);
        Ok(())
    }

    /// Longest idle time between two requests, in seconds; 65,535 is off. `None`: 120.
    pub fn idle_connection_timeout(&self) -> Option<u16> {
        self.idle_connection_timeout
    }

    /// Sets it; `None` restores the default.
    ///
    /// # Errors
    ///
    /// It is 0.
    pub fn set_idle_connection_timeout(&mut self, seconds: Option<u16>) -> Result<(), LimitError> {
        check_seconds("idleconnectiontimeout", seconds)?;
        self.idle_connection_timeout = seconds;
        Ok(())
    }

    /// Longest time for a head to arrive, in seconds; 65,535 is off. `None`: 120.
    pub fn header_wait_timeout(&self) -> Option<u16> {
        self.header_wait_timeout
    }

    /// Sets it; `None` restores the default.
    ///
    /// # Errors
    ///
    /// It is 0.
    pub fn set_header_wait_timeout(&mut self, seconds: Option<u16>) -> Result<(), LimitError> {
        check_seconds("headerwaittimeout", seconds)?;
        self.header_wait_timeout = seconds;
        Ok(())
    }

    /// Longest content of a cached response, in bytes. `None`: 262,144. Source: `UriMaxUriBytes`.
    pub fn cache_response_bytes_max(&self) -> Option<u32> {
        self.cache_response_bytes_max
    }

    /// Sets it; `None` restores the default.
    ///
    /// # Errors
    ///
    /// It is not from 4,096 to 16,777,216.
    pub fn set_cache_response_bytes_max(&mut self, bytes: Option<u32>) -> Result<(), LimitError> {
        if let Some(bytes) = bytes {
            LimitError::check("maxcacheresponsesize", bytes, 4_096..=16_777_216)?;
        }
        self.cache_response_bytes_max = bytes;
        Ok(())
    }
}

fn check_seconds(name: &'static str, seconds: Option<u16>) -> Result<(), LimitError> {
    match seconds {
        Some(seconds) => LimitError::check(name, u32::from(seconds), 1..=65_535),
        None => Ok(()),
    }
}
