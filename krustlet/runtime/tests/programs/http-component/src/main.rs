//! A guest of the tests: sends the HTTP requests that its arguments say, by `wasi:http`, and prints what came of each. It is to
//! `http_module.rs` what a component is to a module.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
    http_error_code,
};
use wasip2::io::streams::StreamError;

/// An error in the words of the interface: `HTTP-request-denied`.
fn name(error: &ErrorCode) -> String {
    let text = format!("{error:?}");
    let variant = text.rsplit_once("ErrorCode::").map_or(text.as_str(), |(_, variant)| variant);
    let variant = variant.split(|end: char| !end.is_alphanumeric()).next().unwrap_or_default();
    let mut kebab = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    format!("error {kebab}")
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    }
}

/// The URL cut as plainly as can be, so that it is the host's to see what is wrong with it.
fn request(method_name: &str, url: &str, headers: &str) -> Result<OutgoingRequest, String> {
    let fields = Fields::new();
    for line in headers.split('\n').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        fields
            .append(name, value.as_bytes())
            .map_err(|error| format!("fields.append: {error:?}").to_lowercase().replace("headererror::", ""))?;
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&method(method_name)).map_err(|()| "set-method fails")?;
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    request.set_scheme(Some(&scheme)).map_err(|()| "set-scheme fails")?;
    request.set_authority(Some(&rest[..end])).map_err(|()| "set-authority fails")?;
    request.set_path_with_query(Some(&rest[end..])).map_err(|()| "set-path-with-query fails")?;
    Ok(request)
}

/// Starts a request, and gives its body over. A host that has had enough of it closes the stream, which is no error here.
fn start(request: OutgoingRequest, body: &[u8]) -> Result<FutureIncomingResponse, String> {
    let outgoing = request.body().unwrap();
    let pending = outgoing_handler::handle(request, None).map_err(|error| name(&error))?;
    {
        let stream = outgoing.write().unwrap();
        for piece in body.chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(outgoing, None);
    Ok(pending)
}

fn answer(pending: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    pending.subscribe().block();
    pending.get().unwrap().unwrap().map_err(|error| name(&error))
}

fn send(method: &str, url: &str, headers: &str, body: &str) -> String {
    let sent = request(method, url, headers).and_then(|request| start(request, body.as_bytes()));
    match sent.and_then(|pending| answer(&pending)) {
        Ok(response) => received(&response),
        Err(error) => error,
    }
}

fn received(response: &IncomingResponse) -> String {
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut text = Vec::new();
    let end = loop {
        match stream.blocking_read(4096) {
            Ok(piece) => text.extend(piece),
            Err(StreamError::Closed) => break String::new(),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = http_error_code(&error);
                break format!(", then {}", code.map_or_else(|| error.to_debug_string(), |code| name(&code)));
            }
        }
    };
    shown(response.status(), &text) + &end
}

fn shown(status: u16, body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        _ if body.len() > 2000 => format!("{status} and {} bytes", body.len()),
        Ok(text) => format!("{status} {text}").trim_end().to_owned(),
        Err(_) => format!("{status} {body:02x?}"),
    }
}

/// Opens responses and keeps them; then closes one, and asks once more.
fn open(count: &str, url: &str) -> String {
    let count = count.parse().unwrap();
    let get = || request("GET", url, "").and_then(|request| start(request, b""));
    // All are started before any answer is waited for.
    let pending: Vec<_> = (0..count).map(|_| get()).collect();
    let (mut open, mut refused) = (Vec::new(), String::new());
    for pending in pending {
        match pending.and_then(|pending| answer(&pending)) {
            Ok(response) => open.push(response),
            Err(error) => refused = format!(", {error}"),
        }
    }
    let opened = open.len();
    open.pop();
    let again = get().and_then(|pending| answer(&pending)).map_or_else(|error| error, |response| response.status().to_string());
    format!("{opened} open{refused}; with one closed {again}")
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = match args[..] {
        ["send", method, url, headers, body] => send(method, url, headers, body),
        ["twice", url] => [(); 2].map(|()| send("GET", url, "", "")).join(" / "),
        ["upload", url, bytes] => send("POST", url, "", &"x".repeat(bytes.parse().unwrap())),
        ["open", count, url] => open(count, url),
        _ => panic!("{args:?}"),
    };
    println!("{text}");
}
