//! The reference has all there is, and the guide has the reference.

use std::path::Path;

use super::*;

#[test]
fn every_key_is_told() {
    let tables = Table::all(&schema());
    for key in settings_file::keys() {
        let part = page::part(&tables, &key);
        assert!(part.is_ok(), "{key}: {}", part.unwrap_err());
    }
}

#[test]
fn a_file_may_have_every_key_that_is_told() {
    let keys = settings_file::keys();
    for table in Table::all(&schema()) {
        for key in &table.keys {
            let path = table.key_path(key);
            assert!(keys.contains(&path), "`{path}` is no key");
        }
    }
}

#[test]
fn every_key_means_something() {
    for table in Table::all(&schema()) {
        for key in &table.keys {
            let path = table.key_path(key);
            assert!(!key.meaning.is_empty(), "`{path}` has no documentation");
            assert!(!key.kind.is_empty(), "`{path}` may be nothing");
        }
    }
}

#[test]
fn the_guide_has_the_reference() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/guide/reference.md");
    let made = page::all(&Table::all(&schema()));
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept.trim_end() == made.trim_end(),
        "the guide's reference is not what the code says; renew it with\n\
         cargo run -- reference > crates/server/guide/reference.md"
    );
}

#[test]
fn ranges_and_defaults_come_from_the_code() {
    let tables = Table::all(&schema());
    let told = |key| page::part(&tables, key).unwrap();
    let queue_length = told("fine_tune.queue_length");
    assert!(
        queue_length.contains("*A whole number, 1 to 65535; default `1000`.*"),
        "{queue_length}"
    );
    assert!(told("verbosity_503").contains("`limited`"));
    let time = told("timeouts.header_wait");
    assert!(time.contains("*Seconds; default `120`.*"), "{time}");
    let table = told("websocket.heartbeat");
    assert!(
        table.contains("### `websocket.heartbeat.interval`"),
        "{table}"
    );
    assert!(told("bindings.ssl.pkcs12").contains("PKCS#12"));
}

#[test]
fn an_unknown_key_is_told_with_the_nearest() {
    let unknown = page::part(&Table::all(&schema()), "fine_tune.queue_lenght").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "there is no key `fine_tune.queue_lenght`; did you mean `fine_tune.queue_length`?"
    );
}

#[test]
fn the_schema_is_one_that_editors_take() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema.pointer("/properties/port/maximum"),
        Some(&65_535.into())
    );
}
