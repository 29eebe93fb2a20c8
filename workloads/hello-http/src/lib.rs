//! Answers `GET /` with `Hello, World!` and `GET /NAME` with `Hello, NAME!`: a WASI 0.2 component, by `wasi:http/incoming-handler`.
//!
//! The variable `GREETING` is said instead of `Hello`.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Server);

/// The longest name that is greeted, in bytes.
const LONGEST_NAME: usize = 100;

struct Server;

impl Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (status, text) = answer(&request.method(), &path);
        respond(out, status, &text);
    }
}

fn answer(method: &Method, path_with_query: &str) -> (u16, String) {
    if !matches!(method, Method::Get | Method::Head) {
        return (405, "only GET and HEAD are answered here\n".into());
    }
    let path = path_with_query.split('?').next().unwrap_or_default();
    let name = match path.trim_start_matches('/') {
        "" => "World",
        name => name,
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if name.len() > LONGEST_NAME || !name.chars().all(plain) {
        return (404, "give a name of plain letters, as in /World\n".into());
    }
    let greeting = std::env::var("GREETING").unwrap_or_else(|_| "Hello".into());
    (200, format!("{greeting}, {name}!\n"))
}

fn respond(out: ResponseOutparam, status: u16, text: &str) {
    let headers = Fields::new();
    for (name, value) in [("content-type", "text/plain; charset=utf-8"), ("content-length", &text.len().to_string())] {
        // Both may be set, whatever the host.
        let _ = headers.append(name, value.as_bytes());
    }
    let response = OutgoingResponse::new(headers);
    let (Ok(()), Ok(body)) = (response.set_status_code(status), response.body()) else {
        return;
    };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        // A client that has gone needs no answer. One write takes up to 4096 bytes.
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}
