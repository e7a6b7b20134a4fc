//! The bytes of the request that a load repeats.

use crate::options::Options;
use crate::tls;

/// One whole request, head and body.
pub(crate) fn encode(options: &Options) -> Vec<u8> {
    let method = if options.body_bytes.is_some() {
        "POST"
    } else {
        "GET"
    };
    let mut request = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\n",
        options.path,
        authority(options)
    );
    if options.browser {
        for (name, value) in BROWSER_FIELDS {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if options.api_key {
        request.push_str(&format!("X-API-Key: {}\r\n", bench_answers::API_KEY));
    }
    if let Some(range) = &options.range {
        request.push_str(&format!("Range: {range}\r\n"));
    }
    let body_bytes = options.body_bytes.unwrap_or(0);
    if options.body_bytes.is_some() {
        request.push_str("Content-Type: application/octet-stream\r\n");
        request.push_str(&format!("Content-Length: {body_bytes}\r\n"));
    }
    request.push_str("\r\n");
    let mut bytes = request.into_bytes();
    bytes.resize(bytes.len() + body_bytes, b'a');
    bytes
}

/// Host and port that requests are for. Over TLS the host is the one that the handshake named.
pub(crate) fn authority(options: &Options) -> String {
    let host = if options.tls {
        tls::SERVER_NAME
    } else {
        "127.0.0.1"
    };
    format!("{host}:{}", options.port)
}

/// Nine field lines that, with `Host`, are what a browser sends for a page.
pub(crate) const BROWSER_FIELDS: [(&str, &str); 9] = [
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "identity"),
    ("Referer", "http://127.0.0.1/index.html"),
    (
        "Cookie",
        "session=0123456789abcdef0123456789abcdef; theme=dark",
    ),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Cache-Control", "max-age=0"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_has_host_only() {
        let options = Options {
            port: 81,
            ..Options::default()
        };
        assert_eq!(
            encode(&options),
            b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n"
        );
    }

    #[test]
    fn browser_sends_ten_fields() {
        let options = Options {
            browser: true,
            ..Options::default()
        };
        let text = String::from_utf8(encode(&options)).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains(": ")).count(), 10);
    }

    #[test]
    fn a_key_is_sent() {
        let options = Options {
            api_key: true,
            ..Options::default()
        };
        let text = String::from_utf8(encode(&options)).unwrap();
        assert!(text.contains(&format!("\r\nX-API-Key: {}\r\n", bench_answers::API_KEY)));
    }

    #[test]
    fn a_range_is_asked_for() {
        let options = Options {
            range: Some("bytes=1-2".to_owned()),
            ..Options::default()
        };
        let text = String::from_utf8(encode(&options)).unwrap();
        assert!(text.ends_with("\r\nRange: bytes=1-2\r\n\r\n"));
    }

    #[test]
    fn post_carries_its_length_and_body() {
        let options = Options {
            body_bytes: Some(4),
            ..Options::default()
        };
        let text = String::from_utf8(encode(&options)).unwrap();
        assert!(text.starts_with("POST "));
        assert!(text.ends_with("Content-Length: 4\r\n\r\naaaa"));
    }
}
