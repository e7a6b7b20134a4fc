//! Which offers are taken and what is answered; which answers are taken. RFC 7692 §7.1.

use tidegate_proto::websocket::{
    DeflateAgreement, DeflateParameterError, DeflateResponseError, DeflateSettings, ExtensionList,
};

fn enabled() -> DeflateSettings {
    DeflateSettings {
        enabled: true,
        ..DeflateSettings::default()
    }
}

fn list(text: &str) -> ExtensionList<'_> {
    ExtensionList::parse(text.as_bytes()).expect("a list")
}

fn answer(offers: &str, settings: &DeflateSettings) -> Option<String> {
    DeflateAgreement::negotiate(list(offers), settings).map(|(_, response)| response)
}

/// Windows of server and client, and whether each takes its context over.
fn parts(agreement: DeflateAgreement) -> (u8, u8, bool, bool) {
    (
        agreement.server_max_window_bits,
        agreement.client_max_window_bits,
        !agreement.server_no_context_takeover,
        !agreement.client_no_context_takeover,
    )
}

#[test]
fn offers_are_answered() {
    for (offers, response, agreed) in [
        // Of RFC 7692 §7.1, the examples.
        (
            "permessage-deflate",
            "permessage-deflate",
            (15, 15, true, true),
        ),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=10",
            (10, 15, true, true),
        ),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
             permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10",
            (10, 15, true, true),
        ),
        // As browsers offer it.
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate",
            (15, 15, true, true),
        ),
        // A hint is kept to, so that it is binding.
        (
            "permessage-deflate; client_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=9",
            (15, 9, true, true),
        ),
        (
            "permessage-deflate; client_max_window_bits=15",
            "permessage-deflate",
            (15, 15, true, true),
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
            (15, 15, true, true),
        ),
        (
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
            (8, 8, true, true),
        ),
        (
            "permessage-deflate; server_max_window_bits=\"12\"",
            "permessage-deflate; server_max_window_bits=12",
            (12, 15, true, true),
        ),
        (
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
            (15, 15, false, true),
        ),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            (15, 15, false, false),
        ),
        // Others' extensions are passed over.
        (
            "x-webkit-deflate-frame, foo; bar=1, permessage-deflate",
            "permessage-deflate",
            (15, 15, true, true),
        ),
    ] {
        let (agreement, text) =
            DeflateAgreement::negotiate(list(offers), &enabled()).expect(offers);
        assert_eq!(text, response, "{offers}");
        assert_eq!(parts(agreement), agreed, "{offers}");
    }
}

#[test]
fn wrong_offers_are_declined_and_the_next_is_taken() {
    for offer in [
        "foo",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=+9",
        "server_max_window_bits=0xA",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=010",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "server_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover=1",
        "client_no_context_takeover; client_no_context_takeover",
        "Server_no_context_takeover",
    ] {
        let offer = format!("permessage-deflate; {offer}");
        assert_eq!(answer(&offer, &enabled()), None, "{offer}");
        let offers = format!("{offer}, permessage-deflate; server_max_window_bits=11");
        assert_eq!(
            answer(&offers, &enabled()).as_deref(),
            Some("permessage-deflate; server_max_window_bits=11"),
            "{offer}"
        );
    }
    assert_eq!(answer("permessage-bzip2", &enabled()), None);
    assert_eq!(answer("", &enabled()), None);
}

