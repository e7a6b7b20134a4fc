//! Threads that read files when that means waiting for a disk, which workers do not.
//!
//! They are started when they are needed first, and end with the driver. Nobody waits for their end: a
//! disk that does not answer must not hold up a stop.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::thread;

use tidegate_os::{FileRange, append_at, read_ahead};

/// Reads files for all workers.
#[derive(Default)]
pub(crate) struct FileReader(Arc<Desk>);

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    /// Each is of one response, which waits for it.
    reads: VecDeque<Read>,
    /// What somebody will read soon, with luck.
    ahead: VecDeque<FileRange>,
    threads: usize,
    idle: usize,
    is_stopping: bool,
}

struct Read {
    range: FileRange,
    to: Weak<Place>,
    waker: Waker,
}

enum Job {
    Read(Read),
    Ahead(FileRange),
}

#[derive(Default)]
struct Place(Mutex<Option<io::Result<Vec<u8>>>>);

/// A part of a file that is being read. Who drops it does not want it any more.
pub(crate) struct Reading(Arc<Place>);

impl Reading {
    /// What was read, once it is there. Nothing is the file's end.
    pub(crate) fn take(&self) -> Option<io::Result<Vec<u8>>> {
        let place = self.0.0.lock();
        place.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl FileReader {
    /// Reads what there is at the beginning of a part of a file, at most [`READ_BYTES`], and has what follows
    /// it read ahead. `waker` is woken then.
    pub(crate) fn read(&self, range: FileRange, waker: Waker) -> Reading {
        let place = Arc::new(Place::default());
        let read = Read {
            range,
            to: Arc::downgrade(&place),
            waker,
        };
        let mut state = self.0.lock();
        state.reads.push_back(read);
        if !Desk::call(&self.0, &mut state) {
            // There is no thread and none to be had: better late than never.
            let read = state.reads.pop_back();
            drop(state);
            read.into_iter().for_each(Read::run);
        }
        Reading(place)
    }

    /// Has a part of a file read ahead, if there is nothing better to do.
    pub(crate) fn read_ahead(&self, range: FileRange) {
        let mut state = self.0.lock();
        if state.ahead.len() < AHEAD_MAX {
            state.ahead.push_back(range);
            Desk::call(&self.0, &mut state);
        }
    }
}

impl Drop for FileReader {
    fn drop(&mut self) {
        self.0.lock().is_stopping = true;
        self.0.work.notify_all();
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that a thread comes. Says whether one will.
    fn call(desk: &Arc<Self>, state: &mut State) -> bool {
        if state.idle > 0 || state.threads == THREADS_MAX {
            desk.work.notify_one();
            return true;
        }
        let served = Arc::clone(desk);
        let thread = thread::Builder::new()
            .name(format!("tidegate-files-{}", state.threads))
            .spawn(move || served.serve());
        match thread {
            Ok(_) => state.threads += 1,
            Err(error) => tracing::warn!(%error, "cannot start a thread that reads files"),
        }
        state.threads > 0
    }

    /// A thread's life.
    fn serve(&self) {
        let mut state = self.lock();
        while !state.is_stopping {
            let Some(job) = state.next() else {
                state.idle += 1;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            drop(state);
            match job {
                Job::Read(read) => read.run(),
                Job::Ahead(range) => read_ahead(&range),
            }
            state = self.lock();
        }
    }
}

impl State {
    fn next(&mut self) -> Option<Job> {
        match self.reads.pop_front() {
            Some(read) => Some(Job::Read(read)),
            None => self.ahead.pop_front().map(Job::Ahead),
        }
    }
}

impl Read {
    fn run(self) {
        let Some(place) = self.to.upgrade() else {
            return;
        };
        let FileRange {
            file,
            offset,
            length,
        } = self.range;
        let mut memory = Vec::new();
        let count = READ_BYTES.min(length);
        let outcome = append_at(&mut memory, &file, offset, count as usize);
        let outcome = outcome.map(|_| memory);
        *place.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        drop(place);
        self.waker.wake();
        let follows = FileRange {
            file,
            offset: offset.saturating_add(count),
            length: AHEAD_BYTES.min(length - count),
        };
        read_ahead(&follows);
    }
}

/// Read at a time.
const READ_BYTES: u64 = 128 * 1024;

/// What the system is asked to read ahead of that.
pub(crate) const AHEAD_BYTES: u64 = 1024 * 1024;

/// Parts that wait to be read ahead; what comes when there are more is not.
const AHEAD_MAX: usize = 64;

/// Threads. A disk of one's own is kept busy by fewer; one in a network answers each of them late.
const THREADS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::mpsc::{Sender, channel};
    use std::task::Wake;

    use super::*;

    struct Tell(Sender<()>);

    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }

    fn range(content: &[u8], offset: u64, length: u64) -> FileRange {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        FileRange {
            file: Arc::new(file),
            offset,
            length,
        }
    }

    fn read(reader: &FileReader, range: FileRange) -> io::Result<Vec<u8>> {
        let (sender, told) = channel();
        let reading = reader.read(range, Waker::from(Arc::new(Tell(sender))));
        told.recv().unwrap();
        reading.take().unwrap()
    }

    #[test]
    fn what_is_wanted_is_read_in_windows() {
        let reader = FileReader::default();
        let content: Vec<u8> = (0..300_000_u32).map(|number| (number / 3) as u8).collect();
        let got = read(&reader, range(&content, 5, 1000)).unwrap();
        assert!(got == content[5..1005]);
        let got = read(&reader, range(&content, 100_000, 200_000)).unwrap();
        assert!(got == content[100_000..][..READ_BYTES as usize]);
        // What follows the file's end is not made up.
        let got = read(&reader, range(&content, 299_990, 1000)).unwrap();
        assert!(got == content[299_990..]);
        assert!(
            read(&reader, range(&content, 300_000, 1))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn many_are_served_by_few_threads() {
        let reader = FileReader::default();
        let (sender, told) = channel();
        let waker = Waker::from(Arc::new(Tell(sender)));
        let range = range(b"content", 0, 7);
        let reads: Vec<_> = (0..100)
            .map(|_| reader.read(range.clone(), waker.clone()))
            .collect();
        for _ in 0..100 {
            reader.read_ahead(range.clone());
            told.recv().unwrap();
        }
        for reading in reads {
            assert_eq!(reading.take().unwrap().unwrap(), b"content");
        }
        assert!(reader.0.lock().threads <= THREADS_MAX);
    }

    #[test]
    fn what_nobody_wants_is_let_go() {
        let reader = FileReader::default();
        let range = range(b"content", 0, 7);
        let file = Arc::clone(&range.file);
        let (sender, told) = channel();
        let waker = Waker::from(Arc::new(Tell(sender)));
        for _ in 0..100 {
            drop(reader.read(range.clone(), waker.clone()));
        }
        drop((range, waker));
        // The last waker is gone when the last job is.
        while told.recv().is_ok() {}
        while Arc::strong_count(&file) > 1 {
            thread::yield_now();
        }
    }

    #[test]
    fn threads_end_with_their_reader() {
        let reader = FileReader::default();
        assert_eq!(read(&reader, range(b"content", 0, 7)).unwrap(), b"content");
        let desk = Arc::downgrade(&reader.0);
        drop(reader);
        while desk.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
