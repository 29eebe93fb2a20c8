//! What passes between a client and a program.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use http::{Request, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use krustlet_runtime::{EngineConfig, Mount, ServerLimits};

use super::{Served, ask, request, told};

#[tokio::test]
async fn a_program_answers_and_gets_what_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "of the host").unwrap();
    let spec = |spec: &mut krustlet_runtime::RunSpec| {
        spec.env = vec![("NAME".into(), "value".into())];
        spec.mounts = vec![Mount { host: folder.path().into(), guest: "/data".into(), read_only: true }];
    };
    // With a pool, and without.
    for pooled_instances in [100, 0] {
        let config = EngineConfig { pooled_instances, ..EngineConfig::default() };
        let served = Served::with(config, spec, ServerLimits::default());
        assert_eq!(served.get("/").await, (200, "hello\n".into()));
        assert_eq!(served.get("/no/such").await, (404, "what?\n".into()));
        assert_eq!(served.get("/status/418").await, (418, String::new()));
        assert_eq!(served.get("/env/NAME").await.1, "value");
        assert_eq!(served.get("/env/PATH").await.1, "not set");
        assert_eq!(served.get("/read/file").await.1, "of the host");
        served.get("/print/word").await;
        served.wrote("word", 1).await;
        // No request sees what another one left.
        for _ in 0..3 {
            assert_eq!(served.get("/count").await.1, "1");
        }
        // Nowhere, unless it is named.
        assert!(served.get("/fetch/127.0.0.1:1").await.1.contains("HttpRequestDenied"));
        served.until("all are counted", |served| served.server.stats().requests.get(&200) == Some(&9)).await;
        let stats = served.server.stats();
        assert_eq!((stats.requests[&404], stats.requests[&418], stats.instances, stats.traps), (1, 1, 11, 0));
        assert_eq!(stats.durations.buckets.last().unwrap().1, 11);
        served.until("all are gone", |served| served.server.container().usage().memory_bytes == 0).await;
        assert!(served.server.container().usage().cpu > Duration::ZERO);
        assert_eq!(served.server.container().status(), None);
    }
}

#[tokio::test]
async fn a_folder_stays_the_one_that_it_was_at_the_start_whatever_becomes_of_its_name() {
    let above = tempfile::tempdir().unwrap();
    let [folder, other] = ["folder", "other"].map(|name| above.path().join(name));
    for (path, text) in [(&folder, "its own"), (&other, "another's")] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("file"), text).unwrap();
    }
    let spec = |spec: &mut krustlet_runtime::RunSpec| {
        spec.mounts = vec![Mount { host: folder.clone(), guest: "/data".into(), read_only: true }];
    };
    let served = Served::with(EngineConfig::default(), spec, ServerLimits::default());
    assert_eq!(served.get("/read/file").await.1, "its own");
    std::fs::rename(&folder, above.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(&other, &folder).unwrap();
    assert_eq!(served.get("/read/file").await, (200, "its own".into()));
}

