use futures::future::join_all;
use futures::{AsyncBufReadExt, StreamExt};

use crate::connection::tests::{client, get};
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
    assert_eq!(api.connections(), 5, "one to ask what is spoken, and of 100 watches each");
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
    let api = ApiServer::speaking(&["http/1.1"], root.path(), 1000).await;
    let client = client(&api, "n").await;
    let watch = || async { client.request_stream(get("/ticks")).await.unwrap().lines() };
    let mut watches = join_all((0..120).map(|_| watch())).await;
    for ticks in &mut watches {
        assert_eq!(ticks.next().await.unwrap().unwrap(), "n 0");
    }
    assert_eq!(client.request_text(get("/who")).await.unwrap(), "n");
    assert_eq!(api.connections(), 122);
}
