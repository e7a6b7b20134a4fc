//! Properties: inheritance, what acts at once, and what a snapshot keeps. http-server-api §5, §6, Q17.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_engine::{GroupView, Outcome, PortKey};
use tidegate_httpapi::{
    ApiError, BANDWIDTH_INFINITE, EnabledState, ErrorCode, FlowRate, GroupProperties,
    InheritedTimeouts, LogFields, LogFormat, LoggingFault, LoggingProperties, QueueProperties,
    SessionProperties, Timeouts, Verbosity503,
};

use crate::site::{Got, Site, queue};

fn view(site: &mut Site) -> Arc<GroupView<u64>> {
    let snapshot = site.control.snapshot();
    let hosts = snapshot.hosts(PortKey::Tcp(80), "h", None);
    match snapshot.route(hosts, "/") {
        Outcome::Registered(entry) => Arc::clone(&entry.group),
        other => panic!("{other:?}"),
    }
}

fn site() -> Site {
    let mut site = Site::new();
    site.register("http://h:80/", 1);
    site
}

#[test]
fn timers_come_from_group_then_session_then_machine() {
    let mut site = site();
    let (session, group) = (site.session, site.group(1));
    assert_eq!(view(&mut site).timeouts, Timeouts::default());

    let mut properties = SessionProperties::default();
    properties.timeouts.entity_body = Some(Some(Duration::from_secs(7)));
    properties.timeouts.request_queue = Some(None);
    site.control
        .set_session_properties(session, properties)
        .unwrap();
    let mut properties = GroupProperties::default();
    properties.timeouts.entity_body = Some(Some(Duration::from_secs(3)));
    site.control
        .set_group_properties(group, properties)
        .unwrap();

    let timeouts = view(&mut site).timeouts;
    assert_eq!(timeouts.entity_body, Some(Duration::from_secs(3)));
    assert_eq!(timeouts.request_queue, None);
    assert_eq!(timeouts.min_send_rate, Some(150));
    let machine = *site.control.snapshot().machine_timeouts();
    assert_eq!(machine, Timeouts::default());
}

#[test]
fn timers_out_of_their_range_are_refused() {
    let mut site = site();
    let (session, group) = (site.session, site.group(1));
    let zero = Some(Some(Duration::ZERO));
    for timeouts in [
        InheritedTimeouts {
            idle_connection: zero,
            ..Default::default()
        },
        InheritedTimeouts {
            request_queue: zero,
            ..Default::default()
        },
        InheritedTimeouts {
            header_wait: Some(Some(Duration::from_secs(65_535))),
            ..Default::default()
        },
        InheritedTimeouts {
            drain_entity_body: Some(Some(Duration::MAX)),
            ..Default::default()
        },
        InheritedTimeouts {
            min_send_rate: Some(Some(0)),
            ..Default::default()
        },
    ] {
        let mut properties = GroupProperties::default();
        properties.timeouts = timeouts;
        let result = site.control.set_group_properties(group, properties);
        assert!(result.is_err());
        let mut properties = SessionProperties::default();
        properties.timeouts = timeouts;
        let result = site.control.set_session_properties(session, properties);
        assert!(result.is_err());
    }
    assert_eq!(view(&mut site).timeouts, Timeouts::default());
}

#[test]
fn q17_disabled_queue_group_or_session_refuses() {
    let mut site = site();
    let (session, group, queue_id) = (site.session, site.group(1), site.queue(1));

    let mut properties = QueueProperties::default();
    properties.state = EnabledState::Disabled;
    site.control
        .set_queue_properties(queue_id, properties)
        .unwrap();
    assert_eq!(site.get("h", "/"), Got::Unavailable("Disabled"));
    let properties = QueueProperties::default();
    site.control
        .set_queue_properties(queue_id, properties)
        .unwrap();
    assert_eq!(site.get("h", "/"), queue(1));

    let mut properties = GroupProperties::default();
    properties.state = EnabledState::Disabled;
    site.control
        .set_group_properties(group, properties)
        .unwrap();
    assert_eq!(site.get("h", "/"), Got::Unavailable("Disabled"));
    site.control
        .set_group_properties(group, GroupProperties::default())
        .unwrap();

    let mut properties = SessionProperties::default();
    properties.state = EnabledState::Disabled;
    site.control
        .set_session_properties(session, properties)
        .unwrap();
    assert_eq!(site.get("h", "/"), Got::Unavailable("Disabled"));
    // Verbosity is the queue's: without one there is none to ask, whatever else is wrong.
    site.control.bind(group, None).unwrap();
    assert_eq!(site.get("h", "/"), Got::Unavailable("N/A"));
}

