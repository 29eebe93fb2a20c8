//! A probe by a GET request, in clear.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use url::Url;

use super::ProbeError;
use super::check::{USER_AGENT_OF_PROBES, connect, driven};

/// How much of an answer is read, as by the kubelet.
const MOST_BYTES: usize = 10 * 1024;
/// How often it may be sent on, as by the kubelet.
const MOST_REDIRECTS: usize = 10;

/// Asks, and reads the answer. Any status from 200 to 399 is good. A redirect is followed as long as it stays at this address and port; one to
/// elsewhere is an answer as good as any.
///
/// # Errors
/// Why it is no success, in the kubelet's words.
pub async fn get(address: SocketAddr, path: &str, headers: &[(String, String)]) -> Result<(), ProbeError> {
    let first = format!("http://{address}{path}");
    let mut url = Url::parse(&first).map_err(|error| broken(&first, error))?;
    for _ in 0..=MOST_REDIRECTS {
        let broken = |error: hyper::Error| broken(&url, error);
        let (mut client, connection) = http1::handshake(TokioIo::new(connect(address).await?)).await.map_err(broken)?;
        let _driven = driven(connection);
        let response = client.send_request(request(&url, headers)?).await.map_err(broken)?;
        let next = redirect(&url, &response);
        let status = response.status().as_u16();
        // A program that is still answering is not to find its client gone.
        read(response.into_body()).await.map_err(broken)?;
        match (status, next) {
            (301..=303 | 307 | 308, Some(next)) => url = next,
            (200..400, _) => return Ok(()),
            (code, _) => return Err(ProbeError::Status(code)),
        }
    }
    Err(broken(&url, format_args!("stopped after {MOST_REDIRECTS} redirects")))
}

fn broken(url: impl ToString, problem: impl ToString) -> ProbeError {
    ProbeError::Http { url: url.to_string(), problem: problem.to_string() }
}

/// A header of the spec goes before one of ours.
fn request(url: &Url, headers: &[(String, String)]) -> Result<Request<Empty<Bytes>>, ProbeError> {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let own = [(HOST, host), (USER_AGENT, USER_AGENT_OF_PROBES), (ACCEPT, "*/*"), (CONNECTION, "close")];
    let own =
        own.into_iter().filter(|(name, _)| !headers.iter().any(|(given, _)| name.as_str().eq_ignore_ascii_case(given)));
    let request = own.fold(Request::get(path), |request, (name, value)| request.header(name, value));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(Empty::new()).map_err(|error| broken(url, error))
}

/// Where it is sent on to, if that is the same server.
fn redirect(from: &Url, response: &Response<Incoming>) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok().filter(|location| !location.is_empty())?;
    from.join(location).ok().filter(|to| to.origin() == from.origin())
}

async fn read(mut body: Incoming) -> Result<(), hyper::Error> {
    let mut bytes = 0;
    while bytes < MOST_BYTES
        && let Some(frame) = body.frame().await
    {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(())
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
