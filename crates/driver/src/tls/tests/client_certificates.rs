//! Certificates of clients: asked for or not, required, revoked; and no way round by a resumed session.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, date_time_ymd};
use tempfile::TempDir;
use tidegate_httpapi::{CertificateAuthorities, ClientCertificates, TlsBinding};

use super::peer::{
    Authority, Bound, Identity, VERSIONS, Wire, client, client_showing, only, write,
};

struct Place {
    folder: TempDir,
    authority: Authority,
    server: Identity,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new("clients"),
            server: Identity::self_signed("h"),
        };
        write(
            &place.path("clients.pem"),
            place.authority.certificate.pem(),
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn authorities(&self) -> CertificateAuthorities {
        CertificateAuthorities {
            file: self.path("clients.pem"),
            revocation_lists: None,
        }
    }

    fn binding(&self, rule: ClientCertificates) -> TlsBinding {
        let mut binding = self.server.binding();
        binding.client_certificates = rule;
        binding
    }

    fn revoke(&self, serials: &[u64]) {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2124, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.authority.issuer).unwrap();
        write(&self.path("revoked.pem"), list.pem().unwrap());
    }
}

#[test]
fn the_bindings_rule_is_kept() {
    let place = Place::new();
    let (good, stranger) = (
        place.authority.issue("c", 1),
        Authority::new("x").issue("c", 1),
    );
    let nobody = client(&[&place.server.certificate], &VERSIONS);
    let known = client_showing(&place.server.certificate, &good);
    let unknown = client_showing(&place.server.certificate, &stranger);
    let off = ClientCertificates::Off;
    let request = ClientCertificates::Request(place.authorities());
    let require = ClientCertificates::Require(place.authorities());
    for (rule, client, shown) in [
        (&off, &nobody, Some(0)),
        (&off, &known, Some(0)),
        (&request, &nobody, Some(0)),
        (&request, &known, Some(1)),
        // It may show none, but not any.
        (&request, &unknown, None),
        (&require, &nobody, None),
        (&require, &known, Some(1)),
        (&require, &unknown, None),
    ] {
        let bindings = only(place.binding(rule.clone()));
        let mut client = client.clone();
        client.resumption = rustls::client::Resumption::in_memory_sessions(4);
        let client = Arc::new(client);
        for is_resumed in [false, true] {
            let mut wire = Wire::new(&client, "h", &bindings);
            let settled = wire.settle();
            let info = wire.session.info();
            assert_eq!(
                info.map(|it| it.client_certificates.len()),
                shown,
                "{rule:?}"
            );
            assert_eq!(settled.is_ok(), shown.is_some());
            if let Some(info) = info {
                assert_eq!(info.resumed, is_resumed);
                if shown == Some(1) {
                    assert_eq!(info.client_certificates[0], good.der().as_ref());
                }
            }
        }
    }
}

#[test]
fn what_is_revoked_is_refused() {
    let place = Place::new();
    place.revoke(&[2]);
    let mut authorities = place.authorities();
    authorities.revocation_lists = Some(place.path("revoked.pem"));
    let rule = ClientCertificates::Require(authorities);
    let bound = Bound::new(&[("0.0.0.0:443", place.binding(rule))]);
    let clients = [1, 2].map(|serial| {
        let identity = place.authority.issue("c", serial);
        Arc::new(client_showing(&place.server.certificate, &identity))
    });
    let let_in = |client| {
        let mut wire = Wire::new(client, "h", &bound.bindings());
        let is_in = wire.settle().is_ok();
        assert_eq!(wire.session.is_established(), is_in);
        is_in
    };
    assert!(let_in(&clients[0]));
    assert!(!let_in(&clients[1]));
    // A session that was good before is none when the list has changed.
    place.revoke(&[1, 2]);
    bound.store.reload().unwrap();
    assert!(!let_in(&clients[0]));
}

#[test]
fn a_session_of_one_binding_is_none_of_another() {
    let place = Place::new();
    let require = ClientCertificates::Require(place.authorities());
    let bound = Bound::new(&[
        ("10.0.0.4:443", place.binding(ClientCertificates::Off)),
        ("10.0.0.5:443", place.binding(require.clone())),
    ]);
    for version in VERSIONS {
        let client = Arc::new(client(&[&place.server.certificate], &[version]));
        Wire::established(&client, &bound.bindings());
        assert!(
            Wire::established(&client, &bound.bindings())
                .session
                .info()
                .unwrap()
                .resumed
        );
        let mut wire = Wire::new(&client, "h", &bound.bindings());
        wire.local = "10.0.0.5:443".parse().unwrap();
        assert!(wire.settle().is_err());
        assert!(!wire.session.is_established());
    }
    // Nor of the same, when its rule has changed.
    let client = Arc::new(client(&[&place.server.certificate], &VERSIONS));
    Wire::established(&client, &bound.bindings());
    let key = "10.0.0.4:443".parse().unwrap();
    bound.store.update(&key, &place.binding(require)).unwrap();
    let mut wire = Wire::new(&client, "h", &bound.bindings());
    assert!(wire.settle().is_err());
    assert!(!wire.session.is_established());
}
