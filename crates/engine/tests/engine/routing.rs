//! Who gets a request: http-server-api §2.4, cases N08 to N31.

use tidegate_engine::PortKey;
use tidegate_httpapi::UrlPrefix;

use crate::site::{Got, Site, queue};

/// Three buckets, as in the documentation's example.
fn adatum() -> Site {
    let mut site = Site::new();
    site.register("http://+:80/vroot/", 1);
    site.register("http://adatum.com:80/", 2);
    site.register("http://*:80/", 3);
    site
}

fn only(prefix: &str) -> Site {
    let mut site = Site::new();
    site.register(prefix, 1);
    site
}

#[test]
fn n08_strong_wildcard_comes_first() {
    let mut site = adatum();
    assert_eq!(site.get("adatum.com", "/vroot/subdir/file.htm"), queue(1));
    assert_eq!(site.get("otheradatum.com", "/vroot/x"), queue(1));
}

#[test]
fn n09_explicit_host_comes_before_weak_wildcard() {
    assert_eq!(adatum().get("adatum.com", "/default.htm"), queue(2));
}

#[test]
fn n10_weak_wildcard_gets_the_rest() {
    assert_eq!(adatum().get("otheradatum.com", "/file.htm"), queue(3));
}

#[test]
fn n11_longest_path_of_whole_segments_wins() {
    let mut site = Site::new();
    site.register("http://www.adatum.com:80/", 1);
    site.register("http://www.adatum.com:80/dir/sna/", 2);
    assert_eq!(site.get("www.adatum.com", "/dir/sna/a.htm"), queue(2));
    assert_eq!(site.get("www.adatum.com", "/dir/app.htm"), queue(1));
    assert_eq!(site.get("www.adatum.com", "/dir/snack"), queue(1));
    assert_eq!(site.get("www.adatum.com", "/dir/snack/"), queue(1));
    assert_eq!(site.get("www.adatum.com", "/dir/sn"), queue(1));
}

#[test]
fn n12_path_matches_without_its_final_slash() {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    site.register("http://h:80/foobar/foo/", 2);
    assert_eq!(site.get("h", "/foobar/foo"), queue(2));
    assert_eq!(site.get("h", "/foobar/foo/"), queue(2));
    assert_eq!(site.get("h", "/foobar"), queue(1));
}

#[test]
fn n13_reservation_blocks_lower_buckets() {
    let mut site = only("http://*:80/vroot/");
    site.reserve("http://adatum.com:80/");
    assert_eq!(site.get("adatum.com", "/vroot/f.htm"), Got::ReservedOnly);
    assert_eq!(site.get("other.com", "/vroot/f.htm"), queue(1));
}

#[test]
fn n14_idle_strong_reservation_blocks_all() {
    let mut site = only("http://*:80/");
    site.reserve("http://+:80/");
    assert_eq!(site.get("any.example", "/"), Got::ReservedOnly);
    assert_eq!(site.get("", "/a/b"), Got::ReservedOnly);
}

#[test]
fn n15_deleting_a_reservation_acts_at_once() {
    let mut site = only("http://*:80/");
    site.reserve("http://+:80/");
    assert_eq!(site.get("any.example", "/"), Got::ReservedOnly);
    site.try_delete_reservation("http://+:80/").unwrap();
    assert_eq!(site.get("any.example", "/"), queue(1));
}

#[test]
fn n16_name_is_not_its_address() {
    let mut site = only("http://localhost:80/");
    assert_eq!(
        site.get_via("127.0.0.1", "127.0.0.1", "/"),
        Got::UnknownHost
    );
    assert_eq!(site.get_via("::1", "[::1]:80", "/"), Got::UnknownHost);
    assert_eq!(site.get_via("127.0.0.1", "localhost", "/"), queue(1));
    assert_eq!(site.get_via("127.0.0.1", "LocalHost", "/"), queue(1));
}

// The absolute target's authority is the host: it and nothing else is given to the engine.
#[test]
fn n19_authority_is_the_host() {
    let mut site = only("http://h:80/");
    assert_eq!(site.get("h:80", "/"), queue(1));
    assert_eq!(site.get("ignored", "/"), Got::UnknownHost);
}

