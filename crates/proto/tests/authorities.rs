//! Hosts and ports.

use std::net::{Ipv4Addr, Ipv6Addr};

use tidegate_proto::http1::{HostKind, Reject, parse_authority};

#[test]
fn host_kind_and_port_are_told() {
    for (text, host, kind, port) in [
        ("h", "h", HostKind::Name, None),
        (
            "Www.Example.Com:80",
            "Www.Example.Com",
            HostKind::Name,
            Some(80),
        ),
        (
            "1.2.3.4",
            "1.2.3.4",
            HostKind::Ipv4(Ipv4Addr::new(1, 2, 3, 4)),
            None,
        ),
        (
            "1.2.3.4:65535",
            "1.2.3.4",
            HostKind::Ipv4(Ipv4Addr::new(1, 2, 3, 4)),
            Some(65_535),
        ),
        ("1.2.3", "1.2.3", HostKind::Name, None),
        ("[::1]", "[::1]", HostKind::Ipv6(Ipv6Addr::LOCALHOST), None),
        (
            "[::1]:8080",
            "[::1]",
            HostKind::Ipv6(Ipv6Addr::LOCALHOST),
            Some(8080),
        ),
        (
            "[::]:1",
            "[::]",
            HostKind::Ipv6(Ipv6Addr::UNSPECIFIED),
            Some(1),
        ),
        ("a%20b", "a%20b", HostKind::Name, None),
    ] {
        let authority = parse_authority(text.as_bytes()).unwrap();
        assert_eq!(
            (authority.host, authority.kind, authority.port),
            (host, kind, port),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_host_is_refused() {
    for text in [
        "", ":", ":80", "h:", "h:0", "h:00", "h:080", "h:65536", "h:+1", "a b", "a@b", "a/b",
        "[::1", "[::1]a", "[::1]:x", "\u{e9}",
    ] {
        assert_eq!(
            parse_authority(text.as_bytes()),
            Err(Reject::HostMalformed),
            "{text}"
        );
    }
    assert_eq!(parse_authority(b"\xFF"), Err(Reject::HostMalformed));
    assert_eq!(
        parse_authority(b"[::ffff:1.2.3.4]:80"),
        Err(Reject::HostMappedAddress)
    );
}
