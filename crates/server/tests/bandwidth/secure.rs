//! TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tidegate::SslOptions;

use crate::client::setting::{in_each_setting, start, stop};
use crate::{LONG, LOW, folder, limit, long, site};

type Secure = StreamOwned<ClientConnection, TcpStream>;

fn connect(port: u16, config: &Arc<ClientConfig>) -> Secure {
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(client, TcpStream::connect(("127.0.0.1", port)).unwrap())
}

fn ask(stream: &mut Secure, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads a head, and what came behind it.
fn head(stream: &mut Secure) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).unwrap();
        assert_ne!(count, 0);
        received.extend_from_slice(&piece[..count]);
        if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            return received.split_off(at + 4);
        }
    }
}

#[test]
fn what_is_encrypted_is_limited_like_the_rest() {
    let (folder, file) = folder();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    // There may be two of them in a build, and then none is the default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    in_each_setting(|builder, port| {
        let builder = builder
            .host("localhost")
            .ssl(true)
            .ssl_options(SslOptions::pem(&certificate, &key))
            .max_bandwidth(LOW);
        let server = start(site(builder, file.clone()));
        let mut slow = connect(port, &config);
        ask(&mut slow, "/file");
        let mut content = head(&mut slow);
        let mut other = connect(port, &config);
        ask(&mut other, "/short");
        let mut short = head(&mut other);
        while short.len() < 5 {
            let mut piece = [0; 5];
            let count = other.read(&mut piece).unwrap();
            assert_ne!(count, 0);
            short.extend_from_slice(&piece[..count]);
        }
        assert_eq!(short, b"short");
        assert!(content.len() < LONG);
        limit(&server, 0, 0);
        let mut rest = vec![0; LONG - content.len()];
        slow.read_exact(&mut rest).unwrap();
        content.extend(rest);
        assert!(content == long());
        stop(server);
    });
}
