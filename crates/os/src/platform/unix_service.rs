//! The service manager above this process: what it hands over, and what it is told.
//!
//! The protocol is systemd's, and anybody may speak it: `sd_listen_fds(3)`, `sd_notify(3)`. The supervisor
//! in `unix_child` is such a service manager for a server.

use std::env;
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Socket, Type};

use super::listener_file;
use crate::error::SystemError;
use crate::kept::{HandoverError, KeptListeners};
use crate::socket::{ListenAddress, Listener};

/// What the service manager, or a supervisor, has handed to this process.
#[derive(Debug, Default)]
pub struct Handover {
    /// The sockets.
    pub listeners: KeptListeners,
    /// Whether the supervisor still lives, if there is one.
    pub supervisor: Option<Lifeline>,
}

impl Handover {
    /// Takes what was handed over, as the environment says: `LISTEN_FDS` and its like. Further calls find
    /// nothing.
    ///
    /// Call it before anything else of the program opens descriptors.
    ///
    /// # Errors
    ///
    /// Something else was handed over than sockets that listen.
    pub fn take() -> Result<Self, HandoverError> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(Self::default());
        }
        let mut handover = Self::default();
        let mut listeners = Vec::new();
        for (descriptor, name) in descriptors()? {
            if name == LIFELINE_NAME {
                handover.supervisor = Some(Lifeline(descriptor));
                continue;
            }
            listeners.push((name.clone(), adopt(descriptor, &name)?));
        }
        let takes_any = number("FDSTORE")?.is_some_and(|most| most > 0);
        let store = match takes_any {
            true => Notifier::from_environment()?,
            false => None,
        };
        handover.listeners = KeptListeners::new(listeners, store);
        Ok(handover)
    }
}

/// Tells whether a supervisor still lives.
#[derive(Debug)]
pub struct Lifeline(OwnedFd);

impl Lifeline {
    /// Waits until it does not, however it ended.
    pub fn wait_for_end(self) {
        // Nothing is ever written to the pipe; it ends with who holds its other end.
        let mut pipe = std::fs::File::from(self.0);
        while matches!(pipe.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::Interrupted)
        {
        }
    }
}

/// Tells the service manager how this process is.
#[derive(Debug)]
pub struct Notifier(UnixDatagram);

impl Notifier {
    /// The service manager that `NOTIFY_SOCKET` names; `None` when it wants to be told nothing.
    ///
    /// # Errors
    ///
    /// It cannot be reached.
    pub fn from_environment() -> Result<Option<Self>, SystemError> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let told = |error: io::Error| SystemError::new("connect NOTIFY_SOCKET", &error);
        let socket = UnixDatagram::unbound().map_err(told)?;
        match abstract_name(name.as_bytes()) {
            Some(name) => connect_abstract(&socket, name).map_err(told)?,
            None => socket.connect(Path::new(&name)).map_err(told)?,
        }
        Ok(Some(Self(socket)))
    }

    /// Tells some of `sd_notify(3)`'s variables, a line each.
    ///
    /// # Errors
    ///
    /// The service manager is gone.
    pub fn tell(&self, lines: &str) -> Result<(), SystemError> {
        match self.0.send(lines.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => Err(SystemError::new("send NOTIFY_SOCKET", &error)),
        }
    }

    /// Tells that the process has begun to read its settings again: `READY=1` has to follow.
    ///
    /// # Errors
    ///
    /// The service manager is gone.
    pub fn tell_reloading(&self) -> Result<(), SystemError> {
        // systemd 253 and later want to know when, to tell this from what was said before.
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec as i128 * 1_000_000 + now.tv_nsec as i128 / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n"))
    }

    /// Stores sockets under a name.
    pub(crate) fn store(&self, name: &str, listeners: &[&Listener]) -> Result<(), SystemError> {
        // FDPOLL=0: a socket that listens has no state that would say it is of no use any more.
        let message = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n");
        for some in listeners.chunks(DESCRIPTORS_MAX) {
            let descriptors: Vec<BorrowedFd<'_>> = some
                .iter()
                .map(|listener| listener.socket().as_fd())
                .collect();
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
            let message = [IoSlice::new(message.as_bytes())];
            sendmsg(&self.0, &message, &mut control, SendFlags::empty())
                .map_err(|error| SystemError::new("sendmsg NOTIFY_SOCKET", &error.into()))?;
        }
        Ok(())
    }

    /// Has what was stored under a name given up.
    pub(crate) fn forget(&self, name: &str) -> Result<(), SystemError> {
        self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}\n"))
    }
}

/// Raises the limit on this process' open files, and with it on connections, to the highest that the system lets
/// the process have. Returns the limit; `None` is unlimited.
///
/// Shells and service managers begin programs with a low limit (1024, mostly) for those that use `select`, which
/// cannot take more; the higher one beside it is for programs that can.
///
/// # Errors
///
/// The system refuses it. The limit is what it was.
pub fn raise_open_files_max() -> Result<Option<u64>, SystemError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(limit.current);
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| SystemError::new("setrlimit", &error.into()))?;
    Ok(raised.current)
}

