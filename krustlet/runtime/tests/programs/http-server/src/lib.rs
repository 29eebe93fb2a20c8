//! A server of the tests: does what the request's path says, by `wasi:http/incoming-handler`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam, Scheme,
};
use wasip2::io::streams::StreamError;

wasip2::http::proxy::export!(Server);

struct Server;

/// How many requests this instance has had.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

impl Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        REQUESTS.fetch_add(1, Ordering::Relaxed);
        let path = request.path_with_query().unwrap_or_default();
        let words: Vec<&str> = path.split('/').skip(1).collect();
        match words[..] {
            [""] => text(out, 200, "hello\n"),
            ["count"] => text(out, 200, &REQUESTS.load(Ordering::Relaxed).to_string()),
            ["inspect"] => text(out, 200, &inspect(&request)),
            ["env", name] => text(out, 200, &std::env::var(name).unwrap_or_else(|_| "not set".into())),
            ["read", name] => text(out, 200, &std::fs::read_to_string(format!("/data/{name}")).unwrap()),
            ["print", word] => {
                println!("{word}");
                text(out, 200, "");
            }
            ["status", code] => text(out, number(code), ""),
            ["echo"] => echo(request, out),
            ["drain"] => text(out, 200, &read(&request).map_or_else(|error| error, |body| body.len().to_string())),
            ["ignore"] => text(out, 200, "ignored"),
            ["sleep", milliseconds] => {
                println!("sleeps");
                pause(milliseconds);
                text(out, 200, "slept");
            }
            ["spin"] => loop {
                std::hint::spin_loop();
            },
            ["allocate", mebibytes, milliseconds] => {
                let memory = vec![1_u8; number::<usize>(mebibytes) << 20];
                pause(milliseconds);
                text(out, 200, &memory.len().to_string());
            }
            ["big", bytes] => send(out, 200, &[], |body| {
                let (mut left, piece) = (number::<usize>(bytes), [b'x'; 4096]);
                while left > 0 {
                    let length = left.min(piece.len());
                    if !body.write(&piece[..length]) {
                        println!("cut off");
                        return;
                    }
                    left -= length;
                }
            }),
            ["stream", count, milliseconds] => send(out, 200, &[], |body| {
                for index in 1..=number(count) {
                    if !body.write(format!("{index}\n").as_bytes()) {
                        return;
                    }
                    pause(milliseconds);
                }
            }),
            ["after", milliseconds] => {
                text(out, 200, "done");
                pause(milliseconds);
                println!("after");
            }
            ["early"] => {
                text(out, 200, "done");
                println!("read {:?}", read(&request).map(|body| body.len()));
            }
            ["after-empty", milliseconds] => {
                send(out, 202, &[("content-length", "0")], |_| {});
                pause(milliseconds);
                println!("after");
            }
            ["length", length, bytes] => send(out, 200, &[("content-length", length)], |body| {
                body.write(&vec![b'x'; number(bytes)]);
            }),
            ["hold", count] => {
                let held: Vec<Fields> = (0..number(count)).map(|_| Fields::new()).collect();
                text(out, 200, &held.len().to_string());
            }
            ["trap"] => panic!("as it was told"),
            ["trap-midway"] => send(out, 200, &[], |body| {
                body.write(b"a part");
                // So that it is sent by then.
                pause("1000");
                panic!("as it was told");
            }),
            ["unfinished"] => {
                let response = OutgoingResponse::new(Fields::new());
                let outgoing = response.body().unwrap();
                let stream = outgoing.write().unwrap();
                ResponseOutparam::set(out, Ok(response));
                stream.blocking_write_and_flush(b"a part").unwrap();
                // As in languages that free what they hold at some later time.
                std::mem::forget((stream, outgoing));
            }
            ["exit-after", code] => {
                text(out, 200, "done");
                std::process::exit(number(code));
            }
            ["trap-after"] => {
                text(out, 200, "done");
                panic!("as it was told");
            }
            ["exit", code] => std::process::exit(number(code)),
            ["nothing"] => {}
            ["error"] => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("as it was told".into())))),
            ["header", name] => {
                let result = Fields::new().append(name, b"value");
                text(out, 200, &format!("{result:?}"));
            }
            ["fetch", authority] => text(out, 200, &fetch(authority, Fields::new())),
            ["relay", authority] => text(out, 200, &fetch(authority, trace(&request))),
            _ => text(out, 404, "what?\n"),
        }
    }
}

