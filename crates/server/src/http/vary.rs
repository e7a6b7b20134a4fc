//! `Vary`: which fields of a request decide what is answered. Source: RFC 9110 §12.5.5.

use tidegate_httpapi::FieldBlock;

/// Adds a field's name, which is a token, to what an answer depends on, unless it is there.
pub(crate) fn add_vary(fields: &mut FieldBlock, name: &str) {
    let is_told = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("Vary"))
        .flat_map(|field| field.value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|told| told == b"*" || told.eq_ignore_ascii_case(name.as_bytes()));
    if !is_told {
        // Nothing in a token cannot be sent.
        let _ = fields.append("Vary", name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_added_once() {
        for (there, wanted) in [
            (&[] as &[&str], "Vary: Origin\r\n"),
            (&["Accept"], "Vary: Accept\r\nVary: Origin\r\n"),
            (&["Accept, origin"], "Vary: Accept, origin\r\n"),
            (
                &["Accept", "ORIGIN ,X"],
                "Vary: Accept\r\nVary: ORIGIN ,X\r\n",
            ),
            (&["*"], "Vary: *\r\n"),
            (&["X-Origin"], "Vary: X-Origin\r\nVary: Origin\r\n"),
        ] {
            let mut fields = FieldBlock::new();
            for value in there {
                fields.append("Vary", value).unwrap();
            }
            add_vary(&mut fields, "Origin");
            assert_eq!(fields.as_bytes(), wanted.as_bytes());
        }
    }
}