#[test]
fn only_state_lengths_and_verbosity_of_a_queue_change() {
    let mut site = site();
    let id = site.queue(1);
    let mut properties = QueueProperties::default();
    properties.queue_length = 5;
    properties.verbosity_503 = Verbosity503::Full;
    properties.content_bytes_max = Some(77);
    properties.thread_pool_size = 7;
    let now = site
        .control
        .set_queue_properties(id, properties.clone())
        .unwrap();
    let view = view(&mut site);
    let seen = &view.queue.as_ref().unwrap().properties;
    for properties in [&now.properties, seen] {
        assert_eq!(properties.queue_length, 5);
        assert_eq!(properties.verbosity_503, Verbosity503::Full);
        assert_eq!(properties.content_bytes_max, Some(77));
        assert_eq!(properties.thread_pool_size, 32);
    }
    properties.queue_length = 0;
    assert!(site.control.set_queue_properties(id, properties).is_err());
    assert_eq!(site.control.queue(id).unwrap().properties.queue_length, 5);
    assert_eq!(site.control.queues().count(), 1);
}

// Q06, across snapshots: the count is the group's, not the snapshot's.
#[test]
fn q06_connections_are_counted_across_snapshots() {
    let mut site = site();
    let group = site.group(1);
    let before = view(&mut site);
    let slot = before.connections.enter(before.connections_max).unwrap();
    let mut properties = GroupProperties::default();
    properties.connections_max = Some(1);
    site.control
        .set_group_properties(group, properties)
        .unwrap();
    let after = view(&mut site);
    assert!(after.connections.enter(after.connections_max).is_none());
    drop(slot);
    assert!(after.connections.enter(after.connections_max).is_some());
}

#[test]
fn snapshot_is_made_anew_only_after_a_change() {
    let mut site = site();
    let first = site.control.snapshot();
    assert!(Arc::ptr_eq(&first, &site.control.snapshot()));
    let (group, queue_id) = (site.group(1), site.queue(1));
    site.control.bind(group, Some(queue_id)).unwrap();
    let second = site.control.snapshot();
    assert_ne!(first.version(), second.version());
    // A session and a group nobody can reach change nothing for workers.
    let session = site.control.create_session();
    site.control.create_group(session).unwrap();
    assert!(Arc::ptr_eq(&second, &site.control.snapshot()));
}

#[test]
fn old_snapshot_stays_as_it_was() {
    let mut site = site();
    let old = site.control.snapshot();
    let _ = site.try_remove("http://h:80/", 1).unwrap();
    assert!(site.control.snapshot().port(PortKey::Tcp(80)).is_none());
    let hosts = old.hosts(PortKey::Tcp(80), "h", None);
    assert!(matches!(old.route(hosts, "/"), Outcome::Registered(_)));
    let port = old.port(PortKey::Tcp(80)).unwrap();
    assert_eq!(port.entries().len(), 1);
    assert_eq!(port.scheme().to_string(), "http");
    assert_eq!(port.key(), PortKey::Tcp(80));
}

#[test]
fn ports_that_did_not_change_keep_their_tables() {
    let mut site = site();
    site.register("http://h:81/", 2);
    let first = site.control.snapshot();
    site.register("http://h:81/a/", 2);
    let second = site.control.snapshot();
    let table = |snapshot: &tidegate_engine::Snapshot<u64>, port| {
        std::ptr::from_ref(snapshot.port(PortKey::Tcp(port)).unwrap())
    };
    assert_eq!(table(&first, 80), table(&second, 80));
    assert_ne!(table(&first, 81), table(&second, 81));
}

