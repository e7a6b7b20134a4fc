//! What may stand beside what, and the objects' own calls: http-server-api §1 to §3.

use std::sync::Arc;

use tidegate_httpapi::{ErrorCode, QueueProperties, ServerSessionId, UrlGroupId, UrlPrefix};

use crate::site::{Got, Site, parse, queue};

#[test]
fn n04_same_prefix_again_exists_already() {
    let mut site = Site::new();
    site.register("http://h:80/barfoo/", 1);
    for (prefix, number) in [
        ("http://h:80/barfoo/", 2),
        ("http://h:80/barfoo", 2),
        ("http://H:80/BarFoo", 2),
        ("http://h:80/barfoo/", 1),
    ] {
        let error = site.try_register(prefix, number).unwrap_err();
        assert_eq!(error.code(), ErrorCode::AlreadyExists, "{prefix}");
    }
    assert_eq!(site.get("h", "/barfoo"), queue(1));
}

#[test]
fn n07_removing_twice_finds_nothing() {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    let _ = site.try_remove("http://h:80/", 1).unwrap();
    let error = site.try_remove("http://h:80/", 1).unwrap_err();
    assert_eq!(error.code(), ErrorCode::FileNotFound);
    assert_eq!(site.get("h", "/"), Got::UnknownHost);
    site.register("http://h:80/", 2);
    assert_eq!(site.get("h", "/"), queue(2));
}

#[test]
fn prefix_is_removed_only_by_its_group() {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    for (prefix, number) in [
        ("http://h:80/", 2),
        ("https://h:80/", 1),
        ("http://h:81/", 1),
    ] {
        let error = site.try_remove(prefix, number).unwrap_err();
        assert_eq!(error.code(), ErrorCode::FileNotFound, "{prefix}");
    }
    assert_eq!(site.get("h", "/"), queue(1));
}

// §2.2.
#[test]
fn buckets_never_conflict() {
    let mut site = Site::new();
    for (number, host) in (1..).zip(["+", "h", "*.h", "10.0.0.4", "[::1]", "*"]) {
        site.register(&format!("http://{host}:80/a/"), number);
        site.reserve(&format!("http://{host}:80/a/"));
    }
    site.register("http://h:80:10.0.0.4/a/", 7);
    site.register("http://h:80:10.0.0.5/a/", 8);
}

#[test]
fn n27_port_carries_one_scheme() {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    let code = |result: Result<_, tidegate_httpapi::ApiError>| result.map(drop).unwrap_err().code();
    assert_eq!(
        code(site.try_register("https://other:80/", 1)),
        ErrorCode::AlreadyExists
    );
    let error = site.try_reserve("https://h:80/").unwrap_err();
    assert_eq!(error.code(), ErrorCode::AlreadyExists);
    assert_eq!(
        error.to_string(),
        "https://h:80/ cannot be added: its port carries http"
    );
    site.register("https://h:443/", 1);
    let _ = site.try_remove("http://h:80/", 1).unwrap();
    site.register("https://h:80/", 1);
}

#[test]
fn reservation_alone_holds_the_scheme() {
    let mut site = Site::new();
    site.reserve("https://h:80/");
    let error = site.try_register("http://h:80/", 1).unwrap_err();
    assert_eq!(error.code(), ErrorCode::AlreadyExists);
    let error = site.try_delete_reservation("http://h:80/").unwrap_err();
    assert_eq!(error.code(), ErrorCode::FileNotFound);
    site.try_delete_reservation("https://h:80/").unwrap();
    site.register("http://h:80/", 1);
}

// §3; R04.
#[test]
fn reservation_is_made_and_deleted_once() {
    let mut site = Site::new();
    site.reserve("http://+:80/vroot/subdir/");
    let error = site.try_reserve("http://+:80/VRoot/subdir").unwrap_err();
    assert_eq!(error.code(), ErrorCode::AlreadyExists);
    let listed: Vec<_> = site
        .control
        .reservations()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listed, ["http://+:80/vroot/subdir/"]);
    site.try_delete_reservation("http://+:80/vroot/subdir/")
        .unwrap();
    let error = site
        .try_delete_reservation("http://+:80/vroot/subdir/")
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::FileNotFound);
    assert_eq!(site.control.reservations().count(), 0);
}

