//! The paths of one host: which entry has the longest path that begins a request's path.
//!
//! A tree of segments, laid out level by level so that the children of a node lie side by side,
//! sorted. Looking up neither allocates nor folds a whole path: segments are compared as they stand.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use tidegate_httpapi::fold_case;

/// What stands at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Leaf(u32);

impl Leaf {
    /// A reservation that nobody has registered.
    pub(crate) const RESERVED: Self = Self(u32::MAX);
    /// Nothing.
    pub(crate) const NONE: Self = Self(u32::MAX - 1);

    /// The registration with this index in its port's table.
    pub(crate) fn registered(index: usize) -> Self {
        // A port would need four thousand million registrations to get here.
        Self(u32::try_from(index).unwrap_or(Self::NONE.0))
    }

    /// The registration's index; out of any table's range when it is none.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug)]
pub(crate) struct PathTree {
    /// The first is the root, `/`.
    nodes: Box<[Node]>,
}

#[derive(Debug)]
struct Node {
    /// Folded.
    segment: Box<str>,
    leaf: Leaf,
    children_start: u32,
    children_count: u32,
}

impl PathTree {
    /// A tree of folded paths that begin and end with `/`.
    pub(crate) fn new<'a>(entries: impl Iterator<Item = (&'a str, Leaf)>) -> Self {
        let mut entries = entries.peekable();
        let mut root = Draft::default();
        // Most hosts have this and nothing else.
        if let Some((_, leaf)) = entries.next_if(|(path, _)| *path == "/") {
            root.leaf = leaf;
            if entries.peek().is_none() {
                return Self {
                    nodes: Box::new([Node::lonely(leaf)]),
                };
            }
        }
        let mut drafts = vec![root];
        for (path, leaf) in entries {
            let mut at = 0;
            for segment in path.split('/').filter(|segment| !segment.is_empty()) {
                let new = drafts.len();
                let next = *drafts[at].children.entry(segment).or_insert(new);
                if next == new {
                    drafts.push(Draft::default());
                }
                at = next;
            }
            drafts[at].leaf = leaf;
        }
        let mut nodes = Vec::with_capacity(drafts.len());
        let mut queue = VecDeque::from([("", 0)]);
        while let Some((segment, at)) = queue.pop_front() {
            let draft = &drafts[at];
            // Those before it in the queue come between this node and its children.
            let children_start = nodes.len() + 1 + queue.len();
            nodes.push(Node {
                segment: segment.into(),
                leaf: draft.leaf,
                children_start: children_start as u32,
                children_count: draft.children.len() as u32,
            });
            queue.extend(draft.children.iter().map(|(&segment, &at)| (segment, at)));
        }
        Self {
            nodes: nodes.into(),
        }
    }

    /// The entry with the longest path that is a whole-segment prefix of `path`.
    ///
    /// A path without its final `/` also matches; `""`, as for `OPTIONS *`, matches the root.
    pub(crate) fn longest(&self, path: &str) -> Leaf {
        let mut node = &self.nodes[0];
        let mut best = node.leaf;
        let mut rest = path.strip_prefix('/').unwrap_or(path);
        while node.children_count > 0 {
            let (segment, after) = match rest.split_once('/') {
                Some((segment, after)) => (segment, after),
                None => (rest, ""),
            };
            let Some(child) = self.child(node, segment) else {
                break;
            };
            node = child;
            rest = after;
            if node.leaf != Leaf::NONE {
                best = node.leaf;
            }
        }
        best
    }

    /// The entry that every path has, when the tree holds `/` and nothing else.
    pub(crate) fn only_root(&self) -> Leaf {
        match &*self.nodes {
            [root] => root.leaf,
            _ => Leaf::NONE,
        }
    }

    fn child(&self, node: &Node, segment: &str) -> Option<&Node> {
        let start = node.children_start as usize;
        let children = &self.nodes[start..start + node.children_count as usize];
        let found = match segment.is_ascii() {
            true => children.binary_search_by(|child| compare_ascii(&child.segment, segment)),
            false => children.binary_search_by(|child| compare(&child.segment, segment)),
        };
        found.ok().map(|index| &children[index])
    }
}

impl Node {
    fn lonely(leaf: Leaf) -> Self {
        Self {
            segment: Box::default(),
            leaf,
            children_start: 0,
            children_count: 0,
        }
    }
}

#[derive(Debug)]
struct Draft<'a> {
    leaf: Leaf,
    children: BTreeMap<&'a str, usize>,
}

impl Default for Draft<'_> {
    fn default() -> Self {
        Self {
            leaf: Leaf::NONE,
            children: BTreeMap::new(),
        }
    }
}

/// `folded` beside `segment`, in the order of bytes, which in UTF-8 is that of characters.
#[inline]
fn compare_ascii(folded: &str, segment: &str) -> Ordering {
    folded
        .bytes()
        .cmp(segment.bytes().map(|byte| byte.to_ascii_lowercase()))
}

fn compare(folded: &str, segment: &str) -> Ordering {
    folded.chars().cmp(segment.chars().map(fold_case))
}
