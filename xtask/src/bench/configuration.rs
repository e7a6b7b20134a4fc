//! Configurations of the peers that are configured by a file.
//!
//! All paths in them are absolute and in the run's scratch folder; logs are off, keep-alive does not
//! end, and there is one process with one thread.

use super::machine;
use super::places::Places;
use super::server::{Duty, upstream_url};

/// One process, no logs, answers from the configuration itself.
///
/// It discards the content of an upload, but over HTTP/2 answers such a request before it has come;
/// there its echo module reads it into memory.
pub(crate) fn nginx(places: &Places, port: u16, duty: Duty) -> String {
    let scratch = places.scratch.display();
    let user = if machine::is_root() { "user root;" } else { "" };
    let (hello, json) = (bench_answers::HELLO, bench_answers::json());
    let uploaded = bench_answers::UPLOADED;
    let modules = if matches!(duty, Duty::Tls) {
        "load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;\n"
    } else {
        ""
    };
    let upstream = upstream_url(duty);
    let pool = match upstream.strip_prefix("http://") {
        Some(address) => format!(
            "proxy_cache_path {scratch}/nginx-cache keys_zone=bench:1m;\n\
             upstream upstream {{ server {address}; keepalive 128; keepalive_requests 1000000000; }}\n"
        ),
        None => String::new(),
    };
    let own = match duty {
        Duty::Forward(_) => String::new(),
        _ => format!(
            "location = /hello {{ return 200 \"{hello}\"; }}\n\
             location = /json {{ default_type application/json; return 200 '{json}'; }}\n"
        ),
    };
    let listen = match duty {
        Duty::Tls => format!(
            "listen 127.0.0.1:{port} ssl http2 backlog=4096;\n\
             ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;\n\
             location = /download {{ root {}; default_type application/octet-stream; }}\n\
             location = /upload {{\n\
             if ($server_protocol = HTTP/1.1) {{ return 200 \"{uploaded}\"; }}\n\
             echo_read_request_body; echo -n \"{uploaded}\";\n\
             }}",
            places.certificate().display(),
            places.key().display(),
            places.www().display(),
        ),
        Duty::Http2 => format!("listen 127.0.0.1:{port} http2 backlog=4096;"),
        Duty::Files => format!(
            "listen 127.0.0.1:{port} backlog=4096; sendfile on; tcp_nopush on;\n\
             location /files/ {{ alias {}/; default_type application/octet-stream; }}",
            places.www().display()
        ),
        // The buffer is nginx's own default; the long one is for content that is not kept.
        Duty::Uploads => format!(
            "listen 127.0.0.1:{port} backlog=4096;\n\
             location /uploads/ {{ alias {}/; dav_methods PUT; client_body_buffer_size 16k; }}",
            places.uploads().display()
        ),
        Duty::Cache(_) => format!(
            "listen 127.0.0.1:{port} backlog=4096;\n\
             location = /cached {{\n\
             proxy_pass {upstream}/hello; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             proxy_cache bench; proxy_cache_valid 200 1h;\n\
             }}"
        ),
        Duty::Forward(_) => format!(
            "listen 127.0.0.1:{port} backlog=4096;\n\
             location / {{\n\
             proxy_pass http://upstream; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             proxy_set_header Host $http_host;\n\
             }}"
        ),
        _ => format!("listen 127.0.0.1:{port} backlog=4096;"),
    };
    format!(
        "{modules}\
         worker_processes 1; daemon off; master_process off; worker_rlimit_nofile 20000; {user}\n\
         pid {scratch}/nginx.pid; error_log {scratch}/nginx.log;\n\
         events {{ worker_connections 15000; multi_accept on; }}\n\
         http {{\n\
         access_log off; tcp_nodelay on; default_type text/plain;\n\
         keepalive_requests 1000000000; keepalive_timeout 3600;\n\
         client_max_body_size 0; client_body_buffer_size 11m;\n\
         open_file_cache max=16 inactive=600s; open_file_cache_valid 600s;\n\
         client_body_temp_path {scratch}/nginx-body; proxy_temp_path {scratch}/nginx-proxy;\n\
         fastcgi_temp_path {scratch}/nginx-fastcgi; uwsgi_temp_path {scratch}/nginx-uwsgi;\n\
         scgi_temp_path {scratch}/nginx-scgi;\n\
         {pool}server {{\n\
         {listen}\n\
         {own}\
         }} }}\n"
    )
}

