//! Connections held open after one request or handshake each, to see what an idle one costs the server.

use std::io::{self, Read, Write};

use crate::error::GeneratorError;
use crate::options::Options;
use crate::socket::Connection;
use crate::{handshake, http2, request, response, tls};

/// Opens the connections, says so on standard output, and holds them until standard input ends.
pub(crate) fn run(options: &Options) -> Result<(), GeneratorError> {
    let request = request::encode(options);
    let tls = tls::Client::new(options)?;
    let mut held = Vec::with_capacity(options.connections);
    for _ in 0..options.connections {
        held.push(if options.websocket {
            handshake::open(options)?
        } else if options.http2 {
            http2::open(options, tls.as_ref())?.0
        } else {
            open(options, tls.as_ref(), &request)?
        });
    }
    let system = |call| move |source| GeneratorError::System { call, source };
    println!("{{\"held\":{}}}", held.len());
    io::stdout().flush().map_err(system("write"))?;
    io::stdin()
        .read_to_end(&mut Vec::new())
        .map_err(system("read"))?;
    Ok(())
}

/// A connection after one request.
fn open(
    options: &Options,
    tls: Option<&tls::Client>,
    request: &[u8],
) -> Result<Connection, GeneratorError> {
    let mut connection = Connection::open_with(options.port, tls)?;
    connection.send_all(request)?;
    response::check(
        &connection.receive_answer()?,
        response::status(options),
        options.expected,
    )?;
    Ok(connection)
}
