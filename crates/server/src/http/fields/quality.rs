//! What a client likes best of what there is. Source: RFC 9110 §12.4 and §12.5; RFC 4647 §3 for
//! languages.

/// How well an entry of the field fits an offer; `None` when it is not about it. The best fit decides.
type Fit = fn(entry: &str, offer: &str) -> Option<usize>;

/// The offer with the highest quality, of several the one that is named most exactly, then the first; `None`
/// when all have the quality 0. A client that says nothing takes any.
pub(super) fn best<'a>(
    field: &str,
    offers: impl IntoIterator<Item = &'a str>,
    fit: Fit,
) -> Option<&'a str> {
    let entries: Vec<_> = split(field, ',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(with_quality)
        .collect();
    let mut best = None;
    for offer in offers {
        let fits = entries
            .iter()
            .filter_map(|(entry, quality)| Some((fit(entry, offer)?, *quality)));
        // The nearest entry says the quality; of two as near, the one that says more.
        let (nearness, quality) = match entries.is_empty() {
            true => (0, QUALITY_MAX),
            false => fits.max().unwrap_or_default(),
        };
        if quality > 0 && best.is_none_or(|(_, found)| (quality, nearness) > found) {
            best = Some((offer, (quality, nearness)));
        }
    }
    best.map(|(offer, _)| offer)
}

/// Fits a media range to a media type: its parameters before those of none, a whole type before a half.
pub(super) fn media_type(range: &str, offer: &str) -> Option<usize> {
    let mut parts = split(range, ';').map(str::trim);
    let (range_type, range_subtype) = parts.next()?.split_once('/')?;
    let mut offered = split(offer, ';').map(str::trim);
    let (offer_type, offer_subtype) = offered.next()?.split_once('/')?;
    let level = match (range_type, range_subtype) {
        ("*", "*") => 0,
        (found, "*") if found.eq_ignore_ascii_case(offer_type) => 1,
        (found, subtype)
            if found.eq_ignore_ascii_case(offer_type)
                && subtype.eq_ignore_ascii_case(offer_subtype) =>
        {
            2
        }
        _ => return None,
    };
    let offered: Vec<&str> = offered.collect();
    let mut parameters = 0;
    for wanted in parts.filter(|part| !part.is_empty()) {
        if !offered
            .iter()
            .any(|offered| is_same_parameter(offered, wanted))
        {
            return None;
        }
        parameters += 1;
    }
    Some(level + 3 * parameters)
}

/// Fits a language range to a language: `en` is about `en-GB`, and `en-GB`, if nothing is nearer, about `en`.
pub(super) fn language(range: &str, offer: &str) -> Option<usize> {
    if range == "*" {
        return Some(0);
    }
    let is_within = |inner: &str, outer: &str| {
        let start = inner.get(..outer.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(outer))
            && matches!(inner.as_bytes().get(outer.len()), None | Some(b'-'))
    };
    if is_within(offer, range) {
        // The longer, the nearer; and nearer than what is about more than the offer.
        return Some(1000 + range.len());
    }
    is_within(range, offer).then_some(1)
}

fn is_same_parameter(one: &str, other: &str) -> bool {
    let halves = |parameter| {
        let (name, value): (&str, &str) = str::split_once(parameter, '=')?;
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        Some((name.to_ascii_lowercase(), value.to_ascii_lowercase()))
    };
    halves(one).is_some() && halves(one) == halves(other)
}

/// An entry without its quality, and that, in thousandths.
fn with_quality(entry: &str) -> (String, u32) {
    let mut kept = String::with_capacity(entry.len());
    let mut quality = QUALITY_MAX;
    for part in split(entry, ';') {
        let part = part.trim();
        match part.strip_prefix("q=").or(part.strip_prefix("Q=")) {
            Some(text) => {
                // What is no quality is none, so that nobody gets what may have been unwanted.
                quality = parse_quality(text).unwrap_or(0);
                // RFC 9110 §12.5.1: what follows was about the quality once, and is no more.
                break;
            }
            None => {
                if !kept.is_empty() {
                    kept.push(';');
                }
                kept.push_str(part);
            }
        }
    }
    (kept, quality)
}

/// RFC 9110 §12.4.2: 0 to 1 with up to three decimals.
fn parse_quality(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u32 = format!("{decimals:0<3}")
        .parse()
        .ok()
        .filter(|_| is_number)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(QUALITY_MAX),
        _ => None,
    }
}

const QUALITY_MAX: u32 = 1000;

/// The parts between separators that are not within quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |char| {
        match (char, escaped) {
            ('\\', false) if quoted => {
                escaped = true;
                return false;
            }
            ('"', false) => quoted = !quoted,
            _ => {}
        }
        escaped = false;
        char == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_chosen_by_quality_and_order() {
        let offers = ["application/json", "text/html", "text/plain; charset=utf-8"];
        for (field, wanted) in [
            ("", Some("application/json")),
            (" , ", Some("application/json")),
            ("*/*", Some("application/json")),
            ("text/html", Some("text/html")),
            ("TEXT/HTML", Some("text/html")),
            ("text/*", Some("text/html")),
            ("text/plain", Some("text/plain; charset=utf-8")),
            (
                "text/plain;charset=\"UTF-8\"",
                Some("text/plain; charset=utf-8"),
            ),
            ("text/plain;charset=latin1", None),
            ("image/png", None),
            ("image/png, */*;q=0.1", Some("application/json")),
            (
                "application/json;q=0.5, text/html;q=0.501",
                Some("text/html"),
            ),
            ("application/json;q=0, */*;q=0.1", Some("text/html")),
            // The nearest entry counts, not the first.
            (
                "*/*, application/json;q=0.1, text/*;q=0.2",
                Some("text/html"),
            ),
            (
                "text/*;q=0.9, text/html;q=0",
                Some("text/plain; charset=utf-8"),
            ),
            ("text/html;level=1", None),
            ("text/html;q=1.5", None),
            ("text/html;q=0.1234", None),
            ("text/html;q=", None),
            ("text/html;q=1.000;x=y", Some("text/html")),
            ("*/*, text/plain", Some("text/plain; charset=utf-8")),
            ("a/b;c=\", text/html\"", None),
            ("a/b;c=\"\\\", \", text/html", Some("text/html")),
            // What browsers send.
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
                Some("text/html"),
            ),
            ("nonsense, ;q=1, /", None),
        ] {
            assert_eq!(best(field, offers, media_type), wanted, "{field}");
        }
        assert_eq!(best("*/*", [], media_type), None);
        assert_eq!(best("*/*;q=0", offers, media_type), None);
    }

    #[test]
    fn languages_are_chosen_by_quality_and_nearness() {
        let offers = ["en", "de", "de-AT", "pt-BR"];
        for (field, wanted) in [
            ("", Some("en")),
            ("de", Some("de")),
            ("DE-at", Some("de-AT")),
            ("de-CH", Some("de")),
            ("de-AT, de;q=0.5", Some("de-AT")),
            ("pt", Some("pt-BR")),
            ("pt-PT", None),
            ("fr, *;q=0.1", Some("en")),
            ("d", None),
            ("den", None),
            ("en;q=0.8, de;q=0.9, de-AT;q=0.1", Some("de")),
            ("en;q=0, *", Some("de")),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", Some("en")),
        ] {
            assert_eq!(best(field, offers, language), wanted, "{field}");
        }
    }
}
