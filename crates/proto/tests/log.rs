//! Lines of logs: their exact bytes, and that a reader finds in them what was put there.

use tidegate_httpapi::{LogFields, LogFormat, LogTime, Version};
use tidegate_proto::log::{LogRecord, LogStyle};

fn time() -> LogTime {
    LogTime {
        year: 2026,
        month: 7,
        day: 5,
        hour: 8,
        minute: 45,
        second: 9,
        weekday: 0,
        utc_offset_minutes: 0,
    }
}

fn record() -> LogRecord<'static> {
    LogRecord {
        time: time(),
        millisecond: 7,
        local_time: LogTime {
            hour: 4,
            utc_offset_minutes: -210,
            ..time()
        },
        client: Some("10.0.0.9:2094".parse().expect("an address")),
        server: Some("10.0.0.4:8080".parse().expect("an address")),
        site_name: Some(b"shop 1"),
        computer_name: Some(b"host"),
        user_name: Some(b"alice"),
        method: Some(b"GET"),
        uri_stem: Some(b"/a/b.html"),
        uri_query: Some(b"c=d,e"),
        version: Version::Http11,
        user_agent: Some(b"Mozilla/5.0 (X11; Linux)"),
        cookie: Some(b"a=b; c=d"),
        referer: Some(b"http://x.example/\"q\""),
        host: Some(b"a.example:8080"),
        status: 200,
        substatus: 0,
        win32_status: 0,
        bytes_sent: 1234,
        bytes_received: 99,
        time_taken: 15,
        stream_id: None,
    }
}

/// A record of which nothing is known that need not be.
fn bare() -> LogRecord<'static> {
    LogRecord {
        client: None,
        server: None,
        site_name: None,
        computer_name: None,
        user_name: None,
        uri_query: None,
        user_agent: None,
        cookie: None,
        referer: None,
        host: None,
        ..record()
    }
}

fn style(format: LogFormat) -> LogStyle<'static> {
    LogStyle {
        format,
        fields: LogFields::ALL,
        utf8: true,
        software: "Tidegate 1.2",
    }
}

fn line(style: &LogStyle<'_>, record: &LogRecord<'_>) -> String {
    let mut out = Vec::new();
    style.append_record(&mut out, record);
    let text = String::from_utf8(out).expect("UTF-8");
    text.strip_suffix('\n').expect("a line").to_owned()
}

// http-server-api §9: the order of the fields.
#[test]
fn w3c_fields_stand_in_their_order() {
    let style = style(LogFormat::W3c);
    let mut header = Vec::new();
    style.append_header(&mut header, &time());
    assert_eq!(
        String::from_utf8(header).unwrap(),
        "#Software: Tidegate 1.2\n#Version: 1.0\n#Date: 2026-07-05 08:45:09\n\
         #Fields: date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port \
         cs-username c-ip cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus \
         sc-win32-status sc-bytes cs-bytes time-taken streamid\n"
    );
    assert_eq!(
        line(&style, &record()),
        "2026-07-05 08:45:09 shop+1 host 10.0.0.4 GET /a/b.html c=d,e 8080 alice 10.0.0.9 HTTP/1.1 \
         Mozilla/5.0+(X11;+Linux) a=b;+c=d http://x.example/\"q\" a.example:8080 200 0 0 1234 99 15 -"
    );
    assert_eq!(
        line(&style, &bare()),
        "2026-07-05 08:45:09 - - - GET /a/b.html - - - - HTTP/1.1 - - - - 200 0 0 1234 99 15 -"
    );
}

#[test]
fn w3c_has_the_chosen_fields_only() {
    let mut style = style(LogFormat::W3c);
    style.fields = LogFields::STATUS | LogFields::URI_STEM | LogFields::STREAM_ID;
    let stream = LogRecord {
        stream_id: Some(5),
        win32_status: 64,
        ..record()
    };
    assert_eq!(line(&style, &stream), "/a/b.html 200 5");
}

#[test]
fn a_w3c_line_never_passes_as_a_directive() {
    let mut style = style(LogFormat::W3c);
    style.fields = LogFields::USER_AGENT | LogFields::STATUS;
    let record = LogRecord {
        user_agent: Some(b"#Fields: date"),
        ..record()
    };
    assert_eq!(line(&style, &record), "+Fields:+date 200");
}