/// How often the service manager wants to hear that this process is alive, if it does.
///
/// # Errors
///
/// `WATCHDOG_USEC` or `WATCHDOG_PID` is no number.
pub fn service_watchdog() -> Result<Option<Duration>, HandoverError> {
    let Some(microseconds) = number("WATCHDOG_USEC")?.filter(|&time| time > 0) else {
        return Ok(None);
    };
    // Another process of the service is meant.
    let is_meant = number("WATCHDOG_PID")?.is_none_or(|id| id == u64::from(std::process::id()));
    Ok(is_meant.then(|| Duration::from_micros(microseconds)))
}

/// Takes a socket as a listener.
pub(super) fn adopt(descriptor: OwnedFd, name: &str) -> Result<Listener, HandoverError> {
    let not_a_listener = || HandoverError::NotAListener {
        name: name.to_owned(),
    };
    let system = |call| move |error: io::Error| SystemError::new(call, &error);
    let socket = Socket::from(descriptor);
    let is_stream = socket.r#type().is_ok_and(|kind| kind == Type::STREAM);
    if !is_stream || !listens(&socket) {
        return Err(not_a_listener());
    }
    let local = socket.local_addr().map_err(system("getsockname"))?;
    let (address, file) = match (local.as_socket(), local.as_pathname()) {
        (Some(tcp), _) => (ListenAddress::Tcp(tcp), None),
        // Its file may be gone: then there is none to look after.
        (None, Some(path)) => (
            ListenAddress::Unix(path.to_owned()),
            listener_file(path).ok(),
        ),
        (None, None) => return Err(not_a_listener()),
    };
    if local.domain() == Domain::IPV6 && !socket.only_v6().map_err(system("getsockopt"))? {
        let takes_ipv4 = matches!(&address, ListenAddress::Tcp(tcp) if tcp.ip().is_unspecified());
        if takes_ipv4 {
            return Err(HandoverError::TwoFamilies {
                name: name.to_owned(),
                address,
            });
        }
    }
    Listener::adopt(socket, address, file)
        .map_err(|error| system("setsockopt TCP_NODELAY")(error).into())
}

/// The descriptors that were handed over, with their names.
pub(super) fn descriptors() -> Result<Vec<(OwnedFd, String)>, HandoverError> {
    if number("LISTEN_PID")? != Some(u64::from(std::process::id())) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS")?.unwrap_or(0);
    let refused = || HandoverError::Variable {
        name: "LISTEN_FDS",
        value: count.to_string(),
    };
    let count = RawFd::try_from(count).map_err(|_| refused())?;
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let mut descriptors = Vec::new();
    for number in FIRST..FIRST.checked_add(count).ok_or_else(refused)? {
        // SAFETY: no more than asking whether there is such a descriptor, before it is owned.
        let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
        if !is_open {
            return Err(refused());
        }
        // SAFETY: it is open, as was just seen; who handed it over did so for this process to own, and said
        // so by its process id. `Handover::take` comes here once in a process.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        // Nobody that this process starts is to have it.
        let flags = fcntl_getfd(&descriptor).map_err(of_fcntl)?;
        fcntl_setfd(&descriptor, flags | FdFlags::CLOEXEC).map_err(of_fcntl)?;
        let name = names.next().filter(|name| !name.is_empty());
        descriptors.push((descriptor, name.unwrap_or_else(|| "unknown".to_owned())));
    }
    Ok(descriptors)
}

fn of_fcntl(error: rustix::io::Errno) -> SystemError {
    SystemError::new("fcntl", &error.into())
}

fn number(name: &'static str) -> Result<Option<u64>, HandoverError> {
    let Some(value) = env::var_os(name) else {
        return Ok(None);
    };
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    match parsed {
        Some(number) => Ok(Some(number)),
        None => Err(HandoverError::Variable {
            name,
            value: value.to_string_lossy().into_owned(),
        }),
    }
}

fn listens(socket: &Socket) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket.as_fd()).is_ok_and(|listens| listens)
}

/// An address that is no file; it begins with `@` in place of the zero.
fn abstract_name(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"@")
}

fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    // Its file's name would begin with a zero, which only socket2 lets through; it is Linux' own.
    let mut path = Vec::with_capacity(name.len() + 1);
    path.push(0);
    path.extend_from_slice(name);
    let address = socket2::SockAddr::unix(std::ffi::OsStr::from_bytes(&path))?;
    socket2::SockRef::from(socket).connect(&address)
}

/// Descriptors are handed over from this number on.
pub(super) const FIRST: RawFd = 3;

/// The name under which a supervisor hands over what tells that it lives.
pub(super) const LIFELINE_NAME: &str = "tidegate-supervisor";

/// Descriptors in one message. Linux takes 253 at most.
const DESCRIPTORS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn what_listens_is_told_from_what_does_not() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(!listens(&socket));
        let unbound = OwnedFd::from(socket);
        let error = adopt(unbound, "web").unwrap_err();
        assert!(error.to_string().contains("`web`"), "{error}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let adopted = adopt(listener.into(), "web").unwrap();
        assert_eq!(adopted.local_address(), &ListenAddress::Tcp(address));
        assert!(adopted.socket().as_raw_fd() > 0);
    }
}
