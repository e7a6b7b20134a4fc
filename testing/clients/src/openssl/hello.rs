//! A TLS client's first message, of our own making: a library would refuse to offer what is offered here.
//!
//! Source: RFC 5246 §7.4.1.2, RFC 8422 §5.1.

/// What a client offers, TLS 1.2 and before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello {
    pub(super) version: u16,
    pub(super) cipher_suites: &'static [u16],
    pub(super) groups: &'static [u16],
    pub(super) signatures: &'static [u16],
    pub(super) compressions: &'static [u8],
}

/// What every server of today takes.
pub(super) const GOOD: Hello = Hello {
    version: 0x0303,
    // ECDHE with AES-128-GCM, by ECDSA and by RSA.
    cipher_suites: &[0xc02b, 0xc02f],
    // x25519, P-256, P-384.
    groups: &[29, 23, 24],
    // ECDSA and RSA-PSS with SHA-256.
    signatures: &[0x0403, 0x0804],
    compressions: &[0],
};

impl Hello {
    /// As one record.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0x5a; 32]);
        // No session.
        body.push(0);
        body.extend(list(&words(self.cipher_suites)));
        body.push(self.compressions.len() as u8);
        body.extend(self.compressions);
        let mut extensions = Vec::new();
        let name = [&[0][..], &list(b"localhost")].concat();
        for (kind, content) in [
            (SERVER_NAME, list(&name)),
            (GROUPS, list(&words(self.groups))),
            (POINT_FORMATS, vec![1, 0]),
            (SIGNATURES, list(&words(self.signatures))),
            (EXTENDED_MASTER_SECRET, Vec::new()),
            (RENEGOTIATION, vec![0]),
        ] {
            extensions.extend(u16::to_be_bytes(kind));
            extensions.extend(list(&content));
        }
        body.extend(list(&extensions));
        let mut message = vec![CLIENT_HELLO, 0];
        message.extend(list(&body));
        // The version of the record is that of the first TLS, whatever is offered.
        let mut record = vec![HANDSHAKE, 3, 1];
        record.extend(list(&message));
        record
    }
}

/// The first message of SSL 2.0, which has a form of its own.
pub(super) fn ssl2() -> Vec<u8> {
    let suites = [1, 0, 0x80, 7, 0, 0xc0, 2, 0, 0x80];
    let mut body = vec![1, 0, 2, 0, suites.len() as u8, 0, 0, 0, 16];
    body.extend(suites);
    body.extend([0x5a; 16]);
    let mut record = vec![0x80, body.len() as u8];
    record.extend(body);
    record
}

/// With its length in two bytes before it.
fn list(content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u16).to_be_bytes().to_vec();
    bytes.extend(content);
    bytes
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Records.
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const ALERT: u8 = 21;
/// Handshake messages.
const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
/// Extensions.
const SERVER_NAME: u16 = 0;
const GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURES: u16 = 13;
const EXTENDED_MASTER_SECRET: u16 = 23;
const RENEGOTIATION: u16 = 0xff01;
