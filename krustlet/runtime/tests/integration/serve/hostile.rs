//! Requests that could be taken for others, or for more than one.

use std::time::Duration;

use http_body_util::Empty;
use krustlet_runtime::ServerLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Served, all, statuses, told};

/// Each is sent on a connection of its own, and after it a request that must not be taken for a part of it, nor a part of it for that.
const SMUGGLED: &str = "GET /print/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn requests_that_smuggle_are_refused_and_end_the_connection() {
    let served = Served::new();
    let table: &[(&str, &str)] = &[
        ("two lengths", "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 44\r\n\r\nbody"),
        ("two lengths in one", "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: 4, 44\r\n\r\nbody"),
        ("a length with a sign", "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: +4\r\n\r\nbody"),
        ("a length in hexadecimal", "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: 0x4\r\n\r\nbody"),
        ("a length below zero", "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: -4\r\n\r\nbody"),
        (
            "a length past 64 bits",
            "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551620\r\n\r\nbody",
        ),
        ("another coding", "POST /drain HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\nbody"),
        (
            "chunked, and not last",
            "POST /drain HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        ),
        ("chunked before 1.1", "POST /drain HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a name with a space", "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length : 4\r\n\r\nbody"),
        ("a name with a bracket", "GET / HTTP/1.1\r\nhost: a\r\nx(y: z\r\n\r\n"),
        ("no name", "GET / HTTP/1.1\r\nhost: a\r\n: z\r\n\r\n"),
        ("a folded line", "GET / HTTP/1.1\r\nhost: a\r\nx-a: b\r\n c: d\r\n\r\n"),
        ("a NUL in a value", "GET / HTTP/1.1\r\nhost: a\r\nx-a: b\0c\r\n\r\n"),
        ("a return in a value", "GET / HTTP/1.1\r\nhost: a\r\nx-a: b\rc: d\r\n\r\n"),
        ("a space in the path", "GET / a HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("another protocol", "GET / HTTP/9.9\r\nhost: a\r\n\r\n"),
        ("no request at all", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"),
    ];
    for (what, request) in table {
        let answer = served.raw(format!("{request}{SMUGGLED}").as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{what}: {answer}");
    }
    assert_eq!(served.server.stats().instances, 0);
    assert_eq!(served.sink.text(), "");
}

#[tokio::test]
async fn chunked_goes_before_a_length_and_nothing_follows() {
    let served = Served::new();
    // As RFC 9112 has it, section 6.1: the length is not heeded, and the connection closed.
    let both = "POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    for headers in [
        both.to_owned(),
        both.replace(
            "content-length: 4\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 4",
        ),
    ] {
        let answer = served.raw(format!("{headers}{SMUGGLED}").as_bytes()).await;
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert!(answer.contains("connection: close") && answer.ends_with("\r\n2\r\n0\r\n\r\n"), "{answer}");
    }
    // A chunk that is none is the end, whatever the program has made of it.
    for chunk in ["zz\r\nab\r\n0\r\n\r\n", "-2\r\nab\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n", "10000000000000000\r\nab"]
    {
        let answer = served
            .raw(
                format!("POST /drain HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{SMUGGLED}")
                    .as_bytes(),
            )
            .await;
        assert!(statuses(&answer).len() <= 1, "{chunk:?}: {answer}");
    }
    assert!(!served.sink.text().contains("smuggled"), "{}", served.sink.text());
}

#[tokio::test]
async fn a_request_says_once_which_host_it_is_for() {
    let served = Served::new();
    for headers in [
        "",
        "host: a\r\nhost: b\r\n",
        "host: \u{fc}\r\n",
        "host:\r\n",
        "host: a b\r\n",
        "host: a/b\r\n",
        "host: a, b\r\n",
        "host: user@a\r\n",
    ] {
        let answer = served.raw(format!("GET / HTTP/1.1\r\n{headers}connection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{answer}");
        assert!(answer.ends_with("a request must have one Host header, with a host and no more\n"), "{answer}");
    }
    let answer = served.raw(b"GET http://user@a/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), [400], "{answer}");
    let answer = served.raw(b"CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\nconnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), [405], "{answer}");
    assert_eq!(served.server.stats().instances, 0);
    for host in ["a", "a.b-c:8080", "[::1]:80", "127.0.0.1", "xn--4ca.test"] {
        let asked = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(statuses(&served.raw(asked.as_bytes()).await), [200], "{host}");
    }
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GET http / a, by the static table and literals.
pub const HEADERS: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];

/// A frame of HTTP/2.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn an_http2_client_that_leaves_no_room_for_a_response_loses_it_in_time() {
    let patience = Duration::from_millis(1500);
    let limits = ServerLimits { body_timeout: patience, max_concurrent_requests: 10, ..ServerLimits::default() };
    let served = Served::limited(limits);
    let mut stream = served.connect().await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let no_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let requests: Vec<u8> = (0..10).flat_map(|index| frame(1, 5, 2 * index + 1, HEADERS)).collect();
    stream.write_all(&[PREFACE, &no_window, &requests].concat()).await.unwrap();
    served.until("all have begun", |served| served.server.stats().instances == 10).await;
    // Instances that have ended keep nobody else out.
    served.until("all have ended", |served| served.server.container().usage().memory_bytes == 0).await;
    assert_eq!(served.get("/").await.0, 200);
    assert!(served.server.stats().in_flight >= 10);
    // One that still runs is ended with the response that nobody takes.
    stream.write_all(&frame(1, 5, 21, &get("/big/1000000"))).await.unwrap();
    served.until("it waits", |served| served.server.stats().instances == 12).await;
    served.until("no request is left", |served| served.server.stats().in_flight == 0).await;
    served.until("nor an instance", |served| served.server.container().usage().memory_bytes == 0).await;
    // The connection is as good as before, and so is a stream that has room.
    let room = [frame(8, 0, 23, &100_u32.to_be_bytes()), frame(1, 5, 25, &get("/status/204"))].concat();
    stream.write_all(&[frame(1, 5, 23, &get("/")), room].concat()).await.unwrap();
    served.until("both have begun", |served| served.server.stats().instances == 14).await;
    served.until("both are through", |served| served.server.stats().in_flight == 0).await;
    stream.shutdown().await.unwrap();
    let (mut bytes, resets) = (Vec::new(), |bytes: &[u8]| frames(bytes).iter().filter(|kind| **kind == 3).count());
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(resets(&bytes), 11);
}

/// GET of a path at http / a.
pub fn get(path: &str) -> Vec<u8> {
    [&[0x82, 0x86, 0x41, 1, b'a', 4, u8::try_from(path.len()).unwrap()], path.as_bytes()].concat()
}

/// The kinds of the frames in what a server has sent.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, rest @ ..] = bytes {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(5 + length..).unwrap_or_default();
    }
    kinds
}

#[tokio::test]
async fn an_http2_client_that_floods_is_cut_off_and_others_are_served() {
    let served = Served::limited(ServerLimits { max_concurrent_requests: 50, ..ServerLimits::default() });
    let reset = |stream: u32| [frame(1, 5, stream, HEADERS), frame(3, 0, stream, &8_u32.to_be_bytes())].concat();
    let rapid_reset: Vec<u8> = (0..5000).flat_map(|index| reset(2 * index + 1)).collect();
    let unfinished = frame(1, 0, 1, HEADERS);
    let continuation: Vec<u8> =
        unfinished.into_iter().chain((0..5000).flat_map(|_| frame(9, 0, 1, &[0, 1, b'x', 1, b'y']))).collect();
    for (what, flood) in [("rapid reset", rapid_reset), ("continuation", continuation)] {
        let instances = served.server.stats().instances;
        let mut stream = served.connect().await;
        // It may be cut off while it sends.
        let _ = stream.write_all(&[PREFACE, SETTINGS, &flood].concat()).await;
        let goaway = frames(&all(&mut stream).await).into_iter().filter(|kind| *kind == 7).count();
        assert_eq!(goaway, 1, "{what}: it is cut off, and told so");
        let made = served.server.stats().instances - instances;
        assert!(made < 2500, "{what}: {made}");
        still_serves(&served, what).await;
    }
    assert_eq!(served.server.stats().traps, 0);
}

#[tokio::test]
async fn settings_of_an_http2_client_are_no_harm() {
    let served = Served::new();
    let settings: Vec<u8> = (0..5000).flat_map(|_| SETTINGS.to_vec()).collect();
    let mut stream = served.connect().await;
    stream.write_all(&[PREFACE, &settings, &frame(1, 5, 1, HEADERS)].concat()).await.unwrap();
    served.until("it is answered", |served| served.server.stats().requests.get(&200) == Some(&1)).await;
    still_serves(&served, "settings").await;
}

/// Whether others are served, and no instance is left.
async fn still_serves(served: &Served, what: &str) {
    let mut client = served.http2().await;
    let asked = http::Request::get("http://a/").body(Empty::new()).unwrap();
    assert_eq!(told(client.send_request(asked).await.unwrap()).await.0, 200, "{what}");
    served.until("no instance is left", |served| served.server.container().usage().memory_bytes == 0).await;
}
