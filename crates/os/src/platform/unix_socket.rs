//! Binding a Unix domain socket: the file it leaves behind, and who may take it away.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use socket2::{Domain, SockAddr, Socket, Type};

use super::unix_owner;
use crate::error::SystemError;
use crate::socket::{BindErrorKind, UnixListenerFile};

pub(crate) fn bind_unix(
    path: &Path,
    backlog: i32,
) -> Result<(Socket, UnixListenerFile), BindErrorKind> {
    let address = SockAddr::unix(path).map_err(|_| BindErrorKind::UnixPathTooLong)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(system("socket"))?;
    match socket.bind(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_stale(path, &address)?;
            socket
                .bind(&address)
                .map_err(|error| bind_error(path, &error))?;
        }
        outcome => outcome.map_err(|error| bind_error(path, &error))?,
    }
    let file = listener_file(path).map_err(system("stat"))?;
    socket.listen(backlog).map_err(system("listen"))?;
    Ok((socket, file))
}

/// The file of a socket, as it is now.
pub(crate) fn listener_file(path: &Path) -> io::Result<UnixListenerFile> {
    let metadata = fs::metadata(path)?;
    Ok(UnixListenerFile {
        path: path.to_owned(),
        device: metadata.dev(),
        inode: metadata.ino(),
        is_left: AtomicBool::new(false),
    })
}

/// Removes the socket file unless somebody has put another in its place.
pub(crate) fn remove_if_same(file: &UnixListenerFile) {
    let same = fs::metadata(&file.path)
        .is_ok_and(|now| now.dev() == file.device && now.ino() == file.inode);
    if same {
        // The file may be gone by now, or the directory be read-only: nobody to tell either way.
        let _ = fs::remove_file(&file.path);
    }
}

/// A server that was killed leaves its socket file: nobody answers there, so it may go.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), BindErrorKind> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Err(BindErrorKind::NotASocket);
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(system("socket"))?;
    // A server whose accept queue is full must not make us wait.
    client.set_nonblocking(true).map_err(system("fcntl"))?;
    match client.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(system("unlink"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(BindErrorKind::PermissionDenied)
        }
        _ => Err(BindErrorKind::InUse {
            owner: unix_owner(path),
        }),
    }
}

fn bind_error(path: &Path, error: &io::Error) -> BindErrorKind {
    match error.kind() {
        ErrorKind::AddrInUse => BindErrorKind::InUse {
            owner: unix_owner(path),
        },
        ErrorKind::PermissionDenied => BindErrorKind::PermissionDenied,
        _ => BindErrorKind::System(SystemError::new("bind", error)),
    }
}

fn system(call: &'static str) -> impl Fn(io::Error) -> BindErrorKind {
    move |error| BindErrorKind::System(SystemError::new(call, &error))
}
