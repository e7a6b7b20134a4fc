//! Cuts content into the parts that are sent. Nothing is copied.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use tidegate_httpapi::{Body, Piece};
use tidegate_proto::range::{ByteRange, Multipart};

use super::plan::Plan;

/// What can be read from any place on.
pub(crate) trait SeekRead: Read + Seek + Send {}

impl<R: Read + Seek + Send> SeekRead for R {}

/// The parts of content that is there. `None` when it comes piece by piece and cannot be cut.
pub(crate) fn cut_body(body: Body, plan: &Plan) -> Option<Body> {
    if let Plan::Whole = plan {
        return Some(body);
    }
    if let Plan::Nothing = plan {
        return Some(Body::Empty);
    }
    if let (Body::Shared(bytes), Plan::Part(range)) = (&body, plan) {
        // Within a length that is a `usize`.
        let (first, last) = (range.first as usize, range.last as usize);
        return Some(Body::Shared(bytes.slice(first..=last)));
    }
    let whole: Vec<Piece> = match body {
        Body::Empty => Vec::new(),
        Body::Static(bytes) => vec![Bytes::from_static(bytes).into()],
        Body::Owned(bytes) => vec![Bytes::from(bytes).into()],
        Body::Shared(bytes) => vec![bytes.into()],
        Body::Pieces(pieces) => pieces,
        _ => return None,
    };
    let mut cut = Vec::new();
    match plan {
        Plan::Part(range) => push_range(&mut cut, &whole, *range),
        Plan::Parts(multipart) => {
            for part in multipart.parts() {
                cut.push(Bytes::copy_from_slice(part.head).into());
                push_range(&mut cut, &whole, part.range);
            }
            cut.push(Bytes::copy_from_slice(multipart.end()).into());
        }
        Plan::Whole | Plan::Nothing => {}
    }
    Some(match &mut cut[..] {
        [Piece::Bytes(bytes)] => Body::Shared(std::mem::take(bytes)),
        _ => Body::Pieces(cut),
    })
}

/// Adds the bytes of `range` of the content that `whole` is.
fn push_range(to: &mut Vec<Piece>, whole: &[Piece], range: ByteRange) {
    // What is left to skip, and then to take.
    let (mut skip, mut take) = (range.first, range.length());
    for piece in whole {
        let length = piece.length();
        if skip >= length {
            skip -= length;
            continue;
        }
        let count = take.min(length - skip);
        match piece {
            Piece::Bytes(bytes) => {
                // Both are within a length that is a `usize`.
                let (first, end) = (skip as usize, (skip + count) as usize);
                to.push(bytes.slice(first..end).into());
            }
            Piece::File(part) => {
                let mut rest = part.clone();
                rest.split_to(skip);
                to.push(rest.split_to(count).into());
            }
        }
        skip = 0;
        take -= count;
        if take == 0 {
            return;
        }
    }
}

/// The parts of what `reader` reads, all of which is `length` bytes long, and how many bytes are sent.
pub(crate) fn cut_reader(
    reader: Box<dyn SeekRead>,
    length: u64,
    plan: &Plan,
) -> (Box<dyn Read + Send>, u64) {
    let range = |range: ByteRange| Step::Range {
        from: range.first,
        length: range.length(),
    };
    let (mut steps, sent): (Vec<Step>, u64) = match plan {
        Plan::Nothing => (Vec::new(), 0),
        Plan::Whole => (vec![Step::Range { from: 0, length }], length),
        Plan::Part(part) => (vec![range(*part)], part.length()),
        Plan::Parts(multipart) => (steps(multipart), multipart.length()),
    };
    steps.reverse();
    (Box::new(PartsReader { reader, steps }), sent)
}

fn steps(multipart: &Multipart) -> Vec<Step> {
    let parts = multipart.parts().flat_map(|part| {
        let range = Step::Range {
            from: part.range.first,
            length: part.range.length(),
        };
        [Step::Text(part.head.to_vec(), 0), range]
    });
    parts
        .chain([Step::Text(multipart.end().to_vec(), 0)])
        .collect()
}

/// What is to be read, and what of it has been.
enum Step {
    /// These bytes, of which this many have been read.
    Text(Vec<u8>, usize),
    /// The reader's bytes from this offset on.
    Range { from: u64, length: u64 },
}