#[test]
fn ncsa_is_the_common_log_format_in_local_time() {
    let style = style(LogFormat::Ncsa);
    assert_eq!(
        line(&style, &record()),
        "10.0.0.9 - alice [05/Jul/2026:04:45:09 -0330] \"GET /a/b.html?c=d,e HTTP/1.1\" 200 1234"
    );
    let http2 = LogRecord {
        version: Version::Http2,
        ..bare()
    };
    assert_eq!(
        line(&style, &http2),
        "- - - [05/Jul/2026:04:45:09 -0330] \"GET /a/b.html HTTP/2.0\" 200 1234"
    );
    let mut header = Vec::new();
    style.append_header(&mut header, &time());
    style.append_lost(&mut header, &time(), 3);
    assert!(header.is_empty());
}

#[test]
fn iis_has_fifteen_values_in_local_time() {
    let style = style(LogFormat::Iis);
    assert_eq!(
        line(&style, &record()),
        "10.0.0.9, alice, 07/05/26, 4:45:09, shop+1, host, 10.0.0.4, 15, 99, 1234, 200, 0, GET, \
         /a/b.html, c=d%2Ce,"
    );
    assert_eq!(
        line(&style, &bare()),
        "-, -, 07/05/26, 4:45:09, -, -, -, 15, 99, 1234, 200, 0, GET, /a/b.html, -,"
    );
}

#[test]
fn json_has_a_member_for_each_field_that_is_known() {
    let style = style(LogFormat::Json);
    assert_eq!(
        line(&style, &record()),
        "{\"time\":\"2026-07-05T08:45:09.007Z\",\"site\":\"shop 1\",\"computer\":\"host\",\
         \"server_ip\":\"10.0.0.4\",\"method\":\"GET\",\"path\":\"/a/b.html\",\"query\":\"c=d,e\",\
         \"server_port\":8080,\"user\":\"alice\",\"client_ip\":\"10.0.0.9\",\"version\":\"HTTP/1.1\",\
         \"user_agent\":\"Mozilla/5.0 (X11; Linux)\",\"cookie\":\"a=b; c=d\",\
         \"referer\":\"http://x.example/\\\"q\\\"\",\"host\":\"a.example:8080\",\"status\":200,\
         \"substatus\":0,\"win32_status\":0,\"bytes_sent\":1234,\"bytes_received\":99,\
         \"time_taken_ms\":15}"
    );
    let mut lost = Vec::new();
    style.append_lost(&mut lost, &time(), 3);
    assert_eq!(
        lost,
        b"{\"time\":\"2026-07-05T08:45:09.000Z\",\"records_lost\":3}\n"
    );
}

#[test]
fn lost_records_are_a_remark_of_w3c() {
    let mut out = Vec::new();
    style(LogFormat::W3c).append_lost(&mut out, &time(), 1);
    style(LogFormat::W3c).append_lost(&mut out, &time(), 2);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "#Remark: 1 record lost before this line\n#Remark: 2 records lost before this line\n"
    );
}

/// Bytes that are of interest to a reader more often than others.
fn text(random: &mut Random, max: usize) -> Vec<u8> {
    const PIECES: [&[u8]; 18] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\"",
        b"\\",
        b" ",
        b"\t",
        b",",
        b", ",
        b"#",
        b"[",
        b"]",
        b"\0",
        b"-",
        b"{",
        b"\xff",
        "\u{202e}é\u{2028}".as_bytes(),
        b"\xc3",
    ];
    let mut bytes = Vec::new();
    for _ in 0..random.below(max) {
        match random.below(3) {
            0 => bytes.extend_from_slice(PIECES[random.below(PIECES.len())]),
            1 => bytes.push(random.next() as u8),
            _ => bytes.push(b'a' + random.below(26) as u8),
        }
    }
    bytes
}

/// Source: S. Vigna, SplitMix64, public domain.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Nine texts of a peer, any of which may be missing.
struct Hostile([Option<Vec<u8>>; 9]);

impl Hostile {
    fn new(random: &mut Random) -> Self {
        Self(std::array::from_fn(|_| {
            (random.below(5) > 0).then(|| text(random, 12))
        }))
    }

