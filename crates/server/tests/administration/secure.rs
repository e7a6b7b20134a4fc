//! Over TLS, where others may reach it.

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use tidegate::{
    AdministrationClient, AdministrationClientError, Io, OperatingMode, RunningServer, SslOptions,
    UpstreamTls,
};

use crate::client::free_port;
use crate::client::setting::{builder, start, stop};
use crate::settings;

#[test]
fn over_tls_the_server_proves_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let certificate = file("a.crt", certificate.pem());
    let key = file("a.key", key.serialize_pem());
    let (port, admin_port) = (free_port(), free_port());
    let mut administration = settings(&folder, admin_port);
    administration.url = format!("https://+:{admin_port}/admin/");
    let server = start(
        builder(Io::Poll, OperatingMode::Classic, port)
            .ssl_options(SslOptions::pem(&certificate, key))
            .administration(administration),
    );
    let told = &RunningServer::list(folder.path()).unwrap()[0];
    assert_eq!(told.url, format!("https://localhost:{admin_port}/admin/"));
    let stranger = AdministrationClient::of(told).unwrap();
    let error = stranger.server().unwrap_err();
    assert!(
        matches!(error, AdministrationClientError::Unreachable { .. }),
        "{error}"
    );
    let mut tls = UpstreamTls::default();
    tls.ca = Some(certificate);
    let client = AdministrationClient::of(told).unwrap().with_tls(tls);
    assert_eq!(client.server().unwrap().process, std::process::id());
    let namespace = client.namespace().unwrap();
    let bound = namespace.tls.iter();
    let names: Vec<_> = bound
        .flat_map(|binding| &binding.certificates)
        .flat_map(|certificate| &certificate.names)
        .collect();
    assert!(names.iter().any(|name| *name == "localhost"), "{names:?}");
    stop(server);
}