#[test]
fn n20_letter_case_of_a_path_does_not_count() {
    let mut site = only("http://h:80/base/");
    assert_eq!(site.get("h", "/base"), queue(1));
    assert_eq!(site.get("h", "/BASE/x"), queue(1));
    assert_eq!(site.get("h", "/basement"), Got::UnknownPath);
    assert_eq!(site.get("h", "/"), Got::UnknownPath);
}

#[test]
fn n21_space_in_a_path() {
    let mut site = only("http://h:80/base path/");
    assert_eq!(site.get("h", "/base path/sub path"), queue(1));
}

#[test]
fn n22_unicode_in_a_path() {
    let mut site = only("http://h:80/漢字/Straße/");
    assert_eq!(site.get("h", "/漢字/STRAßE/x"), queue(1));
    assert_eq!(site.get("h", "/漢/"), Got::UnknownPath);
}

// Cooking has made these of the targets in the cases; see http-server-api §2.3.
#[test]
fn n23_to_n26_cooked_paths_reach_the_prefix() {
    let mut site = only("http://h:80/base/ball/");
    assert_eq!(site.get("h", "/baSe/ball/p1"), queue(1));
    let mut site = only("http://h:80/a/b/");
    assert_eq!(site.get("h", "/a/b/c"), queue(1));
    let mut site = only("http://h:80/");
    assert_eq!(site.get("h", "/a/b/c"), queue(1));
    assert_eq!(site.get("h", "/%2F"), queue(1));
}

#[test]
fn n28_group_without_queue_is_unavailable_until_bound() {
    let mut site = Site::new();
    let group = site.control.create_group(site.session).unwrap();
    let prefix = UrlPrefix::parse("http://h:80/").unwrap();
    let _ = site.control.add_url(group, &prefix, 5).unwrap();
    assert_eq!(site.get("h", "/"), Got::Unavailable("N/A"));
    let number = site.queue(1);
    site.control.bind(group, Some(number)).unwrap();
    assert_eq!(site.get("h", "/"), Got::Queue(1, 5));
    site.control.bind(group, None).unwrap();
    assert_eq!(site.get("h", "/"), Got::Unavailable("N/A"));
}

#[test]
fn n29_prefixes_come_and_go_while_serving() {
    let mut site = only("http://h:80/");
    let group = site.group(1);
    let base = UrlPrefix::parse("http://h:80/pathbase/").unwrap();
    let _ = site.control.add_url(group, &base, 2).unwrap();
    assert_eq!(site.get("h", "/pathbase/"), Got::Queue(1, 2));
    let _ = site.control.remove_url(group, &base).unwrap();
    assert_eq!(site.get("h", "/pathbase/"), Got::Queue(1, 1));
}

#[test]
fn n30_port_of_the_host_does_not_route() {
    let mut site = Site::new();
    site.register("http://h:8080/", 1);
    let got = site.get_at(PortKey::Tcp(8080), "h:80", None, "/");
    assert_eq!(got, queue(1));
    assert_eq!(site.get("h:8080", "/"), Got::UnknownHost);
}

#[test]
fn n31_asterisk_goes_to_the_root() {
    let mut site = only("http://h:80/");
    site.register("http://h:80/a/", 2);
    assert_eq!(site.get("h", ""), queue(1));
}

// §2.4, C10: the registration that un-blocks is one in the bucket of the reservation.
#[test]
fn reservation_is_lifted_by_a_registration_of_its_bucket() {
    let mut site = Site::new();
    site.register("http://adatum.com:80/vroot/", 1);
    site.reserve("http://+:80/vroot/sub/");
    assert_eq!(site.get("adatum.com", "/vroot/sub/x"), Got::ReservedOnly);
    assert_eq!(site.get("adatum.com", "/vroot/y"), queue(1));
    site.register("http://+:80/vroot/sub/", 2);
    assert_eq!(site.get("adatum.com", "/vroot/sub/x"), queue(2));
}

