//! Every message about a settings file, as a person reads it.

use super::*;

/// The message about a file with this text.
fn message(text: &str) -> String {
    let (at, problem) = parse(text).unwrap_err();
    let error = FileError {
        path: "site.toml".into(),
        fault: Box::new(FileFault::Content {
            line: at.map(|at| Line::of(text, at)),
            problem,
        }),
    };
    error.to_string()
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_of_its_table() {
    assert_eq!(
        message("io = \"poll\"\n\n[fine_tune]\nqueue_lenght = 10\n"),
        "site.toml, line 4: unknown key `queue_lenght` in [fine_tune]; did you mean `queue_length`?\n\
         \x20 4 | queue_lenght = 10\n\
         \x20   | ^^^^^^^^^^^^"
    );
    assert_eq!(
        message("prot = 8080"),
        "site.toml, line 1: unknown key `prot`; did you mean `port`?\n\
         \x20 1 | prot = 8080\n\
         \x20   | ^^^^"
    );
}

#[test]
fn a_key_in_the_wrong_table_is_told_with_its_own() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    assert_eq!(
        first_line("queue_length = 5"),
        "site.toml, line 1: unknown key `queue_length`; did you mean `queue_length` in [fine_tune]?"
    );
    assert_eq!(
        first_line("[timeouts]\nport = 5"),
        "site.toml, line 2: unknown key `port` in [timeouts]; did you mean `port`, above all tables?"
    );
    assert_eq!(
        first_line("[fine-tune]\nqueue_length = 5"),
        "site.toml, line 1: unknown key `fine-tune`; did you mean `fine_tune`?"
    );
}

#[test]
fn an_unknown_key_like_no_other_is_told_alone() {
    assert_eq!(
        message("certificate_store = 1"),
        "site.toml, line 1: unknown key `certificate_store`\n\
         \x20 1 | certificate_store = 1\n\
         \x20   | ^^^^^^^^^^^^^^^^^"
    );
}

#[test]
fn a_number_out_of_range_is_told_with_the_range() {
    assert_eq!(
        message("io_threads = 2\n[fine_tune]\nqueue_length = 65_536"),
        "site.toml, line 3: `fine_tune.queue_length` is 65536; allowed: 1 to 65535\n\
         \x20 3 | queue_length = 65_536\n\
         \x20   |                ^^^^^^"
    );
    assert_eq!(
        message("[request_limits]\nfield_bytes_max = 1"),
        "site.toml, line 2: `request_limits.field_bytes_max` is 1; allowed: 64 to 65534\n\
         \x20 2 | field_bytes_max = 1\n\
         \x20   |                   ^"
    );
}

#[test]
fn a_number_that_its_kind_cannot_hold_is_told_with_the_range() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    let cases = [
        (
            "port = 70000",
            "`port` is integer `70000`; allowed: 1 to 65535",
        ),
        (
            "io_threads = -1",
            "`io_threads` is integer `-1`; allowed: 1 to 256",
        ),
        (
            "max_connections = -1",
            "`max_connections` is integer `-1`; allowed: 0 to 4294967295",
        ),
        (
            "fine_tune.accepts_per_worker = -1",
            "`fine_tune.accepts_per_worker` is integer `-1`; allowed: 1 to 1024",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(first_line(text), format!("site.toml, line 1: {wanted}"));
    }
}

#[test]
fn a_value_of_another_kind_is_told_with_what_may_be() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    let cases = [
        (
            "port = \"http\"",
            "`port` is string \"http\"; allowed: 1 to 65535",
        ),
        (
            "error_log = 1",
            "`error_log` is integer `1`; allowed: a table",
        ),
        (
            "error_log.enabled = \"no\"",
            "`error_log.enabled` is string \"no\"; allowed: true or false",
        ),
        (
            "shutdown_deadline = -1",
            "`shutdown_deadline` is integer `-1`; allowed: a number of seconds, at least 0",
        ),
        (
            "io = \"iocp\"",
            "`io` is `iocp`; allowed: auto, uring, poll",
        ),
        (
            "verbosity_503 = \"ful\"",
            "`verbosity_503` is `ful`; allowed: basic, limited, full; did you mean `full`?",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(first_line(text), format!("site.toml, line 1: {wanted}"));
    }
}

