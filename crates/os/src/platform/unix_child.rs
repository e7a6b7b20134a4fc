//! A server's supervisor: keeps its listening sockets, and starts processes that adopt them.
//!
//! To its children it is a service manager (`unix_service`): they store what they open with it, and tell it
//! how they are. When to start and end one is its caller's matter.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsStr, OsString, c_char};
use std::fs::{self, DirBuilder};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, recvmsg};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::RECEIVES_CLOSED_ON_EXEC;
use super::unix_service::{FIRST, LIFELINE_NAME, adopt, descriptors};
use crate::kept::HandoverError;
use crate::socket::Listener;

/// What a supervisor has: the sockets it keeps, and what its children tell it by.
///
/// Dropped, it removes the files of Unix domain sockets that its children opened.
#[derive(Debug)]
pub struct Supervision {
    kept: Arc<KeptSockets>,
    /// Where children find the sockets they tell by.
    folder: PathBuf,
    started: u64,
    /// Ends when this process does; children have its other end.
    _alive: OwnedFd,
    lifeline: OwnedFd,
}

/// The sockets, by name, in the order in which they came.
#[derive(Debug, Default)]
struct KeptSockets(Mutex<Vec<KeptSocket>>);

#[derive(Debug)]
struct KeptSocket {
    name: String,
    listener: Listener,
    /// This process' own service manager keeps it.
    is_inherited: bool,
}

/// A process that was started.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    number: u64,
}

/// What is known of a child.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// Lines that it has told, as `sd_notify(3)` has them; about sockets there are none.
    Lines(String),
    /// It has ended, and all that it told was told. It is to be [reaped](ChildProcess::reap).
    Ended,
}

/// What a child is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChildSignal {
    /// To stop when requests in progress have ended (SIGTERM).
    Stop,
    /// To read its settings again (SIGHUP).
    Reload,
    /// To be no more (SIGKILL).
    Kill,
}

impl Supervision {
    /// Takes what this process' own service manager has handed over, to be passed on.
    ///
    /// # Errors
    ///
    /// Something else was handed over than sockets that listen, or there is no folder in which children could
    /// find what they tell by.
    pub fn begin() -> Result<Self, SupervisionError> {
        let mut kept = Vec::new();
        for (descriptor, name) in descriptors()? {
            kept.push(KeptSocket {
                listener: adopt(descriptor, &name)?,
                name,
                is_inherited: true,
            });
        }
        let (lifeline, alive) = io::pipe().map_err(SupervisionError::Pipe)?;
        Ok(Self {
            kept: Arc::new(KeptSockets(Mutex::new(kept))),
            folder: private_folder().map_err(SupervisionError::Folder)?,
            started: 0,
            _alive: alive.into(),
            lifeline: lifeline.into(),
        })
    }

    /// How many sockets are kept now.
    pub fn socket_count(&self) -> usize {
        self.kept.lock().len()
    }