// §2.4.
#[test]
fn nested_prefixes_of_one_host() {
    let mut site = Site::new();
    for (path, number) in [
        ("/", 1),
        ("/11/", 2),
        ("/2/3/", 3),
        ("/2/", 4),
        ("/11/2/", 5),
    ] {
        site.register(&format!("http://h:80{path}"), number);
    }
    for (path, number) in [
        ("/2/3/random", 3),
        ("/2/3", 3),
        ("/2", 4),
        ("/2/", 4),
        ("/2/33", 4),
        ("/11", 2),
        ("/11/2", 5),
        ("/11/22/2", 2),
        ("/random", 1),
        ("/", 1),
    ] {
        assert_eq!(site.get("h", path), queue(number), "{path}");
    }
}

// §2.4.
#[test]
fn address_literal_takes_any_host_on_that_address() {
    let mut site = Site::new();
    site.register("http://10.0.0.4:80/", 1);
    site.register("http://*:80/", 2);
    assert_eq!(site.get_via("10.0.0.4", "any.example", "/"), queue(1));
    assert_eq!(site.get_via("10.0.0.5", "any.example", "/"), queue(2));
    // A socket of both families tells an IPv4 address in its mapped form.
    assert_eq!(
        site.get_via("::ffff:10.0.0.4", "any.example", "/"),
        queue(1)
    );
    assert_eq!(site.get_via("10.0.0.5", "10.0.0.4", "/"), queue(2));
    assert_eq!(site.get("any.example", "/"), queue(2));
}

// §2.4: 400 when the host is unknown, 404 when only the path is.
#[test]
fn unknown_host_is_not_unknown_path() {
    let mut site = only("http://h:80/app/");
    assert_eq!(site.get("h", "/other"), Got::UnknownPath);
    assert_eq!(site.get("other", "/app/"), Got::UnknownHost);
    assert_eq!(site.get("", "/app/"), Got::UnknownHost);
    site.register("http://*:80/x/", 2);
    assert_eq!(site.get("other", "/app/"), Got::UnknownPath);
}

// §2.3: the first bucket that matches decides, even if it cannot serve.
#[test]
fn winner_that_cannot_serve_still_wins() {
    let mut site = only("http://*:80/");
    let group = site.control.create_group(site.session).unwrap();
    let prefix = UrlPrefix::parse("http://h:80/a/").unwrap();
    let _ = site.control.add_url(group, &prefix, 0).unwrap();
    assert_eq!(site.get("h", "/a/b"), Got::Unavailable("N/A"));
    assert_eq!(site.get("h", "/b"), queue(1));
}

// §2.3: where both have the same path, the registration serves.
#[test]
fn registration_serves_where_it_is_reserved() {
    let mut site = only("http://h:80/a/");
    site.reserve("http://h:80/A/");
    site.reserve("http://h:80/a/b/");
    assert_eq!(site.get("h", "/a/x"), queue(1));
    assert_eq!(site.get("h", "/a/b/x"), Got::ReservedOnly);
}

// E1, E2: in the explicit bucket, tied before untied, exact before sub-domains, longer before shorter.
#[test]
fn order_within_the_explicit_bucket() {
    let mut site = Site::new();
    let prefixes = [
        "http://a.b.c:80:10.0.0.4/",
        "http://a.b.c:80/",
        "http://*.b.c:80:10.0.0.4/",
        "http://*.b.c:80/",
        "http://*.c:80:10.0.0.4/",
        "http://*.c:80/",
        "http://10.0.0.4:80/",
        "http://*:80/",
    ];
    for (number, prefix) in (1..).zip(prefixes) {
        site.register(prefix, number);
    }
    for number in [1, 2, 3, 4, 5, 6, 7, 8] {
        assert_eq!(site.get_via("10.0.0.4", "A.b.C", "/x"), queue(number));
        let prefix = prefixes[number as usize - 1];
        let _ = site.try_remove(prefix, number).unwrap();
    }
    assert_eq!(site.get_via("10.0.0.4", "a.b.c", "/x"), Got::UnknownHost);
}

#[test]
fn subdomain_wildcard_means_all_below_and_not_the_name_itself() {
    let mut site = only("http://*.adatum.com:80/");
    assert_eq!(site.get("www.adatum.com", "/"), queue(1));
    assert_eq!(site.get("a.b.Adatum.com:80", "/"), queue(1));
    assert_eq!(site.get("adatum.com", "/"), Got::UnknownHost);
    assert_eq!(site.get("otheradatum.com", "/"), Got::UnknownHost);
}

