//! Servers of WASI 0.3, whose instances answer many requests. What clients do is tested beside those of 0.2: connections know no difference.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::header::{CONTENT_LENGTH, HeaderName};
use http_body_util::BodyExt;
use krustlet_runtime::{EngineConfig, Exit, RunSpec, ServerLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Served, ask, request, told};
use crate::support::{exited, stopped};

fn served() -> Served {
    limited(ServerLimits::default())
}

fn limited(limits: ServerLimits) -> Served {
    Served::p3(EngineConfig::default(), |_| {}, limits)
}

fn with(spec: impl FnOnce(&mut RunSpec)) -> Served {
    Served::p3(EngineConfig::default(), spec, ServerLimits::default())
}

/// Begins a request that sleeps, in an instance that waits by then.
async fn sleeping(served: &Served, milliseconds: u64) -> tokio::net::TcpStream {
    let before = served.sink.text().matches("sleeps\n").count();
    let mut stream = served.connect().await;
    let asked = format!("GET /sleep/{milliseconds} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    served.wrote("sleeps", before + 1).await;
    stream
}

fn is_empty(served: &Served) -> bool {
    served.server.container().usage().memory_bytes == 0
}

#[tokio::test]
async fn a_program_answers_and_gets_what_it_is_given() {
    // With a pool, and without.
    for pooled_instances in [100, 0] {
        let config = EngineConfig { pooled_instances, ..EngineConfig::default() };
        let spec = |spec: &mut RunSpec| spec.env = vec![("NAME".into(), "value".into())];
        let served = Served::p3(config, spec, ServerLimits::default());
        assert_eq!(served.get("/").await, (200, "hello\n".into()));
        assert_eq!(served.get("/no/such").await, (404, "what?\n".into()));
        assert_eq!(served.get("/status/418").await, (418, String::new()));
        assert_eq!(served.get("/env/NAME").await.1, "value");
        assert_eq!(served.get("/env/PATH").await.1, "not set");
        served.get("/print/word").await;
        served.wrote("word", 1).await;
        // Nowhere, unless it is named.
        assert!(served.get("/fetch/127.0.0.1:1").await.1.contains("HttpRequestDenied"));
        served.until("all are counted", |served| served.server.stats().requests.get(&200) == Some(&5)).await;
        let stats = served.server.stats();
        assert_eq!((stats.requests[&404], stats.requests[&418], stats.traps), (1, 1, 0));
        assert!(served.server.container().usage().cpu > Duration::ZERO);
        // Nobody has asked anything for some time.
        served.until("its instances are gone", is_empty).await;
        assert_eq!(served.server.container().status(), None);
        assert_eq!(served.get("/count").await.1, "1");
    }
}

#[tokio::test]
async fn an_instance_answers_one_after_the_other_until_it_has_answered_enough() {
    let served = served();
    let mut client = served.http1().await;
    let mut counts = Vec::new();
    for _ in 0..300 {
        let (status, count) = told(ask(&mut client, request("GET", "/count", "")).await).await;
        assert_eq!(status, 200);
        counts.push(count.parse::<u32>().unwrap());
    }
    assert_eq!(*counts.iter().max().unwrap(), 128, "{counts:?}");
    // One more begins where the one before has not come to rest when the next request is there.
    assert!((3..60).contains(&served.server.stats().instances), "{:?}", served.server.stats());
}

#[tokio::test]
async fn an_instance_that_waits_takes_others_up_to_its_bound() {
    let served = served();
    let mut waiting = Vec::new();
    for _ in 0..9 {
        waiting.push(sleeping(&served, 3_600_000).await);
    }
    assert_eq!((served.server.stats().instances, served.server.stats().in_flight), (2, 9));
}

#[tokio::test]
async fn a_program_that_computes_holds_up_nobody_who_may_have_another_instance() {
    let served = limited(ServerLimits { request_timeout: Duration::from_secs(8), ..ServerLimits::default() });
    let spin = async { join_all([served.get("/spin"), served.get("/spin")]).await };
    let others = async {
        served.until("they spin", |served| served.server.stats().instances >= 2).await;
        let mut all = Vec::new();
        for _ in 0..20 {
            all.push(served.get("/").await);
        }
        // Whatever has been answered meanwhile, these two were not.
        assert_eq!(served.server.stats().in_flight, 2);
        all
    };
    let (spun, others) = tokio::join!(spin, others);
    assert!(others.iter().all(|(status, _)| *status == 200), "{others:?}");
    assert!(spun.iter().all(|answer| *answer == (504, "the program did not answer in time\n".into())), "{spun:?}");
    assert!(served.sink.text().contains("the program took longer than it may, and was ended"));
    served.until("they are gone", is_empty).await;
}

#[tokio::test]
async fn a_trap_is_one_failed_request_and_the_end_of_those_in_its_instance() {
    let served = served();
    let mut beside = sleeping(&served, 3_600_000).await;
    assert_eq!(served.get("/trap").await, (502, "the program failed\n".into()));
    assert!(super::rest(&mut beside).await.starts_with("HTTP/1.1 502 "));
    assert_eq!((served.server.stats().instances, served.server.stats().traps), (1, 2));
    let log = served.sink.text();
    assert!(log.contains("as it was told"), "{log}");
    let said = "the program trapped: wasm trap: wasm `unreachable` instruction executed\n";
    assert_eq!(log.matches(said).count(), 2, "{log}");
    assert_eq!(served.get("/count").await, (200, "1".into()));

    // A part is not taken for the whole.
    assert_eq!(served.get("/trap-midway").await, (200, "a part (cut off)".into()));
    assert_eq!(served.get("/exit/3").await, (502, "the program failed\n".into()));
    assert_eq!(served.get("/hold/10000").await.0, 502);
    assert_eq!(served.get("/streams/10000").await.0, 502);
    // These harm nobody else.
    let before = served.server.stats();
    assert_eq!(served.get("/error").await, (500, "the program says that it cannot answer\n".into()));
    assert_eq!(served.get("/status/103").await.0, 502);
    assert_eq!((before.instances + 1, before.traps), (served.server.stats().instances, served.server.stats().traps));
    let log = served.sink.text();
    for expected in [
        "the program ended itself with exit code 3",
        "resource table has no free keys",
        "store handle limit exceeded",
        "the program's response is the error ErrorCode::InternalError",
        "the program's response has the status 103",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert_eq!(served.server.container().status(), None);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_instance_with_it_when_the_others_are_answered() {
    let served = served();
    for path in ["/sleep/3600000", "/spin", "/stream/100000/10"] {
        let mut stream = served.connect().await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        served.until("it runs", |served| !is_empty(served)).await;
        drop(stream);
        served.until("it ends", is_empty).await;
    }
    let instances = served.server.stats().instances;
    let (gone, mut beside) = (sleeping(&served, 3_600_000).await, sleeping(&served, 3000).await);
    drop(gone);
    served.until("it is seen", |served| served.server.stats().in_flight == 1).await;
    assert_eq!(served.get("/count").await.1, "1", "an instance that has lost a request gets no others");
    assert_eq!(served.server.stats().instances, instances + 2);
    assert!(super::rest(&mut beside).await.ends_with("slept\r\n0\r\n\r\n"));
    served.until("both end", is_empty).await;
    assert_eq!(served.server.stats().traps, 0);
}

#[tokio::test]
async fn requests_past_the_limit_are_told_to_come_back() {
    let served = limited(ServerLimits { max_concurrent_requests: 2, ..ServerLimits::default() });
    let waiting = [sleeping(&served, 3_600_000).await, sleeping(&served, 3_600_000).await];
    assert_eq!(served.get("/").await, (503, "too many requests are under way; try again\n".into()));
    assert_eq!(served.server.stats().refused_requests, 1);
    drop(waiting);
    served.until("there is room again", is_empty).await;
    assert_eq!(served.get("/").await.0, 200);
}

#[tokio::test]
async fn instances_past_the_pools_room_are_not_made_and_those_that_are_take_more() {
    let config = EngineConfig { pooled_instances: 1, ..EngineConfig::default() };
    let served = Served::p3(config, |_| {}, ServerLimits::default());
    let (spins, waits) = (served.get("/spin"), async {
        served.until("it runs", |served| served.server.stats().instances == 1).await;
        // All that there can be is taken by one that computes: the others wait in it, and the ninth has no room.
        let mut waiting = Vec::new();
        for count in 2..=8 {
            waiting.push(served.connect().await);
            let asked = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
            waiting.last_mut().unwrap().write_all(asked).await.unwrap();
            served.until("it is there", |served| served.server.stats().in_flight == count).await;
        }
        let refused = served.get("/").await.0;
        served.server.container().stop();
        refused
    });
    let (_, refused) = tokio::join!(spins, waits);
    assert_eq!(refused, 503);
    assert_eq!((served.server.stats().instances, served.server.container().wait().await), (1, stopped()));
}

#[tokio::test]
async fn memory_is_for_all_instances_together() {
    let served = with(|spec| spec.memory_limit_bytes = Some(32 << 20));
    assert_eq!(served.get("/allocate/64/0").await, (503, "there is no memory for this request; try again\n".into()));
    assert_eq!(served.get("/allocate/4/0").await, (200, "4194304".into()));
    assert_eq!((served.server.stats().out_of_memory, served.server.stats().traps), (1, 0));
    let log = served.sink.text();
    assert!(log.contains("the program ran out of memory: the memory limit is 33554432 bytes"), "{log}");
}

#[tokio::test]
async fn a_program_sees_the_request_and_not_the_connection() {
    let served = served();
    let mut client = served.http1().await;
    let mut asked = request("POST", "/inspect", "body");
    for (name, value) in [
        ("x-own", "kept"),
        ("connection", "keep-alive, x-hop"),
        ("upgrade", "websocket"),
        ("proxy-authorization", "secret"),
        ("x-request-id", "from-the-client"),
    ] {
        asked.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    let (status, text) = told(ask(&mut client, asked).await).await;
    let expected = "Method::Post Scheme::Http server.test /inspect\n\
        content-length: 4\nx-own: kept\nx-request-id: from-the-client";
    assert_eq!((status, text.as_str()), (200, expected));
    for name in ["connection", "transfer-encoding", "keep-alive", "upgrade", "host", "proxy-connection"] {
        let (_, text) = served.get(&format!("/header/{name}")).await;
        assert!(text.to_lowercase().contains("forbidden"), "{name}: {text}");
    }
    assert_eq!(served.get("/header/x-own").await.1, "Ok(())");
}

#[tokio::test]
async fn bodies_pass_whole_and_as_they_are_written() {
    let served = served();
    let mut client = served.http1().await;
    assert_eq!(told(ask(&mut client, request("POST", "/echo", "back and forth")).await).await.1, "back and forth");
    let mut body = ask(&mut client, request("GET", "/stream/3/100", "")).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!((first, served.server.stats().in_flight), (Bytes::from("1\n"), 1));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "2\n3\n");
    let (status, text) = served.get("/big/3000000").await;
    assert_eq!((status, text.len()), (200, 3_000_000));
    let drained = ask(&mut client, request("POST", "/drain", &"x".repeat(3 << 20))).await;
    assert_eq!(told(drained).await, (200, "3145728".into()));
    let response = ask(&mut client, request("GET", "/length/5/5", "")).await;
    assert_eq!(response.headers()[CONTENT_LENGTH], "5");
    assert_eq!(told(response).await, (200, "xxxxx".into()));
    assert!(served.get("/length/10/5").await.1.ends_with(" (cut off)"));
    // A body that nobody reads does no harm, and a program may go on after its response.
    let mut client = served.http1().await;
    let asked = request("POST", "/ignore", &"x".repeat(1000));
    assert_eq!(told(ask(&mut client, asked).await).await, (200, "ignored".into()));
    assert_eq!(served.get("/after/300").await, (200, "done".into()));
    served.wrote("after", 1).await;
    assert_eq!(served.server.stats().traps, 0);
    assert_eq!(served.get("/trap-after").await, (200, "done".into()));
    served.until("its trap is counted", |served| served.server.stats().traps == 1).await;
    assert!(served.sink.text().contains("the program trapped: wasm trap: wasm `unreachable`"));
}

#[tokio::test]
async fn a_graceful_end_lets_requests_end() {
    let served = served();
    let mut busy = sleeping(&served, 500).await;
    served.server.drain(Duration::ZERO, Duration::from_secs(30));
    assert!(super::rest(&mut busy).await.contains("slept"));
    assert_eq!(served.server.container().wait().await, exited(0));
    assert!(is_empty(&served));
}

#[tokio::test]
async fn what_does_not_end_in_time_is_ended_and_so_is_all_by_force() {
    let served = self::served();
    let end = async {
        served.until("it runs", |served| served.server.stats().instances == 1).await;
        served.server.drain(Duration::ZERO, Duration::from_millis(300));
        served.server.container().wait().await
    };
    let (ended, _) = tokio::join!(end, served.get("/spin"));
    assert_eq!(ended.reason, Exit::Stopped);
    assert!(is_empty(&served));

    let served = self::served();
    let mut client = served.http1().await;
    let response = ask(&mut client, request("GET", "/stream/100000/10", "")).await;
    served.server.container().stop();
    assert_eq!(served.server.container().wait().await, stopped());
    assert!(told(response).await.1.ends_with(" (cut off)"));
    assert!(is_empty(&served));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_many_connections_are_all_answered() {
    const CONNECTIONS: usize = 50;
    const REQUESTS: usize = 100;
    let served = served();
    let clients = (0..CONNECTIONS).map(|_| async {
        let mut client = served.http1().await;
        for _ in 0..REQUESTS {
            let (status, _) = told(ask(&mut client, request("GET", "/count", "")).await).await;
            assert_eq!(status, 200);
        }
    });
    join_all(clients).await;
    let all = (CONNECTIONS * REQUESTS) as u64;
    served.until("all are counted", |served| served.server.stats().requests.get(&200) == Some(&all)).await;
    println!("{} instances for {all} requests", served.server.stats().instances);
    assert!(served.server.stats().instances < all / 2);
    served.until("nothing is left", is_empty).await;
}

#[tokio::test]
async fn the_beginning_of_a_body_goes_out_with_the_head_of_its_response() {
    const REQUESTS: usize = 40;
    let served = served();
    let mut stream = served.connect().await;
    let mut together = 0;
    for _ in 0..REQUESTS {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut text = Vec::with_capacity(4096);
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
        together += usize::from(String::from_utf8_lossy(&text).contains("hello\n"));
        while !text.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
        }
    }
    // A program whose turn is over between its return and its body has them sent apart.
    assert!(together > REQUESTS / 2, "{together} of {REQUESTS}");
}