// http-server-api §9: a session's log is for all its groups, but those that have their own.
#[test]
fn a_log_comes_from_group_then_session() {
    let mut site = site();
    let (session, group) = (site.session, site.group(1));
    assert_eq!(view(&mut site).log, None);

    let mut properties = SessionProperties::default();
    properties.logging = Some(LoggingProperties::new("/log/all"));
    site.control
        .set_session_properties(session, properties.clone())
        .unwrap();
    let of_session = view(&mut site).log.clone().unwrap();
    assert_eq!(of_session.properties.directory, Path::new("/log/all"));

    let mut own = GroupProperties::default();
    let mut log = LoggingProperties::new("/log/all");
    log.format = LogFormat::Ncsa;
    own.logging = Some(log.clone());
    site.control
        .set_group_properties(group, own.clone())
        .unwrap();
    let of_group = view(&mut site).log.clone().unwrap();
    assert_eq!(of_group.properties.format, LogFormat::Ncsa);
    assert_eq!(site.control.logs().len(), 2);

    // The session's files are its own: nothing changes for who asks for them with other fields.
    log.format = LogFormat::W3c;
    log.fields = LogFields::STATUS;
    own.logging = Some(log);
    let refused = site.control.set_group_properties(group, own).unwrap_err();
    assert!(
        matches!(&refused, ApiError::Logging(LoggingFault::DirectoryTaken(_))),
        "{refused}"
    );
    assert_eq!(refused.code(), ErrorCode::InvalidParameter);
    assert_eq!(view(&mut site).log, Some(of_group));

    properties.logging = None;
    site.control
        .set_session_properties(session, properties)
        .unwrap();
    site.control
        .set_group_properties(group, GroupProperties::default())
        .unwrap();
    assert_eq!(view(&mut site).log, None);
}

// http-server-api T11, §12.
#[test]
fn t11_bandwidth_below_1024_is_refused() {
    let mut site = site();
    let (session, group) = (site.session, site.group(1));
    let of_session = |site: &mut Site, send, receive| {
        let mut properties = SessionProperties::default();
        properties.max_bandwidth = send;
        properties.max_bandwidth_in = receive;
        site.control.set_session_properties(session, properties)
    };
    let of_group = |site: &mut Site, rate, flow_rate| {
        let mut properties = GroupProperties::default();
        properties.max_bandwidth = rate;
        properties.flow_rate = flow_rate;
        site.control.set_group_properties(group, properties)
    };
    let flow = |max_bandwidth, max_peak_bandwidth| {
        Some(FlowRate {
            max_bandwidth,
            max_peak_bandwidth,
            burst_size: 0,
        })
    };
    for refused in [
        of_session(&mut site, Some(1023), None),
        of_session(&mut site, None, Some(0)),
        of_group(&mut site, Some(1023), None),
        of_group(&mut site, None, flow(1023, 4096)),
        of_group(&mut site, None, flow(2048, 2047)),
    ] {
        assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidParameter);
    }
    assert!(!site.control.snapshot().limits_bandwidth());
    for infinite in [None, Some(BANDWIDTH_INFINITE)] {
        of_session(&mut site, infinite, infinite).unwrap();
        of_group(&mut site, infinite, None).unwrap();
        assert!(!site.control.snapshot().limits_bandwidth());
    }
    of_session(&mut site, Some(1024), None).unwrap();
    assert!(site.control.snapshot().limits_bandwidth());
    assert!(view(&mut site).bandwidth.limits_send());
    of_session(&mut site, None, Some(1024)).unwrap();
    assert!(site.control.snapshot().limits_bandwidth());
    assert!(!view(&mut site).bandwidth.limits_send());
    of_session(&mut site, None, None).unwrap();
    of_group(&mut site, Some(1024), None).unwrap();
    assert!(view(&mut site).bandwidth.limits_send());
    of_group(&mut site, None, flow(1024, 1024)).unwrap();
    assert!(site.control.snapshot().limits_bandwidth());
}

#[test]
fn a_bandwidth_is_the_same_in_all_snapshots() {
    let mut site = site();
    let group = site.group(1);
    let before = view(&mut site);
    let mut properties = GroupProperties::default();
    properties.max_bandwidth = Some(2048);
    site.control
        .set_group_properties(group, properties)
        .unwrap();
    // Who still has the view from before keeps to the limit at once.
    assert!(before.bandwidth.limits_send());
    assert!(Arc::ptr_eq(&before.bandwidth, &view(&mut site).bandwidth));
}
