//! Who may be given content that is encoded: what `Accept-Encoding` admits.
//!
//! Lists come from peers: empty elements, weights that are none and thousands of codings mean nothing and
//! cost their length (CVE-2021-31166). Source: RFC 9110 §12.5.3, §12.4.2, §8.4.1.

use tidegate_httpapi::Fields;

/// Whether a request admits content with these codings, the value of a stored `Content-Encoding`; `None`:
/// it has none.
///
/// A request without `Accept-Encoding` admits no coding: RFC 9110 §12.5.3 would allow any then, but who
/// does not say that he can decode mostly cannot.
pub fn admits_coding(request: &Fields<'_>, codings: Option<&[u8]>) -> bool {
    match codings {
        None => is_acceptable(request, b"identity").unwrap_or(true),
        Some(codings) => elements(codings)
            .filter(|coding| !is_coding(coding, b"identity"))
            .all(|coding| is_acceptable(request, coding).unwrap_or(false)),
    }
}

/// Whether a coding is admitted; `None` where nothing is said of it.
fn is_acceptable(request: &Fields<'_>, coding: &[u8]) -> Option<bool> {
    let mut of_all = None;
    let values = request
        .lines()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"accept-encoding"))
        .map(|(_, value)| value);
    for element in values.flat_map(elements) {
        let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let is_named = is_coding(name, coding);
        if !is_named && name != b"*" {
            continue;
        }
        let Some(admitted) = has_weight(parts) else {
            continue;
        };
        if is_named {
            return Some(admitted);
        }
        of_all = of_all.or(Some(admitted));
    }
    of_all
}

/// Whether the parameters of a coding leave it a weight above 0; `None` if that is not to be made out.
fn has_weight<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<bool> {
    let mut admitted = true;
    for parameter in parameters {
        let weight = match parameter {
            [b'q' | b'Q', b'=', weight @ ..] => weight,
            // What stands there is no weight, and no more is defined.
            _ => return None,
        };
        let (whole, fraction) = match weight {
            [whole] => (*whole, &[][..]),
            [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
            _ => return None,
        };
        let is_zero = fraction.iter().all(|&digit| digit == b'0');
        admitted &= match whole {
            b'0' if fraction.iter().all(u8::is_ascii_digit) => !is_zero,
            b'1' if is_zero => true,
            _ => return None,
        };
    }
    Some(admitted)
}

/// Whether two names are of one coding. RFC 9110 §8.4.1: their letter case does not count; §8.4.1.1 and
/// §8.4.1.3: old names of two.
fn is_coding(name: &[u8], coding: &[u8]) -> bool {
    let without_x = |name: &[u8]| -> usize {
        let has_old_name = [&b"x-gzip"[..], b"x-compress"];
        match has_old_name
            .iter()
            .any(|old| name.eq_ignore_ascii_case(old))
        {
            true => 2,
            false => 0,
        }
    };
    name[without_x(name)..].eq_ignore_ascii_case(&coding[without_x(coding)..])
}

/// The elements of a list that are not empty.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use tidegate_httpapi::{FieldSpan, KnownField};

    use super::*;

    /// Whether a request with these `Accept-Encoding` lines admits a stored `Content-Encoding`.
    fn admits(lines: &[&str], codings: Option<&str>) -> bool {
        let mut bytes = Vec::new();
        let mut spans = Vec::new();
        for line in lines {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(b"aCCept-encoding");
            bytes.extend_from_slice(line.as_bytes());
            spans.push(FieldSpan {
                name_start: start,
                value_start: start + 15,
                value_len: line.len() as u32,
                name_len: 15,
                known: KnownField::Other,
            });
        }
        let fields = Fields::new(&bytes, &spans);
        admits_coding(&fields, codings.map(str::as_bytes))
    }

    #[test]
    fn what_is_encoded_goes_to_who_can_decode_it() {
        for (accepted, coding) in [
            ("gzip", "gzip"),
            ("GZip , br", "gzip"),
            ("deflate, gzip;q=0.001", "gzip"),
            ("gzip;q=1.000", "gzip"),
            ("gzip; Q=0.5", "gzip"),
            ("x-gzip", "gzip"),
            ("gzip", "X-GZIP"),
            ("*", "br"),
            ("*;q=0, br", "br"),
            ("br, *;q=0", "br"),
            ("gzip, br", "gzip, br"),
            ("gzip", "identity"),
            ("", "identity"),
            ("gzip", "gzip,"),
        ] {
            assert!(admits(&[accepted], Some(coding)), "{accepted:?} {coding}");
        }
        for (accepted, coding) in [
            ("", "gzip"),
            ("identity", "gzip"),
            ("gzip;q=0", "gzip"),
            ("gzip;q=0.000", "gzip"),
            ("gzip;q=0, *", "gzip"),
            ("*, gzip;q=0", "gzip"),
            ("*;q=0", "gzip"),
            ("gzi", "gzip"),
            ("gzipp", "gzip"),
            ("br", "gzip, br"),
            ("xx-gzip", "gzip"),
            ("x-br", "br"),
            ("gzip;q=1.001", "gzip"),
            ("gzip;q=2", "gzip"),
            ("gzip;q=0.0001", "gzip"),
            ("gzip;q=", "gzip"),
            ("gzip;q", "gzip"),
            ("gzip;q=-1", "gzip"),
            ("gzip;q=0.x", "gzip"),
            ("gzip;", "gzip"),
            ("gzip;level=9", "gzip"),
        ] {
            assert!(!admits(&[accepted], Some(coding)), "{accepted:?} {coding}");
        }
        assert!(!admits(&[], Some("gzip")));
    }

    #[test]
    fn what_is_not_encoded_goes_to_all_who_do_not_refuse_it() {
        for lines in [
            &[][..],
            &[""],
            &["gzip"],
            &["*"],
            &["identity;q=0.1, *;q=0"],
        ] {
            assert!(admits(lines, None), "{lines:?}");
        }
        for lines in [&["identity;q=0"][..], &["gzip, *;q=0"], &["gzip", "*;q=0"]] {
            assert!(!admits(lines, None), "{lines:?}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        assert!(admits(&["br", "gzip"], Some("gzip")));
        assert!(admits(&["*;q=0", "gzip"], Some("gzip")));
    }

    // CVE-2021-31166.
    #[test]
    fn odd_lists_mean_what_stands_in_them() {
        for odd in [
            "doesnt, exist, , ,",
            ",,,,",
            ", gzip",
            "gzip,",
            "gzip, aaa, bbb, , ",
            ";;;, =, q=1, gzip;;",
            "\t,\t",
        ] {
            let names_gzip = odd.split(',').any(|element| element.trim() == "gzip");
            assert_eq!(admits(&[odd], Some("gzip")), names_gzip, "{odd:?}");
            assert!(admits(&[odd], None), "{odd:?}");
        }
        let many = "none;q=0.1,".repeat(5_000);
        assert!(!admits(&[&many], Some("gzip")));
        assert!(admits(&[&many, "gzip"], Some("gzip")));
    }
}
