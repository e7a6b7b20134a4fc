//! Receiving and sending on a connection, by the system's own calls where there is a way to them: those of the C
//! library see to it that a thread can be cancelled while it waits, which costs more than all else around a call.

use std::io;

use mio::net::TcpStream;
use rustix::net::{RecvFlags, SendFlags};

use super::SEND_FLAGS;

/// Receives what there is, without waiting.
#[inline]
pub(crate) fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.try_io(|| {
        let (length, _) = rustix::net::recv(stream, buffer, RecvFlags::empty())?;
        Ok(length)
    })
}

/// Sends what the socket takes, without waiting.
#[inline]
pub(crate) fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::from_bits_retain(SEND_FLAGS.cast_unsigned());
    stream.try_io(|| Ok(rustix::net::send(stream, bytes, flags)?))
}
