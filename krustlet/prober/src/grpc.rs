//! A probe by gRPC's health protocol (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>), in clear.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::ProbeError;
use super::check::{USER_AGENT_OF_PROBES, driven};

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// The answer takes seven bytes.
const MOST_BYTES: usize = 4096;
/// Of `grpc-status`: the server has no such method.
const UNIMPLEMENTED: &str = "12";

/// Asks once whether `service` is served.
///
/// # Errors
/// Why it is not, in the kubelet's words.
pub async fn check(stream: TcpStream, service: &str) -> Result<(), ProbeError> {
    let authority = stream.peer_addr().map_err(failed)?;
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(failed)?;
    let _driven = driven(connection);
    let request = Request::post(format!("http://{authority}{METHOD}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, USER_AGENT_OF_PROBES)
        .body(Full::new(Bytes::from(message(service))))
        .map_err(failed)?;
    let response = client.send_request(request).await.map_err(failed)?;
    let (head, body) = Response::into_parts(response);
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(failed)?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    verdict(head.status, &head.headers, &trailers, &body.to_bytes())
}

fn failed(error: impl ToString) -> ProbeError {
    ProbeError::Grpc(error.to_string())
}

/// `HealthCheckRequest`, as gRPC frames it: not compressed, its length, and its one field where that is not empty.
fn message(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0][..], &length, &message].concat()
}

fn verdict(status: StatusCode, headers: &HeaderMap, trailers: &HeaderMap, body: &[u8]) -> Result<(), ProbeError> {
    if status != StatusCode::OK {
        return Err(failed(format_args!("it answers with HTTP status {}", status.as_u16())));
    }
    let field = |name: &str| {
        let value = trailers.get(name).or_else(|| headers.get(name));
        value.and_then(|value| value.to_str().ok())
    };
    match field("grpc-status") {
        Some("0") => {}
        Some(UNIMPLEMENTED) => return Err(ProbeError::NoHealthProtocol),
        Some(code) => {
            let message = field("grpc-message").unwrap_or_default();
            return Err(failed(format!("grpc-status {code} {message}").trim_end()));
        }
        None => return Err(failed("what it answers is no gRPC")),
    }
    // The field of an enum is left out where it is 0.
    match body {
        [0, 0, 0, 0, 2, 8, 1] => Ok(()),
        [0, 0, 0, 0, 2, 8, 2] => Err(ProbeError::Unhealthy("NOT_SERVING")),
        [0, 0, 0, 0, 2, 8, 3] => Err(ProbeError::Unhealthy("SERVICE_UNKNOWN")),
        [0, 0, 0, 0, 0] => Err(ProbeError::Unhealthy("UNKNOWN")),
        _ => Err(failed("what it answers is no HealthCheckResponse")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    use futures::StreamExt;
    use http_body_util::StreamBody;
    use hyper::body::{Frame, Incoming};
    use hyper::server::conn::http2::Builder;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    /// What a server answers so, whose one response has this body and these trailers.
    async fn asked(service: &str, answer: &'static [u8], status: &'static str) -> (Result<(), ProbeError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let serve = service_fn(move |request: Request<Incoming>| {
                let tell = tell.clone();
                async move {
                    assert_eq!(
                        (request.uri().path(), &request.headers()[CONTENT_TYPE]),
                        (METHOD, &"application/grpc".parse().unwrap())
                    );
                    tell.send(request.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
                    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
                    let frames = [Frame::data(Bytes::from_static(answer)), Frame::trailers(trailers)];
                    let body = StreamBody::new(futures::stream::iter(frames).map(Ok::<_, Infallible>));
                    Ok::<_, Infallible>(Response::new(body))
                }
            });
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), serve).await;
        });
        let result = check(TcpStream::connect(address).await.unwrap(), service).await;
        (result, told.recv().await.unwrap())
    }

    #[tokio::test]
    async fn a_server_that_serves_is_well() {
        let (result, request) = asked("", &[0, 0, 0, 0, 2, 8, 1], "0").await;
        assert_eq!((result.is_ok(), request), (true, vec![0, 0, 0, 0, 0]));
        let (result, request) = asked("web", &[0, 0, 0, 0, 2, 8, 2], "0").await;
        assert_eq!(request, [0, 0, 0, 0, 5, 10, 3, b'w', b'e', b'b']);
        assert_eq!(result.unwrap_err().to_string(), "service unhealthy (responded with \"NOT_SERVING\")");
        let (result, _) = asked("", &[], "12").await;
        assert!(result.unwrap_err().to_string().contains("does not implement the grpc health protocol"));
        let (result, _) = asked("", &[], "5").await;
        assert_eq!(result.unwrap_err().to_string(), "error: health rpc probe failed: grpc-status 5");
    }

    #[test]
    fn long_names_are_sent_whole() {
        let sent = message(&"a".repeat(300));
        assert_eq!((sent.len(), &sent[..8]), (308, &[0, 0, 0, 1, 47, 10, 0xac, 2][..]));
    }

    #[test]
    fn what_is_no_grpc_is_told_apart() {
        let none = HeaderMap::new();
        let told = |status, body: &[u8]| verdict(status, &none, &none, body).unwrap_err().to_string();
        assert!(told(StatusCode::NOT_FOUND, &[]).ends_with("HTTP status 404"));
        assert!(told(StatusCode::OK, b"hello").ends_with("is no gRPC"));
    }
}
