//! A request as an application sees it.
//!
//! On the inline path it borrows from what the driver received and costs nothing to make; one that
//! was deferred owns its head. What needs work (query, cookies, credentials) is worked out when asked
//! for. Where a request is kept is in `source`. Source: the component's request object.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tidegate_httpapi::{
    BodyReader, ConnectionId, ContentFraming, Fields, KnownField, PeerAddress, RequestHead,
    RequestId, Scheme, TlsInfo, UrlPrefix, Version,
};
use tidegate_proto::form_data::{Boundary, FormDataError};

use super::authorization::Credentials;
use super::content::{ContentError, RequestContent, as_text};
use super::cookie::Cookies;
use super::date;
use super::form::FormParams;
use super::source::{Arriving, RequestSource, Taken};
use crate::admission::Authentication;
use crate::upload::Uploads;

/// One request: its head, where it was routed, its content.
///
/// `S` is where it is kept: in the driver's receive buffer while a handler of requests runs, or, as an
/// [`OwnedRequest`], on its own.
pub struct Request<'a, S = Arriving<'a>> {
    pub(super) source: S,
    pub(super) content: RequestContent<'a>,
    /// What has gone to disk, or was found in the content when somebody asked.
    pub(super) uploads: OnceLock<Uploads>,
}

/// A request that lives on its own and may go to another thread.
pub type OwnedRequest = Request<'static, Taken>;

