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
fn a_key_of_a_site_is_told() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    assert_eq!(
        first_line("[[files]]\nrot = \"x\""),
        "site.toml, line 2: unknown key `rot` in [[files]]; did you mean `root`?"
    );
    assert_eq!(
        first_line("[[files]]\nmemory_bytes_max = 2000000000"),
        "site.toml, line 2: `files.memory_bytes_max` is 2000000000; allowed: 0 to 1073741824"
    );
    assert_eq!(
        first_line("[[files]]\nprecompressed = [\"brotli\"]"),
        "site.toml, line 2: `files.precompressed` is `brotli`; allowed: br, zstd, gzip"
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
            "cache.max_response_bytes = -1",
            "`cache.max_response_bytes` is integer `-1`; allowed: 4096 to 16777216",
        ),
        (
            "cache.max_bytes = 1",
            "`cache.max_bytes` is 1; allowed: 1048576 to 1099511627776",
        ),
        (
            "cache.scavenger_period = 1.5",
            "`cache.scavenger_period` is 1; allowed: 10 to 86400",
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
            "[websocket.fallback]\nserver_sent_event.enabled = true",
            "line 2: unknown key `server_sent_event` in [websocket.fallback]; did you mean \
             `server_sent_events`?",
        ),
        (
            "[websocket.fallback.server_sent_events]\nenabled = true\nrety = 3",
            "line 3: unknown key `rety` in [websocket.fallback.server_sent_events]; did you mean \
             `retry`?",
        ),
        (
            "[websocket.fallback.server_sent_events]\nretry = 90_000",
            "line 2: `websocket.fallback.server_sent_events.retry` is 90000; allowed: 0 to 86400",
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

#[test]
fn certificates_and_protocols_are_told_like_others() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    let cases = [
        (
            "[ssl]\ncertifcate = 'a'",
            "line 2: unknown key `certifcate` in [ssl]; did you mean `certificate`?",
        ),
        (
            "[[bindings]]\nhost = '+'\nprot = 1",
            "line 3: unknown key `prot` in [[bindings]]; did you mean `port`?",
        ),
        (
            "[[bindings]]\nhost = '+'\nport = 1\n[bindings.ssl]\nkei = 'a'",
            "line 5: unknown key `kei` in [bindings.ssl]; did you mean `key`?",
        ),
        (
            "certificate = 'a'",
            "line 1: unknown key `certificate`; did you mean `certificate` in [ssl]?",
        ),
        (
            "[ssl_options]\ncertificate = 'a'",
            "line 1: unknown key `ssl_options`",
        ),
        (
            "ssl = 1",
            "line 1: `ssl` is integer `1`; allowed: true, false or a table",
        ),
        (
            "[ssl]\ntls12 = 1",
            "line 2: `ssl.tls12` is integer `1`; allowed: true or false",
        ),
        (
            "[ssl]\nclient_certificates = 'requir'",
            "line 2: `ssl.client_certificates` is `requir`; allowed: off, request, require; did you \
             mean `require`?",
        ),
        (
            "[ssl]\nkey = 'a'",
            "line 1: `ssl`: `key` needs `certificate`",
        ),
        (
            "protocols = ['http3']",
            "line 1: `protocols` is `http3`; allowed: http1, http2; did you mean `http1`?",
        ),
        (
            "[http2]\nconcurrent_streams = 1",
            "line 2: unknown key `concurrent_streams` in [http2]; did you mean \
             `concurrent_streams_max`?",
        ),
        (
            "[http2]\npings_per_minute_max = 1",
            "line 2: `http2.pings_per_minute_max` is 1; allowed: 60 to 1000000",
        ),
        (
            "[http2]\ncontinuations_max = -1",
            "line 2: `http2.continuations_max` is integer `-1`; allowed: 1 to 1024",
        ),
        (
            "[http2]\non_flood = 'goaway'",
            "line 2: `http2.on_flood` is `goaway`; allowed: go-away, close; did you mean `go-away`?",
        ),
        (
            "[binding_options]\nconfigure_ssl = false",
            "line 2: unknown key `configure_ssl` in [binding_options]",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(first_line(text), format!("site.toml, {wanted}"));
    }
}

#[test]
fn rules_for_other_origins_are_told_with_what_is_wrong() {
    let first_line = |text: &str| message(text).lines().next().unwrap().to_owned();
    let cases = [
        (
            "[[cors]]\npath = \"/\"\norigin = \"*\"",
            "line 3: unknown key `origin` in [[cors]]; did you mean `origins`?",
        ),
        (
            "[[cors]]\norigins = [\"https://a.example/\"]",
            "line 2: `cors.origins`: `https://a.example/` is no origin as browsers send it: did you mean \
             `https://a.example`?",
        ),
        (
            "[[cors]]\nheaders = \"all\"",
            "line 2: `cors.headers`: `all` is neither a list of names nor `any`",
        ),
        (
            "[[cors]]\norigins = \"*\"\ncredentials = true",
            "line 1: `cors`: other origins at `/`: credentials cannot be allowed for all origins: list those that may",
        ),
        (
            "[event_streams]\nheartbeat = 3601",
            "line 2: `event_streams.heartbeat` is 3601; allowed: 0 to 3600",
        ),
        (
            "[event_streams]\nheartbeet = 1",
            "line 2: unknown key `heartbeet` in [event_streams]; did you mean `heartbeat`?",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(first_line(text), format!("site.toml, {wanted}"));
    }
}

#[test]
fn a_key_of_a_forwarded_path_is_told_as_any_other() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    assert_eq!(
        first_line("[[forward]]\npath = \"/\"\nstrip_pth = true"),
        "site.toml, line 3: unknown key `strip_pth` in [[forward]]; did you mean `strip_path`?"
    );
    assert_eq!(
        first_line("[[forward]]\nto = [\"127.0.0.1:80\"]"),
        "site.toml, line 2: `forward.to`: `127.0.0.1:80` does not begin with http:// or https://"
    );
    assert_eq!(
        first_line("[[forward]]\nbalance = \"round\""),
        "site.toml, line 2: `forward.balance` is `round`; allowed: least-connections, round-robin"
    );
    assert_eq!(
        first_line("[[forward]]\n[forward.health]\nrise = 0"),
        "site.toml, line 3: `forward.health.rise` is 0; allowed: 1 to 1000"
    );
    assert_eq!(
        first_line("[[forward]]\n[forward.tls]\ninsecure = true"),
        "site.toml, line 3: unknown key `insecure` in [forward.tls]"
    );
}

#[test]
fn who_is_believed_what_a_proxy_says_is_told_as_any_other_value() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    let said = first_line("proxy_protocol = [\"192.0.2.0/33\"]");
    assert!(
        said.contains("line 1: `proxy_protocol`") && said.contains("no range"),
        "{said}"
    );
    let said = first_line("proxy_protocol = 1");
    assert!(
        said.ends_with("allowed: true, false, or a list of ranges of addresses"),
        "{said}"
    );
    assert!(parse("proxy_protocol = true").is_ok());
    let own = "bindings = [{ host = \"+\", port = 80, proxy_protocol = [\"192.0.2.7\"] }]";
    assert!(parse(own).is_ok());
    assert!(parse("bindings = [{ unix = \"/a\", proxy_protocol = true }]").is_err());
}

