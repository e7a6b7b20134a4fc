//! Writes a file as it arrives, off the async threads, with little of it in memory.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use super::directory::{SaveDirectory, Temporary};

/// A file that is arriving. It is removed when this is dropped.
pub(super) struct Spool {
    temporary: Temporary,
    /// With a thread that writes, meanwhile.
    writer: Option<Writer>,
    size: u64,
}

struct Writer {
    file: File,
    buffer: Vec<u8>,
}

/// A file that has arrived. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) temporary: Temporary,
    pub(super) size: u64,
}

impl Spool {
    pub(super) async fn create(directory: &Arc<SaveDirectory>) -> io::Result<Self> {
        let directory = Arc::clone(directory);
        let (temporary, file) = off_thread(move || directory.temporary()).await?;
        Ok(Self {
            temporary,
            writer: Some(Writer {
                file,
                buffer: Vec::new(),
            }),
            size: 0,
        })
    }

    pub(super) async fn write(&mut self, mut data: &[u8]) -> io::Result<()> {
        self.size += data.len() as u64;
        while !data.is_empty() {
            let buffer = &mut self.writer()?.buffer;
            let taken = data.len().min(WRITE_BYTES - buffer.len());
            buffer.extend_from_slice(&data[..taken]);
            data = &data[taken..];
            if buffer.len() == WRITE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> io::Result<Spooled> {
        if !self.writer()?.buffer.is_empty() {
            self.flush().await?;
        }
        Ok(Spooled {
            temporary: self.temporary,
            size: self.size,
        })
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut writer = self.writer.take().ok_or_else(gone)?;
        let writer = off_thread(move || {
            writer.file.write_all(&writer.buffer)?;
            writer.buffer.clear();
            Ok(writer)
        });
        self.writer = Some(writer.await?);
        Ok(())
    }

    fn writer(&mut self) -> io::Result<&mut Writer> {
        self.writer.as_mut().ok_or_else(gone)
    }
}

/// Writing has failed before.
fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// Does what may block where it may.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(error.into()))
}

/// As much is written at once, and as much of each file that is arriving is in memory.
const WRITE_BYTES: usize = 128 * 1024;
