//! Certificates and protocols of bindings: what the driver is told, when, and what is taken back.

use std::sync::Arc;

use tidegate_httpapi::{Backend, HttpProtocols, TlsBinding, TlsBindingKey};

use super::backend::TestBackend;
use super::requests::serve;
use crate::{
    Binding, BindingOptions, Error, Server, ServerBuilder, Settings, SslError, SslOptions,
};

fn certificate(name: &str) -> SslOptions {
    SslOptions::pem(name, name)
}

fn binding(text: &str) -> Binding {
    text.parse().unwrap()
}

/// A server on these bindings with the certificate `default`.
fn secured(backend: &Arc<TestBackend>, bindings: &[&str]) -> Server {
    let bindings = bindings.iter().map(|text| binding(text));
    let builder = Server::builder()
        .ssl_options(certificate("default"))
        .bindings(bindings);
    let server = serve(backend, builder);
    backend.calls();
    server
}

/// Changes the settings of a server that runs, and gives the calls to which that leads.
fn restart(
    server: &Server,
    backend: &TestBackend,
    change: impl FnOnce(&mut Settings),
) -> Vec<String> {
    server.configure(change).unwrap();
    server.restart().unwrap();
    server.wait_started().unwrap();
    backend.calls()
}

fn failed(builder: ServerBuilder, backend: &Arc<TestBackend>) -> Error {
    let builder = builder.backend(Arc::clone(backend) as _);
    builder.build().unwrap().run().unwrap_err()
}

#[test]
fn a_certificate_comes_before_its_binding_and_goes_after() {
    let backend = TestBackend::classic();
    let builder = Server::builder()
        .ssl(true)
        .port(443)
        .host("a.example")
        .ssl_options(certificate("a"));
    let server = serve(&backend, builder);
    assert_eq!(
        backend.calls(),
        ["bind a.example:443 a", "add https://a.example:443/"]
    );
    assert_eq!(server.tls_bindings().len(), 1);
    server.stop();
    server.wait_stopped();
    assert_eq!(
        backend.calls(),
        ["close session", "close queue", "unbind a.example:443"]
    );
    assert!(server.tls_bindings().is_empty());
}

#[test]
fn a_server_takes_back_only_what_it_has_set() {
    let backend = TestBackend::classic();
    let foreign: TlsBindingKey = "other.example:443".parse().unwrap();
    let source = certificate("other").certificate.unwrap();
    backend
        .add_tls_binding(&foreign, &TlsBinding::new(source))
        .unwrap();
    let server = secured(&backend, &["https://a.example:443/"]);
    assert_eq!(backend.certificates().len(), 2);
    server.stop();
    server.wait_stopped();
    assert_eq!(backend.certificates(), ["other.example:443 other"]);
    // What is bound by somebody else is not taken over.
    let builder = Server::builder()
        .ssl_options(certificate("a"))
        .bindings([binding("https://other.example:443/")]);
    let error = failed(builder, &backend);
    assert!(
        format!("{error:?}").contains("configure_ssl_certificate"),
        "{error:?}"
    );
    assert_eq!(backend.certificates(), ["other.example:443 other"]);
}

#[test]
fn a_restart_leaves_certificates_that_stay_alone() {
    let backend = TestBackend::classic();
    let server = secured(&backend, &["https://a:1/", "https://b:1/", "http://c:80/"]);
    let calls = restart(&server, &backend, |settings| {
        settings.bindings = vec![
            binding("https://a:1/"),
            binding("https://b:1/").with_ssl(certificate("new")),
            binding("https://d:1/x/"),
            binding("http://c:80/").with_protocols(HttpProtocols::HTTP1),
        ];
    });
    assert_eq!(
        calls,
        [
            "update b:1 new",
            "bind d:1 default",
            "port 80 http1",
            "add https://d:1/x/"
        ]
    );
    let calls = restart(&server, &backend, |settings| settings.bindings.truncate(2));
    assert_eq!(
        calls,
        [
            "remove https://d:1/x/",
            "remove http://c:80/",
            "unbind d:1",
            "port 80 both"
        ]
    );
    // A certificate for all: the listeners stay.
    let calls = restart(&server, &backend, |settings| {
        settings.ssl.options = certificate("other");
    });
    assert_eq!(calls, ["update a:1 other"]);
    assert_eq!(backend.certificates(), ["a:1 other", "b:1 new"]);
}

