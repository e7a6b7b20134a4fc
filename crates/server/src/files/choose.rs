//! Which coding of a file a request is answered with. Source: RFC 9110 §12.5.3, §13.1.5 and §14.2.

use tidegate_httpapi::RequestHead;
use tidegate_proto::conditional::{Preconditions, Validators, parse_date};

use super::coding::{Accepted, ContentCoding};
use super::resource::{Representation, Resource};

/// What is sent of a file.
pub(super) enum Chosen<'a> {
    /// What is there.
    There(&'a Representation),
    /// What is to be made of it, unless it has been made.
    Made(ContentCoding),
}

/// Chooses by `Accept-Encoding`; for a request of a range, the representation that the client has a part
/// of.
pub(super) fn choose<'a>(
    resource: &'a Resource,
    request: &RequestHead<'_>,
    preconditions: &Preconditions<'_>,
) -> Chosen<'a> {
    if !resource.varies() {
        return Chosen::There(&resource.identity);
    }
    let accepted = match request.fields.value("Accept-Encoding") {
        Some(field) => Accepted::parse(&field),
        None => Accepted::IDENTITY,
    };
    if preconditions.has_range()
        && let Some(representation) = of_part(resource, request.method(), preconditions, &accepted)
    {
        return Chosen::There(representation);
    }
    let coded = resource.coded.iter().map(|(coding, _)| *coding);
    let made = resource.makeable().iter().copied();
    let Some(best) = accepted.best(coded.chain(made)) else {
        return Chosen::There(&resource.identity);
    };
    let coded = resource.coded.iter().find(|(coding, _)| *coding == best);
    match coded {
        Some((_, representation)) => Chosen::There(representation),
        None => Chosen::Made(best),
    }
}

/// The representation that a range is of: the one that `If-Range` is true for. A client that does not say
/// which means the file itself, not what a coding makes of it. `None` when the whole is to be sent.
fn of_part<'a>(
    resource: &'a Resource,
    method: &str,
    preconditions: &Preconditions<'_>,
    accepted: &Accepted,
) -> Option<&'a Representation> {
    let identity = accepted.allows_identity().then_some(&resource.identity);
    let coded = resource.coded.iter();
    let coded = coded.filter(|(coding, _)| accepted.allows(*coding));
    identity
        .into_iter()
        .chain(coded.map(|(_, representation)| representation))
        .find(|representation| {
            let fields = &representation.fields;
            let validators = Validators {
                etag: fields.value("ETag"),
                last_modified: fields.value("Last-Modified").and_then(parse_date),
                // Whether a date is a strong validator is decided when the answer is planned.
                now: u64::MAX,
            };
            preconditions.range(method, &validators).is_some()
        })
}
