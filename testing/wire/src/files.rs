//! Files to be sent.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use tidegate_httpapi::{Application, Body, FilePart, Piece, ResponseHead};

use crate::application::answering;
use crate::until;

/// A file without a name.
pub fn file(content: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    Arc::new(file)
}

/// A file without a name, all holes.
pub fn sparse_file(length: u64) -> Arc<File> {
    let file = tempfile::tempfile().unwrap();
    file.set_len(length).unwrap();
    Arc::new(file)
}

/// Bytes in which a missing, doubled or misplaced piece shows.
pub fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at ^ at >> 8 ^ at >> 16) as u8)
        .collect()
}

/// An application that answers `OFFSET/LENGTH` at the end of a path with that part of a file.
pub fn parts_of(file: &Arc<File>) -> Arc<dyn Application> {
    let file = Arc::clone(file);
    answering(move |exchange| {
        let target = String::from_utf8(exchange.head().target().to_vec()).unwrap();
        let mut numbers = target.rsplit('/').map(|number| number.parse().unwrap());
        let (length, offset) = (numbers.next().unwrap(), numbers.next().unwrap());
        let part = FilePart::new(Arc::clone(&file), offset, length);
        exchange.respond(ResponseHead::new(200), Body::Pieces(vec![part.into()]));
    })
}

/// An application that answers with what `pieces` makes.
pub fn pieces_of(pieces: impl Fn() -> Vec<Piece> + Send + Sync + 'static) -> Arc<dyn Application> {
    answering(move |exchange| {
        exchange.respond(ResponseHead::new(200), Body::Pieces(pieces()));
    })
}

/// Waits until nobody but `users` holds a file open.
pub fn let_go(file: &Arc<File>, users: usize) {
    until("the file is let go", || Arc::strong_count(file) == users);
}
