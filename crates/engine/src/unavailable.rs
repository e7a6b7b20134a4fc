//! Why a request is refused with 503, and how the refusal looks.
//!
//! Source: http-server-api §4.1; names of the HTTPERR log from "Error Logging in HTTP APIs".

use tidegate_httpapi::Verbosity503;

/// Why nobody can take a request now. Our side's or the administrator's matter, never the peer's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The queue has `queue_length` requests waiting.
    QueueFull,
    /// The group has `connections_max` connections.
    ConnectionLimit,
    /// The queue, the group or its session is disabled.
    Disabled,
    /// The application was stopped because it failed.
    AppOffline,
    /// The queue is closed or being closed.
    AppShutdown,
    /// The application is too busy to take part.
    AppBusy,
    /// The group is bound to no queue.
    NotBound,
    /// The best match is a reservation that nobody has registered.
    ReservedOnly,
    /// There is no memory.
    OutOfMemory,
    /// The backend has as many connections as it may.
    ServiceConnectionLimit,
}

/// How a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Without an answer: the connection is reset.
    Reset,
    /// With a 503 page.
    Page {
        /// The reason phrase of the status line.
        reason_phrase: &'static str,
    },
}

impl Unavailable {
    /// Every cause.
    pub const ALL: [Self; 10] = [
        Self::QueueFull,
        Self::ConnectionLimit,
        Self::Disabled,
        Self::AppOffline,
        Self::AppShutdown,
        Self::AppBusy,
        Self::NotBound,
        Self::ReservedOnly,
        Self::OutOfMemory,
        Self::ServiceConnectionLimit,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name where it is counted: each has one of its own.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotBound => "NotBound",
            Self::ReservedOnly => "ReservedOnly",
            Self::OutOfMemory => "OutOfMemory",
            Self::ServiceConnectionLimit => "Connections_Refused",
            logged => logged.log_reason(),
        }
    }

    /// The reason in the HTTPERR log.
    pub fn log_reason(self) -> &'static str {
        match self {
            Self::QueueFull => "QueueFull",
            Self::ConnectionLimit => "ConnLimit",
            Self::Disabled => "Disabled",
            Self::AppOffline => "AppOffline",
            Self::AppShutdown => "AppShutdown",
            Self::AppBusy => "AppPoolTimer",
            Self::NotBound
            | Self::ReservedOnly
            | Self::OutOfMemory
            | Self::ServiceConnectionLimit => "N/A",
        }
    }

    /// How it is answered by a queue of this verbosity.
    ///
    /// Where no queue is to blame none has a say: those are always answered.
    pub fn answer(self, verbosity: Verbosity503) -> Refusal {
        let specific = match self {
            Self::QueueFull => "Request Queue Full",
            Self::ConnectionLimit => "Connection Limit Reached",
            Self::Disabled => "Service Disabled",
            Self::AppOffline => "Application Offline",
            Self::AppShutdown => "Application Shut Down",
            Self::AppBusy => "Application Busy",
            Self::NotBound
            | Self::ReservedOnly
            | Self::OutOfMemory
            | Self::ServiceConnectionLimit => {
                return Refusal::Page {
                    reason_phrase: GENERIC,
                };
            }
        };
        match verbosity {
            Verbosity503::Basic => Refusal::Reset,
            Verbosity503::Limited => Refusal::Page {
                reason_phrase: GENERIC,
            },
            Verbosity503::Full => Refusal::Page {
                reason_phrase: specific,
            },
        }
    }
}

const GENERIC: &str = "Service Unavailable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_places() {
        for (index, cause) in Unavailable::ALL.into_iter().enumerate() {
            assert_eq!(cause.index(), index);
        }
    }

    // http-server-api §4.1: verbosity applies where the reason is not N/A.
    #[test]
    fn verbosity_decides_unless_no_queue_is_to_blame() {
        for cause in Unavailable::ALL {
            let of_no_queue = cause.log_reason() == "N/A";
            let generic = Refusal::Page {
                reason_phrase: "Service Unavailable",
            };
            assert_eq!(cause.answer(Verbosity503::Limited), generic);
            if of_no_queue {
                assert_eq!(cause.answer(Verbosity503::Basic), generic);
                assert_eq!(cause.answer(Verbosity503::Full), generic);
            } else {
                assert_eq!(cause.answer(Verbosity503::Basic), Refusal::Reset);
                assert_ne!(cause.answer(Verbosity503::Full), generic);
            }
        }
    }
}
