//! What every server of the benchmarks answers, and the work it does for `/work`.
//!
//! Shared by our subject and by the Rust peers, so that all of them send the same content and burn
//! the same processor time. Holds no server and no HTTP.
#![forbid(unsafe_code)]

use std::hint::black_box;

/// Content of `GET /hello`, sent as `text/plain`.
pub const HELLO: &str = "Hello, World!";

/// Content of the answer to `POST /upload`, once the whole body has been read.
pub const UPLOADED: &str = "ok";

/// The API key of requests that have one; our server knows it when it is told to ask for keys.
pub const API_KEY: &str = "bench-3Zt9xQ0rVd7LwK2mPf8sYb5NhCj1";

/// Value of the `Server` field that every server of the benchmarks sends.
///
/// Short and alike everywhere: a server must not look cheaper for its shorter name.
pub const SERVER: &str = "bench";

/// Content of `GET /json`, sent as `application/json`: an object of exactly 1,024 bytes.
pub fn json() -> String {
    let mut text = String::from(r#"{"items":["#);
    let mut id = 0;
    while text.len() < 960 {
        text.push_str(&format!(r#"{{"id":{id},"name":"item {id}","ok":true}},"#));
        id += 1;
    }
    text.push_str(r#"0],"padding":""#);
    while text.len() < JSON_BYTES - 2 {
        text.push('x');
    }
    text.push_str(r#""}"#);
    text
}

/// Content of `GET /download`, sent as `application/octet-stream`: 10 MiB that do not compress.
pub fn download() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut content = Vec::with_capacity(DOWNLOAD_BYTES);
    while content.len() < DOWNLOAD_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content
}

/// Length of [`download`].
pub const DOWNLOAD_BYTES: usize = 10 << 20;

/// Burns the same processor time at every call and gives its result as the content of `GET /work`.
///
/// A chain of multiplications in which each waits for the one before: about 800 µs on the machine
/// the rounds were chosen on, without memory traffic that neighbours could slow.
pub fn work() -> String {
    let mut state = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..WORK_ROUNDS {
        state = (state ^ (state >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    format!("{state:016x}")
}

const JSON_BYTES: usize = 1024;
const WORK_ROUNDS: u32 = 480_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_kibibyte() {
        assert_eq!(json().len(), JSON_BYTES);
    }

    #[test]
    fn download_is_ten_mebibytes() {
        assert_eq!(download().len(), DOWNLOAD_BYTES);
    }

    #[test]
    fn work_gives_the_same_each_time() {
        assert_eq!(work(), work());
        assert_eq!(work().len(), 16);
    }
}
