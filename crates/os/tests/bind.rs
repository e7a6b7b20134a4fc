//! Binding: who may have an address, and what an error says.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{SocketAddr, TcpListener};

use tidegate_os::{BindError, BindErrorKind, ListenAddress, ListenOptions, Listener};

fn tcp(address: &str) -> ListenAddress {
    ListenAddress::Tcp(address.parse().unwrap())
}

fn shared() -> ListenOptions {
    ListenOptions {
        reuse_port: true,
        ..ListenOptions::default()
    }
}

fn check_in_use(outcome: Result<Listener, BindError>) {
    let error = outcome.unwrap_err();
    let BindErrorKind::InUse { owner } = &error.kind else {
        panic!("{error:?}");
    };
    if cfg!(target_os = "linux") {
        assert_eq!(
            owner.as_ref().map(|owner| owner.id),
            Some(std::process::id())
        );
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
    }
}

#[test]
fn port_zero_becomes_a_free_port() {
    let listener = Listener::bind(&tcp("127.0.0.1:0"), &ListenOptions::default()).unwrap();
    assert!(matches!(listener.local_address(), ListenAddress::Tcp(address) if address.port() != 0));
}

#[test]
fn used_port_is_refused_and_its_owner_named() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = ListenAddress::Tcp(other.local_addr().unwrap());
    check_in_use(Listener::bind(&address, &ListenOptions::default()));
    check_in_use(Listener::bind(&address, &shared()));
}

#[test]
fn shared_port_is_refused_unless_it_is_ours() {
    let first = Listener::bind(&tcp("127.0.0.1:0"), &shared()).unwrap();
    check_in_use(Listener::bind(first.local_address(), &shared()));
    check_in_use(Listener::bind(
        first.local_address(),
        &ListenOptions::default(),
    ));
    if tidegate_os::REUSE_PORT_BALANCES {
        let ours = ListenOptions {
            address_is_ours: true,
            ..shared()
        };
        let second = Listener::bind(first.local_address(), &ours).unwrap();
        assert_eq!(first.local_address(), second.local_address());
    }
}

#[test]
fn port_is_free_again_after_the_listener() {
    let first = Listener::bind(&tcp("127.0.0.1:0"), &shared()).unwrap();
    let address = first.local_address().clone();
    drop(first);
    Listener::bind(&address, &shared()).unwrap();
}

#[test]
fn ipv6_wildcard_leaves_the_ipv4_port_free() {
    let Ok(v6) = Listener::bind(&tcp("[::]:0"), &ListenOptions::default()) else {
        return;
    };
    let ListenAddress::Tcp(address) = v6.local_address() else {
        panic!("{v6:?}");
    };
    let v4 = SocketAddr::from(([127, 0, 0, 1], address.port()));
    Listener::bind(&ListenAddress::Tcp(v4), &ListenOptions::default()).unwrap();
}

// 192.0.2.0/24 is for documentation (RFC 5737): no interface has it.
#[test]
fn foreign_address_is_not_available() {
    let error = Listener::bind(&tcp("192.0.2.1:0"), &ListenOptions::default()).unwrap_err();
    assert_eq!(error.kind, BindErrorKind::NotAvailable);
    assert!(error.to_string().contains("192.0.2.1:0"), "{error}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;

    use super::*;

    fn bind(path: &Path) -> Result<Listener, BindError> {
        let address = ListenAddress::Unix(path.to_owned());
        Listener::bind(&address, &ListenOptions::default())
    }

    #[test]
    fn file_is_removed_by_the_last_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = bind(&path).unwrap();
        let copy = listener.try_clone().unwrap();
        drop(listener);
        UnixStream::connect(&path).unwrap();
        drop(copy);
        assert!(!path.exists());
    }

    #[test]
    fn file_of_a_successor_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = bind(&path).unwrap();
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(listener);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn socket_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _first = bind(&path).unwrap();
        check_in_use(bind(&path));
    }

    #[test]
    fn stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        bind(&path).unwrap();
    }

    #[test]
    fn file_that_is_not_a_socket_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        std::fs::write(&path, "data").unwrap();
        assert_eq!(bind(&path).unwrap_err().kind, BindErrorKind::NotASocket);
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    }

    #[test]
    fn path_too_long_is_said_so() {
        let path = std::env::temp_dir().join("x".repeat(120));
        assert_eq!(
            bind(&path).unwrap_err().kind,
            BindErrorKind::UnixPathTooLong
        );
    }
}
