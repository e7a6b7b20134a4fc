//! An issuer of tokens: his keys, and the port where he has them, which does what a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;

/// A key that signs with ES256.
pub(crate) struct SigningKey {
    id: String,
    pair: KeyPair,
}

impl SigningKey {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pair: KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn jwk(&self) -> serde_json::Value {
        // An uncompressed point: 4, x, y.
        let point = self.pair.public_key_raw();
        let (x, y) = point[1..].split_at(32);
        let [x, y] = [x, y].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": x, "y": y})
    }

    /// The field with a token of somebody's that is good for an hour.
    pub(crate) fn token(&self, subject: &str) -> String {
        let key = EncodingKey::from_ec_pem(self.pair.serialize_pem().as_bytes()).unwrap();
        token(Algorithm::ES256, &self.id, &key, subject)
    }
}

pub(crate) fn token(algorithm: Algorithm, id: &str, key: &EncodingKey, subject: &str) -> String {
    let mut header = Header::new(algorithm);
    header.kid = Some(id.to_owned());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims = json!({"sub": subject, "exp": now.as_secs() + 3600});
    let token = encode(&header, &claims, key).unwrap();
    format!("Authorization: Bearer {token}")
}

/// A JWK set.
pub(crate) fn set(keys: &[serde_json::Value]) -> String {
    json!({ "keys": keys }).to_string()
}

type Answer = Arc<dyn Fn(&mut TcpStream, &str) + Send + Sync>;

/// The port.
pub(crate) struct Port {
    pub(crate) number: u16,
    answer: Arc<Mutex<Answer>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Port {
    pub(crate) fn open(answer: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = Self {
            number: listener.local_addr().unwrap().port(),
            answer: Arc::new(Mutex::new(Arc::new(answer))),
            heads: Arc::default(),
        };
        let (answer, heads) = (Arc::clone(&port.answer), Arc::clone(&port.heads));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, heads) = (Arc::clone(&answer), Arc::clone(&heads));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(head) = head(&stream) else { return };
                    heads.lock().unwrap().push(head.clone());
                    let answer = Arc::clone(&answer.lock().unwrap());
                    answer(&mut stream, &head);
                });
            }
        });
        port
    }

    /// Does this from now on.
    pub(crate) fn set(&self, answer: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    /// All heads of requests that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn asked(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys?all", self.number)
    }
}

fn head(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// Whoever has gone away hears nothing.
pub(crate) fn say(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref());
}

/// Answers with this document.
pub(crate) fn tells(document: String) -> impl Fn(&mut TcpStream, &str) + Send + Sync + 'static {
    move |stream, _| {
        let length = document.len();
        say(
            stream,
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{document}"),
        );
    }
}

/// Says nothing until the other side gives up.
pub(crate) fn hangs(stream: &mut TcpStream, _: &str) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

/// A port that passes on to another, and counts connections.
pub(crate) fn relay(to: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let near = stream.unwrap();
            let far = TcpStream::connect(("127.0.0.1", to)).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (port, count)
}
