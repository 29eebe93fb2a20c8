//! What is refused, and what fails alone.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use futures::future::join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use krustlet_runtime::{EngineConfig, ServerLimits};
use tokio::io::AsyncWriteExt;

use super::{SERVER, Served, ask, request, rest, statuses, told};

/// Another server of the same engine.
fn beside(one: &Served) -> Served {
    let module = one.engine.compile(&SERVER).unwrap();
    Served::of(one.engine.clone(), &module, |_| {}, ServerLimits::default())
}

/// A client that has been answered, and keeps its connection.
async fn connected(served: &Served) -> http1::SendRequest<Full<Bytes>> {
    let mut client = served.http1().await;
    assert_eq!(told(ask(&mut client, request("GET", "/", "")).await).await.0, 200);
    client
}

#[tokio::test]
async fn requests_past_the_limit_are_told_to_come_back() {
    let served = Served::limited(ServerLimits { max_concurrent_requests: 2, ..ServerLimits::default() });
    let slow = async { join_all([served.get("/sleep/5000"), served.get("/sleep/5000")]).await };
    let past = async {
        served.wrote("sleeps", 2).await;
        let mut client = served.http1().await;
        let response = ask(&mut client, request("GET", "/", "")).await;
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(response.headers()["x-request-id"].to_str().unwrap().ends_with("-3"));
        told(response).await
    };
    let (slow, past) = tokio::join!(slow, past);
    assert_eq!(past, (503, "too many requests are under way; try again\n".into()));
    assert!(slow.iter().all(|(status, _)| *status == 200));
    assert_eq!(served.server.stats().refused_requests, 1);
    served.until("there is room again", |served| served.server.stats().in_flight == 0).await;
    assert_eq!(served.get("/").await.0, 200);
}

#[tokio::test]
async fn instances_past_the_pools_room_are_told_to_come_back() {
    let config = EngineConfig { pooled_instances: 2, ..EngineConfig::default() };
    let served = Served::with(config, |_| {}, ServerLimits::default());
    let slow = async { join_all([served.get("/sleep/5000"), served.get("/sleep/5000")]).await };
    let past = async {
        served.wrote("sleeps", 2).await;
        served.get("/").await
    };
    let (slow, past) = tokio::join!(slow, past);
    assert_eq!(past.0, 503);
    assert!(slow.iter().all(|(status, _)| *status == 200));
    served.until("it is counted", |served| served.server.stats().refused_requests == 1).await;
    served.until("there is room again", |served| served.server.container().usage().memory_bytes == 0).await;
    assert_eq!(served.get("/").await.0, 200);
}

#[tokio::test]
async fn all_servers_share_what_the_process_may_have_open_but_for_four_of_each() {
    let one = Served::with(
        EngineConfig { max_server_connections: 12, ..EngineConfig::default() },
        |_| {},
        ServerLimits::default(),
    );
    let two = beside(&one);
    let taken = join_all((0..8).map(|_| connected(&one))).await;
    assert_eq!(one.raw(b"").await, "");
    one.until("it is counted", |one| one.server.stats().refused_connections == 1).await;
    let own = join_all((0..4).map(|_| connected(&two))).await;
    assert_eq!(two.raw(b"").await, "");
    two.until("it is counted", |two| two.server.stats().refused_connections == 1).await;
    let three = beside(&one);
    assert_eq!(three.raw(b"").await, "", "it has come too late");
    drop((taken, own));
    one.until("there is room again", |one| one.server.stats().connections == 0).await;
    assert_eq!(three.get("/").await.0, 200);
}

#[tokio::test]
async fn a_server_whose_clients_take_all_instances_leaves_some_to_the_others() {
    let one =
        Served::with(EngineConfig { pooled_instances: 12, ..EngineConfig::default() }, |_| {}, ServerLimits::default());
    let two = beside(&one);
    let slow = async { join_all((0..8).map(|_| one.get("/sleep/5000"))).await };
    let others = async {
        one.wrote("sleeps", 8).await;
        (one.get("/").await.0, join_all((0..2).map(|_| two.get("/"))).await)
    };
    let (slow, (past, others)) = tokio::join!(slow, others);
    assert_eq!(past, 503);
    assert!(slow.iter().chain(&others).all(|(status, _)| *status == 200), "{others:?}");
}

#[tokio::test]
async fn connections_past_the_limit_are_closed() {
    let served = Served::limited(ServerLimits { max_connections: 2, ..ServerLimits::default() });
    let (one, _two) = (connected(&served).await, connected(&served).await);
    assert_eq!(served.raw(b"").await, "");
    served.until("it is counted", |served| served.server.stats().refused_connections == 1).await;
    drop(one);
    served.until("there is room again", |served| served.server.stats().connections == 1).await;
    assert_eq!(served.get("/").await.0, 200);
}

#[tokio::test]
async fn memory_is_for_all_instances_together_and_who_passes_it_fails_alone() {
    let served =
        Served::with(EngineConfig::default(), |spec| spec.memory_limit_bytes = Some(32 << 20), ServerLimits::default());
    let first = served.get("/allocate/16/5000");
    let second = async {
        served.until("the first one has it", |served| served.server.container().usage().memory_bytes > 16 << 20).await;
        let past = served.get("/allocate/16/0").await;
        (past, served.get("/allocate/4/0").await)
    };
    let (first, (past, small)) = tokio::join!(first, second);
    assert_eq!(past, (503, "there is no memory for this request; try again\n".into()));
    assert_eq!((first, small), ((200, "16777216".into()), (200, "4194304".into())));
    assert_eq!((served.server.stats().out_of_memory, served.server.stats().traps), (1, 0));
    let log = served.sink.text();
    assert!(log.contains("the program ran out of memory: the memory limit is 33554432 bytes"), "{log}");
    served.until("all of it is back", |served| served.server.container().usage().memory_bytes == 0).await;
    assert_eq!(served.engine.memory().used_bytes(), 0);
    assert_eq!(served.get("/allocate/16/0").await.0, 200);
}

