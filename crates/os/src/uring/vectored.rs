//! The list of pieces that `sendmsg` reads, kept where the kernel can find it while it sends.

use std::ptr;

use crate::event::SendBuffer;

/// A message header and the pieces it points to. Boxed: it must not move while a send is pending.
pub(super) struct Vectored {
    header: libc::msghdr,
    pieces: [libc::iovec; PIECES_MAX],
}

impl Vectored {
    pub(super) fn boxed() -> Box<Self> {
        const NOTHING: libc::iovec = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: all zeroes is a valid header: null pointers with lengths of 0.
        let header = unsafe { std::mem::zeroed() };
        Box::new(Self {
            header,
            pieces: [NOTHING; PIECES_MAX],
        })
    }

    /// Lists what follows the first `sent` bytes of the buffer, as many pieces as fit.
    pub(super) fn fill(&mut self, buffer: &SendBuffer, sent: usize) -> *const libc::msghdr {
        let mut skip = sent;
        let mut count = 0;
        let tail = buffer.tail.iter().map(|piece| &piece[..]);
        for piece in std::iter::once(&buffer.head[..]).chain(tail) {
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            let rest = &piece[skip..];
            skip = 0;
            self.pieces[count] = libc::iovec {
                iov_base: rest.as_ptr().cast_mut().cast(),
                iov_len: rest.len(),
            };
            count += 1;
            if count == PIECES_MAX {
                break;
            }
        }
        self.header.msg_iov = self.pieces.as_mut_ptr();
        self.header.msg_iovlen = count;
        &raw const self.header
    }
}

/// Pieces in one system call; the rest goes with the next.
const PIECES_MAX: usize = 64;