#[test]
fn a_port_is_told_whose_headers_it_may_believe() {
    let backend = TestBackend::classic();
    let server = secured(&backend, &["http://c:80/"]);
    let from = |range: &str| crate::ProxyProtocol::From(vec![range.parse().unwrap()]);
    let calls = restart(&server, &backend, |settings| {
        settings.proxy_protocol = from("192.0.2.0/24");
    });
    assert_eq!(calls, ["port 80 proxies [192.0.2.0/24]"]);
    let calls = restart(&server, &backend, |settings| {
        let own = binding("http://d:81/").with_proxy_protocol(crate::ProxyProtocol::FromAll);
        settings.bindings.push(own);
        settings.proxy_protocol = crate::ProxyProtocol::Off;
    });
    assert_eq!(
        calls,
        [
            "port 81 proxies [0.0.0.0/0 ::/0]",
            "add http://d:81/",
            "port 80 proxies []"
        ]
    );
    server
        .configure(|settings| {
            let other = binding("http://e:81/").with_proxy_protocol(from("192.0.2.7"));
            settings.bindings.push(other);
        })
        .unwrap();
    server.restart().unwrap();
    let error = server.wait_started().unwrap_err().to_string();
    assert!(error.contains("share port 81"), "{error}");
}

#[test]
fn a_restart_that_fails_leaves_the_certificates_there_were() {
    let backend = TestBackend::classic();
    let server = secured(&backend, &["https://a:1/"]);
    let change = |settings: &mut Settings| {
        settings.bindings = vec![
            binding("https://a:1/").with_ssl(certificate("new")),
            binding("https://b:1/"),
            binding("https://c:1/").with_ssl(certificate("broken")),
        ];
    };
    backend.refuse("broken");
    server.configure(change).unwrap();
    server.restart().unwrap();
    let error = server.wait_started().unwrap_err();
    assert!(matches!(error, Error::Certificate(_)), "{error:?}");
    assert!(format!("{error:?}").contains("because: broken is broken"));
    assert_eq!(backend.certificates(), ["a:1 default"]);
    backend.refuse("https://c:1/");
    server.restart().unwrap();
    assert!(matches!(server.wait_started(), Err(Error::AddressInUse(_))));
    assert_eq!(backend.certificates(), ["a:1 default"]);
    assert_eq!(backend.urls(), [("https://a:1/".to_owned(), 0)]);
}

// A port has one scheme, so this is the one change that cannot be made without a gap.
#[test]
fn a_restart_may_secure_a_port() {
    let backend = TestBackend::classic();
    let server = secured(&backend, &["http://a:1/", "http://b:2/"]);
    let calls = restart(&server, &backend, |settings| {
        settings.bindings[0] = binding("https://a:1/");
    });
    assert_eq!(
        calls,
        ["bind a:1 default", "remove http://a:1/", "add https://a:1/"]
    );
}

#[test]
fn a_full_restart_on_a_given_driver_never_lacks_a_certificate() {
    let backend = TestBackend::classic();
    let server = secured(&backend, &["https://a:1/", "https://b:1/"]);
    let calls = restart(&server, &backend, |settings| {
        settings.thread_pool_size = 5;
        settings.bindings = vec![binding("https://a:1/"), binding("https://c:1/")];
    });
    assert_eq!(
        calls,
        [
            "close session",
            "close queue",
            "bind c:1 default",
            "add https://a:1/",
            "add https://c:1/",
            "unbind b:1",
        ]
    );
    // When the second half fails, nothing is left behind.
    backend.refuse("https://a:1/");
    server
        .configure(|settings| settings.thread_pool_size = 6)
        .unwrap();
    server.restart().unwrap();
    assert!(server.wait_started().is_err());
    assert!(backend.certificates().is_empty());
}

#[test]
fn a_start_that_fails_leaves_nothing_bound() {
    let backend = TestBackend::classic();
    backend.refuse("https://b:1/");
    let builder = Server::builder()
        .ssl_options(certificate("a"))
        .bindings([binding("https://a:1/"), binding("https://b:1/")]);
    assert!(matches!(failed(builder, &backend), Error::AddressInUse(_)));
    assert!(backend.certificates().is_empty());
}

#[test]
fn an_https_binding_without_a_certificate_says_what_is_missing() {
    let backend = TestBackend::classic();
    let error = failed(Server::builder().ssl(true), &backend);
    let binding = "https://localhost:8443/".to_owned();
    assert!(
        matches!(&error, Error::Ssl(error) if *error == SslError::CertificateMissing { binding }),
        "{error:?}"
    );
    assert!(
        format!("{error:?}").contains("set `certificate`"),
        "{error:?}"
    );
    let options = BindingOptions {
        configure_ssl_certificate: false,
    };
    let builder = Server::builder().ssl(true).binding_options(options);
    let _server = serve(&backend, builder);
    assert_eq!(backend.calls(), ["add https://localhost:8443/"]);
}

#[test]
fn certificates_are_read_again_when_asked_for() {
    let backend = TestBackend::classic();
    let server = secured(&backend, &["https://a:1/"]);
    server.reload_certificates().unwrap();
    assert_eq!(backend.calls(), ["reload"]);
    server.stop();
    server.wait_stopped();
    assert!(matches!(
        server.reload_certificates(),
        Err(Error::NotStarted)
    ));
}
