//! What the port stands: from strangers, and from clients that take their time.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::door_tests::{API_SERVER, BOTH, Port, ask, got};
use super::*;

const QUICK: Duration = Duration::from_millis(400);

fn port(limits: Limits) -> Port {
    Port::within(limits, &[(API_SERVER, "healthz")])
}

/// What comes until the port ends the connection, and how long that takes.
async fn rest(connection: &mut TlsStream<TcpStream>) -> (Vec<u8>, Duration) {
    let (start, mut text) = (Instant::now(), Vec::new());
    // Whether or not TLS is told goodbye.
    let ended = tokio::time::timeout(Duration::from_secs(10), connection.read_to_end(&mut text)).await;
    ended.expect("the connection is still open").ok();
    (text, start.elapsed())
}

#[tokio::test]
async fn strangers_end_only_strangers() {
    let limits = Limits { strangers: 8, known: 3, ..Limits::here() };
    let port = port(limits);
    let mut known = port.as_user(API_SERVER, 1000).await;
    assert_eq!(ask(&mut known, "GET /healthz").await.unwrap(), got(200, "ok"));
    let mut strangers = Vec::new();
    for at in 0..40 {
        let mut stranger = port.connect(None, BOTH).await.unwrap();
        // Half a request, or nothing.
        stranger.write_all(if at % 2 == 0 { b"GET /healthz HTTP/1.1\r\nhost: n\r\n" } else { b"" }).await.unwrap();
        strangers.push(stranger);
    }
    let kept = strangers.split_off(40 - limits.strangers);
    for stranger in &mut strangers {
        assert_eq!(rest(stranger).await.0, b"");
    }
    // The others, and who shows a certificate, are served.
    let mut newest = kept.into_iter().next_back().unwrap();
    assert_eq!(ask(&mut newest, "GET /healthz").await.unwrap(), got(401, "Unauthorized"));
    assert_eq!(ask(&mut known, "GET /healthz").await.unwrap(), got(200, "ok"));
    let mut more = Vec::new();
    for _ in 1..limits.known {
        let mut next = port.as_user(API_SERVER, 1000).await;
        assert_eq!(ask(&mut next, "GET /healthz").await.unwrap(), got(200, "ok"));
        more.push(next);
    }
    let mut too_many = port.as_user(API_SERVER, 1000).await;
    assert!(ask(&mut too_many, "GET /healthz").await.is_err());
    drop(more);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut next = port.as_user(API_SERVER, 1000).await;
    assert_eq!(ask(&mut next, "GET /healthz").await.unwrap(), got(200, "ok"));
}

#[tokio::test]
async fn a_stranger_who_reads_nothing_makes_room_too() {
    let port = port(Limits { strangers: 1, ..Limits::here() });
    let mut first = port.connect(None, BOTH).await.unwrap();
    let many = "GET /healthz HTTP/1.1\r\nhost: n\r\n\r\n".repeat(1000);
    // Until nothing more is taken, as the answers are not.
    while let Ok(sent) = tokio::time::timeout(QUICK, first.write_all(many.as_bytes())).await {
        sent.unwrap();
    }
    let _second = port.connect(None, BOTH).await.unwrap();
    // It still reads nothing.
    let on = async { while first.write_all(many.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), on).await.expect("the connection is still open");
}

#[tokio::test]
async fn who_takes_too_long_is_not_waited_for() {
    let port = port(Limits { idle: QUICK, ..Limits::here() });
    for begun in ["", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: n\r\n\r\n"] {
        let mut connection = port.as_user(API_SERVER, 1000).await;
        connection.write_all(begun.as_bytes()).await.unwrap();
        let (text, took) = rest(&mut connection).await;
        assert_eq!(text.starts_with(b"HTTP/1.1 200 OK"), begun.ends_with("\r\n\r\n"), "{begun:?}");
        assert!(took >= QUICK / 2, "{begun:?}: {took:?}");
    }
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let port = port(Limits::here());
    for shown in [None, Some(port.ca.client(API_SERVER, 1000))] {
        let shown = shown.as_ref().map(|pem| (pem.as_str(), &port.ca));
        let mut connection = port.connect(shown, BOTH).await.unwrap();
        // A client's preface with its settings: https://www.rfc-editor.org/rfc/rfc9113#section-3.4
        connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let (text, _) = rest(&mut connection).await;
        assert!(text.is_empty() || text.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&text));
    }
}