// §3: changes of reservations do not revoke registrations.
#[test]
fn reservation_leaves_registrations_alone() {
    let mut site = Site::new();
    site.register("http://h:80/a/", 1);
    site.reserve("http://h:80/a/");
    assert_eq!(site.get("h", "/a/"), queue(1));
    site.try_delete_reservation("http://h:80/a/").unwrap();
    assert_eq!(site.get("h", "/a/"), queue(1));
    let _ = site.try_remove("http://h:80/a/", 1).unwrap();
    assert_eq!(site.get("h", "/a/"), Got::UnknownHost);
}

// C11.
#[test]
fn closing_a_session_closes_its_groups() {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    let group = site.group(1);
    let session = site.session;
    let change = site.control.close_session(session).unwrap();
    assert_eq!(change.close.len(), 1);
    assert_eq!(site.get("h", "/"), Got::UnknownHost);
    let add = site.control.add_url(group, &parse("http://h:80/"), 0);
    assert_eq!(add.unwrap_err().code(), ErrorCode::InvalidParameter);
    let close = site.control.close_group(group);
    assert_eq!(close.unwrap_err().code(), ErrorCode::InvalidParameter);
    let again = site.control.close_session(session);
    assert_eq!(again.unwrap_err().code(), ErrorCode::InvalidParameter);
}

#[test]
fn closing_a_group_frees_its_prefixes() {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    site.register("http://h:81/", 1);
    let group = site.group(1);
    let change = site.control.close_group(group).unwrap();
    assert_eq!(change.close.len(), 2);
    site.register("http://h:80/", 2);
    assert_eq!(site.get("h", "/"), queue(2));
}

#[test]
fn removing_all_leaves_the_group() {
    let mut site = Site::new();
    let group = site.group(1);
    site.register("http://h:80/", 1);
    site.register("http://h:80/a/", 1);
    site.register("http://h:80/b/", 2);
    let socket = std::path::Path::new("/run/one.sock");
    let _ = site.control.add_unix(group, socket, "/", 0).unwrap();
    let change = site.control.remove_all(group).unwrap();
    assert_eq!((change.open.len(), change.close.len()), (0, 1));
    assert_eq!(site.get("h", "/a/"), Got::UnknownPath);
    assert_eq!(site.get("h", "/b/"), queue(2));
    site.register("http://h:80/", 1);
    assert_eq!(site.get("h", "/"), queue(1));
}

// §4: bindings to a closed queue become unbound.
#[test]
fn closing_a_queue_unbinds_its_groups() {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    let id = site.queue(1);
    let closed = site.control.close_queue(id).unwrap();
    assert_eq!(*closed.queue, 1);
    assert_eq!(site.get("h", "/"), Got::Unavailable("N/A"));
    assert!(site.control.close_queue(id).is_err());
    let group = site.group(1);
    assert!(site.control.bind(group, Some(id)).is_err());
    let other = site.queue(2);
    site.control.bind(group, Some(other)).unwrap();
    assert_eq!(site.get("h", "/"), Got::Queue(2, 1));
}

#[test]
fn unknown_ids_are_invalid_parameters() {
    let mut site = Site::new();
    let control = &mut site.control;
    let prefix = UrlPrefix::parse("http://h:80/").unwrap();
    let (session, group) = (ServerSessionId(0), UrlGroupId(0));
    let socket = std::path::Path::new("/run/one.sock");
    let queue = tidegate_httpapi::RequestQueueId(99);
    let errors = [
        control.create_group(session).map(drop),
        control.close_session(session).map(drop),
        control.set_session_properties(session, Default::default()),
        control.close_group(group).map(drop),
        control.set_group_properties(group, Default::default()),
        control.bind(group, None),
        control.add_url(group, &prefix, 0).map(drop),
        control.add_unix(group, socket, "/", 0).map(drop),
        control.remove_url(group, &prefix).map(drop),
        control.remove_all(group).map(drop),
        control.close_queue(queue).map(drop),
        control
            .set_queue_properties(queue, Default::default())
            .map(drop),
    ];
    for error in errors {
        assert_eq!(error.unwrap_err().code(), ErrorCode::InvalidParameter);
    }
    assert!(control.needed_endpoints().is_empty());
    let properties = QueueProperties::default();
    assert!(control.create_queue(properties, Arc::new(1)).is_ok());
}
