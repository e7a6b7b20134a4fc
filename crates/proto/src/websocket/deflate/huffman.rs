//! Prefix codes of DEFLATE: from how often each symbol occurs to its bits. RFC 1951 §3.2.2.

/// A symbol's code: the bits in the order they are written, and how many.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) count: u8,
}

/// Code lengths that make the total shortest, none longer than `length_max`; 0 for what never occurs.
///
/// At least two symbols get a code: some decoders refuse a code with one.
pub(super) fn code_lengths<const N: usize>(counts: &[u32; N], length_max: usize) -> [u8; N] {
    // Counts and symbols in one number each, so that sorting moves both.
    let mut sorted = [0u64; N];
    let mut used = 0;
    for (symbol, &count) in counts.iter().enumerate() {
        if count > 0 {
            sorted[used] = u64::from(count) << 16 | symbol as u64;
            used += 1;
        }
    }
    let unused = (0..).zip(counts).filter(|&(_, &count)| count == 0);
    for (symbol, _) in unused.take(2usize.saturating_sub(used)) {
        sorted[used] = 1 << 16 | symbol;
        used += 1;
    }
    let sorted = &mut sorted[..used];
    sorted.sort_unstable();

    let mut depths = [0u32; N];
    let depths = &mut depths[..used];
    for (depth, pair) in depths.iter_mut().zip(&*sorted) {
        *depth = (pair >> 16) as u32;
    }
    tree_depths(depths);
    let mut of_length = [0usize; 16];
    count_depths(depths, length_max, &mut of_length);

    // The rarest get the longest.
    let mut lengths = [0; N];
    let mut pairs = sorted.iter();
    for length in (1..=length_max).rev() {
        for pair in pairs.by_ref().take(of_length[length]) {
            lengths[(pair & 0xffff) as usize] = length as u8;
        }
    }
    lengths
}

/// Turns counts, rising, into each symbol's depth in the best tree, falling.
///
/// In place: the first part of the slice holds parents while the last part holds counts. Source:
/// Moffat and Katajainen, "In-Place Calculation of Minimum-Redundancy Codes", 1995.
fn tree_depths(nodes: &mut [u32]) {
    let count = nodes.len();
    // Joins the two lightest of leaves and trees, again and again; a joined tree notes its parent.
    let (mut leaf, mut root) = (0, 0);
    for next in 0..count - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            if leaf >= count || (root < next && nodes[root] < nodes[leaf]) {
                weight += nodes[root];
                nodes[root] = next as u32;
                root += 1;
            } else {
                weight += nodes[leaf];
                leaf += 1;
            }
        }
        nodes[next] = weight;
    }
    // Depths of the joined trees, from the root down.
    nodes[count - 2] = 0;
    for node in (0..count - 2).rev() {
        nodes[node] = nodes[nodes[node] as usize] + 1;
    }
    // Depths of the leaves: what of each level is no joined tree is a leaf.
    let (mut places, mut depth) = (1, 0);
    let mut inner = (0..count - 1).rev().peekable();
    let mut next = count;
    while places > 0 {
        let mut trees = 0;
        while inner.next_if(|&node| nodes[node] == depth).is_some() {
            trees += 1;
        }
        while places > trees {
            next -= 1;
            nodes[next] = depth;
            places -= 1;
        }
        places = 2 * trees;
        depth += 1;
    }
}

/// How many codes there are of each length, after those longer than `length_max` were cut.
fn count_depths(depths: &[u32], length_max: usize, of_length: &mut [usize; 16]) {
    for &depth in depths {
        of_length[(depth as usize).min(length_max)] += 1;
    }
    // Cut codes take more than there is. Each round takes one of the longest codes away, makes a
    // shorter one longer by a bit, and puts the one taken away beside it: one share less is taken.
    let whole = 1 << length_max;
    let mut taken: usize = (1..=length_max)
        .map(|length| of_length[length] << (length_max - length))
        .sum();
    while taken > whole {
        of_length[length_max] -= 1;
        for length in (1..length_max).rev() {
            if of_length[length] > 0 {
                of_length[length] -= 1;
                of_length[length + 1] += 2;
                break;
            }
        }
        taken -= 1;
    }
}

/// The codes that have these lengths. RFC 1951 §3.2.2.
pub(super) const fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut of_length = [0u16; 17];
    let mut symbol = 0;
    while symbol < N {
        of_length[lengths[symbol] as usize + 1] += 1;
        symbol += 1;
    }
    of_length[1] = 0;
    // From here on: the next code of each length.
    let mut next = [0u16; 16];
    let mut length = 1;
    while length < 16 {
        next[length] = (next[length - 1] + of_length[length]) << 1;
        length += 1;
    }
    let mut codes = [Code { bits: 0, count: 0 }; N];
    let mut symbol = 0;
    while symbol < N {
        let count = lengths[symbol];
        if count > 0 {
            let code = next[count as usize];
            next[count as usize] += 1;
            // Codes are written from their highest bit, all else from the lowest.
            let bits = code.reverse_bits() >> (16 - count);
            codes[symbol] = Code { bits, count };
        }
        symbol += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::{Code, code_lengths, codes};

    fn share(lengths: &[u8]) -> u32 {
        let used = lengths.iter().filter(|&&length| length > 0);
        used.map(|&length| 1 << (15 - u32::from(length))).sum()
    }

    // RFC 1951 §3.2.2: the example.
    #[test]
    fn codes_follow_from_their_lengths() {
        let codes = codes(&[3, 3, 3, 3, 3, 2, 4, 4]);
        let written = codes.map(|Code { bits, count }| {
            (0..count)
                .map(|bit| char::from(b'0' + (bits >> bit & 1) as u8))
                .collect::<String>()
        });
        assert_eq!(
            written,
            ["010", "011", "100", "101", "110", "00", "1110", "1111"]
        );
    }

    #[test]
    fn frequent_symbols_get_short_codes() {
        assert_eq!(code_lengths(&[5, 1, 0, 1, 2], 15), [1, 3, 0, 3, 2]);
        assert_eq!(code_lengths(&[1; 8], 15), [3; 8]);
    }

    #[test]
    fn two_symbols_at_least_have_codes() {
        assert_eq!(code_lengths(&[0, 0, 0], 15), [1, 1, 0]);
        assert_eq!(code_lengths(&[0, 7, 0], 15), [1, 1, 0]);
        assert_eq!(code_lengths(&[0, 0, 7], 15), [1, 0, 1]);
    }

    // Counts that rise like Fibonacci's numbers make the deepest trees.
    #[test]
    fn lengths_keep_to_the_limit_and_leave_no_gap() {
        let mut counts = [1u32; 40];
        for symbol in 2..counts.len() {
            counts[symbol] = counts[symbol - 1] + counts[symbol - 2];
        }
        for limit in [7, 15] {
            let lengths = code_lengths(&counts, limit);
            assert!(lengths.iter().all(|&length| usize::from(length) <= limit));
            assert_eq!(share(&lengths), 1 << 15);
            assert!(lengths.is_sorted_by(|a, b| a >= b));
        }
    }
}
