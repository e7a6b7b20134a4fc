//! Upstreams that are reached by TLS, and ones that speak HTTP/2.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tidegate::{
    Binding, CertificateAuthorities, ClientCertificates, ForwardSettings, HttpProtocols, Server,
    ServerBuilder, SslOptions, UpstreamHttp2, Version,
};

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::upstream::PATIENCE;
use crate::{http2_client, to_port};

/// An authority, and certificates of it, in files.
struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { folder, issuer }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `NAME.crt` and `NAME.key`.
    fn issue(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// An upstream with the certificate of this name. It echoes, and tells of versions and trailers.
    fn upstream(
        &self,
        name: &str,
        protocols: HttpProtocols,
        set: impl FnOnce(&mut SslOptions),
    ) -> (Server, u16) {
        self.issue(name);
        let port = free_port();
        let certificate = self.file(&format!("{name}.crt"));
        let mut options = SslOptions::pem(certificate, self.file(&format!("{name}.key")));
        set(&mut options);
        let binding = Binding::https("127.0.0.1", port, "/").unwrap();
        let binding = binding.with_ssl(options).with_protocols(protocols);
        let server = start(echoing(Server::builder().bindings([binding])));
        (server, port)
    }

    /// Forwards to this port by TLS, trusting the authority.
    fn to(&self, port: u16) -> ForwardSettings {
        let mut settings = to_port(port);
        settings.to = vec![format!("https://127.0.0.1:{port}").parse().unwrap()];
        settings.tls.ca = Some(self.file("ca.pem"));
        settings
    }
}

fn echoing(builder: ServerBuilder) -> ServerBuilder {
    builder.on_http_request_async(|request, mut response| async move {
        let version = match request.version() {
            Version::Http2 => "2",
            _ => "1.1",
        };
        response.header("X-Version", version);
        response.header("Trailer", "X-Sum").trailer("X-Sum", "7");
        if let Some(tls) = request.tls() {
            response.header("X-Certificates", tls.client_certificates.len().to_string());
            let name = tls.server_name.as_deref().unwrap_or("-").to_owned();
            response.header("X-Name", name);
        }
        if request.document() == "/reset" {
            response.reset(0x8);
            return response;
        }
        match request.content_async().await {
            Ok(content) => response.bytes(content.to_vec()),
            Err(error) => {
                response.status(error.status());
            }
        }
        response
    })
}

fn reasons(builder: ServerBuilder) -> (ServerBuilder, Receiver<String>) {
    let (sender, told) = channel();
    let sender = Mutex::new(sender);
    let builder = builder.on_after_forward_http(move |_, _, error| {
        if let Some(error) = error {
            sender.lock().unwrap().send(error.to_string()).unwrap();
        }
    });
    (builder, told)
}

