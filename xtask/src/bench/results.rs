//! The file of results: one part for each suite, each under a heading of the first level.
//!
//! A run replaces the part of its own suite and leaves the others as they are.

/// The text with one part replaced, or added in its place in `order`.
pub(crate) fn replace(text: &str, order: &[&str], title: &str, part: &str) -> String {
    let parts: Vec<&str> = order
        .iter()
        .filter_map(|known| {
            if *known == title {
                Some(part)
            } else {
                find(text, known)
            }
        })
        .map(str::trim_end)
        .collect();
    format!("{}\n", parts.join("\n\n"))
}

/// The part with this title, its heading included.
fn find<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let heading = format!("# {title}\n");
    let start = if text.starts_with(&heading) {
        0
    } else {
        text.find(&format!("\n{heading}"))? + 1
    };
    let rest = &text[start..];
    let end = rest.find("\n# ").map_or(rest.len(), |end| end + 1);
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: [&str; 2] = ["One", "Two"];
    const ONE: &str = "# One\n\n## A\n\nx\n";
    const TWO: &str = "# Two\n\n## B\n\ny\n";

    #[test]
    fn part_is_added_in_its_place() {
        assert_eq!(replace("", &ORDER, "One", ONE), ONE);
        let both = format!("{ONE}\n{TWO}");
        assert_eq!(replace(ONE, &ORDER, "Two", TWO), both);
        assert_eq!(replace(TWO, &ORDER, "One", ONE), both);
    }

    #[test]
    fn part_is_replaced_and_the_other_kept() {
        let both = format!("{ONE}\n{TWO}");
        let newer = "# One\n\nz\n";
        assert_eq!(
            replace(&both, &ORDER, "One", newer),
            format!("{newer}\n{TWO}")
        );
        let newer = "# Two\n\nz\n";
        assert_eq!(
            replace(&both, &ORDER, "Two", newer),
            format!("{ONE}\n{newer}")
        );
    }
}
