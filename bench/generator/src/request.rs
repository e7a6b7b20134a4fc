//! The bytes of the request that a load repeats.

use crate::options::Options;

/// One whole request, head and body.
pub(crate) fn encode(options: &Options) -> Vec<u8> {
    let method = if options.body_bytes.is_some() {
        "POST"
    } else {
        "GET"
    };
    let mut request = format!(
        "{method} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n",
        options.path, options.port
    );
    if options.browser {
        request.push_str(BROWSER_FIELDS);
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

/// Nine field lines that, with `Host`, are what a browser sends for a page.
const BROWSER_FIELDS: &str = "\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: identity\r\n\
Referer: http://127.0.0.1/index.html\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
Cache-Control: max-age=0\r\n";

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
