//! What no server should accept any more, offered alone: versions, cipher suites, groups, signatures,
//! compression.
//!
//! The table is what tools look at that grade servers.

use std::io;

use super::hello::{ALERT, GOOD, HANDSHAKE, Hello, SERVER_HELLO, ssl2};
use crate::error::ClientError;
use crate::expect;
use crate::peer::Peer;
use crate::suite::Bench;

pub(super) fn nothing_weak(bench: &Bench<'_>) -> Result<(), ClientError> {
    let port = bench.server.tls_port();
    // What is offered below differs from this in one thing only.
    for (what, hello) in [
        ("what is good", GOOD),
        (
            "compression besides none",
            Hello {
                compressions: &[1, 0],
                ..GOOD
            },
        ),
    ] {
        let answer = answer(port, &hello.bytes())?;
        let expected = Answer::Accepted {
            version: 0x0303,
            suite: 0xc02b,
            compression: 0,
        };
        expect::equal(what, &answer, &expected)?;
    }
    for row in &ROWS {
        let answer = answer(port, &(row.hello)().bytes())?;
        let is_refused = matches!(answer, Answer::Alert(_));
        if bench.share.index == 0 {
            bench.tell(format_args!("          {:<36} {answer:?}", row.what));
        }
        expect::holds(row.what, is_refused, || format!("{answer:?}"))?;
    }
    let answer = answer(port, &ssl2())?;
    let is_refused = matches!(answer, Answer::Alert(_) | Answer::Closed);
    expect::holds("SSL 2.0", is_refused, || format!("{answer:?}"))
}

/// What the server makes of a hello.
#[derive(Debug, Eq, PartialEq)]
enum Answer {
    Accepted {
        version: u16,
        suite: u16,
        compression: u8,
    },
    /// By its number.
    Alert(u8),
    /// Without a word.
    Closed,
    Other(u8),
}

fn answer(port: u16, hello: &[u8]) -> Result<Answer, ClientError> {
    let asked = || {
        let mut peer = Peer::connect(port)?;
        peer.send(hello)?;
        let head = peer.take(5)?;
        let length = u16::from_be_bytes([head[3], head[4]]);
        peer.take(length.into()).map(|content| (head[0], content))
    };
    let (kind, content) = match asked() {
        Ok(record) => record,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            ) =>
        {
            return Ok(Answer::Closed);
        }
        Err(source) => {
            let what = "being answered";
            return Err(ClientError::Io { what, source });
        }
    };
    Ok(match (kind, &*content) {
        (ALERT, &[_, number]) => Answer::Alert(number),
        (HANDSHAKE, &[SERVER_HELLO, _, _, _, major, minor, ref rest @ ..]) => {
            // After 32 random bytes, a session and its length.
            let after = rest.get(32).map_or(0, |length| 33 + usize::from(*length));
            match rest.get(after..) {
                Some(&[high, low, compression, ..]) => Answer::Accepted {
                    version: u16::from_be_bytes([major, minor]),
                    suite: u16::from_be_bytes([high, low]),
                    compression,
                },
                _ => Answer::Other(kind),
            }
        }
        _ => Answer::Other(kind),
    })
}

/// One thing that is offered alone.
struct Row {
    what: &'static str,
    hello: fn() -> Hello,
}

/// A row that offers nothing but these cipher suites.
macro_rules! suites {
    ($what:literal, $($suite:literal)*) => {
        Row { what: $what, hello: || Hello { cipher_suites: &[$($suite),*], ..GOOD } }
    };
}

/// Cipher suites by their numbers: IANA's registry of them.
const ROWS: [Row; 24] = [
    Row {
        what: "SSL 3.0",
        hello: || Hello {
            version: 0x0300,
            ..GOOD
        },
    },
    Row {
        what: "TLS 1.0",
        hello: || Hello {
            version: 0x0301,
            ..OLD
        },
    },
    Row {
        what: "TLS 1.1",
        hello: || Hello {
            version: 0x0302,
            ..OLD
        },
    },
    suites!("no encryption", 0x0001 0x0002 0x003b 0xc001 0xc006 0xc00b 0xc010 0xc015),
    suites!("TLS 1.3's integrity alone", 0xc0b4 0xc0b5),
    suites!("nobody is proved", 0x0018 0x001b 0x0034 0x003a 0x006c 0x006d 0x00a6 0x00a7 0xc016 0xc017 0xc018 0xc019),
    suites!("for export", 0x0003 0x0006 0x0008 0x000b 0x000e 0x0011 0x0014 0x0017 0x0019 0x0062 0x0064),
    suites!("DES", 0x0009 0x000c 0x000f 0x0012 0x0015 0x001a),
    suites!("RC4", 0x0004 0x0005 0xc002 0xc007 0xc00c 0xc011 0x008a),
    suites!("3DES (Sweet32)", 0x000a 0x000d 0x0010 0x0013 0x0016 0xc003 0xc008 0xc00d 0xc012),
    suites!("IDEA and SEED", 0x0007 0x0096 0x0099 0x009a),
    suites!("Camellia and ARIA", 0x0041 0x0084 0xc072 0xc073 0xc076 0xc077 0xc086 0xc087 0xc05c 0xc05d 0xc060),
    suites!("CBC with SHA-1", 0xc009 0xc00a 0xc013 0xc014),
    suites!("CBC with SHA-2", 0xc023 0xc024 0xc027 0xc028),
    suites!("RSA key exchange", 0x002f 0x0035 0x003c 0x003d 0x009c 0x009d 0xc09c 0xc09d),
    suites!("DHE", 0x0033 0x0039 0x0067 0x006b 0x009e 0x009f 0xccaa),
    suites!("fixed DH", 0x0030 0x0036 0x003f 0x00a0 0xc004 0xc005 0xc00e 0xc00f 0xc02d 0xc031),
    suites!("keys agreed before", 0x008c 0x00a8 0x00ae 0xc035 0xc037 0xccab 0xd001),
    suites!("passwords (SRP)", 0xc01d 0xc01e 0xc020 0xc021),
    suites!("nothing that there is", 0x5a5a 0xeaea),
    suites!("signalling alone", 0x00ff 0x5600),
    Row {
        what: "weak groups",
        // sect163k1, secp160r1, secp192r1, secp224r1.
        hello: || Hello {
            groups: &[1, 16, 19, 21],
            ..GOOD
        },
    },
    Row {
        what: "signatures with MD5 and SHA-1",
        hello: || Hello {
            signatures: &[0x0101, 0x0201, 0x0203],
            ..GOOD
        },
    },
    Row {
        what: "compression alone",
        hello: || Hello {
            compressions: &[1],
            ..GOOD
        },
    },
];

/// What clients of that time offered first.
const OLD: Hello = Hello {
    cipher_suites: &[0xc00a, 0xc009, 0xc014, 0xc013, 0x0035, 0x002f],
    ..GOOD
};
