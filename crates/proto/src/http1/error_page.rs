//! The driver's own answers: a status and a small page.
//!
//! Source: the HTTP Server API's error pages; the wording is ours.

use tidegate_httpapi::{ResponseHead, reason_phrase};

use super::response::{EncodedHead, ResponseContext, encode_head};

/// Appends a whole error response, which closes the connection.
///
/// The page has a title, a heading and one line that names the code. `reason_phrase` stands in the
/// status line and in the page (empty: the standard one), `detail` is the page's sentence, see
/// [`Reject::detail`](super::Reject::detail).
pub fn encode_error_page(
    out: &mut Vec<u8>,
    status: u16,
    reason_phrase: &str,
    detail: &str,
    context: &ResponseContext<'_>,
) -> EncodedHead {
    let (mut head, page) = error_page(status, reason_phrase, detail);
    head.close = true;
    let context = ResponseContext {
        from_driver: true,
        ..*context
    };
    let encoded = encode_head(out, &head, Some(page.len() as u64), &context);
    if encoded.send_content {
        out.extend_from_slice(&page);
    }
    encoded
}

/// An error response and its content, whose connection may stay open.
///
/// The arguments are those of [`encode_error_page`]; [`ResponseContext::from_driver`] belongs to it.
pub fn error_page(status: u16, reason_phrase: &str, detail: &str) -> (ResponseHead, Vec<u8>) {
    let reason_phrase = match reason_phrase {
        "" => standard_reason(status),
        given => given,
    };
    let mut head = ResponseHead::new(status);
    if reason_phrase != standard_reason(status) {
        head.reason = Some(reason_phrase.into());
    }
    head.fields
        .append("Content-Type", "text/html; charset=us-ascii")
        .expect("a constant name and value without control characters");
    (head, page(status, reason_phrase, detail).into_bytes())
}

fn standard_reason(status: u16) -> &'static str {
    reason_phrase(status)
}

fn page(status: u16, reason_phrase: &str, detail: &str) -> String {
    let title = text(reason_phrase);
    let detail = text(detail);
    format!(
        "<!DOCTYPE html>\r\n\
         <html><head><title>{title}</title></head>\r\n\
         <body><h2>{title}</h2>\r\n\
         <hr><p>HTTP error {status}. {detail}</p>\r\n\
         </body></html>\r\n"
    )
}

/// The text in ASCII, with what HTML would read as markup escaped.
fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            ' '..='~' => escaped.push(character),
            _ => escaped.push('?'),
        }
    }
    escaped
}