    /// Starts a process that adopts all sockets. What becomes of it is told by another thread, with the number
    /// of the child: the first that was started has 1.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or out of descriptors or threads.
    pub fn start(
        &mut self,
        program: &Path,
        arguments: &[OsString],
        tell: impl Fn(u64, Told) + Send + 'static,
    ) -> io::Result<ChildProcess> {
        self.started += 1;
        let number = self.started;
        let path = self.folder.join(format!("notify-{number}"));
        let socket = UnixDatagram::bind(&path)?;
        let child = {
            let kept = self.kept.lock();
            let mut handed: Vec<(BorrowedFd<'_>, &str)> = kept
                .iter()
                .map(|socket| (socket.listener.socket().as_fd(), &*socket.name))
                .collect();
            handed.push((self.lifeline.as_fd(), LIFELINE_NAME));
            spawn(program, arguments, &handed, &path)?
        };
        let id = Pid::from_child(&child);
        let mut process = ChildProcess { child, number };
        let kept = Arc::clone(&self.kept);
        let begin = || {
            let ended = UnixDatagram::unbound()?;
            ended.connect(&path)?;
            thread::Builder::new().spawn(move || tell_end(id, &ended))?;
            let named = thread::Builder::new().name("tidegate-child".to_owned());
            named.spawn(move || {
                listen(&socket, &kept, |told| tell(number, told));
                // A child that is no more has nothing to tell.
                let _ = fs::remove_file(path);
            })
        };
        if let Err(error) = begin() {
            // Nobody would hear of it.
            let _ = process.child.kill();
            let _ = process.child.wait();
            return Err(error);
        }
        Ok(process)
    }
}

impl Drop for Supervision {
    fn drop(&mut self) {
        // Threads that listen to children may have the list a little longer.
        for socket in self.kept.lock().drain(..) {
            if !socket.is_inherited {
                socket.listener.take_file();
            }
        }
        // Nothing else was ever put there.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl ChildProcess {
    /// Its number, from 1 on.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it for something. One that has ended hears of nothing.
    pub fn signal(&self, signal: ChildSignal) {
        let signal = match signal {
            ChildSignal::Stop => Signal::TERM,
            ChildSignal::Reload => Signal::HUP,
            ChildSignal::Kill => Signal::KILL,
        };
        // It has not been reaped, so the id is still its.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// How it has ended; waits for that.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn reap(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl KeptSockets {
    fn lock(&self) -> MutexGuard<'_, Vec<KeptSocket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what lines of a child say about sockets.
    fn change(&self, message: &str, descriptors: Vec<OwnedFd>) {
        let value = |name: &str| {
            let mut lines = message.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        let name = value("FDNAME").unwrap_or("stored");
        if value("FDSTORE") == Some("1") {
            for descriptor in descriptors {
                // Of a server's own there is nothing else; whatever else it is, it is closed.
                let Ok(listener) = adopt(descriptor, name) else {
                    continue;
                };
                self.lock().push(KeptSocket {
                    name: name.to_owned(),
                    listener,
                    is_inherited: false,
                });
            }
        }
        if value("FDSTOREREMOVE") == Some("1") {
            self.lock()
                .retain(|socket| socket.is_inherited || socket.name != name);
        }
    }
}

/// Takes what a child tells until it has ended.
fn listen(socket: &UnixDatagram, kept: &KeptSockets, tell: impl Fn(Told)) {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RECEIVES_CLOSED_ON_EXEC,
        );
        let count = match received {
            Ok(received) => received.bytes,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => 0,
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        for descriptor in &descriptors {
            // Not all systems do so by themselves.
            if let Ok(flags) = fcntl_getfd(descriptor) {
                let _ = fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC);
            }
        }
        if count == 0 {
            // This is what `tell_end` sends: no child tells nothing.
            return tell(Told::Ended);
        }
        let message = String::from_utf8_lossy(&bytes[..count]);
        kept.change(&message, descriptors);
        let of_others: String = message
            .lines()
            .filter(|line| !line.starts_with("FD"))
            .flat_map(|line| [line, "\n"])
            .collect();
        if !of_others.is_empty() {
            tell(Told::Lines(of_others));
        }
    }
}

/// Waits for a child's end, and says so where it has told all else.
fn tell_end(id: Pid, to: &UnixDatagram) {
    // It is left to be reaped, so that until then its id is no other's.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(id), options) {}
    // The reader is there until it has this.
    let _ = to.send(&[]);
}

/// A new folder that nobody else may look into.
fn private_folder() -> io::Result<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|folder| folder.is_dir());
    let within = runtime.unwrap_or_else(env::temp_dir);
    let id = std::process::id();
    for number in 0_u32..1000 {
        let folder = within.join(format!("tidegate-{id}-{number}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Starts a program that finds these descriptors from number [`FIRST`] on, and what it tells by.
fn spawn(
    program: &Path,
    arguments: &[OsString],
    handed: &[(BorrowedFd<'_>, &str)],
    notify: &Path,
) -> io::Result<Child> {
    let count = RawFd::try_from(handed.len()).expect("sockets are few");
    // Whatever else the process opens meanwhile, the pipe over which a failed start is told among it, must
    // not have a number that the descriptors will have: all of these are taken until it is started.
    let mut taken = Vec::new();
    if let Some((any, _)) = handed.first() {
        loop {
            let place = fcntl_dupfd_cloexec(any, FIRST)?;
            if place.as_raw_fd() >= FIRST + count {
                break;
            }
            taken.push(place);
        }
    }
    let sources: Result<Vec<OwnedFd>, _> = handed
        .iter()
        .map(|(descriptor, _)| fcntl_dupfd_cloexec(descriptor, FIRST + count))
        .collect();
    let sources = sources?;
    let names: Vec<&str> = handed.iter().map(|(_, name)| *name).collect();
    let mut image = Image::new(program, arguments, &names, notify)?;
    let numbers: Vec<RawFd> = sources.iter().map(|source| source.as_raw_fd()).collect();
    let mut command = Command::new(program);
    // Ctrl-C at a terminal is for the supervisor, who asks the child.
    command.process_group(0).stdin(Stdio::null());
    let become_it = move || {
        for (number, target) in numbers.iter().zip(FIRST..) {
            // SAFETY: a call with two numbers, which may be made after a fork. What had the target's number
            // was the parent's, and nothing of it is used any more: see `taken`.
            if unsafe { libc::dup2(*number, target) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        image.execute().map(|never| match never {})
    };
    // SAFETY: the closure makes no other calls than `dup2`, `getpid` and `execve`, which may be made after a
    // fork, and allocates nothing: all memory it uses was made before.
    unsafe { command.pre_exec(become_it) };
    let child = command.spawn();
    drop((taken, sources));
    child
}

/// A program with its arguments and environment, as `execve` takes it: complete but for the process id, which
/// is known after the fork only.
struct Image {
    program: CString,
    /// Own what the pointers point to.
    _arguments: Vec<CString>,
    variables: Vec<Vec<u8>>,
    /// The variables that end with the process id.
    of_id: Vec<usize>,
    argument_pointers: Vec<*const c_char>,
    variable_pointers: Vec<*const c_char>,
}

// SAFETY: the pointers are to memory on the heap that the value owns and that stays where it is when the value
// is moved; nobody else has them.
unsafe impl Send for Image {}
// SAFETY: as above, and nothing can be done with a shared one.
unsafe impl Sync for Image {}

impl Image {
    fn new(
        program: &Path,
        arguments: &[OsString],
        names: &[&str],
        notify: &Path,
    ) -> io::Result<Self> {
        let c_string = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let program = c_string(program.as_os_str())?;
        let mut argument_texts = vec![program.clone()];
        for argument in arguments {
            argument_texts.push(c_string(argument)?);
        }
        let mut variables = Vec::new();
        for (name, value) in env::vars_os() {
            if !OWN_VARIABLES.iter().any(|own| name == *own) {
                variables.push(variable(name.as_bytes(), value.into_vec()));
            }
        }
        let mut add = |name: &str, value: Vec<u8>| {
            variables.push(variable(name.as_bytes(), value));
            variables.len() - 1
        };
        add("NOTIFY_SOCKET", notify.as_os_str().as_bytes().to_vec());
        add("FDSTORE", b"65536".to_vec());
        add("LISTEN_FDS", names.len().to_string().into_bytes());
        add("LISTEN_FDNAMES", names.join(":").into_bytes());
        let mut of_id = vec![add("LISTEN_PID", vec![0; ID_DIGITS_MAX])];
        // What the service manager wants to hear of this process, the child tells it and it passes on.
        if env::var_os("WATCHDOG_USEC").is_some() {
            of_id.push(add("WATCHDOG_PID", vec![0; ID_DIGITS_MAX]));
        }
        let mut argument_pointers: Vec<_> =
            argument_texts.iter().map(|text| text.as_ptr()).collect();
        argument_pointers.push(std::ptr::null());
        let mut variable_pointers: Vec<_> =
            variables.iter().map(|text| text.as_ptr().cast()).collect();
        variable_pointers.push(std::ptr::null());
        Ok(Self {
            program,
            _arguments: argument_texts,
            variables,
            of_id,
            argument_pointers,
            variable_pointers,
        })
    }

    /// Becomes the program. Allocates nothing.
    fn execute(&mut self) -> io::Result<Infallible> {
        let id = std::process::id();
        for &index in &self.of_id {
            let text = &mut self.variables[index];
            // Behind the name's sign, in front of the zeros.
            let Some(start) = text.iter().position(|&byte| byte == b'=') else {
                continue;
            };
            write_decimal(&mut text[start + 1..], id);
        }
        // The strings were written to: the pointers are taken anew.
        for (pointer, text) in self.variable_pointers.iter_mut().zip(&self.variables) {
            *pointer = text.as_ptr().cast();
        }
        // SAFETY: all three are strings that end with a zero, and lists of these that end with a null pointer,
        // owned by `self`, which lives until the program is another.
        unsafe {
            libc::execve(
                self.program.as_ptr(),
                self.argument_pointers.as_ptr(),
                self.variable_pointers.as_ptr(),
            )
        };
        Err(io::Error::last_os_error())
    }
}

/// `name=value`, and a zero.
fn variable(name: &[u8], value: Vec<u8>) -> Vec<u8> {
    let mut text = name.to_vec();
    text.push(b'=');
    text.extend(value);
    text.push(0);
    text
}

/// Writes a number's digits to the beginning of zeros, of which one stays.
fn write_decimal(into: &mut [u8], number: u32) {
    let mut digits = [0; ID_DIGITS_MAX];
    let (mut rest, mut count) = (number, 0);
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for (place, digit) in into.iter_mut().zip(digits[..count].iter().rev()) {
        *place = *digit;
    }
}

/// Why a supervisor cannot begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum SupervisionError {
    /// What was handed over cannot be used.
    Handover(HandoverError),
    /// No folder can be made in which children find what they tell by.
    Folder(io::Error),
    /// No pipe can be made.
    Pipe(io::Error),
}

impl From<HandoverError> for SupervisionError {
    fn from(error: HandoverError) -> Self {
        Self::Handover(error)
    }
}

impl std::fmt::Display for SupervisionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Handover(error) => error.fmt(f),
            Self::Folder(error) => write!(f, "cannot make a folder for temporary files: {error}"),
            Self::Pipe(error) => write!(f, "cannot make a pipe: {error}"),
        }
    }
}

impl std::error::Error for SupervisionError {}

/// Variables that a child gets its own of, or none.
const OWN_VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "FDSTORE",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "WATCHDOG_PID",
];

/// Digits of a 32-bit number.
const ID_DIGITS_MAX: usize = 10;

/// Longest message of a child: a status is no longer.
const MESSAGE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_front_of_zeros() {
        for number in [0, 7, 10, 4_294_967_295] {
            let mut text = [0; ID_DIGITS_MAX + 1];
            write_decimal(&mut text, number);
            let end = text.iter().position(|&byte| byte == 0).unwrap();
            assert_eq!(text[..end], *number.to_string().as_bytes());
        }
    }
}
