//! However long an upload is, little of it is in memory.
//!
//! The allocator of this program counts what is held. One test, so that nothing else is counted; its
//! client holds little of its own.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::tempdir;
use tidegate::HttpUploadFiles;

use client::setting::{in_each_setting, start, stop};
use client::{Answer, Client};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn hold(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size());
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        hold(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MEBIBYTE: usize = 1 << 20;

/// The buffers of a loop and of an upload, several times over.
const MOST_MAX: usize = 4 * MEBIBYTE;

/// Content in three parts, of which the second is this letter again and again.
struct Long {
    first: &'static str,
    letter: u8,
    last: &'static str,
}

const FILE: Long = Long {
    first: "--b\r\nContent-Disposition: form-data; name=f; filename=long\r\n\r\n",
    letter: b'x',
    last: "\r\n--b--\r\n",
};

/// Nearly a delimiter, all the time.
const LINES: Long = Long {
    letter: b'\r',
    ..FILE
};

const PREAMBLE: Long = Long {
    first: "",
    letter: b'x',
    last: "\r\n--b\r\nContent-Disposition: form-data; name=f; filename=long\r\n\r\n\r\n--b--",
};

const EPILOGUE: Long = Long {
    first: "--b\r\nContent-Disposition: form-data; name=f; filename=long\r\n\r\n\r\n--b--",
    letter: b'x',
    last: "",
};

const PADDING: Long = Long {
    first: "--b",
    letter: b' ',
    last: "\r\nContent-Disposition: form-data; name=f; filename=long\r\n\r\n\r\n--b--",
};

impl Long {
    fn send(&self, client: &mut Client, length: usize) -> Answer {
        let whole = self.first.len() + length + self.last.len();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {whole}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\n\r\n{}",
            self.first
        );
        client.write(head.as_bytes());
        let piece = [self.letter; 16 * 1024];
        let mut left = length;
        while left > 0 {
            let count = left.min(piece.len());
            client.write(&piece[..count]);
            left -= count;
        }
        client.write(self.last.as_bytes());
        client.receive()
    }
}

#[test]
fn an_upload_of_any_length_takes_little_memory() {
    in_each_setting(|builder, port| {
        let folder = tempdir().unwrap();
        let mut settings = HttpUploadFiles::in_directory(folder.path());
        settings.max_request_body_size = Some(0);
        let builder = builder
            .http_upload_files(settings)
            .on_http_request(|request, response| {
                let uploads = request.uploads()?;
                let file = &uploads.files()[0];
                std::fs::remove_file(file.path().unwrap())?;
                response.text(file.size().to_string());
                Ok::<(), tidegate::HandlerError>(())
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        // Whatever is made once is there from now on.
        FILE.send(&mut client, MEBIBYTE);
        for (content, size) in [
            (FILE, 16 * MEBIBYTE),
            (LINES, 16 * MEBIBYTE),
            (PREAMBLE, 0),
            (EPILOGUE, 0),
            (PADDING, 0),
        ] {
            let before = HELD.load(Ordering::Relaxed);
            MOST.store(before, Ordering::Relaxed);
            let answer = content.send(&mut client, 16 * MEBIBYTE);
            assert_eq!((answer.status, answer.text()), (200, &*size.to_string()));
            let most = MOST.load(Ordering::Relaxed).saturating_sub(before);
            assert!(most < MOST_MAX, "{most} bytes more, {}", content.letter);
        }
        drop(client);
        stop(server);
    });
}