#[tokio::test]
async fn an_instance_holds_the_fewer_resources_the_more_instances_there_may_be() {
    let served = Served::new();
    assert_eq!(served.get("/hold/100").await, (200, "100".into()));
    assert_eq!(served.get("/hold/129").await.0, 502);
    let served = Served::limited(ServerLimits { max_concurrent_requests: 32, ..ServerLimits::default() });
    assert_eq!(served.get("/hold/1000").await, (200, "1000".into()));
    assert_eq!(served.get("/hold/1025").await.0, 502);
}

#[tokio::test]
async fn headers_and_bodies_have_a_size() {
    let limits = ServerLimits { max_header_bytes: 8192, max_body_bytes: 100_000, ..ServerLimits::default() };
    let served = Served::limited(limits);
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "x".repeat(9000));
    assert_eq!(statuses(&served.raw(long.as_bytes()).await), [431]);
    let many: String = (0..101).map(|index| format!("x-{index}: a\r\n")).collect();
    assert_eq!(statuses(&served.raw(format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()).await), [431]);

    let sized = |length: usize| {
        format!("POST /drain HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
    };
    let fits = served.raw([sized(100_000).as_bytes(), &[b'x'; 100_000]].concat().as_slice()).await;
    assert!(fits.ends_with("100000\r\n0\r\n\r\n"), "{fits}");
    // By its length it is refused before anything is made of it.
    let made = served.server.stats().instances;
    assert_eq!(statuses(&served.raw(sized(100_001).as_bytes()).await), [413]);
    assert_eq!(served.server.stats().instances, made);
    // Without one, when it is there.
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000)).repeat(7);
    let chunked = format!("POST /drain HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    assert_eq!(statuses(&served.raw(chunked.as_bytes()).await), [413]);
    served.until("no instance is left", |served| served.server.container().usage().memory_bytes == 0).await;
}

#[tokio::test]
async fn clients_have_a_time_for_everything() {
    let time = Duration::from_secs(2);
    let served = Served::limited(ServerLimits {
        header_timeout: time,
        body_timeout: time,
        idle_timeout: time * 2,
        ..ServerLimits::default()
    });
    let begin = Instant::now();
    let slow_headers = async {
        let mut stream = served.connect().await;
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: very" {
            // One byte at a time gains nothing.
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        rest(&mut stream).await
    };
    let slow_body = async {
        let mut stream = served.connect().await;
        stream.write_all(b"POST /drain HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nsome").await.unwrap();
        statuses(&rest(&mut stream).await)
    };
    let idle = async {
        let mut stream = served.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        statuses(&rest(&mut stream).await)
    };
    let (silent, headers, body, idle, half) =
        tokio::join!(served.raw(b""), slow_headers, slow_body, idle, served.raw(b"PRI * HTTP/2.0\r\n"));
    assert_eq!((silent.as_str(), headers.as_str(), half.as_str()), ("", "", ""));
    assert_eq!((body, idle), (vec![408], vec![200]));
    assert!(begin.elapsed() >= time * 2, "the idle one is kept for a while");
    served
        .until("nothing is left", |served| {
            let stats = served.server.stats();
            (stats.connections, stats.in_flight, served.server.container().usage().memory_bytes) == (0, 0, 0)
        })
        .await;
}

#[tokio::test]
async fn a_program_has_a_time_for_a_request_whatever_it_does() {
    let config = EngineConfig { worker_threads: NonZeroUsize::new(1), ..EngineConfig::default() };
    let limits = ServerLimits { request_timeout: Duration::from_secs(2), ..ServerLimits::default() };
    let served = Served::with(config, |_| {}, limits);
    let (spin, sleep, quick) = tokio::join!(served.get("/spin"), served.get("/sleep/60000"), served.get("/"));
    let expected = (504, "the program did not answer in time\n".to_owned());
    assert_eq!((spin, sleep, quick.0), (expected.clone(), expected, 200));
    assert_eq!(served.get("/stream/1000/100").await.0, 200);
    let (_, text) = served.get("/stream/1000/100").await;
    assert!(text.starts_with("1\n2\n") && text.ends_with(" (cut off)"), "{text}");
    let log = served.sink.text();
    assert_eq!(
        log.lines().filter(|line| line.ends_with("the program took longer than it may, and was ended")).count(),
        4,
        "{log}"
    );
}

#[tokio::test]
async fn a_program_may_keep_its_client_waiting_for_longer_than_the_client_may_it() {
    let limits = ServerLimits { body_timeout: Duration::from_millis(300), ..ServerLimits::default() };
    let served = Served::limited(limits);
    assert_eq!(served.get("/stream/2/700").await, (200, "1\n2\n".into()));
    let mut client = served.http2().await;
    for (path, expected) in [("/stream/2/700", "1\n2\n"), ("/sleep/700", "slept")] {
        let asked = http::Request::get(format!("http://a{path}")).body(http_body_util::Empty::new()).unwrap();
        assert_eq!(told(client.send_request(asked).await.unwrap()).await, (200, expected.into()));
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let limits = ServerLimits { body_timeout: Duration::from_millis(300), ..ServerLimits::default() };
    let served = Served::limited(limits);
    let mut stream = served.connect().await;
    stream.write_all(b"GET /big/100000000 HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    served.until("it has begun", |served| served.server.stats().in_flight == 1).await;
    served.until("it is gone", |served| served.server.stats().connections == 0).await;
    served.until("its instance, too", |served| served.server.container().usage().memory_bytes == 0).await;
    drop(stream);
}
