//! A server for a container, where workloads/hello-http cannot be: it gives the same answers.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Answers requests, one after the other, without end.
pub fn serve(port: u16) -> io::Result<()> {
    for stream in TcpListener::bind(("0.0.0.0", port))?.incoming() {
        // A client that goes, or never says anything, is no reason to end.
        let _ = stream.and_then(answer);
    }
    Ok(())
}

/// The line that names what is wanted, `GET /NAME HTTP/1.1`, and headers up to an empty line: 200 for a plain name, else 404.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let (status, text) = match name {
        "" => ("200 OK", "Hello, World!\n".to_string()),
        name if name.chars().all(plain) => ("200 OK", format!("Hello, {name}!\n")),
        _ => ("404 Not Found", "give a name of plain letters, as in /World\n".into()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())
}
