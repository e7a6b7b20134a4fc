//! The store: what is written is read again, what may not be is refused, and who may change what.

use std::fs;
use std::sync::Arc;
use std::thread;

use tidegate_httpapi::{
    AccessControlList, ApiError, Caller, ErrorCode, Reservation, TlsBindingKey, UrlPrefix,
};

use super::*;

fn prefix(text: &str) -> UrlPrefix {
    UrlPrefix::parse(text).unwrap()
}

fn reservation(url: &str, list: &str) -> Reservation {
    Reservation {
        prefix: prefix(url),
        list: list.parse::<AccessControlList>().unwrap(),
    }
}

fn user(name: &str) -> Option<Caller> {
    Some(Caller {
        name: Some(name.to_owned()),
        ..Caller::default()
    })
}

/// The reservations of R01 before its own step.
fn adatum() -> HttpConfiguration {
    let mut configuration = HttpConfiguration::new();
    for (url, list) in [
        ("http://+:80/vroot/subdir/", "D:(A;;GA;;;A)(A;;GA;;;C)"),
        ("http://adatum.com:80/vroot/", "D:(A;;GA;;;B)"),
    ] {
        configuration.reserve(reservation(url, list), None).unwrap();
    }
    configuration
}

fn code(result: Result<(), ApiError>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

// R01 to R05.
#[test]
fn who_may_delegate_may_reserve_below() {
    let mut configuration = adatum();
    let mut reserve = |who: Option<Caller>, url: &str| {
        let reservation = reservation(url, "D:(A;;GX;;;C)");
        code(configuration.reserve(reservation, who.as_ref()))
    };
    let denied = Some(ErrorCode::AccessDenied);
    let exists = Some(ErrorCode::AlreadyExists);
    for (who, url, wanted) in [
        ("B", "http://adatum.com:80/vroot/subdir/otherdir/", None),
        ("A", "http://+:80/vroot/subdir/otherdir/", None),
        ("A", "http://adatum.com:80/vroot/x/", denied),
        ("A", "http://adatum.com:80/newroot/", denied),
        // The right is that of the parent, not of the prefix itself.
        ("A", "http://+:80/vroot/subdir/", denied),
        // C may listen there and no more.
        ("C", "http://+:80/vroot/subdir/otherdir/deeper/", denied),
        ("B", "http://adatum.com:80/vroot/subdir/otherdir/", exists),
    ] {
        assert_eq!(reserve(user(who), url), wanted, "{who} {url}");
    }
    assert_eq!(reserve(None, "http://+:80/VRoot/SubDir"), exists);
    assert_eq!(reserve(None, "https://+:80/"), exists);
    assert_eq!(reserve(None, "http://+:80/"), None);
}

#[test]
fn what_may_be_reserved_may_be_deleted() {
    let mut configuration = adatum();
    let below = reservation("http://adatum.com:80/vroot/a/", "D:(A;;GX;;;C)");
    configuration.reserve(below, user("B").as_ref()).unwrap();
    let mut delete = |who: Option<Caller>, url: &str| {
        code(configuration.delete_reservation(&prefix(url), who.as_ref()))
    };
    let denied = Some(ErrorCode::AccessDenied);
    for (who, url, wanted) in [
        ("A", "http://adatum.com:80/vroot/a/", denied),
        ("B", "http://adatum.com:80/vroot/", denied),
        ("B", "http://adatum.com:80/vroot/a/", None),
        (
            "B",
            "http://adatum.com:80/vroot/a/",
            Some(ErrorCode::FileNotFound),
        ),
    ] {
        assert_eq!(delete(user(who), url), wanted, "{who} {url}");
    }
    assert_eq!(delete(None, "http://adatum.com:80/vroot/"), None);
}

/// One of everything.
fn full() -> HttpConfiguration {
    let mut configuration = adatum();
    configuration
        .add_listen_address("127.0.0.1".parse().unwrap())
        .unwrap();
    configuration
        .add_listen_address("::".parse().unwrap())
        .unwrap();
    configuration.set_idle_connection_timeout(Some(60)).unwrap();
    configuration.set_header_wait_timeout(Some(65_535)).unwrap();
    configuration
        .set_cache_response_bytes_max(Some(4_096))
        .unwrap();
    let key = |text: &str| text.parse::<TlsBindingKey>().unwrap();
    let mut pem = HttpCertificate::new(
        key("[::1]:443"),
        HttpCertificateSource::Pem {
            chain: "/a \"b\"/é.crt".into(),
            key: "/a.key".into(),
        },
    );
    pem.app_id = "{4dc3e181-e14b-4a21-b022-59fc669b0914}".to_owned();
    pem.client_authorities = Some("/ca.pem".into());
    pem.client_revocation_lists = Some("/crl.pem".into());
    pem.ocsp_response = Some("/a.ocsp".into());
    (pem.reject, pem.http2, pem.tls12) = (true, false, false);
    let pkcs12 = HttpCertificate::new(
        key("shop.example:443"),
        HttpCertificateSource::Pkcs12 {
            path: "/shop.p12".into(),
            password_file: Some("/shop.password".into()),
        },
    );
    let mut by_hash = HttpCertificate::new(
        key("0.0.0.0:443"),
        HttpCertificateSource::Thumbprint {
            thumbprint: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            folder: "/certificates".into(),
        },
    );
    (by_hash.tls13, by_hash.ocsp_stapling) = (false, false);
    (by_hash.session_tickets, by_hash.session_ids) = (false, false);
    let folder = HttpCertificateSource::Folder("/certificates".into());
    let folder = HttpCertificate::new(key("ccs:443"), folder);
    configuration.certificates = vec![pem, pkcs12, by_hash, folder];
    configuration
}

#[test]
fn what_is_written_is_read_again() {
    for configuration in [HttpConfiguration::new(), adatum(), full()] {
        let text = format::write(&configuration);
        assert_eq!(format::read(&text).unwrap(), configuration, "{text}");
    }
}

#[test]
fn what_may_not_be_is_refused_by_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = HttpStore::at(folder.path().join("http.toml"));
    for (text, told) in [
        (
            "iplisten = [\n  \"127.0.0.1\",\n  \"x\",\n]",
            "line 3, `\"x\",`: ",
        ),
        (
            "iplisten = [\"::1\", \"::1\"]",
            "line 1, `iplisten`: ::1 is listed already",
        ),
        (
            "\n[timeout]\nheaderwaittimeout = 0",
            "line 3, `headerwaittimeout`: ",
        ),
        (
            "[timeout]\nidleconnectiontimeout = 70000",
            "line 2, `idleconnectiontimeout`: ",
        ),
        ("[timeout]\nidle = 1", "line 2, `idle`: unknown field"),
        (
            "[cacheparam]\nmaxcacheresponsesize = 1",
            "line 2, `maxcacheresponsesize`: ",
        ),
        (
            "[[urlacl]]\nurl = \"http://+/\"\nsddl = \"D:(A;;GX;;;WD)\"",
            "line 2, `url`: ",
        ),
        (
            "[[urlacl]]\nurl = \"http://+:80/\"\nsddl = \"D:(A;;XX;;;WD)\"",
            "line 3, `sddl`: ",
        ),
        (
            "[[urlacl]]\nurl = \"http://+:80/\"\nsddl = \"D:(A;;GX;;;WD)\"\n[[urlacl]]\nurl = \
             \"https://+:80/\"\nsddl = \"D:(A;;GX;;;WD)\"",
            "line 5, `url`: https://+:80/ cannot be added: its port carries http",
        ),
        (
            "[[sslcert]]\nipport = \"a:443\"",
            "line 1, `[[sslcert]]`: `ipport` is no address",
        ),
        ("[[sslcert]]\nipport = \"1.1.1.1\"", "line 2, `ipport`: "),
        ("[[sslcert]]\nccs = 443", "its certificate is one of"),
        (
            "[[sslcert]]\nccs = 443\ncertfile = \"a\"",
            "its certificate is one of",
        ),
        (
            "[[sslcert]]\nipport = \"1.1.1.1:1\"\ncerthash = \"12\"\ncertstorename = \"a\"",
            "40",
        ),
        ("prt = 1", "line 1, `prt`: unknown field"),
        ("= 1", "line 1"),
    ] {
        fs::write(store.path(), text).unwrap();
        let error = store.read().unwrap_err().to_string();
        assert!(error.contains(told), "{text}\n{error}");
        let changed = store.change(|all| all.set_header_wait_timeout(None));
        assert!(changed.is_err());
        assert_eq!(fs::read_to_string(store.path()).unwrap(), text);
    }
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = HttpStore::at(folder.path().join("new").join("http.toml"));
    assert_eq!(store.read().unwrap(), HttpConfiguration::new());
    let address = "10.0.0.4".parse().unwrap();
    let refused = store.change(|all| all.delete_listen_address(address));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::FileNotFound);
    assert!(!store.path().exists());
    store.change(|all| all.add_listen_address(address)).unwrap();
    let twice = store.change(|all| all.add_listen_address(address));
    assert_eq!(twice.unwrap_err().code(), ErrorCode::AlreadyExists);
    assert_eq!(store.read().unwrap().listen_addresses(), [address]);
}