#[tokio::test]
async fn a_program_sees_the_request_and_not_the_connection() {
    let served = Served::new();
    let mut client = served.http1().await;
    let mut asked = request("POST", "/inspect", "body");
    for (name, value) in [
        ("x-own", "kept"),
        ("te", "trailers"),
        ("connection", "keep-alive, x-hop"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "websocket"),
        ("proxy-authorization", "secret"),
        ("x-request-id", "from-the-client"),
    ] {
        asked.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    let (status, text) = told(ask(&mut client, asked).await).await;
    let expected = "Method::Post Scheme::Http server.test /inspect\n\
        content-length: 4\nte: trailers\nx-own: kept\nx-request-id: from-the-client";
    assert_eq!((status, text.as_str()), (200, expected));

    // One that names itself not gets a name, which its client is told.
    let response = ask(&mut client, request("GET", "/inspect", "")).await;
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (_, text) = told(response).await;
    assert!(text.contains(&format!("x-request-id: {id}")), "{text}");

    let mut client = served.http2().await;
    let asked = Request::builder().uri("http://two.test:81/inspect?q").body(http_body_util::Empty::new()).unwrap();
    let response = client.send_request(asked).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let (_, text) = told(response).await;
    // The path has no `?` of the guest's words, so it is none of them.
    assert_eq!(text, "what?\n");
    let asked = Request::builder().uri("http://two.test:81/inspect").body(http_body_util::Empty::new()).unwrap();
    let (_, text) = told(client.send_request(asked).await.unwrap()).await;
    assert!(text.starts_with("Method::Get Scheme::Http two.test:81 /inspect\n"), "{text}");
}

#[tokio::test]
async fn headers_of_the_connection_are_not_the_programs_to_set() {
    let served = Served::new();
    for name in ["connection", "transfer-encoding", "keep-alive", "upgrade", "host", "proxy-connection"] {
        let (_, text) = served.get(&format!("/header/{name}")).await;
        assert!(text.to_lowercase().contains("forbidden"), "{name}: {text}");
    }
    for name in ["x-own", "trailer", "set-cookie"] {
        assert_eq!(served.get(&format!("/header/{name}")).await.1, "Ok(())", "{name}");
    }
}

#[tokio::test]
async fn connections_are_kept_and_requests_of_one_run_beside_each_other_by_http2() {
    let served = Served::new();
    let mut client = served.http1().await;
    for _ in 0..5 {
        let response = ask(&mut client, request("GET", "/", "")).await;
        assert_eq!(told(response).await, (200, "hello\n".into()));
    }
    assert_eq!(served.server.stats().connections, 1);

    let client = served.http2().await;
    let asked = (0..10).map(|_| {
        let mut client = client.clone();
        async move {
            let asked = Request::builder().uri("http://a/sleep/1000").body(http_body_util::Empty::new()).unwrap();
            told(client.send_request(asked).await.unwrap()).await
        }
    });
    let all = futures::future::join_all(asked);
    let most = async {
        served.until("ten at once", |served| served.server.stats().in_flight == 10).await;
        served.server.stats().connections
    };
    let (answers, connections) = tokio::join!(all, most);
    assert!(answers.iter().all(|answer| *answer == (200, "slept".into())), "{answers:?}");
    assert_eq!(connections, 2);
}

#[tokio::test]
async fn bodies_pass_piece_by_piece_in_both_directions_with_their_trailers() {
    let served = Served::new();
    let (sender, receiver) = futures::channel::mpsc::unbounded::<Result<Frame<Bytes>, std::convert::Infallible>>();
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(served.connect().await)).await.unwrap();
    tokio::spawn(connection);
    let asked = Request::post("/echo").header("host", "a").header("trailer", "x-check").header("te", "trailers");
    let response = client.send_request(asked.body(StreamBody::new(receiver)).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    // Each piece comes back before the next one is sent.
    for piece in ["one", "two", "three"] {
        sender.unbounded_send(Ok(Frame::data(piece.into()))).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    let trailers: HeaderMap = [(HeaderName::from_static("x-check"), "sum".parse().unwrap())].into_iter().collect();
    sender.unbounded_send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(sender);
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn what_a_program_sends_comes_as_it_is_written() {
    let served = Served::new();
    let mut client = served.http1().await;
    let mut body = ask(&mut client, request("GET", "/stream/3/100", "")).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!((first, served.server.stats().in_flight), (Bytes::from("1\n"), 1));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "2\n3\n");

    let (status, text) = served.get("/big/3000000").await;
    assert_eq!((status, text.len()), (200, 3_000_000));
    // A body larger than all windows, which is read whole before it is answered.
    let mut client = served.http1().await;
    let (status, text) = told(ask(&mut client, request("POST", "/drain", &"x".repeat(3 << 20))).await).await;
    assert_eq!((status, text.as_str()), (200, "3145728"));
}

#[tokio::test]
async fn a_response_has_the_length_that_it_says_or_is_cut_off() {
    let served = Served::new();
    let mut client = served.http1().await;
    let response = ask(&mut client, request("GET", "/length/5/5", "")).await;
    assert_eq!(response.headers()[CONTENT_LENGTH], "5");
    assert_eq!(told(response).await, (200, "xxxxx".into()));
    // The connection is still good.
    let response = ask(&mut client, request("HEAD", "/length/5/5", "")).await;
    assert_eq!((response.status().as_u16(), &response.headers()[CONTENT_LENGTH]), (200, &"5".parse().unwrap()));
    assert_eq!(told(ask(&mut client, request("GET", "/", "")).await).await.0, 200);
    let (_, text) = served.get("/length/10/5").await;
    assert!(text.ends_with(" (cut off)"), "{text}");
    // A body that nobody reads does no harm.
    let mut client = served.http1().await;
    let asked = request("POST", "/ignore", &"x".repeat(1000));
    assert_eq!(told(ask(&mut client, asked).await).await, (200, "ignored".into()));
}

#[tokio::test]
async fn each_request_is_said_where_somebody_asked_for_it() {
    let served = Served::with(EngineConfig::default(), |spec| spec.access_log = true, ServerLimits::default());
    let mut client = served.http1().await;
    for (name, method, path) in [("one", "GET", "/status/204"), ("two", "POST", "/status/404")] {
        let mut request = request(method, path, "");
        request.headers_mut().insert("x-request-id", name.parse().unwrap());
        told(ask(&mut client, request).await).await;
    }
    // What is refused is a request as well; a path is cut off.
    let long =
        format!("GET /?{} HTTP/1.1\r\nhost: a b\r\nx-request-id: three\r\nconnection: close\r\n\r\n", "x".repeat(3000));
    served.raw(long.as_bytes()).await;
    served.until("all are said", |served| served.sink.text().lines().count() == 3).await;
    let text = served.sink.text();
    let cut = format!("request three: GET /?{} 400 ", "x".repeat(1022));
    let expected = ["request one: GET /status/204 204 ", "request two: POST /status/404 404 ", &cut];
    for (line, expected) in text.lines().zip(expected) {
        let took = line.strip_prefix(expected).and_then(|rest| rest.strip_suffix(" ms"));
        assert!(took.is_some_and(|took| took.parse::<f64>().is_ok()), "{line}");
    }
}
