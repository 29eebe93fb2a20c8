//! Logs a fact about cats at each interval: a WASI 0.2 component, by `wasi:http`. What it reads from its environment:
//! [`cat_facts_core`].

use std::process::ExitCode;

use cat_facts_core::{Answer, Url, read_limited};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, OutgoingRequest, RequestOptions, Scheme};
use wasip2::io::streams::StreamError;

/// How long the service may take to connect, to begin its answer, and to go on with it, in nanoseconds.
const PATIENCE: Option<u64> = Some(30_000_000_000);

fn main() -> ExitCode {
    cat_facts_core::run(get)
}

/// Sends a GET request and waits for the answer: <https://github.com/WebAssembly/wasi-http>.
fn get(url: &Url) -> Result<Answer, String> {
    let pending = outgoing_handler::handle(request(url)?, Some(patient())).map_err(explained)?;
    pending.subscribe().block();
    let response = match pending.get() {
        Some(Ok(answer)) => answer.map_err(explained)?,
        // It is taken once, after it is there.
        Some(Err(())) | None => return Err("the host gave no answer".into()),
    };
    let no_body = |()| "the answer's body cannot be read".to_owned();
    let body = response.consume().map_err(no_body)?;
    let stream = body.stream().map_err(no_body)?;
    let body = read_limited(|buffer| match stream.blocking_read(buffer.len() as u64) {
        Ok(bytes) => {
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            Ok(length)
        }
        Err(StreamError::Closed) => Ok(0),
        Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
    })?;
    Ok(Answer { status: response.status(), body })
}

fn request(url: &Url) -> Result<OutgoingRequest, String> {
    // The method is GET unless another one is set.
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if url.https { Scheme::Https } else { Scheme::Http };
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(&url.authority)))
        .and_then(|()| request.set_path_with_query(Some(&url.path_with_query)))
        .map_err(|()| "the host does not take this URL".to_owned())?;
    Ok(request)
}

fn patient() -> RequestOptions {
    let options = RequestOptions::new();
    // A host that knows no such limits has others.
    let _ = options.set_connect_timeout(PATIENCE);
    let _ = options.set_first_byte_timeout(PATIENCE);
    let _ = options.set_between_bytes_timeout(PATIENCE);
    options
}

fn explained(error: ErrorCode) -> String {
    match error {
        ErrorCode::HttpRequestDenied => "this destination is not allowed (HTTP-request-denied)".into(),
        other => format!("{other:?}"),
    }
}
