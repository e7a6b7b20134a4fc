//! An upstream that does with each connection what a test says, and keeps what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// The upstream. Its threads end with the connections to it.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    /// All heads that were read, in order.
    heads: Receiver<String>,
    accepted: Arc<AtomicUsize>,
}

/// One connection to it.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    heads: Sender<String>,
}

impl Upstream {
    pub(crate) fn start(serve: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heads) = channel();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let mut connection = Connection {
                    stream: BufReader::new(stream),
                    heads: sender.clone(),
                };
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(&mut connection));
            }
        });
        Self {
            port,
            heads,
            accepted,
        }
    }

    /// The next head that was read.
    pub(crate) fn head(&self) -> String {
        self.heads.recv_timeout(PATIENCE).unwrap()
    }

    /// Whether no further head was read.
    pub(crate) fn has_no_more_heads(&self) -> bool {
        self.heads.try_recv().is_err()
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Connection {
    /// Reads the next head; `None` at the end.
    pub(crate) fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        loop {
            match self.stream.read_line(&mut head) {
                Ok(0) | Err(_) => return None,
                Ok(_) if head.ends_with("\r\n\r\n") => break,
                Ok(_) => {}
            }
        }
        // Nobody may want to know.
        let _ = self.heads.send(head.clone());
        Some(head)
    }

    /// Exactly so many bytes.
    pub(crate) fn take(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Reads chunked content as it stands, up to the end of its trailer section.
    pub(crate) fn take_chunked(&mut self) -> String {
        let mut content = String::new();
        while !content.ends_with("0\r\n\r\n") && !content.contains("\r\n0\r\n") {
            assert_ne!(self.stream.read_line(&mut content).unwrap(), 0);
        }
        while !content.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut content).unwrap(), 0);
        }
        content
    }

    /// Reads until the other side sends no more; `None` when it has reset the connection.
    pub(crate) fn take_to_end(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // Whoever has gone away hears nothing.
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
    }

    /// Answers 200 with this content.
    pub(crate) fn answer(&mut self, content: &str) {
        let length = content.len();
        self.say(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{content}"
        ));
    }

    /// Answers each request without content with this.
    pub(crate) fn answer_all(&mut self, content: &str) {
        while self.head().is_some() {
            self.answer(content);
        }
    }

    pub(crate) fn finish(&mut self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    pub(crate) fn reset(&mut self) {
        let socket = SockRef::from(self.stream.get_ref());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// How long anything awaited may take. Far longer than it ever does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Connection {
    /// Sends content until nobody takes more for a while, or `max` bytes are sent. Says how many were.
    pub(crate) fn say_until_stalled(&mut self, max: usize) -> usize {
        let stream = self.stream.get_mut();
        let patience = Some(Duration::from_millis(500));
        stream.set_write_timeout(patience).unwrap();
        let block = vec![b'x'; 64 * 1024];
        let mut sent = 0;
        while sent < max {
            match stream.write(&block[..block.len().min(max - sent)]) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }
}
