//! The benchmarks' routes on may_minihttp: `peer-may PORT`. One worker.
//!
//! The library writes its own `Server: M` and `Date`.

use std::io::{self, Read};

use bench_answers::{HELLO, UPLOADED};
use may_minihttp::{HttpServer, HttpService, Request, Response};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("usage: peer-may PORT")?;
    // 16 Ki words of stack for each connection's coroutine; 20,000 of them may be held.
    may::config()
        .set_workers(1)
        .set_stack_size(0x4000)
        .set_pool_capacity(20_000);
    // The service lives as long as the process.
    let routes = Routes {
        json: bench_answers::json().leak(),
    };
    let server = HttpServer(routes).start(format!("127.0.0.1:{port}"))?;
    server
        .join()
        .map_err(|_| "the server's coroutine panicked")?;
    Ok(())
}

#[derive(Clone)]
struct Routes {
    json: &'static str,
}

impl HttpService for Routes {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match request.path() {
            "/hello" => {
                response.header("Content-Type: text/plain");
                response.body(HELLO);
            }
            "/json" => {
                response.header("Content-Type: application/json");
                response.body(self.json);
            }
            "/upload" => {
                let mut content = Vec::new();
                request.body().read_to_end(&mut content)?;
                response.header("Content-Type: text/plain");
                response.body(UPLOADED);
            }
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}
