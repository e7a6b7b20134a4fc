//! A PROXY header, any bytes in any split: no panic, the same answer however much of it is there, and never
//! more than 4,096 bytes waited for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_proto::proxy_protocol::parse_proxy_header;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse_proxy_header(bytes);
    match whole {
        Ok(None) => assert!(bytes.len() < 4096),
        Ok(Some(header)) => {
            assert!(header.bytes <= bytes.len().min(4096));
            // What comes behind it changes nothing.
            assert_eq!(parse_proxy_header(&bytes[..header.bytes]), whole);
            assert_eq!(parse_proxy_header(&bytes[..header.bytes - 1]), Ok(None));
        }
        Err(_) => {}
    }
    for end in 0..bytes.len().min(600) {
        match parse_proxy_header(&bytes[..end]) {
            Ok(None) => {}
            // No further bytes change what was decided.
            decided => {
                assert_eq!(decided, whole);
                return;
            }
        }
    }
});
