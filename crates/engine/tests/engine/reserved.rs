//! Who may register where prefixes are reserved for accounts: http-server-api §3, §14.2.

use tidegate_engine::Outcome;
use tidegate_httpapi::{Caller, ErrorCode, Reservation};

use crate::site::{Got, Site, parse, queue};

/// One who registers, by his name.
fn user(name: &str) -> Option<Caller> {
    Some(Caller {
        name: Some(name.to_owned()),
        ..Caller::default()
    })
}

fn reserved(entries: &[(&str, &str)]) -> Vec<Reservation> {
    let reservation = |(prefix, list): &(&str, &str)| Reservation {
        prefix: parse(prefix),
        list: list.parse().unwrap(),
    };
    entries.iter().map(reservation).collect()
}

/// The reservations of R01.
fn adatum() -> Vec<Reservation> {
    reserved(&[
        ("http://+:80/vroot/subdir/", "D:(A;;GA;;;A)(A;;GA;;;C)"),
        ("http://adatum.com:80/vroot/", "D:(A;;GA;;;B)"),
    ])
}

fn check(caller: Option<Caller>, reservations: &[Reservation], prefix: &str, is_allowed: bool) {
    let mut site = Site::new();
    site.control.set_reservations(reservations, caller).unwrap();
    let result = site.try_register(prefix, 1);
    match is_allowed {
        true => drop(result.unwrap()),
        false => assert_eq!(result.unwrap_err().code(), ErrorCode::AccessDenied),
    }
}

// R06, R07, R08: the right is that of the longest reservation of the same host.
#[test]
fn who_is_not_listed_may_not_register() {
    let adatum = adatum();
    for (who, prefix, is_allowed) in [
        ("B", "http://+:80/vroot/subdir/", false),
        ("C", "http://adatum.com:80/vroot/subdir/", false),
        ("A", "http://+:80/vroot/subdir/", true),
        ("A", "http://+:80/VRoot/SubDir/deeper/", true),
        ("A", "http://+:80/vroot/subdirectory/", false),
        ("B", "http://adatum.com:80/vroot/anotherdir/", true),
    ] {
        check(user(who), &adatum, prefix, is_allowed);
    }
}

// R09, R11, R12.
#[test]
fn what_nobody_has_reserved_is_for_administrators() {
    let svc = reserved(&[("http://h:80/svc/", "D:(A;;GX;;;u)")]);
    for (prefix, is_allowed) in [
        ("http://+:80/", false),
        ("http://+:80/x/", false),
        ("http://localhost:80/", true),
        ("http://127.0.0.1:80/", true),
        ("http://[::1]:80/a/", true),
        ("http://h:80/", false),
        ("http://h:80/svc/", true),
    ] {
        check(user("u"), &svc, prefix, is_allowed);
    }
    let administrator = Some(Caller {
        is_administrator: true,
        ..Caller::default()
    });
    check(administrator.clone(), &svc, "http://+:80/", true);
    check(administrator, &svc, "http://h:80/svc/", false);
    check(None, &svc, "http://h:80/svc/", true);
}

#[test]
fn a_loopback_prefix_that_is_reserved_is_for_those_listed() {
    let local = reserved(&[("http://localhost:80/", "D:(A;;GX;;;a)")]);
    check(user("a"), &local, "http://localhost:80/x/", true);
    check(user("b"), &local, "http://localhost:80/x/", false);
}

#[test]
fn a_set_takes_the_place_of_the_last_and_leaves_others() {
    let mut site = Site::new();
    site.register("http://*:80/", 1);
    site.reserve("http://own:80/");
    let first = reserved(&[("http://+:80/a/", "D:(A;;GX;;;u)")]);
    site.control.set_reservations(&first, None).unwrap();
    assert_eq!(site.get("h", "/a/"), Got::ReservedOnly);
    let second = reserved(&[("http://+:80/b/", "D:(A;;GX;;;u)")]);
    site.control.set_reservations(&second, None).unwrap();
    assert_eq!(site.get("h", "/a/"), queue(1));
    assert_eq!(site.get("h", "/b/"), Got::ReservedOnly);
    assert_eq!(site.get("own", "/x"), Got::ReservedOnly);
}

#[test]
fn a_set_that_cannot_be_leaves_all_as_it_was() {
    let mut site = Site::new();
    site.register("http://*:80/", 1);
    let good = reserved(&[("http://+:80/a/", "D:(A;;GX;;;u)")]);
    site.control.set_reservations(&good, None).unwrap();
    for bad in [
        [
            ("http://+:81/", "D:(A;;GX;;;u)"),
            ("https://+:80/", "D:(A;;GX;;;u)"),
        ],
        [
            ("http://+:81/", "D:(A;;GX;;;u)"),
            ("http://+:81/", "D:(A;;GX;;;u)"),
        ],
    ] {
        let error = site.control.set_reservations(&reserved(&bad), user("u"));
        assert_eq!(error.unwrap_err().code(), ErrorCode::AlreadyExists);
        assert_eq!(site.get("h", "/a/"), Got::ReservedOnly);
    }
    // Nobody is asked still.
    site.register("http://+:80/other/", 2);
    let snapshot = site.control.snapshot();
    let port = tidegate_engine::PortKey::Tcp(81);
    let route = snapshot.hosts(port, "h", None);
    assert!(matches!(snapshot.route(route, "/"), Outcome::UnknownHost));
}