#[test]
fn changes_at_the_same_time_are_all_made() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(HttpStore::at(folder.path().join("http.toml")));
    let writers = (0..4_u8).map(|writer| {
        let store = Arc::clone(&store);
        thread::spawn(move || {
            for number in 0..16_u8 {
                let address = [10, 0, writer, number].into();
                store.change(|all| all.add_listen_address(address)).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.join().unwrap();
    }
    assert_eq!(store.read().unwrap().listen_addresses().len(), 64);
}

#[cfg(unix)]
#[test]
fn a_path_that_cannot_be_written_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let path = std::ffi::OsString::from_vec(vec![b'/', 0xFF]);
    let source = HttpCertificateSource::Folder(path.into());
    let certificate = HttpCertificate::new("ccs:443".parse().unwrap(), source);
    let refused = HttpConfiguration::new().bind_certificate(certificate);
    assert_eq!(code(refused), Some(ErrorCode::NotSupported));
}

#[cfg(unix)]
#[test]
fn whoever_owns_the_file_is_its_administrator() {
    let folder = tempfile::tempdir().unwrap();
    let store = HttpStore::at(folder.path().join("http.toml"));
    assert!(store.caller().unwrap().is_administrator);
    store
        .change(|all| all.set_header_wait_timeout(Some(1)))
        .unwrap();
    assert!(store.caller().unwrap().is_administrator);
}
