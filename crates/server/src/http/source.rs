//! Where a request is kept: in the driver's receive buffer, or on its own.

use std::sync::{Arc, OnceLock};

use tidegate_httpapi::{
    AuthInfo, BodyReader, Exchange, OwnedRequestHead, PeerAddress, RequestHead, TlsInfo, UrlPrefix,
};

use super::content::{ContentLimits, LeftContent, RequestContent};
use super::detached::Detached;
use super::request::{OwnedRequest, Request};
use crate::upload::Uploads;

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
    /// What secures the connection.
    fn tls(&self) -> Option<Arc<TlsInfo>>;
    /// Who the peer was found to be.
    fn auth(&self) -> Option<AuthInfo>;
}

/// A request in the driver's receive buffer, for as long as its handler runs.
pub struct Arriving<'a> {
    head: &'a RequestHead<'a>,
    /// Asked for what is seldom asked for and may cost a system call.
    transport: &'a dyn Transport,
}

/// A request on its own.
pub struct Taken {
    head: OwnedRequestHead,
    peer: PeerAddress,
    local: PeerAddress,
    tls: Option<Arc<TlsInfo>>,
    auth: Option<AuthInfo>,
}

/// The two ends of a connection, what secures it, and who the peer was found to be.
pub(crate) type Ends = (
    PeerAddress,
    PeerAddress,
    Option<Arc<TlsInfo>>,
    Option<AuthInfo>,
);

/// What is asked of a connection seldom.
pub(super) trait Transport {
    fn peer(&self) -> PeerAddress;
    fn local(&self) -> PeerAddress;
    fn tls(&self) -> Option<Arc<TlsInfo>>;
    fn auth(&self) -> Option<AuthInfo>;
}

impl Transport for Exchange<'_> {
    fn peer(&self) -> PeerAddress {
        Exchange::peer(self)
    }

    fn local(&self) -> PeerAddress {
        Exchange::local(self)
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        Exchange::tls(self)
    }

    fn auth(&self) -> Option<AuthInfo> {
        Exchange::auth(self)
    }
}

impl<'a> Request<'a> {
    /// The request of `exchange`, with what was taken out of it where its content has yet to arrive.
    #[inline(always)]
    pub(crate) fn arriving(
        exchange: &'a Exchange<'_>,
        body: Option<BodyReader>,
        limits: &'a ContentLimits,
    ) -> Self {
        let content = match exchange.content() {
            Some(content) => RequestContent::Arrived(content, limits),
            None => {
                let body = Some(body.unwrap_or_default());
                RequestContent::pending(body, exchange.may_block(), limits)
            }
        };
        Self::of(exchange.head(), exchange, content)
    }

    /// The request of `exchange`, whose content has gone to disk.
    pub(crate) fn uploaded(
        exchange: &'a Exchange<'_>,
        uploads: Uploads,
        limits: &'a ContentLimits,
    ) -> Self {
        let content = RequestContent::pending(None, exchange.may_block(), limits);
        let mut request = Self::of(exchange.head(), exchange, content);
        request.uploads = OnceLock::from(uploads);
        request
    }

    /// The request of `exchange`, before anybody may look at its content.
    pub(crate) fn without_content(exchange: &'a Exchange<'_>, limits: &'a ContentLimits) -> Self {
        let content = RequestContent::pending(None, exchange.may_block(), limits);
        Self::of(exchange.head(), exchange, content)
    }

    /// As [`without_content`](Self::without_content), for one that has left its exchange.
    pub(crate) fn detached(
        head: &'a RequestHead<'a>,
        detached: &'a Detached,
        limits: &'a ContentLimits,
    ) -> Self {
        let content = RequestContent::pending(None, true, limits);
        Self::of(head, detached, content)
    }

    #[inline]
    fn of(
        head: &'a RequestHead<'a>,
        transport: &'a dyn Transport,
        content: RequestContent<'a>,
    ) -> Self {
        Self {
            source: Arriving { head, transport },
            content,
            uploads: OnceLock::new(),
        }
    }

    /// What is left of the content, and what of it has gone to disk or was looked at.
    #[inline(always)]
    pub(crate) fn into_left(self) -> (LeftContent, Option<Uploads>) {
        (self.content.into_left(), self.uploads.into_inner())
    }
}

impl OwnedRequest {
    /// The request of a deferred exchange, and what of its content has gone to disk or was looked at.
    pub(crate) fn taken(
        head: OwnedRequestHead,
        (body, uploads): (Option<BodyReader>, Option<Uploads>),
        (peer, local, tls, auth): Ends,
        limits: &ContentLimits,
    ) -> Self {
        Self {
            source: Taken {
                head,
                peer,
                local,
                tls,
                auth,
            },
            // Whoever holds an owned request is on a thread of its own choice.
            content: RequestContent::pending(body, true, limits),
            uploads: uploads.map_or_else(OnceLock::new, OnceLock::from),
        }
    }
}

impl RequestSource for Arriving<'_> {
    #[inline]
    fn head(&self) -> RequestHead<'_> {
        *self.head
    }

    fn prefix(&self) -> &UrlPrefix {
        &self.head.registration.prefix
    }

    fn peer(&self) -> PeerAddress {
        self.transport.peer()
    }

    fn local(&self) -> PeerAddress {
        self.transport.local()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.transport.tls()
    }

    fn auth(&self) -> Option<AuthInfo> {
        self.transport.auth()
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

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.tls.clone()
    }

    fn auth(&self) -> Option<AuthInfo> {
        self.auth.clone()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Arriving<'_> {}
    impl Sealed for super::Taken {}
}
