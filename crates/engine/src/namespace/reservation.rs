//! Reservations: lasting rights to a prefix.
//!
//! They live in memory, and only the owner's name is kept. The rights to listen and to delegate,
//! with the check against the parent reservation, come with the machine-wide backend: there they
//! decide in [`Namespace::reserve`](super::Namespace::reserve), before the entry is stored. For
//! routing a reservation counts whoever owns it. Source: http-server-api §3.

use tidegate_httpapi::{ReservationOwner, UrlPrefix};

/// One reservation.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) prefix: UrlPrefix,
    pub(crate) owner: ReservationOwner,
}