fn number<N: std::str::FromStr<Err: std::fmt::Debug>>(word: &str) -> N {
    word.parse().unwrap()
}

fn pause(milliseconds: &str) {
    sleep(Duration::from_millis(number(milliseconds)));
}

/// A response that has begun.
struct Body(Option<wasip2::io::streams::OutputStream>);

impl Body {
    /// Whether somebody still wants it.
    fn write(&self, bytes: &[u8]) -> bool {
        let stream = self.0.as_ref().unwrap();
        bytes.chunks(4096).all(|piece| stream.blocking_write_and_flush(piece).is_ok())
    }
}

fn send(out: ResponseOutparam, status: u16, headers: &[(&str, &str)], write: impl FnOnce(&Body)) {
    send_with_trailers(out, status, headers, |body| {
        write(body);
        None
    });
}

fn send_with_trailers(
    out: ResponseOutparam,
    status: u16,
    headers: &[(&str, &str)],
    write: impl FnOnce(&Body) -> Option<Fields>,
) {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).unwrap();
    }
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).unwrap();
    let outgoing = response.body().unwrap();
    let mut body = Body(Some(outgoing.write().unwrap()));
    ResponseOutparam::set(out, Ok(response));
    let trailers = write(&body);
    body.0 = None;
    let _ = OutgoingBody::finish(outgoing, trailers);
}

fn text(out: ResponseOutparam, status: u16, text: &str) {
    send(out, status, &[], |body| {
        body.write(text.as_bytes());
    });
}

fn inspect(request: &IncomingRequest) -> String {
    let mut lines = vec![format!(
        "{:?} {:?} {} {}",
        request.method(),
        request.scheme().unwrap(),
        request.authority().unwrap_or_default(),
        request.path_with_query().unwrap_or_default()
    )];
    lines.extend(
        request
            .headers()
            .entries()
            .into_iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(&value))),
    );
    lines[1..].sort();
    lines.join("\n")
}

/// The whole body.
fn read(request: &IncomingRequest) -> Result<Vec<u8>, String> {
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(65536) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

/// Sends each piece of the body back as it comes, and its trailers.
fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().unwrap();
    let stream = incoming.stream().unwrap();
    send_with_trailers(out, 200, &[("trailer", "x-check")], |body| {
        while let Ok(piece) = stream.blocking_read(65536) {
            if !body.write(&piece) {
                return None;
            }
        }
        drop(stream);
        let trailers = IncomingBody::finish(incoming);
        trailers.subscribe().block();
        let trailers = trailers.get()?.ok()?.ok()??;
        // Those of the request cannot be changed, nor given on.
        let own = Fields::new();
        for (name, value) in trailers.entries() {
            own.append(&name, &value).unwrap();
        }
        Some(own)
    });
}

/// What a request says of its trace.
fn trace(request: &IncomingRequest) -> Fields {
    let (given, own) = (request.headers(), Fields::new());
    for name in ["traceparent", "tracestate"] {
        given.get(name).iter().for_each(|value| own.append(name, value).unwrap());
    }
    own
}

/// Sends a request of its own.
fn fetch(authority: &str, headers: Fields) -> String {
    let request = OutgoingRequest::new(headers);
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some("/")).unwrap();
    match outgoing_handler::handle(request, None) {
        Err(error) => format!("{error:?}"),
        Ok(pending) => {
            pending.subscribe().block();
            match pending.get().unwrap().unwrap() {
                Ok(response) => response.status().to_string(),
                Err(error) => format!("{error:?}"),
            }
        }
    }
}
