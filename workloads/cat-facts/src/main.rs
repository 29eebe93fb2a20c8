//! Logs a fact about cats at each interval: a WASI preview 1 module, by the host functions of `wasi-experimental-http`. What it
//! reads from its environment: [`cat_facts_core`].

use std::process::ExitCode;

use anyhow::{Error, Result, anyhow};
use cat_facts_core::{Answer, Url, read_limited};
use http::Request;

fn main() -> ExitCode {
    cat_facts_core::run(get)
}

fn get(url: &Url) -> Result<Answer> {
    let mut response = wasi_experimental_http::request(Request::get(url.as_str()).body(None)?).map_err(explained)?;
    let body = read_limited(|buffer| response.body_read(buffer)).map_err(explained)?;
    Ok(Answer { status: response.status_code.as_u16(), body })
}

/// The guest crate keeps the host's error number to itself, as "Wasi error 7". These are the numbers' meanings.
fn explained(error: Error) -> Error {
    let text = error.to_string();
    let meaning = match text.strip_prefix("Wasi error ").and_then(|number| number.parse().ok()) {
        Some(1) => "invalid handle",
        Some(7) => "this destination is not allowed",
        Some(8) => "invalid method",
        Some(10) => "invalid URL",
        Some(11) => "the server could not be reached, or did not answer as it should",
        Some(12) => "the host failed",
        Some(13) => "too many requests at once",
        Some(_) | None => return error,
    };
    anyhow!("{meaning} ({text})")
}
