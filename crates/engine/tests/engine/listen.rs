//! Which endpoints the prefixes need: http-server-api §1.

use std::path::Path;

use tidegate_engine::{ListenAt, ListenChange, ListenNeed};

use crate::site::Site;

fn names(needs: &[ListenNeed]) -> Vec<String> {
    needs
        .iter()
        .flat_map(|need| match &need.at {
            ListenAt::Unix(socket) => vec![socket.display().to_string()],
            _ => need.addresses().iter().map(ToString::to_string).collect(),
        })
        .collect()
}

fn check(change: &ListenChange, open: &[&str], close: &[&str]) {
    assert_eq!(
        (names(&change.open), names(&change.close)),
        (owned(open), owned(close))
    );
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

const ANY: [&str; 2] = ["0.0.0.0:80", "[::]:80"];
const LOOPBACK: [&str; 2] = ["127.0.0.1:80", "[::1]:80"];

#[test]
fn each_kind_of_host_needs_its_addresses() {
    for host in ["+", "*", "h", "*.h", "*.localhost", "localhost.example"] {
        let change = Site::new()
            .try_register(&format!("http://{host}:80/"), 1)
            .unwrap();
        check(&change, &ANY, &[]);
    }
    check(
        &Site::new()
            .try_register("http://LocalHost:80/a", 1)
            .unwrap(),
        &LOOPBACK,
        &[],
    );
    check(
        &Site::new().try_register("http://10.0.0.4:80/", 1).unwrap(),
        &["10.0.0.4:80"],
        &[],
    );
    check(
        &Site::new().try_register("http://[fe80::1]:80/", 1).unwrap(),
        &["[fe80::1]:80"],
        &[],
    );
    check(
        &Site::new()
            .try_register("http://h:80:10.0.0.4/", 1)
            .unwrap(),
        &["10.0.0.4:80"],
        &[],
    );
    check(
        &Site::new()
            .try_register("http://localhost:80:[::1]/", 1)
            .unwrap(),
        &["[::1]:80"],
        &[],
    );
}

#[test]
fn port_is_opened_once_and_closed_with_its_last_prefix() {
    let mut site = Site::new();
    check(&site.try_register("http://h:80/", 1).unwrap(), &ANY, &[]);
    check(&site.try_register("http://h:80/a/", 1).unwrap(), &[], &[]);
    check(&site.try_register("http://other:80/", 2).unwrap(), &[], &[]);
    assert_eq!(names(&site.control.needed_endpoints()), ANY);
    check(&site.try_remove("http://h:80/", 1).unwrap(), &[], &[]);
    check(&site.try_remove("http://other:80/", 2).unwrap(), &[], &[]);
    check(&site.try_remove("http://h:80/a/", 1).unwrap(), &[], &ANY);
    assert!(site.control.needed_endpoints().is_empty());
}

#[test]
fn wider_address_covers_the_narrower() {
    let mut site = Site::new();
    check(
        &site.try_register("http://127.0.0.1:80/", 1).unwrap(),
        &["127.0.0.1:80"],
        &[],
    );
    check(
        &site.try_register("http://10.0.0.4:80/", 1).unwrap(),
        &["10.0.0.4:80"],
        &[],
    );
    check(
        &site.try_register("http://127.0.0.2:80/", 1).unwrap(),
        &["127.0.0.2:80"],
        &[],
    );
    check(
        &site.try_register("http://localhost:80/", 1).unwrap(),
        &LOOPBACK,
        &["127.0.0.1:80"],
    );
    check(
        &site.try_register("http://*:80/", 1).unwrap(),
        &ANY,
        &["127.0.0.1:80", "[::1]:80", "10.0.0.4:80", "127.0.0.2:80"],
    );
    check(
        &site.try_remove("http://*:80/", 1).unwrap(),
        &["127.0.0.1:80", "[::1]:80", "10.0.0.4:80", "127.0.0.2:80"],
        &ANY,
    );
    check(
        &site.try_remove("http://localhost:80/", 1).unwrap(),
        &["127.0.0.1:80"],
        &LOOPBACK,
    );
}

#[test]
fn reservations_need_nothing() {
    let mut site = Site::new();
    site.reserve("http://+:80/");
    assert!(site.control.needed_endpoints().is_empty());
    check(
        &site.try_register("http://localhost:80/", 1).unwrap(),
        &LOOPBACK,
        &[],
    );
    check(
        &site.try_remove("http://localhost:80/", 1).unwrap(),
        &[],
        &LOOPBACK,
    );
}

#[test]
fn refused_prefix_changes_nothing() {
    let mut site = Site::new();
    let _ = site.try_register("http://localhost:80/", 1).unwrap();
    let version = site.control.snapshot().version();
    assert!(site.try_register("http://localhost:80/", 2).is_err());
    assert!(site.try_register("https://*:80/", 2).is_err());
    assert_eq!(names(&site.control.needed_endpoints()), LOOPBACK);
    assert_eq!(site.control.snapshot().version(), version);
}

#[test]
fn unix_socket_is_opened_once() {
    let mut site = Site::new();
    let group = site.group(1);
    let socket = Path::new("/run/one.sock");
    let first = site.control.add_unix(group, socket, "/", 0).unwrap();
    check(&first, &["/run/one.sock"], &[]);
    check(
        &site.control.add_unix(group, socket, "/a", 0).unwrap(),
        &[],
        &[],
    );
    check(
        &site.control.remove_unix(group, socket, "/").unwrap(),
        &[],
        &[],
    );
    let last = site.control.remove_unix(group, socket, "/A/").unwrap();
    check(&last, &[], &["/run/one.sock"]);
    assert!(site.control.remove_unix(group, socket, "/a").is_err());
    let again = site.control.add_unix(group, socket, "/", 0).unwrap();
    assert_ne!(again.open[0].port, first.open[0].port);
}

// §10: the list of addresses is for what has neither an address nor a loopback one.
#[test]
fn a_list_of_addresses_takes_the_place_of_any() {
    let mut site = Site::new();
    let listed = |site: &mut Site, addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        site.control.set_listen_addresses(addresses.collect()).1
    };
    check(&listed(&mut site, &["10.0.0.4", "127.0.0.1"]), &[], &[]);
    let change = site.try_register("http://+:80/", 1).unwrap();
    check(&change, &["10.0.0.4:80", "127.0.0.1:80"], &[]);
    // Of loopback both families are needed.
    let change = site.try_register("http://localhost:80/", 1).unwrap();
    check(&change, &LOOPBACK, &["127.0.0.1:80"]);
    let change = site.try_register("http://10.0.0.5:80/", 1).unwrap();
    check(&change, &["10.0.0.5:80"], &[]);
    // 0.0.0.0 has all of its family, and covers what of it is listed besides.
    let change = listed(&mut site, &["0.0.0.0", "10.0.0.4"]);
    check(&change, &["0.0.0.0:80"], &["10.0.0.4:80", "10.0.0.5:80"]);
    let change = listed(&mut site, &[]);
    check(&change, &ANY, &["127.0.0.1:80", "[::1]:80", "0.0.0.0:80"]);
}
