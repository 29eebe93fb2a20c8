//! How requests end that do not end well, and how a server ends.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use krustlet_runtime::{Exit, ServerLimits, Stream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::hostile::{HEADERS, PREFACE, SETTINGS, frame, get};
use super::{Served, ask, request, rest, statuses, told};
use crate::support::{exited, stopped};

#[tokio::test]
async fn a_trap_is_one_failed_request() {
    let served = Served::new();
    let mut client = served.http1().await;
    let response = ask(&mut client, request("GET", "/trap", "")).await;
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(told(response).await, (502, "the program failed\n".into()));
    // Both are in the program's log: what it said itself, and what became of it.
    let log = served.sink.text();
    assert!(log.contains("as it was told"), "{log}");
    let said = format!("request {id}: the program trapped: wasm trap: wasm `unreachable` instruction executed\n");
    assert!(served.sink.writes().contains(&(Stream::Stderr, said)), "{log}");
    // The connection and the server are as before.
    assert_eq!(told(ask(&mut client, request("GET", "/", "")).await).await.0, 200);
    assert_eq!(served.server.stats().traps, 1);

    // A part is not taken for the whole.
    assert_eq!(served.get("/trap-midway").await, (200, "a part (cut off)".into()));
    let (_, text) = served.get("/unfinished").await;
    assert!(text.ends_with("(cut off)"), "{text}");
    assert_eq!(served.get("/exit/3").await, (502, "the program failed\n".into()));
    assert_eq!(served.get("/nothing").await, (502, "the program gave no response\n".into()));
    assert_eq!(served.get("/error").await, (500, "the program says that it cannot answer\n".into()));
    assert_eq!(served.get("/status/103").await.0, 502);
    served.until("all are counted", |served| served.server.stats().traps == 5).await;
    let log = served.sink.text();
    for expected in [
        "the program ended itself with exit code",
        "the program returned and gave no response",
        "the program returned before it had finished a body",
        "the program's response is the error ErrorCode::InternalError",
        "the program's response has the status 103",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert_eq!(served.server.container().status(), None);
    served.until("nothing is left", |served| served.server.container().usage().memory_bytes == 0).await;
}

#[tokio::test]
async fn an_instance_may_go_on_after_its_response() {
    let served = Served::new();
    let begin = Instant::now();
    assert_eq!(served.get("/after/300").await, (200, "done".into()));
    assert!(begin.elapsed() < Duration::from_millis(300) || served.sink.text().is_empty());
    served.wrote("after", 1).await;
    // A client that is told that nothing comes does not ask for the end of it.
    assert_eq!(served.get("/after-empty/300").await, (202, String::new()));
    served.wrote("after", 2).await;
    served.get("/trap-after").await;
    served.until("its trap is counted", |served| served.server.stats().traps == 1).await;
    // To exit well after a response is as good as to return.
    served.get("/exit-after/0").await;
    served.get("/exit-after/3").await;
    served.until("one of them is counted", |served| served.server.stats().traps == 2).await;
    served.until("nothing is left", |served| served.server.container().usage().memory_bytes == 0).await;
    let log = served.sink.text();
    assert!(log.contains("the program ended itself with exit code "), "{log}");
    assert_eq!((log.matches("ended itself").count(), served.server.stats().traps), (1, 2), "{log}");
}

#[tokio::test]
async fn a_body_may_go_on_after_its_response() {
    let limits = ServerLimits { header_timeout: Duration::from_millis(500), ..ServerLimits::default() };
    let served = Served::limited(limits);
    let mut stream = served.connect().await;
    stream.write_all(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n").await.unwrap();
    served.until("it is answered", |served| served.server.stats().requests.get(&200) == Some(&1)).await;
    for byte in b"body" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    served.wrote("read Ok(4)", 1).await;
    // Then the connection waits for the next request, as ever.
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert_eq!(statuses(&rest(&mut stream).await), [200, 200]);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_instance_with_it() {
    let served = Served::new();
    let gone = |served: &Served| served.server.container().usage().memory_bytes == 0;
    // Before the response, whatever the program does.
    for asked in [
        "GET /sleep/60000 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /spin HTTP/1.1\r\nhost: a\r\n\r\n",
        // Nobody reads what is sent besides.
        "POST /sleep/60000 HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nx",
        "GET /sleep/60000 HTTP/1.1\r\nhost: a\r\n\r\nx",
    ] {
        let mut stream = served.connect().await;
        stream.write_all(asked.as_bytes()).await.unwrap();
        served.until("it runs", |served| !gone(served)).await;
        drop(stream);
        served.until("it ends", gone).await;
    }
    // In the middle of it.
    let mut client = served.http1().await;
    let mut body = ask(&mut client, request("GET", "/stream/100000/10", "")).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop((client, body));
    served.until("it ends", gone).await;
    // By HTTP/2 a single request can be given up.
    let mut client = served.http2().await;
    let asked = |path: &str| http::Request::get(format!("http://a{path}")).body(http_body_util::Empty::new()).unwrap();
    let waits = tokio::spawn(client.send_request(asked("/sleep/60000")));
    served.wrote("sleeps", 4).await;
    waits.abort();
    served.until("it ends", gone).await;
    assert_eq!(told(client.send_request(asked("/")).await.unwrap()).await.0, 200);
    served.until("they are counted", |served| served.server.stats().requests.get(&499) == Some(&5)).await;
    assert_eq!(served.server.stats().traps, 0);
}

#[tokio::test]
async fn a_graceful_end_lets_requests_end_and_takes_no_others() {
    let served = Served::new();
    let mut idle = served.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    served.until("it is answered", |served| served.server.stats().requests.get(&200) == Some(&1)).await;
    let mut busy = served.connect().await;
    busy.write_all(b"GET /sleep/500 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut streaming = served.http1().await;
    let streaming = ask(&mut streaming, request("GET", "/stream/5/100", "")).await;
    served.wrote("sleeps", 1).await;

    served.server.drain(Duration::ZERO, Duration::from_secs(30));
    served.server.drain(Duration::ZERO, Duration::ZERO);
    assert_eq!(statuses(&rest(&mut idle).await), [200]);
    let begin = Instant::now();
    while TcpStream::connect(served.server.address()).await.is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it still takes connections");
    }
    let (busy, streamed) = tokio::join!(rest(&mut busy), told(streaming));
    assert!(busy.contains("connection: close") && busy.contains("slept"), "{busy}");
    assert_eq!(streamed, (200, "1\n2\n3\n4\n5\n".into()));
    assert_eq!(served.server.container().wait().await, exited(0));
    assert_eq!(served.server.container().usage().memory_bytes, 0);
}

#[tokio::test]
async fn who_has_a_connection_has_an_answer() {
    let served = Served::new();
    // All are accepted by the kernel; the server has seen none of them, some, or all.
    let mut streams: Vec<_> =
        (0..100).map(|_| std::net::TcpStream::connect(served.server.address()).unwrap()).collect();
    served.server.drain(Duration::ZERO, Duration::from_secs(30));
    let answers = tokio::task::spawn_blocking(move || {
        for stream in &mut streams {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        }
        let answer = |mut stream: std::net::TcpStream| {
            let mut text = String::new();
            stream.read_to_string(&mut text).map(|_| text)
        };
        streams.into_iter().map(answer).filter(|text| statuses(text.as_deref().unwrap_or_default()) == [200]).count()
    });
    assert_eq!(answers.await.unwrap(), 100);
    assert_eq!(served.server.container().wait().await, exited(0));
}

#[tokio::test]
async fn a_server_that_lingers_sends_its_clients_elsewhere() {
    let served = Served::new();
    let mut one = served.http1().await;
    assert_eq!(told(ask(&mut one, request("GET", "/", "")).await).await.0, 200);
    served.server.drain(Duration::from_secs(2), Duration::from_secs(30));
    // It goes on, but a connection has one more request only.
    let response = ask(&mut one, request("GET", "/", "")).await;
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(told(response).await, (200, "hello\n".into()));
    assert!(one.ready().await.is_err());
    assert_eq!(served.get("/").await.0, 200);
    let mut two = served.http2().await;
    let asked = || http::Request::get("http://a/").body(http_body_util::Empty::new()).unwrap();
    assert_eq!(told(two.send_request(asked()).await.unwrap()).await.0, 200);
    assert_eq!(served.server.container().wait().await, exited(0));
    assert!(TcpStream::connect(served.server.address()).await.is_err());
}

#[tokio::test]
async fn an_http2_client_that_does_not_answer_is_not_waited_for() {
    let served = Served::new();
    let mut stream = served.connect().await;
    stream.write_all(&[PREFACE, SETTINGS, &frame(1, 5, 1, HEADERS)].concat()).await.unwrap();
    served.until("it is answered", |served| served.server.stats().requests.get(&200) == Some(&1)).await;
    stream.write_all(&frame(1, 5, 3, &get("/sleep/500"))).await.unwrap();
    served.wrote("sleeps", 1).await;
    served.server.drain(Duration::ZERO, Duration::from_secs(60));
    let begin = Instant::now();
    // It goes on as if it had not been told, and answers no PING.
    let asks = async {
        for stream_id in (5..).step_by(2) {
            if stream.write_all(&frame(1, 5, stream_id, &get("/sleep/100"))).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), served.server.container().wait());
    let ((), ended) = tokio::join!(asks, ended);
    assert_eq!(ended.unwrap(), exited(0));
    assert!(begin.elapsed() > Duration::from_millis(500));
    assert!(served.server.stats().requests[&200] > 2, "what was on its way is answered");
}

#[tokio::test]
async fn what_does_not_end_in_time_is_ended() {
    let served = Served::new();
    let end = async {
        served.until("it runs", |served| served.server.stats().instances == 1).await;
        served.server.drain(Duration::ZERO, Duration::from_millis(300));
        served.server.container().wait().await
    };
    let mut client = served.http1().await;
    let (ended, _) = tokio::join!(end, async {
        let _ = client.send_request(request("GET", "/spin", "")).await;
    });
    assert_eq!(ended.reason, Exit::Stopped);
    assert_eq!(served.server.container().usage().memory_bytes, 0);
}

#[tokio::test]
async fn a_server_is_stopped_by_force_and_with_its_last_handle() {
    let served = Served::new();
    let mut client = served.http1().await;
    let response = ask(&mut client, request("GET", "/stream/100000/10", "")).await;
    served.server.container().stop();
    assert_eq!(served.server.container().wait().await, stopped());
    assert!(told(response).await.1.ends_with(" (cut off)"));
    assert!(TcpStream::connect(served.server.address()).await.is_err());

    let other = Served::of(
        served.engine.clone(),
        &served.engine.compile(&super::SERVER).unwrap(),
        |_| {},
        ServerLimits::default(),
    );
    let mut client = other.http1().await;
    let response = ask(&mut client, request("GET", "/stream/100000/10", "")).await;
    let (server, engine) = (other.server, other.engine);
    drop(server);
    assert!(told(response).await.1.ends_with(" (cut off)"));
    let begin = Instant::now();
    while engine.memory().used_bytes() > 0 {
        assert!(begin.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