/// One thread; the answers are files, which is what h2o serves by itself, but for uploads, which it
/// reads whole and gives to a script.
pub(crate) fn h2o(places: &Places, port: u16, duty: Duty) -> String {
    let user = if machine::is_root() {
        "user: root\n"
    } else {
        ""
    };
    let (tls, upload) = if matches!(duty, Duty::Tls) {
        (
            format!(
                ", ssl: {{ certificate-file: {}, key-file: {} }}",
                places.certificate().display(),
                places.key().display()
            ),
            format!(
                "/upload: {{ mruby.handler: 'Proc.new {{ |env| [200, {{\"content-type\" => \"text/plain\", \
                 \"content-length\" => \"{}\"}}, [\"{}\"]] }}' }}, ",
                bench_answers::UPLOADED.len(),
                bench_answers::UPLOADED
            ),
        )
    } else {
        (String::new(), String::new())
    };
    let answers = match duty {
        Duty::Forward(_) => format!(
            "/: {{ proxy.reverse.url: \"{}/\", proxy.preserve-host: ON }}",
            upstream_url(duty)
        ),
        Duty::Files => format!("/files: {{ file.dir: {} }}", places.www().display()),
        _ => format!("{upload}/: {{ file.dir: {} }}", places.www().display()),
    };
    format!(
        "{user}num-threads: 1\nmax-connections: 15000\nhttp1-request-timeout: 3600\n\
         http2-idle-timeout: 3600\n\
         listen: {{ host: 127.0.0.1, port: {port}{tls} }}\n\
         hosts: {{ default: {{ paths: {{ {answers} }} }} }}\n"
    )
}

/// One thread; answers from memory. haproxy adds no `Date`. `http-ignore-probes`: it says nothing to a
/// peer that ends without a request.
pub(crate) fn haproxy(places: &Places, port: u16, duty: Duty) -> String {
    let (hello, json) = (bench_answers::HELLO, places.www().join("json"));
    let upstream = upstream_url(duty);
    let upstream = upstream.trim_start_matches("http://");
    let server = format!(
        "backend upstream\n option http-keep-alive\n http-reuse always\n server one {upstream}\n"
    );
    let answers = match duty {
        Duty::Cache(_) => format!(
            " http-request set-path /hello if {{ path /cached }}\n\
             http-request cache-use bench\n http-response cache-store bench\n\
             http-after-response del-header Age\n default_backend upstream\n\
             {server} http-response set-header Cache-Control max-age=3600\n\
             cache bench\n total-max-size 4\n max-age 3600\n"
        ),
        Duty::Forward(_) => format!(" default_backend upstream\n{server}"),
        _ => format!(
            " http-request return status 200 content-type text/plain string \"{hello}\" if {{ path /hello }}\n\
             http-request return status 200 content-type application/json file {} if {{ path /json }}\n\
             http-request return status 404\n",
            json.display()
        ),
    };
    let protocol = match duty {
        Duty::Tls => format!(
            " ssl crt {} ssl-min-ver TLSv1.3 curves X25519 alpn h2,http/1.1",
            places.certificate_and_key().display()
        ),
        Duty::Http2 => " proto h2".to_owned(),
        _ => String::new(),
    };
    format!(
        "global\n nbthread 1\n maxconn 4000\n\
         defaults\n mode http\n option http-ignore-probes\n\
         timeout client 1h\n timeout server 10s\n timeout connect 1s\n\
         timeout http-keep-alive 1h\n\
         frontend bench\n bind 127.0.0.1:{port}{protocol} backlog 4096\n\
         {answers}"
    )
}

/// Serves files, or forwards. It has no cache of its own.
pub(crate) fn caddy(places: &Places, port: u16, duty: Duty) -> String {
    let answers = match duty {
        Duty::Forward(_) => format!("reverse_proxy {}", upstream_url(duty)),
        _ => format!(
            "handle_path /files/* {{\n root * {}\n file_server\n }}",
            places.www().display()
        ),
    };
    format!(
        "{{\n admin off\n auto_https off\n log {{\n level ERROR\n }}\n }}\n\
         http://127.0.0.1:{port} {{\n {answers}\n }}\n"
    )
}
