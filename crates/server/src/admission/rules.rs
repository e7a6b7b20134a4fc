//! Which of several rules is a path's: that of the longest path it is at or under.
//!
//! Letter case and repeated slashes do not count. URL prefixes are routed without regard to case, and what stands
//! behind a path (a handler, an upstream, a folder) may take `//` for `/`: a request that reaches what a rule is for
//! must not get past the rule by another spelling.

use std::cmp::Reverse;

use tidegate_httpapi::fold_path;

use crate::place::{self, rest_of};

/// Rules by path, and one for all other paths.
pub(super) struct Rules<R> {
    /// The longest path first.
    rules: Vec<(Box<str>, R)>,
    other: R,
}

impl<R> Rules<R> {
    pub(super) fn new<'a>(rules: impl Iterator<Item = (&'a str, R)>, other: R) -> Self {
        let mut rules: Vec<_> = rules
            .map(|(path, rule)| (place::path(&plain(path)), rule))
            .collect();
        rules.sort_by_key(|(path, _)| Reverse(path.len()));
        Self { rules, other }
    }

    /// That of a path, as routing went by.
    pub(super) fn find(&self, document: &str) -> &R {
        if self.rules.is_empty() {
            return &self.other;
        }
        let document = plain(document);
        let mut rules = self.rules.iter();
        let found = rules.find(|(path, _)| rest_of(document.as_bytes(), path).is_some());
        found.map_or(&self.other, |(_, rule)| rule)
    }
}

/// A path by one spelling of many.
fn plain(path: &str) -> String {
    let mut plain = String::from(fold_path(path));
    let mut is_after_slash = false;
    plain.retain(|character| {
        let is_repeated = is_after_slash && character == '/';
        is_after_slash = character == '/';
        !is_repeated
    });
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_gets_past_a_rule() {
        let rules = Rules::new(
            [("/Admin/", 1), ("admin/open", 2), ("/ä", 3)].into_iter(),
            0,
        );
        for (document, rule) in [
            ("/admin", 1),
            ("/ADMIN/x", 1),
            ("//admin//x", 1),
            ("/admin//OPEN", 2),
            ("/admin/opener", 1),
            ("/administrator", 0),
            ("/Ä/x", 3),
            ("/", 0),
            ("*", 0),
        ] {
            assert_eq!(*rules.find(document), rule, "{document}");
        }
        let all = Rules::new([("/", 1)].into_iter(), 0);
        assert_eq!((*all.find("/"), *all.find("/a")), (1, 1));
    }
}
