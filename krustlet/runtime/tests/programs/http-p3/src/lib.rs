//! A guest of the tests, of WASI 0.3: sends the HTTP requests that its arguments say, by `wasi:http/client`, and prints what came of each. It is
//! `http-component` once more.

use std::pin::{Pin, pin};
use std::task::Poll;

use wasip3::cli::{environment, stdout};
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::{wit_future, wit_stream};

wasip3::cli::command::export!(Program);

struct Program;

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let args = environment::get_arguments();
        let args: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
        let text = match args[..] {
            ["send", method, url, headers, body] => send(method, url, headers, body).await,
            ["twice", url] => format!("{} / {}", send("GET", url, "", "").await, send("GET", url, "", "").await),
            ["upload", url, bytes] => send("POST", url, "", &"x".repeat(bytes.parse().unwrap())).await,
            ["open", count, url] => open(count, url).await,
            _ => panic!("{args:?}"),
        };
        let (mut to, from) = wit_stream::new();
        let end = stdout::write_via_stream(from);
        to.write_all(format!("{text}\n").into()).await;
        drop(to);
        end.await.map_err(|_| ())
    }
}

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

/// The URL cut as plainly as can be, so that it is the host's to see what is wrong with it; and what writes the body.
fn request(
    method_name: &str,
    url: &str,
    headers: &str,
    body: &str,
) -> Result<(Request, impl Future<Output = ()> + use<>), String> {
    let fields = Fields::new();
    for line in headers.split('\n').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        fields
            .append(name, value.as_bytes())
            .map_err(|error| format!("fields.append: {error:?}").to_lowercase().replace("headererror::", ""))?;
    }
    let ((mut to, contents), (trailers, no_trailers)) = (wit_stream::new(), wit_future::new(|| Ok(None)));
    let (request, _) = Request::new(fields, Some(contents), no_trailers, None);
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
    let body = body.as_bytes().to_vec();
    let write = async move {
        // A host that has had enough of it closes the stream, which is no error here.
        to.write_all(body).await;
        drop(to);
        drop(trailers);
    };
    Ok((request, write))
}

async fn answer(request: Request, write: impl Future<Output = ()>) -> Result<Response, String> {
    let (mut write, mut sent) = (pin!(write), pin!(client::send(request)));
    let mut written = false;
    std::future::poll_fn(|context| {
        written = written || write.as_mut().poll(context).is_ready();
        sent.as_mut().poll(context)
    })
    .await
    .map_err(|error| name(&error))
}

async fn send(method: &str, url: &str, headers: &str, body: &str) -> String {
    let answer = match request(method, url, headers, body) {
        Ok((request, write)) => answer(request, write).await,
        Err(error) => return error,
    };
    match answer {
        Ok(response) => received(response).await,
        Err(error) => error,
    }
}

async fn received(response: Response) -> String {
    let status = response.get_status_code();
    let (done, result) = wit_future::new(|| Ok(()));
    let (stream, trailers) = Response::consume_body(response, result);
    let text = stream.collect().await;
    drop(done);
    let end = trailers.await.err().map_or_else(String::new, |error| format!(", then {}", name(&error)));
    shown(status, &text) + &end
}

fn shown(status: u16, body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        _ if body.len() > 2000 => format!("{status} and {} bytes", body.len()),
        Ok(text) => format!("{status} {text}").trim_end().to_owned(),
        Err(_) => format!("{status} {body:02x?}"),
    }
}

/// Opens responses and keeps them; then closes one, and asks once more.
async fn open(count: &str, url: &str) -> String {
    let get = || async {
        let (request, write) = request("GET", url, "", "")?;
        answer(request, write).await
    };
    // All are started before any answer is waited for.
    let mut pending: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
    for _ in 0..count.parse().unwrap() {
        pending.push(Box::pin(get()));
    }
    let mut answers: Vec<_> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (pending, answer) in pending.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            if let Poll::Ready(answered) = pending.as_mut().poll(context) {
                *answer = Some(answered);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let (mut open, mut refused) = (Vec::new(), String::new());
    for answer in answers.into_iter().flatten() {
        match answer {
            Ok(response) => open.push(response),
            Err(error) => refused = format!(", {error}"),
        }
    }
    let opened = open.len();
    open.pop();
    let again = get().await.map_or_else(|error| error, |response| response.get_status_code().to_string());
    format!("{opened} open{refused}; with one closed {again}")
}
