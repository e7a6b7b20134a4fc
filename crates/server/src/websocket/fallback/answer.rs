//! What answers say besides their status: that they are not kept, and which pages may read them.
//!
//! Pages of other origins are those that may open a WebSocket. Source: the Fetch standard, §3.3.

use tidegate_httpapi::{Body, FieldBlock, RequestHead, ResponseHead};
use tidegate_proto::websocket::OriginList;

use crate::http::add_vary;

/// The fields of every answer to a page of this origin, which is allowed.
pub(super) fn fields(origin: Option<&str>, allowed: &OriginList) -> FieldBlock {
    let mut fields = FieldBlock::new();
    // Neither names nor values, which came in a field, have anything that cannot be sent.
    let mut put = |name: &str, value: &str| drop(fields.append(name, value));
    put("Cache-Control", "no-store");
    match origin {
        // To whoever asks, and with nobody's credentials.
        Some(_) if allowed.is_empty() => put("Access-Control-Allow-Origin", "*"),
        Some(origin) => {
            put("Access-Control-Allow-Origin", origin);
            put("Access-Control-Allow-Credentials", "true");
        }
        None => {}
    }
    if origin.is_some() {
        put("Access-Control-Expose-Headers", NUMBER);
    }
    if !allowed.is_empty() {
        add_vary(&mut fields, "Origin");
    }
    fields
}

/// The fields of a stream, in place of what the application has said of the same.
pub(super) fn stream_head(application: &FieldBlock, own: &FieldBlock) -> ResponseHead {
    let mut head = ResponseHead::new(200);
    let mut kept = application.clone();
    for field in own.iter().filter(|field| field.name != "Vary") {
        kept.remove(field.name);
    }
    for name in ["Content-Type", "X-Accel-Buffering"] {
        kept.remove(name);
    }
    head.fields = kept;
    head.fields.extend(own);
    for (name, value) in [
        ("Content-Type", "text/event-stream"),
        // nginx gathers answers without this.
        ("X-Accel-Buffering", "no"),
    ] {
        let _ = head.fields.append(name, value);
    }
    head
}

/// The answer to a browser that asks whether a page may send such requests, if it does.
pub(super) fn preflight(request: &RequestHead<'_>, mut fields: FieldBlock) -> Option<ResponseHead> {
    request.fields.value("Origin")?;
    request.fields.value("Access-Control-Request-Method")?;
    for (name, value) in [
        ("Access-Control-Allow-Methods", "GET, POST"),
        ("Access-Control-Allow-Headers", ALLOWED_FIELDS),
        ("Access-Control-Max-Age", "600"),
    ] {
        let _ = fields.append(name, value);
    }
    let mut head = ResponseHead::new(204);
    head.fields = fields;
    Some(head)
}

/// An answer with a text for people, or none.
pub(super) fn told(status: u16, text: String, fields: FieldBlock) -> (ResponseHead, Body) {
    let mut head = ResponseHead::new(status);
    head.fields = fields;
    if text.is_empty() {
        return (head, Body::Empty);
    }
    // Nothing in these cannot be sent.
    let _ = head
        .fields
        .append("Content-Type", "text/plain; charset=utf-8");
    let _ = head.fields.append("X-Content-Type-Options", "nosniff");
    (head, Body::Owned(format!("{text}\n").into_bytes()))
}

/// Where the secret stands.
pub(super) const SESSION: &str = "Tidegate-Session";
/// Where the number stands.
pub(super) const NUMBER: &str = "Tidegate-Number";
const ALLOWED_FIELDS: &str = "content-type, tidegate-session, tidegate-number";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fields: &FieldBlock) -> String {
        String::from_utf8(fields.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn pages_that_may_connect_may_read() {
        let listed: OriginList = "https://a.example".parse().unwrap();
        let any = OriginList::default();
        let cases = [
            (None, &any, "Cache-Control: no-store\r\n"),
            (
                Some("https://b.example"),
                &any,
                "Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n\
                 Access-Control-Expose-Headers: Tidegate-Number\r\n",
            ),
            (None, &listed, "Cache-Control: no-store\r\nVary: Origin\r\n"),
            (
                Some("https://a.example"),
                &listed,
                "Cache-Control: no-store\r\nAccess-Control-Allow-Origin: https://a.example\r\n\
                 Access-Control-Allow-Credentials: true\r\n\
                 Access-Control-Expose-Headers: Tidegate-Number\r\nVary: Origin\r\n",
            ),
        ];
        for (origin, allowed, wanted) in cases {
            assert_eq!(told(&fields(origin, allowed)), wanted);
        }
    }

    #[test]
    fn what_makes_a_stream_is_not_the_applications_to_say() {
        let mut application = FieldBlock::new();
        for (name, value) in [
            ("Content-Type", "text/html"),
            ("cache-control", "max-age=60"),
            ("X-Own", "1"),
            ("Vary", "Cookie"),
        ] {
            application.append(name, value).unwrap();
        }
        let own = fields(None, &"https://a.example".parse().unwrap());
        let head = stream_head(&application, &own);
        let wanted = "X-Own: 1\r\nVary: Cookie\r\nCache-Control: no-store\r\nVary: Origin\r\n\
                      Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n";
        assert_eq!((head.status, &*told(&head.fields)), (200, wanted));
    }
}