/// Reads parts of what another reader reads, one after the other.
struct PartsReader {
    reader: Box<dyn SeekRead>,
    /// The last one is the first.
    steps: Vec<Step>,
}

impl Read for PartsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(step) = self.steps.last_mut() {
            match step {
                Step::Text(text, read) if *read < text.len() => {
                    let count = (&text[*read..]).read(buffer)?;
                    *read += count;
                    return Ok(count);
                }
                Step::Range { from, length } if *length > 0 => {
                    let most =
                        usize::try_from(*length).map_or(buffer.len(), |n| n.min(buffer.len()));
                    // Each time: where the reader stands is nothing we would have to rely on.
                    self.reader.seek(SeekFrom::Start(*from))?;
                    let count = self.reader.read(&mut buffer[..most])?;
                    if count == 0 {
                        // What follows must not be taken for what is missing.
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    *from += count as u64;
                    *length -= count as u64;
                    return Ok(count);
                }
                _ => {
                    self.steps.pop();
                }
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> ByteRange {
        ByteRange { first, last }
    }

    /// Plans that have all kinds of cuts in 26 bytes.
    fn plans() -> Vec<Plan> {
        let mut plans = vec![Plan::Whole, Plan::Nothing];
        for first in 0..26 {
            for last in first..26 {
                plans.push(Plan::Part(range(first, last)));
            }
        }
        let ranges = [range(20, 25), range(0, 0), range(3, 13)];
        plans.push(Plan::Parts(Multipart::new(&ranges, 26, None, 1).unwrap()));
        plans
    }

    fn expected(content: &[u8], plan: &Plan) -> Vec<u8> {
        let of = |range: ByteRange| &content[range.first as usize..=range.last as usize];
        match plan {
            Plan::Whole => content.to_vec(),
            Plan::Nothing => Vec::new(),
            Plan::Part(range) => of(*range).to_vec(),
            Plan::Parts(multipart) => {
                let mut all = Vec::new();
                for part in multipart.parts() {
                    all.extend_from_slice(part.head);
                    all.extend_from_slice(of(part.range));
                }
                all.extend_from_slice(multipart.end());
                all
            }
        }
    }

    fn bytes(body: Body) -> Vec<u8> {
        match body {
            Body::Empty => Vec::new(),
            Body::Static(bytes) => bytes.to_vec(),
            Body::Owned(bytes) => bytes,
            Body::Shared(bytes) => bytes.to_vec(),
            Body::Pieces(pieces) => {
                let mut all = Vec::new();
                for piece in pieces {
                    let Piece::Bytes(bytes) = piece else {
                        panic!("the whole has no file");
                    };
                    assert!(!bytes.is_empty());
                    all.extend_from_slice(&bytes);
                }
                all
            }
            _ => panic!("the whole is no stream"),
        }
    }

    #[test]
    fn content_that_is_there_is_cut() {
        let content: &'static [u8] = b"abcdefghijklmnopqrstuvwxyz";
        for plan in plans() {
            let wanted = expected(content, &plan);
            let pieces = [0..5, 5..5, 5..6, 6..20, 20..26]
                .map(|range| Bytes::from_static(&content[range]))
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .map(Piece::Bytes)
                .collect();
            for body in [
                Body::Static(content),
                Body::Owned(content.to_vec()),
                Body::Shared(Bytes::from_static(content)),
                Body::Pieces(pieces),
            ] {
                let cut = cut_body(body, &plan).unwrap();
                assert_eq!(cut.length(), Some(wanted.len() as u64));
                assert_eq!(bytes(cut), wanted, "{plan:?}");
            }
        }
    }

    #[test]
    fn a_reader_is_cut() {
        let content: Vec<u8> = (b'a'..=b'z').collect();
        for plan in plans() {
            let reader = Box::new(io::Cursor::new(content.clone()));
            let (mut reader, length) = cut_reader(reader, 26, &plan);
            let mut read = Vec::new();
            let mut buffer = [0; 7];
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    count => read.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!(read, expected(&content, &plan), "{plan:?}");
            assert_eq!(length, read.len() as u64);
        }
    }

    #[test]
    fn a_reader_that_is_too_short_is_an_error() {
        let short = Box::new(io::Cursor::new(b"abc"));
        let (mut reader, _) = cut_reader(short, 26, &Plan::Whole);
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
