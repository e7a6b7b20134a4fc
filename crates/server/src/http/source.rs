//! Where a request is kept: in the driver's receive buffer, or on its own.

use tidegate_httpapi::{
    BodyReader, Exchange, OwnedRequestHead, PeerAddress, RequestHead, UrlPrefix,
};

use super::content::RequestContent;
use super::request::{OwnedRequest, Request};

/// What a [`Request`] asks of where it is kept.
pub trait RequestSource: sealed::Sealed {
    /// The head.
    fn head(&self) -> RequestHead<'_>;
    /// The prefix that won.
    fn prefix(&self) -> &UrlPrefix;
    /// The peer's address.
    fn peer(&self) -> PeerAddress;
    /// The local address.
    fn local(&self) -> PeerAddress;
}

/// A request in the driver's receive buffer, for as long as its handler runs.
pub struct Arriving<'a> {
    head: RequestHead<'a>,
    /// Asked for the ends of the connection, which may cost a system call each.
    ends: &'a dyn Ends,
}

/// A request on its own.
pub struct Taken {
    head: OwnedRequestHead,
    peer: PeerAddress,
    local: PeerAddress,
}

trait Ends {
    fn peer(&self) -> PeerAddress;
    fn local(&self) -> PeerAddress;
}

impl Ends for Exchange<'_> {
    fn peer(&self) -> PeerAddress {
        Exchange::peer(self)
    }

    fn local(&self) -> PeerAddress {
        Exchange::local(self)
    }
}

impl<'a> Request<'a> {
    /// The request of `exchange`, with what was taken out of it where its content has yet to arrive.
    #[inline]
    pub(crate) fn arriving(
        exchange: &'a Exchange<'_>,
        body: Option<BodyReader>,
        limit: u64,
    ) -> Self {
        let content = match (body, exchange.content()) {
            (None, Some(content)) => RequestContent::Arrived(content),
            (body, _) => {
                RequestContent::pending(body.unwrap_or_default(), exchange.may_block(), limit)
            }
        };
        Self {
            source: Arriving {
                head: exchange.head(),
                ends: exchange,
            },
            content,
        }
    }

    /// The reader of content that has yet to arrive, if nobody has taken it.
    pub(crate) fn into_reader(self) -> Option<BodyReader> {
        self.content.into_reader()
    }
}

impl OwnedRequest {
    /// The request of a deferred exchange.
    pub(crate) fn taken(
        head: OwnedRequestHead,
        body: BodyReader,
        (peer, local): (PeerAddress, PeerAddress),
        limit: u64,
    ) -> Self {
        Self {
            source: Taken { head, peer, local },
            // Whoever holds an owned request is on a thread of its own choice.
            content: RequestContent::pending(body, true, limit),
        }
    }
}

impl RequestSource for Arriving<'_> {
    #[inline]
    fn head(&self) -> RequestHead<'_> {
        self.head
    }

    fn prefix(&self) -> &UrlPrefix {
        &self.head.registration.prefix
    }

    fn peer(&self) -> PeerAddress {
        self.ends.peer()
    }

    fn local(&self) -> PeerAddress {
        self.ends.local()
    }
}

impl RequestSource for Taken {
    #[inline]
    fn head(&self) -> RequestHead<'_> {
        self.head.as_head()
    }

    fn prefix(&self) -> &UrlPrefix {
        &self.head.as_head().registration.prefix
    }

    fn peer(&self) -> PeerAddress {
        self.peer.clone()
    }

    fn local(&self) -> PeerAddress {
        self.local.clone()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Arriving<'_> {}
    impl Sealed for super::Taken {}
}
