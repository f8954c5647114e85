//! The server behind HAProxy, which does what a path says.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use rustix::net::sockopt;
use std::time::Duration;

/// What a captured response header may hold, and what HAProxy or a reader of lines may stumble over.
const HEADERS: &[u8] =
    b"X-Four: a b \"c\" {d|e} #22 \\\r\nX-Five: \xc3\xa9\x80\xff|\t}\r\nSet-Cookie: SID=q\"w{e|r t; path=/\r\n";

/// Starts it; it ends with the test's process.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whatever becomes of a connection is HAProxy's to log.
            thread::spawn(move || serve(stream).ok());
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 4_096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            // A TCP client's.
            return stream.write_all(b"what was said is heard");
        }
        request.extend_from_slice(&chunk[..length]);
    }
    let target = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let head =
        |status: &str, length: usize| format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    match target {
        b"/reset" => return reset(&stream),
        b"/close" => return Ok(()),
        b"/garbage" => return stream.write_all(b"220 mx.example.net ESMTP\r\n\r\n"),
        b"/half" => {
            stream.write_all(head("200 OK", 1_000).as_bytes())?;
            return stream.write_all(b"\r\nhalf of it");
        }
        b"/hang" => {
            // Until HAProxy has enough of it.
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            while stream.read(&mut chunk)? > 0 {}
            return Ok(());
        }
        b"/error" => stream.write_all(head("500 Oh", 2).as_bytes())?,
        _ => stream.write_all(head("200 OK", 2).as_bytes())?,
    }
    stream.write_all(&[HEADERS, b"\r\nok"].concat())
}

/// Ends a connection as a crash does.
pub(crate) fn reset(stream: &TcpStream) -> std::io::Result<()> {
    Ok(sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}
