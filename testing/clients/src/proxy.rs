//! nginx and HAProxy in front: what proxies do to requests, the connections they keep, and WebSocket
//! through them. They speak HTTP/1.1 and HTTP/2 with the server, with TLS and without.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::curl::{content, curl};
use crate::error::ClientError;
use crate::expect;
use crate::free_port::free_port;
use crate::process;
use crate::python;
use crate::server::io;
use crate::suite::{Bench, Case};
use crate::wrk;

/// nginx that reads uploads whole, and nginx that passes them on as they come.
pub(crate) const NGINX: &[Case] = &[
    Case {
        name: "buffered",
        run: |bench| through(bench, &nginx("on")),
    },
    Case {
        name: "unbuffered",
        run: |bench| through(bench, &nginx("off")),
    },
    Case {
        name: "WebSocket",
        run: |bench| websocket_through(bench, &nginx("on")),
    },
    Case {
        name: "over TLS",
        run: |bench| through(bench, &nginx_over_tls()),
    },
    Case {
        name: "HTTP/2, as for gRPC",
        run: nginx_by_http2,
    },
];

/// HAProxy, which passes all on as it comes.
pub(crate) const HAPROXY: &[Case] = &[
    Case {
        name: "reused connections",
        run: |bench| through(bench, &haproxy("")),
    },
    Case {
        name: "WebSocket",
        run: |bench| websocket_through(bench, &haproxy("")),
    },
    Case {
        name: "HTTP/2",
        run: |bench| through(bench, &haproxy("proto h2")),
    },
    Case {
        name: "HTTP/2 over TLS",
        run: |bench| through(bench, &haproxy(HAPROXY_TLS)),
    },
    Case {
        name: "HTTP/1.1 over TLS",
        run: |bench| through(bench, &haproxy("alpn http/1.1 check-alpn http/1.1 {tls}")),
    },
    Case {
        name: "WebSocket on HTTP/2 over TLS",
        run: |bench| websocket_through(bench, &haproxy(HAPROXY_TLS)),
    },
];

/// How a proxy is set up and started.
struct Plan {
    program: &'static str,
    flags: &'static [&'static str],
    /// `{front}`, `{back}` and `{tls_back}` stand for ports, `{certificate}` for whom to trust and
    /// `{folder}` for a scratch folder.
    settings: String,
    /// The most content that it passes on while the answer to it arrives.
    echo_bytes_max: u32,
}

fn through(bench: &Bench<'_>, plan: &Plan) -> Result<(), ClientError> {
    let proxy = Proxy::start(bench, plan)?;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", proxy.front);

    let hello = curl(
        &[&url("/hello"), &url("/hello"), "-w", "%{num_connects}"],
        &[],
    )?;
    expect::equal(
        "answers",
        &*process::text(&hello),
        "Hello, World!1Hello, World!0",
    )?;

    let sent = content(plan.echo_bytes_max);
    let posted = curl(&["--data-binary", "@-", &url("/echo")], &sent)?;
    expect::equal("content", &posted.stdout, &sent)?;
    let chunked = curl(&["-T", "-", &url("/echo")], &sent)?;
    expect::equal("content", &chunked.stdout, &sent)?;
    // Answered before it has been read: what is left must not be taken for the next request.
    let large = content(8_000_000);
    for _ in 0..3 {
        let got = curl(
            &[
                "--data-binary",
                "@-",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                &url("/inspect"),
            ],
            &large,
        )?;
        expect::equal("status", &*process::text(&got), "200")?;
    }

    let stream = curl(&[&url("/stream")], &[])?;
    expect::equal("bytes", &stream.stdout.len(), &900)?;
    let large = curl(&[&url("/bytes/20000000")], &[])?;
    expect::equal("bytes", &large.stdout.len(), &20_000_000)?;
    let head = curl(&["-I", "-w", "%{http_code}", &url("/file")], &[])?;
    expect::holds(
        "head",
        process::text(&head).ends_with("\r\n\r\n200"),
        || process::text(&head),
    )?;
    for code in ["204", "304", "404", "500"] {
        let status = url(&format!("/status/{code}"));
        let got = curl(&["-o", "/dev/null", "-w", "%{http_code}", &status], &[])?;
        expect::equal("status", &*process::text(&got), code)?;
    }
    // A connection that the proxy keeps must not close under its next request.
    wrk::load(&url("/hello"), 32, 2)?;
    wrk::load(&url("/stream"), 32, 1)
}

/// A proxy passes the upgrade on, and then bytes as they come.
fn websocket_through(bench: &Bench<'_>, plan: &Plan) -> Result<(), ClientError> {
    let proxy = Proxy::start(bench, plan)?;
    let front = format!("http://127.0.0.1:{}", proxy.front);
    let limit = Duration::from_secs(60);
    python::script_at(bench, "with_websockets.py", &[&front], limit).map(|_| ())
}

fn nginx(buffering: &str) -> Plan {
    Plan {
        program: "nginx",
        flags: &["-p", "{folder}", "-e", "stderr", "-c"],
        settings: NGINX_SETTINGS.replace("{buffering}", buffering),
        // nginx sends no more of a request once the answer has begun, so an echo larger than what the
        // server waits for before it answers never ends, whoever the server is.
        echo_bytes_max: 16_000,
    }
}

