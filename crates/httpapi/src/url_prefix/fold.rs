//! Letter case in paths: which characters count as one.

use std::iter::FusedIterator;

/// The character that stands for `character` and all its case variants.
///
/// Goes up and down again, character by character, so that `σ`, `ς` and `Σ` are one. What has no
/// single counterpart stays as it is, and an ASCII character never equals another kind: `ſ` is not
/// `s`, `K` (the Kelvin sign) not `k`. So a prefix in ASCII matches ASCII only, in which a filter in
/// front of us can see no other word than we do.
#[inline]
pub fn fold_case(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let upper = single(character.to_uppercase()).unwrap_or(character);
    let folded = single(upper.to_lowercase()).unwrap_or(upper);
    match folded.is_ascii() || upper.is_ascii() {
        true => character,
        false => folded,
    }
}

/// A path in which letter case is gone; equal for paths that name the same URLs.
pub fn fold_path(path: &str) -> Box<str> {
    path.chars().map(fold_case).collect()
}

fn single(mut mapped: impl FusedIterator<Item = char>) -> Option<char> {
    let first = mapped.next()?;
    mapped.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_variants_fold_to_one() {
        for (left, right) in [('a', 'A'), ('Ä', 'ä'), ('ς', 'Σ'), ('Ж', 'ж'), ('ẞ', 'ß')] {
            assert_eq!(fold_case(left), fold_case(right), "{left} {right}");
        }
    }

    #[test]
    fn no_other_character_folds_to_ascii() {
        for character in '\u{80}'..=char::MAX {
            assert!(!fold_case(character).is_ascii(), "{character}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for character in '\0'..=char::MAX {
            assert_eq!(fold_case(fold_case(character)), fold_case(character));
        }
    }
}