#[test]
fn a_bad_binding_is_told_with_its_cause() {
    let text = message("bindings = [\n  \"http://+:80/\",\n  \"localhost:80\",\n]");
    assert!(
        text.starts_with("site.toml, line 3: `bindings`: `localhost:80` is no binding: "),
        "{text}"
    );
    assert!(
        text.ends_with("  3 |   \"localhost:80\",\n    |   ^^^^^^^^^^^^^^"),
        "{text}"
    );
}

#[test]
fn what_is_no_toml_is_told_by_its_line() {
    let text = message("port = 1\nio = = 2\n");
    assert!(text.starts_with("site.toml, line 2: "), "{text}");
    assert!(message("port = 1\nport = 2\n").contains("line 2"));
}

#[test]
fn a_file_that_is_not_there_is_told_by_its_name() {
    let error = read(Path::new("no/such/site.toml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the settings file no/such/site.toml"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_settings_file_fills_the_settings() {
    let settings = parse("bindings = [\"http://+:80/a/\"]\n[fine_tune]\nqueue_length = 7").unwrap();
    assert_eq!(settings.fine_tune.queue_length, 7);
    assert_eq!(settings.bindings.len(), 1);
}

#[test]
fn websocket_settings_are_told_like_others() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    let cases = [
        (
            "[websocket]\nmax_mesage_size = 1",
            "line 2: unknown key `max_mesage_size` in [websocket]; did you mean `max_message_size`?",
        ),
        (
            "[websocket.heartbeat]\nintervall = 1",
            "line 2: unknown key `intervall` in [websocket.heartbeat]; did you mean `interval`?",
        ),
        (
            "[websockets]\nrfc6455 = false",
            "line 1: unknown key `websockets`; did you mean `websocket`?",
        ),
        (
            "[heartbeat]\ninterval = 1",
            "line 1: unknown key `heartbeat`; did you mean `heartbeat` in [websocket]?",
        ),
        (
            "origins_allowed = []",
            "line 1: unknown key `origins_allowed`; did you mean `origins_allowed` in \
             [websocket.security]?",
        ),
        (
            "[websocket.per_message_deflate]\nenabled = true\nserver_max_window_bits = 16",
            "line 3: `websocket.per_message_deflate.server_max_window_bits` is 16; allowed: 8 to 15",
        ),
        (
            "[websocket.per_message_deflate]\nmem_level = -1",
            "line 2: `websocket.per_message_deflate.mem_level` is integer `-1`; allowed: 1 to 9",
        ),
        (
            "[websocket]\nqueue.messages = 0",
            "line 2: `websocket.queue.messages` is 0; allowed: 1 to 16777216",
        ),
        (
            "[websocket.queue]\noverflow = \"drop\"",
            "line 2: `websocket.queue.overflow` is `drop`; allowed: wait, drop-oldest, drop-newest, \
             coalesce, disconnect",
        ),
        (
            "[websocket]\nfragmented_messages = \"hole\"",
            "line 2: `websocket.fragmented_messages` is `hole`; allowed: whole, fragments, both; did \
             you mean `whole`?",
        ),
        (
            "[websocket]\nclose_timeout = -5",
            "line 2: `websocket.close_timeout` is integer `-5`; allowed: a number of seconds, at \
             least 0",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(first_line(text), format!("site.toml, {wanted}"));
    }
    let origins =
        first_line("[websocket.security]\norigins_allowed = [\"https://a.example\", \"a b\"]");
    assert!(
        origins.starts_with("site.toml, line 2: `websocket.security.origins_allowed`"),
        "{origins}"
    );
    let text = "[websocket]\nmax_message_size = 1024\n[websocket.security]\norigins_allowed = [\"localhost:*\"]\n\
                [websocket.heartbeat]\nenabled = true\ninterval = 1.5\n";
    let settings = parse(text).unwrap().websocket;
    assert_eq!(settings.max_message_size, 1024);
    assert_eq!(settings.heartbeat.interval.as_millis(), 1500);
}
