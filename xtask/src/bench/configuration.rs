//! Configurations of the peers that are configured by a file.
//!
//! All paths in them are absolute and in the run's scratch folder; logs are off, keep-alive does not
//! end, and there is one process with one thread.

use super::machine;
use super::places::Places;

/// One process, no logs, answers from the configuration itself.
pub(crate) fn nginx(places: &Places, port: u16) -> String {
    let scratch = places.scratch.display();
    let user = if machine::is_root() { "user root;" } else { "" };
    let (hello, json) = (bench_answers::HELLO, bench_answers::json());
    format!(
        "worker_processes 1; daemon off; master_process off; worker_rlimit_nofile 20000; {user}\n\
         pid {scratch}/nginx.pid; error_log {scratch}/nginx.log;\n\
         events {{ worker_connections 15000; multi_accept on; }}\n\
         http {{\n\
         access_log off; tcp_nodelay on; default_type text/plain;\n\
         keepalive_requests 1000000000; keepalive_timeout 3600;\n\
         client_body_temp_path {scratch}/nginx-body; proxy_temp_path {scratch}/nginx-proxy;\n\
         fastcgi_temp_path {scratch}/nginx-fastcgi; uwsgi_temp_path {scratch}/nginx-uwsgi;\n\
         scgi_temp_path {scratch}/nginx-scgi;\n\
         server {{\n\
         listen 127.0.0.1:{port} backlog=4096;\n\
         location = /hello {{ return 200 \"{hello}\"; }}\n\
         location = /json {{ default_type application/json; return 200 '{json}'; }}\n\
         }} }}\n"
    )
}

/// One thread; the answers are files, which is what h2o serves by itself.
pub(crate) fn h2o(places: &Places, port: u16) -> String {
    let user = if machine::is_root() {
        "user: root\n"
    } else {
        ""
    };
    format!(
        "{user}num-threads: 1\nmax-connections: 15000\nhttp1-request-timeout: 3600\n\
         listen: {{ host: 127.0.0.1, port: {port} }}\n\
         hosts: {{ default: {{ paths: {{ /: {{ file.dir: {} }} }} }} }}\n",
        places.www().display()
    )
}

/// One thread; answers from memory. haproxy adds no `Date`.
pub(crate) fn haproxy(places: &Places, port: u16) -> String {
    let (hello, json) = (bench_answers::HELLO, places.www().join("json"));
    format!(
        "global\n nbthread 1\n maxconn 4000\n\
         defaults\n mode http\n timeout client 1h\n timeout server 10s\n timeout connect 1s\n\
         timeout http-keep-alive 1h\n\
         frontend bench\n bind 127.0.0.1:{port} backlog 4096\n\
         http-request return status 200 content-type text/plain string \"{hello}\" if {{ path /hello }}\n\
         http-request return status 200 content-type application/json file {} if {{ path /json }}\n\
         http-request return status 404\n",
        json.display()
    )
}
