//! Answers every request with `visit 1`, `visit 2` …: a WASI 0.3 component, by `wasi:http/handler`.
//!
//! An instance answers many requests, several of them at once, and what it keeps in memory is there for as long as it is. Another instance counts
//! for itself, so what must not be lost or counted twice belongs elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{spawn_local, wit_future, wit_stream};

wasip3::http::service::export!(Server);

struct Server;

/// Requests that this instance has had.
static VISITS: AtomicU64 = AtomicU64::new(0);

impl wasip3::exports::http::handler::Guest for Server {
    async fn handle(_: Request) -> Result<Response, ErrorCode> {
        let visit = VISITS.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(text(format!("visit {visit}\n")))
    }
}

fn text(text: String) -> Response {
    let headers = Fields::new();
    // It may be set, whatever the host.
    let _ = headers.append("content-type", b"text/plain; charset=utf-8");
    let (mut body, contents) = wit_stream::new();
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(headers, Some(contents), no_trailers);
    // The response goes first, and its body after it. A client that has gone needs none.
    spawn_local(async move {
        body.write_all(text.into_bytes()).await;
        drop(body);
        drop(trailers);
    });
    response
}