#[test]
fn requests_go_over_tls_in_the_version_that_is_agreed_upon() {
    let certificates = Certificates::new();
    let cases = [
        (HttpProtocols::BOTH, UpstreamHttp2::Auto, "2"),
        (HttpProtocols::BOTH, UpstreamHttp2::Never, "1.1"),
        (HttpProtocols::BOTH, UpstreamHttp2::Always, "2"),
        (HttpProtocols::HTTP1, UpstreamHttp2::Auto, "1.1"),
    ];
    for (offered, wanted, version) in cases {
        let (inner, inner_port) = certificates.upstream("127.0.0.1", offered, |_| {});
        in_each_setting(|builder, port| {
            let mut settings = certificates.to(inner_port);
            settings.http2 = wanted;
            let server = start(builder.forward(settings));
            let mut client = Client::connect(port);
            let large = "0123456789abcdef".repeat(60_000);
            for content in ["", "small", &large] {
                let answer = client.exchange("/", content);
                assert_eq!(answer.status, 200);
                assert_eq!(answer.field("X-Version"), Some(version));
                assert_eq!(answer.text(), content);
            }
            assert_eq!(
                client.request_chunked("/", &["one ", "two"]).text(),
                "one two"
            );
            let answer = client.request_expecting_continue("/", "hello");
            assert_eq!(answer.text(), "hello");
            assert_eq!(client.head("HEAD", "/").status, 200);
            drop(client);
            stop(server);
        });
        stop(inner);
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_502() {
    let certificates = Certificates::new();
    let strangers = Certificates::new();
    let (other_name, other_port) =
        certificates.upstream("other.example", HttpProtocols::BOTH, |_| {});
    let (stranger, stranger_port) = strangers.upstream("127.0.0.1", HttpProtocols::BOTH, |_| {});
    in_each_setting(|builder, port| {
        let (builder, told) = reasons(builder);
        let mut named = certificates.to(other_port);
        named.path = "/named".to_owned();
        named.tls.server_name = Some("other.example".to_owned());
        let mut unverified = certificates.to(stranger_port);
        unverified.path = "/unverified".to_owned();
        unverified.tls.ca = None;
        unverified.tls.danger_accept_invalid_certificates = true;
        let mut unknown = certificates.to(stranger_port);
        unknown.path = "/unknown".to_owned();
        // Whoever speaks no TLS.
        let mut plain = certificates.to(port);
        plain.path = "/plain".to_owned();
        let settings = [
            certificates.to(other_port),
            named,
            unverified,
            unknown,
            plain,
        ];
        let builder = settings.into_iter().fold(builder, ServerBuilder::forward);
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(client.get("/").status, 502);
        let said = told.recv_timeout(PATIENCE).unwrap();
        assert!(
            said.contains("TLS failed") && said.contains("not valid for name"),
            "{said}"
        );
        let answer = client.get("/named");
        assert_eq!(
            (answer.status, answer.field("X-Name")),
            (200, Some("other.example"))
        );
        assert_eq!(client.get("/unverified").status, 200);
        assert_eq!(client.get("/unknown").status, 502);
        let said = told.recv_timeout(PATIENCE).unwrap();
        assert!(said.contains("invalid peer certificate"), "{said}");
        assert_eq!(client.get("/plain").status, 502);
        assert!(told.recv_timeout(PATIENCE).unwrap().contains("TLS failed"));
        drop(client);
        stop(server);
    });
    stop(other_name);
    stop(stranger);
}

#[test]
fn an_upstream_is_shown_the_certificate_that_it_asks_for() {
    let certificates = Certificates::new();
    certificates.issue("client");
    let authorities = certificates.file("ca.pem");
    let (inner, inner_port) = certificates.upstream("127.0.0.1", HttpProtocols::BOTH, |options| {
        options.client_certificates = ClientCertificates::Require(CertificateAuthorities {
            file: authorities,
            revocation_lists: None,
        });
    });
    in_each_setting(|builder, port| {
        let mut settings = certificates.to(inner_port);
        let mut without = settings.clone();
        without.path = "/without".to_owned();
        settings.tls.certificate = Some(certificates.file("client.crt"));
        settings.tls.key = Some(certificates.file("client.key"));
        let server = start(builder.forward(settings).forward(without));
        let mut client = Client::connect(port);
        let answer = client.get("/");
        assert_eq!(
            (answer.status, answer.field("X-Certificates")),
            (200, Some("1"))
        );
        assert_eq!(client.get("/without").status, 502);
        drop(client);
        stop(server);
    });
    stop(inner);
}

#[test]
fn websockets_go_over_tls_by_http_1() {
    let certificates = Certificates::new();
    certificates.issue("127.0.0.1");
    let inner_port = free_port();
    let options = SslOptions::pem(
        certificates.file("127.0.0.1.crt"),
        certificates.file("127.0.0.1.key"),
    );
    let binding = Binding::https("127.0.0.1", inner_port, "/").unwrap();
    let inner = Server::builder()
        .bindings([binding.with_ssl(options)])
        .on_message(|connection, text| connection.send_text(text));
    let inner = start(inner);
    in_each_setting(|builder, port| {
        let server = start(builder.forward(certificates.to(inner_port)));
        let mut socket = crate::websocket::WebSocket::connect(port);
        for size in [5, 100_000, 1_000_000] {
            let text = "x".repeat(size);
            socket.write_later(&crate::websocket::encoded(
                crate::websocket::frame(tidegate_proto::websocket::Opcode::Text, true),
                text.as_bytes(),
            ));
            assert_eq!(socket.hear_text(), text);
        }
        socket.leave();
        stop(server);
    });
    stop(inner);
}

#[test]
fn http2_goes_to_http2_by_prior_knowledge_with_trailers_and_resets() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let builder_inner = Server::builder().host("127.0.0.1").port(inner_port);
        let inner = start(echoing(builder_inner.protocols(HttpProtocols::HTTP2)));
        let mut settings = to_port(inner_port);
        settings.http2 = UpstreamHttp2::Always;
        let server = start(builder.forward(settings));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            let content = vec![7; 300_000];
            for tells_length in [true, false] {
                let answer = client.post("/", &content, tells_length).await;
                assert_eq!((answer.status.as_u16(), &answer.content), (200, &content));
                assert_eq!(answer.fields["x-version"], "2");
                assert_eq!(answer.trailers.unwrap()["x-sum"], "7");
            }
            let gets = (0..20).map(|_| client.get("/"));
            for answer in futures_util::future::join_all(gets).await {
                assert_eq!(answer.unwrap().status, 200);
            }
            assert_eq!(client.get("/reset").await.unwrap().status, 502);
            assert_eq!(client.get("/").await.unwrap().status, 200);
        });
        stop(server);
        stop(inner);
    });
}

// An upstream that has been started anew has closed its connections: the next request opens one.
#[test]
fn an_http2_upstream_may_be_started_anew() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let begin = || {
            let inner = Server::builder().host("127.0.0.1").port(inner_port);
            start(echoing(inner.protocols(HttpProtocols::HTTP2)))
        };
        let inner = begin();
        let mut settings = to_port(inner_port);
        settings.http2 = UpstreamHttp2::Always;
        let server = start(builder.forward(settings));
        let mut client = Client::connect(port);
        assert_eq!(client.get("/").status, 200);
        stop(inner);
        let inner = begin();
        assert_eq!(client.get("/").status, 200);
        drop(client);
        stop(server);
        stop(inner);
    });
}