impl<S: RequestSource> Request<'_, S> {
    /// The method, letter case kept.
    #[inline]
    pub fn method(&self) -> &str {
        self.head().method()
    }

    /// The path that routing went by: without the query, percent-decoded, without dot segments.
    ///
    /// Compare this, not [`raw_path`](Self::raw_path): a peer can spell one path in many ways.
    #[inline]
    pub fn document(&self) -> &str {
        self.head().cooked_path
    }

    /// The path as received, without the query: escapes and dot segments are still there.
    pub fn raw_path(&self) -> &[u8] {
        self.head().raw_path()
    }

    /// The whole request target as received.
    pub fn target(&self) -> &[u8] {
        self.head().target()
    }

    /// The query as received, without its `?`; `None` when the target has no `?`.
    pub fn query(&self) -> Option<&[u8]> {
        self.head().query()
    }

    /// The names and values of the query.
    pub fn query_params(&self) -> FormParams<'_> {
        FormParams::new(self.query().unwrap_or_default())
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// The host asked for, with its port if that was given.
    pub fn host(&self) -> Option<Cow<'_, str>> {
        self.head().host().map(String::from_utf8_lossy)
    }

    /// All field lines, in the order received.
    pub fn headers(&self) -> Fields<'_> {
        self.head().fields
    }

    /// The value of the field `name`, whatever its letter case; several lines are joined with `, `.
    ///
    /// Bytes that are no UTF-8 become U+FFFD; [`headers`](Self::headers) has the bytes.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(match self.headers().value(name)? {
            Cow::Borrowed(value) => String::from_utf8_lossy(value),
            Cow::Owned(value) => String::from_utf8_lossy(&value).into_owned().into(),
        })
    }

    /// The `Cookie` fields' cookies.
    pub fn cookies(&self) -> Cookies<'_> {
        Cookies::new(self.headers())
    }

    /// The `Content-Type`.
    pub fn content_type(&self) -> Option<&str> {
        self.known(KnownField::ContentType)
    }

    /// The length of the content, 0 when there is none; `None` when it comes in chunks.
    pub fn content_length(&self) -> Option<u64> {
        match self.head().framing {
            ContentFraming::None => Some(0),
            ContentFraming::Length(length) => Some(length),
            ContentFraming::Chunked => None,
        }
    }

    /// The `If-Modified-Since` time.
    pub fn if_modified_since(&self) -> Option<SystemTime> {
        date::from_field_value(&self.header("If-Modified-Since")?)
    }

    /// The user's name and password of Basic authentication, as the peer gave them: nobody has
    /// checked them.
    pub fn credentials(&self) -> Option<Credentials> {
        Credentials::from_basic(self.headers().known(KnownField::Authorization)?)
    }

    /// Whether the peer gave a user's name and password.
    pub fn auth_exists(&self) -> bool {
        self.credentials().is_some()
    }

    /// The user's name that the peer gave.
    pub fn auth_username(&self) -> Option<String> {
        self.credentials().map(|credentials| credentials.username)
    }

    /// The password that the peer gave.
    pub fn auth_password(&self) -> Option<String> {
        self.credentials().map(|credentials| credentials.password)
    }

    /// Who the peer was found to be by [`AuthenticationSettings`](crate::AuthenticationSettings) or
    /// [`ApiKeySettings`](crate::ApiKeySettings); `None` for who has not said, where that is allowed.
    ///
    /// Source: the component's Authentication object.
    pub fn authentication(&self) -> Option<Authentication> {
        Authentication::of(self.source.auth())
    }

    /// The name of the user, who has proved to be that.
    pub fn user(&self) -> Option<Arc<str>> {
        self.authentication()?.shared_user()
    }

    /// Names the connection it came on.
    pub fn connection_id(&self) -> ConnectionId {
        self.head().connection_id
    }

    /// Names this request.
    pub fn request_id(&self) -> RequestId {
        self.head().request_id
    }

    /// The peer's address.
    pub fn peer(&self) -> PeerAddress {
        self.source.peer()
    }

    /// The local address of the connection.
    pub fn local(&self) -> PeerAddress {
        self.source.local()
    }

    /// Whether the connection is secured by TLS, by the scheme of the binding it arrived at.
    pub fn is_secure(&self) -> bool {
        self.prefix().scheme == Scheme::Https
    }

    /// What secures the connection: version of TLS, cipher suite, the name that the client asked for,
    /// its certificates. `None` when nothing does. Source: the HTTP Server API's `pSslInfo`.
    pub fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.source.tls()
    }

    /// The URL prefix that routed it here.
    pub fn prefix(&self) -> &UrlPrefix {
        self.source.prefix()
    }

    /// The number that was given with the binding that routed it here.
    pub fn url_context(&self) -> u64 {
        self.head().registration.context
    }

    /// The path in two parts: what the prefix took, and the rest, which begins with `/` unless empty.
    ///
    /// Under the prefix `http://+:80/api/`, `/API/users/7` is `("/API", "/users/7")`.
    pub fn base_and_rest(&self) -> (&str, &str) {
        // A prefix covers whole segments, so its segments are counted, not its characters: their
        // letter case and escapes may differ from the request's.
        let segments = self.prefix().path.matches('/').count().saturating_sub(1);
        let document = self.document();
        let rest = document.match_indices('/').nth(segments);
        document.split_at(rest.map_or(document.len(), |(index, _)| index))
    }

    /// The whole content. Waits for it where it has yet to arrive, holding the calling thread; at
    /// most `max_request_body_size` bytes are taken.
    ///
    /// # Errors
    ///
    /// The peer's fault mostly; see [`ContentError`]. A handler may return it with `?`: then the
    /// request is answered with [`ContentError::status`].
    pub fn content(&self) -> Result<&[u8], ContentError> {
        self.content.whole()
    }

    /// The whole content, if it is here already or there is none; never waits.
    ///
    /// Short content mostly arrives with the head. A handler that would rather read piece by piece
    /// can spare itself the trouble then.
    pub fn content_arrived(&self) -> Option<&[u8]> {
        self.content.arrived()
    }

    /// As [`content`](Self::content), without holding a thread.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is done, the content is lost.
    pub async fn content_async(&self) -> Result<&[u8], ContentError> {
        self.content.whole_async().await
    }

    /// The whole content as text, in the character set that the content type names: UTF-8 (also when
    /// none is named), ISO-8859-1 or US-ASCII.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), and when it is no such text.
    pub fn text(&self) -> Result<Cow<'_, str>, ContentError> {
        let content_type = self.headers().known(KnownField::ContentType);
        as_text(self.content()?, content_type)
    }

    /// As [`text`](Self::text), without holding a thread.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub async fn text_async(&self) -> Result<Cow<'_, str>, ContentError> {
        let content_type = self.headers().known(KnownField::ContentType);
        as_text(self.content_async().await?, content_type)
    }

    /// The names and values of a form in the content: `application/x-www-form-urlencoded`, or
    /// `multipart/form-data`, of which these are the fields that are no files.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), and as [`uploads`](Self::uploads) for a form with files.
    pub fn form(&self) -> Result<FormParams<'_>, ContentError> {
        if self.uploads.get().is_some() || self.has_form_data() {
            return Ok(FormParams::of_fields(self.uploads()?.field_list()));
        }
        Ok(FormParams::new(self.content()?))
    }

    /// As [`form`](Self::form), without holding a thread.
    ///
    /// # Errors
    ///
    /// As [`form`](Self::form).
    pub async fn form_async(&self) -> Result<FormParams<'_>, ContentError> {
        if self.uploads.get().is_some() || self.has_form_data() {
            return Ok(FormParams::of_fields(
                self.uploads_async().await?.field_list(),
            ));
        }
        Ok(FormParams::new(self.content_async().await?))
    }

    /// The files and fields of a form (`multipart/form-data`), and files that came without one. Nothing for a
    /// request that is no upload.
    ///
    /// What [`HttpUploadFiles`](crate::HttpUploadFiles) has sent to disk is there, and its content is not to
    /// be had from the request any more. A form in memory is looked through here, by the same limits, and
    /// waited for where it has yet to arrive.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), and when it is no such form, or one of more than is allowed.
    pub fn uploads(&self) -> Result<&Uploads, ContentError> {
        match self.uploads.get() {
            Some(uploads) => Ok(uploads),
            None if !self.has_form_data() => Ok(self.keep_uploads(Uploads::default())),
            None => self.find_uploads(self.content()?),
        }
    }

    /// As [`uploads`](Self::uploads), without holding a thread.
    ///
    /// # Errors
    ///
    /// As [`uploads`](Self::uploads).
    pub async fn uploads_async(&self) -> Result<&Uploads, ContentError> {
        match self.uploads.get() {
            Some(uploads) => Ok(uploads),
            None if !self.has_form_data() => Ok(self.keep_uploads(Uploads::default())),
            None => self.find_uploads(self.content_async().await?),
        }
    }

    /// Whether the content type is that of a form with files.
    fn has_form_data(&self) -> bool {
        let content_type = self.headers().known(KnownField::ContentType);
        content_type.is_some_and(|value| Boundary::of_content_type(value).is_some())
    }

    fn find_uploads(&self, content: &[u8]) -> Result<&Uploads, ContentError> {
        let content_type = self.headers().known(KnownField::ContentType);
        let boundary = content_type.and_then(Boundary::of_content_type);
        let boundary = boundary.ok_or(FormDataError::Boundary)??;
        let found = Uploads::in_memory(boundary, content, self.content.upload_limits())?;
        Ok(self.keep_uploads(found))
    }

    fn keep_uploads(&self, uploads: Uploads) -> &Uploads {
        self.uploads.get_or_init(|| uploads)
    }

    /// Takes the content out, to be read piece by piece, waiting or not. The second time there is
    /// nothing to read.
    ///
    /// What may be waited for is as with [`content`](Self::content): a handler that must not block
    /// passes the reader to where it may.
    pub fn body(&self) -> BodyReader {
        self.content.take()
    }

    #[inline]
    pub(super) fn head(&self) -> RequestHead<'_> {
        self.source.head()
    }

    /// The value of a field whose values are ASCII; `None` for one that is not.
    fn known(&self, known: KnownField) -> Option<&str> {
        std::str::from_utf8(self.headers().known(known)?).ok()
    }
}

impl<S: RequestSource> fmt::Debug for Request<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("method", &self.method())
            .field("document", &self.document())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}
