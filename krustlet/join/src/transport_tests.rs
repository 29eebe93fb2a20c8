use futures::future::join_all;
use futures::{AsyncBufReadExt, StreamExt};

use super::*;
use crate::connection::tests::{access, client, get};
use crate::testing::api::ApiServer;

#[tokio::test]
async fn what_is_watched_shares_a_few_connections_and_keeps_no_request_waiting() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 1000).await;
    let client = client(&api, "n").await;
    let watch = || async {
        let mut ticks = client.request_stream(get("/ticks")).await.unwrap().lines();
        assert!(ticks.next().await.unwrap().unwrap().starts_with("n "));
        ticks
    };
    let mut watches = join_all((0..350).map(|_| watch())).await;
    assert_eq!(client.request_text(get("/who")).await.unwrap(), "n");
    assert_eq!(api.connections(), 5, "one to ask what is spoken, and of 90 watches each");
    api.tick();
    for ticks in &mut watches {
        assert_eq!(ticks.next().await.unwrap().unwrap(), "n 1");
    }
    // What has ended leaves its place to others.
    drop(watches);
    join_all((0..350).map(|_| watch())).await;
    assert_eq!(api.connections(), 5);
}

#[tokio::test]
async fn where_only_http1_is_spoken_each_has_a_connection() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::speaking(&["http/1.1"], 100, root.path(), 1000).await;
    let client = client(&api, "n").await;
    let watch = || async { client.request_stream(get("/ticks")).await.unwrap().lines() };
    let mut watches = join_all((0..120).map(|_| watch())).await;
    for ticks in &mut watches {
        assert_eq!(ticks.next().await.unwrap().unwrap(), "n 0");
    }
    assert_eq!(client.request_text(get("/who")).await.unwrap(), "n");
    assert_eq!(api.connections(), 122);
}

#[tokio::test]
async fn one_that_is_given_up_keeps_nobody_from_the_connection_that_it_was_making() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 1000).await;
    let client = client(&api, "n").await;
    for _ in 0..20 {
        let impatient = tokio::time::timeout(Duration::from_micros(300), client.request_text(get("/who")));
        let (_, others) = tokio::join!(impatient, join_all((0..8).map(|_| client.request_text(get("/who")))));
        for answer in others {
            assert_eq!(answer.unwrap(), "n");
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_fewer_streams_is_asked_over_other_connections_in_the_end() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::speaking(&["h2"], 4, root.path(), 1000).await;
    let client = client(&api, "n").await;
    let mut watches = Vec::new();
    for _ in 0..4 {
        watches.push(client.request_stream(get("/ticks")).await.unwrap());
    }
    let heartbeat = || tokio::time::timeout(STREAM_LIMIT + Duration::from_secs(1), client.request_text(get("/who")));
    assert!(heartbeat().await.is_err(), "there is no stream left");
    assert_eq!(heartbeat().await.unwrap().unwrap(), "n");
    drop(watches);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_then_asked_again() {
    let root = tempfile::tempdir().unwrap();
    let api = ApiServer::start(root.path(), 1000).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = access(&api, "n").client_config().await.unwrap();
    config.cluster_url = format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
    let client = super::client(config).unwrap();
    let begun = Instant::now();
    let error = client.request_text(get("/who")).await.unwrap_err();
    assert!(error.to_string().contains("deadline has elapsed"), "{error}");
    assert!(begun.elapsed() < CONNECT_LIMIT * 2, "tried once more at most");
}
