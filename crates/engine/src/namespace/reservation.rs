//! Reservations: lasting rights to a prefix, and whom they let register.
//!
//! They live in memory; what keeps them is whoever sets them. For routing a reservation counts whoever owns it.
//! Source: http-server-api §3.

use tidegate_httpapi::{
    AccessControlList, ApiError, Caller, ReservationOwner, UrlPrefix, UrlRights,
};

/// One reservation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reservation {
    pub(crate) prefix: UrlPrefix,
    pub(crate) owner: Owner,
}

/// For whom a prefix is reserved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// For one who is named and not asked.
    Named(ReservationOwner),
    /// For these, as set together with others.
    Listed(AccessControlList),
}

/// Whether `caller` may register a prefix. `covering` is the longest reservation that covers it.
pub(super) fn may_register(
    caller: &Caller,
    prefix: &UrlPrefix,
    covering: Option<&Reservation>,
) -> Result<(), ApiError> {
    let list = match covering.map(|reservation| &reservation.owner) {
        // http-server-api C9: what no other machine reaches, ordinary users may have.
        None if prefix.host.is_loopback() => return Ok(()),
        None => None,
        Some(Owner::Named(_)) => return Ok(()),
        Some(Owner::Listed(list)) => Some(list),
    };
    match caller.may(UrlRights::LISTEN, list) {
        true => Ok(()),
        false => Err(ApiError::AccessDenied {
            prefix: prefix.to_string(),
            caller: caller.to_string(),
            reserved: covering.map(|reservation| reservation.prefix.to_string()),
        }),
    }
}