    fn record(&self) -> LogRecord<'_> {
        let [
            method,
            stem,
            query,
            user,
            agent,
            cookie,
            referer,
            host,
            site,
        ] = &self.0;
        LogRecord {
            method: method.as_deref(),
            uri_stem: stem.as_deref(),
            uri_query: query.as_deref(),
            user_name: user.as_deref(),
            user_agent: agent.as_deref(),
            cookie: cookie.as_deref(),
            referer: referer.as_deref(),
            host: host.as_deref(),
            site_name: site.as_deref(),
            ..record()
        }
    }
}

/// Writes lines about what hostile peers sent, each with what was sent.
fn for_hostile(format: LogFormat, check: impl Fn(&str, &LogRecord<'_>)) {
    let mut random = Random(7);
    for round in 0..5_000 {
        let hostile = Hostile::new(&mut random);
        let record = hostile.record();
        let mut style = style(format);
        style.utf8 = round % 2 == 0;
        let mut out = Vec::new();
        style.append_record(&mut out, &record);
        let text = std::str::from_utf8(&out).expect("UTF-8");
        let line = text.strip_suffix('\n').expect("a line");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        check(line, &record);
    }
}

/// Whether what stands in a line may have come of this text: as long, with `+` for what cannot be shown.
fn may_be(shown: &str, text: Option<&[u8]>) -> bool {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return shown == "-";
    }
    let text = String::from_utf8_lossy(text);
    let shown_letters: String = shown.chars().filter(char::is_ascii_alphabetic).collect();
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    shown_letters == letters
}

#[test]
fn w3c_lines_have_their_fields_whatever_was_sent() {
    for_hostile(LogFormat::W3c, |line, record| {
        let values: Vec<&str> = line.split(' ').collect();
        assert_eq!(values.len(), LogFields::NAMES.len(), "{line:?}");
        assert!(values.iter().all(|value| !value.is_empty()), "{line:?}");
        assert!(!line.starts_with('#'));
        let texts = [
            (2, record.site_name),
            (5, record.method),
            (6, record.uri_stem),
            (7, record.uri_query),
            (9, record.user_name),
            (12, record.user_agent),
            (13, record.cookie),
            (14, record.referer),
            (15, record.host),
        ];
        for (place, text) in texts {
            assert!(may_be(values[place], text), "{place} of {line:?}");
        }
        assert_eq!(values[16], "200");
    });
}

#[test]
fn ncsa_lines_have_their_parts_whatever_was_sent() {
    for_hostile(LogFormat::Ncsa, |line, record| {
        let (head, rest) = line.split_once(" [").unwrap();
        let (time, rest) = rest.split_once("] \"").unwrap();
        let (request, numbers) = rest.split_once("\" ").unwrap();
        assert_eq!(time, "05/Jul/2026:04:45:09 -0330");
        assert_eq!(numbers, "200 1234");
        let head: Vec<&str> = head.split(' ').collect();
        assert_eq!((head.len(), head[0], head[1]), (3, "10.0.0.9", "-"));
        assert!(may_be(head[2], record.user_name), "{line:?}");
        assert!(!request.contains(['"', '\\']), "{line:?}");
        let request: Vec<&str> = request.split(' ').collect();
        assert_eq!((request.len(), request[2]), (3, "HTTP/1.1"), "{line:?}");
    });
}

#[test]
fn iis_lines_have_fifteen_values_whatever_was_sent() {
    for_hostile(LogFormat::Iis, |line, record| {
        let values: Vec<&str> = line.strip_suffix(',').unwrap().split(',').collect();
        assert_eq!(values.len(), 15, "{line:?}");
        assert!(may_be(values[1].trim(), record.user_name), "{line:?}");
        assert!(may_be(values[4].trim(), record.site_name), "{line:?}");
        assert_eq!((values[10], values[0]), (" 200", "10.0.0.9"));
    });
}

#[test]
fn json_lines_give_back_what_was_sent() {
    for_hostile(LogFormat::Json, |line, record| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let members = [
            ("method", record.method),
            ("path", record.uri_stem),
            ("query", record.uri_query),
            ("user", record.user_name),
            ("user_agent", record.user_agent),
            ("cookie", record.cookie),
            ("referer", record.referer),
            ("host", record.host),
            ("site", record.site_name),
        ];
        for (name, text) in members {
            // Where it was text it is the same text.
            let sent = text.map(|text| String::from_utf8_lossy(text).into_owned());
            assert_eq!(value[name].as_str(), sent.as_deref(), "{name} of {line:?}");
        }
        assert_eq!(value["status"], 200);
    });
}