#[test]
fn uploads_are_told_like_others() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    let cases = [
        (
            "[[upload]]\npath = '/drop/'\ndirectory = 'drop'\noverwrit = true",
            "line 4: unknown key `overwrit` in [[upload]]; did you mean `overwrite`?",
        ),
        (
            "[[upload]]\npath = '/drop/'\ndirectory = 'drop'\n[upload.limits]\nfile_max = 1",
            "line 5: unknown key `file_max` in [upload.limits]; did you mean `files_max`?",
        ),
        (
            "[[upload]]\npath = '/drop/'\ndirectory = 'drop'\noverwrite = 1",
            "line 4: `upload.overwrite` is integer `1`; allowed: true or false",
        ),
        (
            "[[upload]]\npath = '/a/'\ndirectory = 'a'\n\n[[upload]]\npath = '/b/'\n\
             directory = 'b'\nlimits = { files_max = 10_001 }",
            "line 8: `upload.limits.files_max` is 10001; allowed: 0 to 10000",
        ),
        (
            "[[upload]]\npath = '/drop/'",
            "line 1: `upload`: missing field `directory`",
        ),
        (
            "[upload]\npath = '/drop/'",
            "line 1: `upload` is map; allowed: a list, of which each table begins with [[upload]]",
        ),
        (
            "[http_upload_files]\nstream_type = 'disk'",
            "line 2: `http_upload_files.stream_type` is `disk`; allowed: memory, file",
        ),
        (
            "[http_upload_files]\nexisting_files = 'replce'",
            "line 2: `http_upload_files.existing_files` is `replce`; allowed: free-name, replace, \
             refuse; did you mean `replace`?",
        ),
        (
            "[http_upload_files]\nsave_dir = 'x'",
            "line 2: unknown key `save_dir` in [http_upload_files]",
        ),
        (
            "[http_upload_files.limits]\npart_head_bytes_max = 1",
            "line 2: `http_upload_files.limits.part_head_bytes_max` is 1; allowed: 256 to 65536",
        ),
        (
            "[http_upload_files]\nmin_size = -1",
            "line 2: `http_upload_files.min_size` is integer `-1`; allowed: a whole number, at least 0",
        ),
        (
            "save_directory = 'x'",
            "line 1: unknown key `save_directory`; did you mean `save_directory` in [http_upload_files]?",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(first_line(text), format!("site.toml, {wanted}"));
    }
    let settings = parse(
        "[http_upload_files]\nstream_type = 'file'\nsave_directory = 'a'\nmin_size = 10\n\
         [[upload]]\npath = '/b/'\ndirectory = 'b'\nmax_request_body_size = 0\n\
         [upload.limits]\nfiles_max = 2\n[[upload]]\npath = '/c/'\ndirectory = 'c'\n",
    )
    .unwrap();
    assert_eq!(settings.http_upload_files.min_size, 10);
    assert_eq!(settings.upload.len(), 2);
    assert_eq!(settings.upload[0].max_request_body_size, Some(0));
    assert_eq!(settings.upload[0].limits.files_max, 2);
    assert_eq!(settings.upload[1].limits.files_max, 100);
}

