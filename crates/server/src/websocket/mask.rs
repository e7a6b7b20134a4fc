//! Names matched by masks: `*` stands for any characters, also none, and `?` for one.
//!
//! There is no way to write a name with these characters themselves. Letter case counts.
//! Source: the component's Groups and sub-protocol (`Room*`).

/// Whether a text is more than the one name that it matches.
pub(super) fn is_mask(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether `name` matches.
///
/// Masks may come from peers. Only the last `*` is ever tried again, since whatever an earlier one could
/// take more, the last can too: at most as many steps as the product of both lengths.
pub(super) fn matches(mask: &str, name: &str) -> bool {
    let (mut mask, mut name) = (mask.chars(), name.chars());
    let mut retry = None;
    loop {
        let unread = name.clone();
        match (mask.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = unread;
                retry = Some((mask.clone(), name.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                // The last `*` takes one character more.
                let Some((after_star, taken)) = &mut retry else {
                    return false;
                };
                if taken.next().is_none() {
                    return false;
                }
                (mask, name) = (after_star.clone(), taken.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_match() {
        for (mask, name) in [
            ("", ""),
            ("Room", "Room"),
            ("Room*", "Room"),
            ("Room*", "Room 12"),
            ("*", ""),
            ("**", "a"),
            ("?", "é"),
            ("*?", "日本"),
            ("R?om", "Room"),
            ("*.price", "a.b.price"),
            ("a*b*c", "a-b-b-c-c"),
            ("*aab", "aaaaab"),
            ("*a?c*", "abbabc!"),
        ] {
            assert!(matches(mask, name), "{mask} {name}");
        }
    }

    #[test]
    fn masks_do_not_match() {
        for (mask, name) in [
            ("", "a"),
            ("Room", "room"),
            ("Room", "Rooms"),
            ("Room*", "Roo"),
            ("?", ""),
            ("?", "ab"),
            ("*?", ""),
            ("a*b", "ab-"),
            ("a*b*c", "a-c-b"),
            ("*a*a*a*", "aa"),
            ("é?", "é"),
        ] {
            assert!(!matches(mask, name), "{mask} {name}");
        }
    }

    /// All names and masks of up to five characters, against the definition.
    #[test]
    fn short_masks_match_as_defined() {
        fn by_definition(mask: &[char], name: &[char]) -> bool {
            match (mask.split_first(), name.split_first()) {
                (None, _) => name.is_empty(),
                (Some((&'*', rest)), _) => {
                    (0..=name.len()).any(|taken| by_definition(rest, &name[taken..]))
                }
                (Some(_), None) => false,
                (Some((&wanted, rest)), Some((&found, others))) => {
                    (wanted == '?' || wanted == found) && by_definition(rest, others)
                }
            }
        }
        let texts = |letters: &[char]| {
            let mut texts = vec![String::new()];
            let mut begin = 0;
            for _ in 0..5 {
                let end = texts.len();
                for index in begin..end {
                    let longer: Vec<_> = letters
                        .iter()
                        .map(|letter| format!("{}{letter}", texts[index]))
                        .collect();
                    texts.extend(longer);
                }
                begin = end;
            }
            texts
        };
        for mask in texts(&['a', 'b', '*', '?']) {
            for name in texts(&['a', 'b']) {
                let chars = |text: &str| text.chars().collect::<Vec<_>>();
                let expected = by_definition(&chars(&mask), &chars(&name));
                assert_eq!(matches(&mask, &name), expected, "{mask} {name}");
            }
        }
    }

    // A mask with many stars must not be a way to keep the server busy.
    #[test]
    fn many_stars_cost_no_more_than_one() {
        let mask = "a*".repeat(100) + "b";
        assert!(!matches(&mask, &"a".repeat(5000)));
    }
}