#[test]
fn tied_name_counts_only_on_its_address() {
    let mut site = only("http://h:80:10.0.0.4/");
    assert_eq!(site.get_via("10.0.0.4", "h", "/"), queue(1));
    assert_eq!(site.get_via("10.0.0.5", "h", "/"), Got::UnknownHost);
    assert_eq!(site.get_via("10.0.0.4", "other", "/"), Got::UnknownHost);
}

// §2.1: IDN allowed, in either spelling on either side.
#[test]
fn unicode_host_is_found_in_both_spellings() {
    let mut site = only("http://Bücher.example:80/");
    assert_eq!(site.get("xn--bcher-kva.example", "/"), queue(1));
    assert_eq!(site.get("BÜCHER.example:80", "/"), queue(1));
    assert_eq!(site.get("bucher.example", "/"), Got::UnknownHost);
}

#[test]
fn strange_hosts_are_no_names() {
    let mut site = only("http://h:80/");
    site.register("http://*.h:80/", 2);
    let long = format!("{}.h", "a".repeat(300));
    for host in [
        "", ":", ".", "[", "]", "h.", "[h]", "\u{0}", "\u{fffd}", "+", "*", &long,
    ] {
        assert_eq!(site.get(host, "/"), Got::UnknownHost, "{host:?}");
    }
}

#[test]
fn local_address_is_asked_for_only_where_it_counts() {
    let mut site = only("http://h:80/");
    let depends = |site: &mut Site| {
        let snapshot = site.control.snapshot();
        snapshot.depends_on_local_address(PortKey::Tcp(80))
    };
    assert!(!depends(&mut site));
    site.register("http://h:80:10.0.0.4/", 2);
    assert!(depends(&mut site));
    let _ = site.try_remove("http://h:80:10.0.0.4/", 2).unwrap();
    assert!(!depends(&mut site));
    site.reserve("http://10.0.0.4:80/");
    assert!(depends(&mut site));
}

#[test]
fn unix_socket_is_routed_by_path_alone() {
    let mut site = only("http://h:80/");
    let (first, second) = (site.group(1), site.group(2));
    let socket = std::path::Path::new("/run/one.sock");
    let _ = site.control.add_unix(first, socket, "/", 10).unwrap();
    let _ = site.control.add_unix(second, socket, "/a", 20).unwrap();
    let needs = site.control.needed_endpoints();
    let unix: Vec<_> = needs
        .iter()
        .filter(|need| matches!(need.port, PortKey::Unix(_)))
        .collect();
    let [need] = unix[..] else {
        panic!("one socket, not {unix:?}")
    };
    for host in ["h", "other", "", "[::1]"] {
        assert_eq!(
            site.get_at(need.port, host, None, "/A/x"),
            Got::Queue(2, 20)
        );
        assert_eq!(site.get_at(need.port, host, None, "/x"), Got::Queue(1, 10));
    }
    assert!(site.control.add_unix(first, socket, "/A/", 0).is_err());
    assert!(site.control.add_unix(first, socket, "a", 0).is_err());
}

#[test]
fn many_prefixes_are_all_found() {
    let mut site = Site::new();
    for number in 0..2_000 {
        let prefix = format!("http://host-{}:80/app-{number}/", number % 20);
        let group = site.group(number % 7);
        let prefix = UrlPrefix::parse(&prefix).unwrap();
        let _ = site.control.add_url(group, &prefix, number).unwrap();
    }
    let deep = format!("http://host-0:80{}", "/x".repeat(50_000));
    site.register(&deep, 8);
    for number in 0..2_000 {
        let host = format!("host-{}", number % 20);
        let got = site.get(&host, &format!("/APP-{number}/y"));
        assert_eq!(got, Got::Queue(number % 7, number));
    }
    assert_eq!(site.get("host-0", &"/X".repeat(50_001)), queue(8));
    assert_eq!(site.get("host-0", &"/X".repeat(49_999)), Got::UnknownPath);
}