#[test]
fn a_log_is_told_by_its_names() {
    let first_line = |text| message(text).lines().next().unwrap().to_owned();
    let cases = [
        (
            "[log]\nenable = true",
            "line 2: unknown key `enable` in [log]; did you mean `enabled`?",
        ),
        (
            "[log]\nformat = 'clf'",
            "line 2: `log.format` is `clf`; allowed: w3c, ncsa, iis, json",
        ),
        (
            "[log]\nselection = 'errors'",
            "line 2: `log.selection` is `errors`; allowed: all, errors-only, success-only",
        ),
        (
            "[log]\nrollover = 'dayly'",
            "line 2: `log.rollover` is `dayly`; allowed: size, hourly, daily, weekly, monthly; did you mean \
             `daily`?",
        ),
        (
            "[log]\nrollover_bytes = 1000",
            "line 2: `log.rollover_bytes` is 1000; allowed: 1048576 to 9223372036854775807",
        ),
        (
            "[log]\nfields = []",
            "line 2: `log.fields` is an empty list; allowed: at least one field",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(first_line(text), format!("site.toml, {wanted}"));
    }
    let told = first_line("[log]\nfields = ['date', 'cs(Cookies)']");
    assert!(
        told.starts_with("site.toml, line 2: `log.fields` is `cs(Cookies)`; allowed: date, time, ")
            && told.ends_with("; did you mean `cs(Cookie)`?"),
        "{told}"
    );
    let settings = parse(
        "[log]\nenabled = true\nformat = 'json'\ndirectory = 'a'\nfields = ['c-ip', 'date']\n\
         rollover = 'size'\nrollover_bytes = 2_000_000\nselection = 'errors-only'",
    )
    .unwrap();
    assert!(settings.log.enabled && settings.log.folder().is_absolute());
    let names: Vec<_> = settings.log.fields.names().collect();
    assert_eq!(names, ["date", "c-ip"]);
}