fn nginx_over_tls() -> Plan {
    let mut plan = nginx("on");
    plan.settings = plan
        .settings
        .replace("proxy_pass http:", NGINX_TLS)
        .replace("{back}", "{tls_back}");
    plan
}

const NGINX_TLS: &str = "
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {certificate};
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_pass https:";

/// What nginx has for gRPC is HTTP/2 by prior knowledge, whatever goes over it.
fn nginx_by_http2(bench: &Bench<'_>) -> Result<(), ClientError> {
    let mut plan = nginx("on");
    plan.settings = plan.settings.replace("proxy_pass http:", "grpc_pass grpc:");
    let proxy = Proxy::start(bench, &plan)?;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", proxy.front);
    let seen = process::text(&curl(&[&url("/inspect")], &[])?);
    let version = "\"version\": \"HTTP/2\"";
    expect::holds(version, seen.contains(version), || seen.clone())?;
    let sent = content(plan.echo_bytes_max);
    let posted = curl(&["--data-binary", "@-", &url("/echo")], &sent)?;
    expect::equal("content", &posted.stdout, &sent)?;
    for (path, bytes) in [("/stream", 900), ("/bytes/2000000", 2_000_000)] {
        let got = curl(&[&url(path)], &[])?;
        expect::equal(path, &got.stdout.len(), &bytes)?;
    }
    wrk::load(&url("/hello"), 16, 1)
}

/// A proxy in front of the server. Dropping it ends the process.
struct Proxy {
    child: Child,
    front: u16,
}

impl Proxy {
    fn start(bench: &Bench<'_>, plan: &Plan) -> Result<Self, ClientError> {
        let front = free_port();
        let folder = bench.server.folder();
        let fill = |text: &str| {
            text.replace("{front}", &front.to_string())
                .replace("{back}", &bench.server.port().to_string())
                .replace("{tls_back}", &bench.server.tls_port().to_string())
                .replace(
                    "{certificate}",
                    &bench.server.certificate().to_string_lossy(),
                )
                .replace("{folder}", &folder.to_string_lossy())
        };
        let settings = folder.join(format!("{}.conf", plan.program));
        fs::write(&settings, fill(&plan.settings)).map_err(io("writing the proxy's settings"))?;
        let log = fs::File::create(folder.join("proxy.log")).map_err(io("making a file"))?;
        let child = Command::new(find(plan.program))
            .args(plan.flags.iter().map(|flag| fill(flag)))
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|source| ClientError::Start {
                program: plan.program.to_owned(),
                source,
            })?;
        let mut proxy = Self { child, front };
        expect::becomes(
            "the proxy listens",
            Duration::from_secs(10),
            || match proxy.child.try_wait() {
                Ok(None) => Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, front)).is_ok()),
                _ => Err(ClientError::ServerEnded {
                    output: fs::read_to_string(folder.join("proxy.log")).unwrap_or_default(),
                }),
            },
            |listens| *listens,
        )?;
        Ok(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A kill would leave nginx's workers behind.
        process::signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }
}

/// Debian keeps servers where not every account looks for programs.
fn find(program: &str) -> String {
    let beside = format!("/usr/sbin/{program}");
    if Path::new(&beside).exists() {
        beside
    } else {
        program.to_owned()
    }
}

const NGINX_SETTINGS: &str = "
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    client_max_body_size 100m;
    keepalive_requests 1000000;
    upstream tidegate {
        server 127.0.0.1:{back};
        keepalive 64;
        keepalive_requests 1000000;
    }
    server {
        listen 127.0.0.1:{front};
        location / {
            proxy_pass http://tidegate;
            proxy_http_version 1.1;
            proxy_request_buffering {buffering};
            proxy_buffering {buffering};
            proxy_set_header Connection \"\";
            proxy_next_upstream off;
        }
        location /ws {
            proxy_pass http://tidegate;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
}
";

/// HAProxy with flags for how it speaks with the server.
fn haproxy(server: &str) -> Plan {
    let server = server.replace("{tls}", "ssl verify required ca-file {certificate}");
    let port = match server.contains("ssl") {
        true => "{tls_back}",
        false => "{back}",
    };
    Plan {
        program: "haproxy",
        flags: &["-db", "-f"],
        settings: HAPROXY_SETTINGS
            .replace("{server}", &server)
            .replace("{port}", port),
        echo_bytes_max: 8_000_000,
    }
}

/// A WebSocket that comes by an upgrade goes on by extended CONNECT (RFC 8441).
const HAPROXY_TLS: &str = "alpn h2 check-alpn h2 ws h2 {tls}";

const HAPROXY_SETTINGS: &str = "
global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    retries 0
frontend front
    bind 127.0.0.1:{front}
    default_backend back
backend back
    http-reuse always
    option httpchk
    http-check send meth GET uri /hello ver HTTP/1.1 hdr Host health.example
    server tidegate 127.0.0.1:{port} {server} check inter 500ms
";