#[test]
fn settings_shape_the_answer() {
    let small = DeflateSettings {
        server_max_window_bits: 11,
        client_max_window_bits: 10,
        ..enabled()
    };
    let forgetful = DeflateSettings {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..enabled()
    };
    for (settings, offers, response) in [
        (&DeflateSettings::default(), "permessage-deflate", None),
        // A server may say a smaller window of its own unasked, but of the client's only if allowed.
        (&small, "permessage-deflate", None),
        (
            &small,
            "permessage-deflate, permessage-deflate; client_max_window_bits",
            Some("permessage-deflate; server_max_window_bits=11; client_max_window_bits=10"),
        ),
        (
            &small,
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12",
            Some("permessage-deflate; server_max_window_bits=9; client_max_window_bits=10"),
        ),
        (
            &small,
            "permessage-deflate; server_max_window_bits=14; client_max_window_bits=9",
            Some("permessage-deflate; server_max_window_bits=11; client_max_window_bits=9"),
        ),
        (
            &forgetful,
            "permessage-deflate",
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
    ] {
        assert_eq!(answer(offers, settings).as_deref(), response, "{offers}");
    }
}

#[test]
fn a_client_offers_its_settings() {
    for (settings, offer) in [
        (enabled(), "permessage-deflate; client_max_window_bits"),
        (
            DeflateSettings {
                server_max_window_bits: 10,
                client_max_window_bits: 9,
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                ..enabled()
            },
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(DeflateAgreement::offer(&settings), offer);
    }
}

#[test]
fn answers_to_an_offer_are_taken() {
    let small = DeflateSettings {
        server_max_window_bits: 12,
        client_max_window_bits: 10,
        client_no_context_takeover: true,
        ..enabled()
    };
    for (settings, response, agreed) in [
        (&enabled(), "", None),
        (&enabled(), "foo", None),
        (&DeflateSettings::default(), "", None),
        (&enabled(), "permessage-deflate", Some((15, 15, true, true))),
        (
            &enabled(),
            "foo, permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=8; client_max_window_bits=9",
            Some((8, 9, false, false)),
        ),
        // What was promised is kept, said back or not.
        (
            &small,
            "permessage-deflate; server_max_window_bits=12",
            Some((12, 10, true, false)),
        ),
        (
            &small,
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
            Some((9, 8, true, false)),
        ),
    ] {
        let found = DeflateAgreement::from_response(list(response), settings).unwrap();
        assert_eq!(found.map(parts), agreed, "{response}");
    }
}

#[test]
fn answers_to_no_offer_are_errors() {
    let small = DeflateSettings {
        server_max_window_bits: 12,
        client_max_window_bits: 10,
        server_no_context_takeover: true,
        ..enabled()
    };
    let good = "permessage-deflate; server_no_context_takeover";
    let name = "server_max_window_bits";
    for (settings, response, error) in [
        (
            &DeflateSettings::default(),
            "permessage-deflate".to_owned(),
            DeflateResponseError::NotOffered,
        ),
        (
            &enabled(),
            "permessage-deflate, permessage-deflate".to_owned(),
            DeflateResponseError::Repeated,
        ),
        (
            &small,
            "permessage-deflate; server_max_window_bits=12".to_owned(),
            DeflateResponseError::ServerContextTakeover,
        ),
        (
            &small,
            good.to_owned(),
            DeflateResponseError::ServerWindow {
                offered: 12,
                bits: None,
            },
        ),
        (
            &small,
            format!("{good}; server_max_window_bits=13"),
            DeflateResponseError::ServerWindow {
                offered: 12,
                bits: Some(13),
            },
        ),
        (
            &small,
            format!("{good}; server_max_window_bits=12; client_max_window_bits=11"),
            DeflateResponseError::ClientWindow {
                offered: 10,
                bits: Some(11),
            },
        ),
        (
            &enabled(),
            "permessage-deflate; client_max_window_bits".to_owned(),
            DeflateResponseError::ClientWindow {
                offered: 15,
                bits: None,
            },
        ),
        (
            &enabled(),
            "permessage-deflate; foo=1".to_owned(),
            DeflateResponseError::Parameter(DeflateParameterError::Unknown { name: "foo".into() }),
        ),
        (
            &enabled(),
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9".to_owned(),
            DeflateResponseError::Parameter(DeflateParameterError::Repeated { name }),
        ),
        (
            &enabled(),
            "permessage-deflate; server_max_window_bits=16".to_owned(),
            DeflateResponseError::Parameter(DeflateParameterError::Value {
                name,
                value: Some("16".into()),
            }),
        ),
    ] {
        let found = DeflateAgreement::from_response(list(&response), settings);
        assert_eq!(found, Err(error), "{response}");
    }
}

#[test]
fn both_sides_agree_on_the_same() {
    let choices = || [8, 9, 12, 15];
    let mut agreed_count = 0;
    for client_bits in choices() {
        for server_bits in choices() {
            for flags in 0..16 {
                let client = DeflateSettings {
                    client_max_window_bits: client_bits,
                    server_max_window_bits: server_bits,
                    client_no_context_takeover: flags & 1 != 0,
                    server_no_context_takeover: flags & 2 != 0,
                    ..enabled()
                };
                let server = DeflateSettings {
                    client_max_window_bits: server_bits,
                    server_max_window_bits: client_bits,
                    client_no_context_takeover: flags & 4 != 0,
                    server_no_context_takeover: flags & 8 != 0,
                    ..enabled()
                };
                let offer = DeflateAgreement::offer(&client);
                let (agreed, response) =
                    DeflateAgreement::negotiate(list(&offer), &server).unwrap();
                let found = DeflateAgreement::from_response(list(&response), &client);
                assert_eq!(found, Ok(Some(agreed)), "{offer} -> {response}");
                agreed_count += 1;
            }
        }
    }
    assert_eq!(agreed_count, 256);
}

#[test]
fn settings_out_of_range_are_refused() {
    assert_eq!(DeflateSettings::default().check(), Ok(()));
    for (settings, text) in [
        (
            DeflateSettings {
                server_max_window_bits: 7,
                ..enabled()
            },
            "server_max_window_bits is 7, not in 8 to 15",
        ),
        (
            DeflateSettings {
                client_max_window_bits: 16,
                ..enabled()
            },
            "client_max_window_bits is 16, not in 8 to 15",
        ),
        (
            DeflateSettings {
                mem_level: 0,
                ..enabled()
            },
            "mem_level is 0, not in 1 to 9",
        ),
    ] {
        assert_eq!(settings.check().unwrap_err().to_string(), text);
    }
}
