//! What there is, after a configuration that is known.

use std::time::Duration;

use tidegate::{EnabledState, FineTune, InheritedTimeouts, OperatingMode, Timeouts, Verbosity503};

use crate::client;
use crate::client::setting::{all_settings, builder, in_each_setting, start, stop};

#[test]
fn the_state_is_as_the_settings_say() {
    for (io, operating_mode) in all_settings() {
        let port = client::free_port();
        let timeouts = Timeouts {
            enabled: true,
            header_wait: Duration::from_secs(7),
            min_send_rate: 300,
            ..Timeouts::default()
        };
        let builder = builder(io, operating_mode, port)
            .timeouts(timeouts)
            .verbosity_503(Verbosity503::Full)
            .fine_tune(FineTune {
                operating_mode,
                queue_length: 77,
                ..FineTune::default()
            })
            .bind(&format!("http://localhost:{port}/b/"))
            .bind(&format!("http://localhost:{port}/a/"));
        let server = start(builder);
        let state = server.service_state();
        let [session] = &state.sessions[..] else {
            panic!("{state:?}");
        };
        assert_eq!(session.state, EnabledState::Enabled);
        assert_eq!(session.bandwidth_max, None);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(session.timeouts.header_wait, seconds(7));
        assert_eq!(session.timeouts.request_queue, seconds(120));
        assert_eq!(session.timeouts.min_send_rate, Some(300));
        let [group] = &session.groups[..] else {
            panic!("{state:?}");
        };
        assert_eq!(group.timeouts, InheritedTimeouts::default());
        assert_eq!((group.connections_max, group.is_logged), (None, false));
        let urls: Vec<_> = group.urls.iter().map(ToString::to_string).collect();
        let wanted = ["127.0.0.1", "localhost"];
        assert_eq!(
            urls,
            [
                format!("http://{}:{port}/", wanted[0]),
                format!("http://{}:{port}/a/", wanted[1]),
                format!("http://{}:{port}/b/", wanted[1]),
            ]
        );
        let [queue] = &state.queues[..] else {
            panic!("{state:?}");
        };
        assert_eq!(group.queue, Some(queue.id));
        assert_eq!((queue.requests_max, queue.name.as_deref()), (77, None));
        assert_eq!(queue.verbosity_503, Verbosity503::Full);
        assert_eq!(queue.operating_mode, operating_mode);
        assert_eq!(queue.processes[0].id, std::process::id());
        assert!(queue.processes[0].image.is_some());
        stop(server);
    }
}

#[test]
fn an_operation_has_a_session_and_a_queue_of_its_own() {
    in_each_setting(|builder, _| {
        let mut metrics = tidegate::MetricsSettings::default();
        metrics.enabled = true;
        let port = client::free_port();
        metrics.url = format!("http://localhost:{port}/metrics").parse().unwrap();
        let server = start(builder.metrics(metrics));
        let state = server.service_state();
        assert_eq!((state.sessions.len(), state.queues.len()), (2, 2));
        let operation = state
            .sessions
            .iter()
            .flat_map(|session| &session.groups)
            .find(|group| group.urls[0].to_string().contains("/metrics/"))
            .unwrap();
        let queue = state
            .queues
            .iter()
            .find(|queue| operation.queue == Some(queue.id));
        assert_eq!(queue.unwrap().operating_mode, OperatingMode::Classic);
        let urls: Vec<_> = operation.urls.iter().map(ToString::to_string).collect();
        let hosts = ["127.0.0.1", "[::1]", "localhost"];
        assert_eq!(
            urls,
            hosts.map(|host| format!("http://{host}:{port}/metrics/"))
        );
        // What is told is the same for whoever reads it as JSON.
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(
            serde_json::from_str::<tidegate::ServiceState>(&text).unwrap(),
            state
        );
        stop(server);
    });
}
