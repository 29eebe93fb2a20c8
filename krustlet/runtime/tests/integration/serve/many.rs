//! Many at once.

use std::time::Duration;

use futures::future::join_all;
use krustlet_runtime::{EngineConfig, ServerLimits};

use super::{Served, ask, request, told};

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_many_connections_are_all_answered() {
    const CONNECTIONS: usize = 50;
    const REQUESTS: usize = 40;
    let served = Served::new();
    let clients = (0..CONNECTIONS).map(|_| async {
        let mut client = served.http1().await;
        for _ in 0..REQUESTS {
            let (status, text) = told(ask(&mut client, request("GET", "/count", "")).await).await;
            assert_eq!((status, text.as_str()), (200, "1"));
        }
    });
    join_all(clients).await;
    let all = (CONNECTIONS * REQUESTS) as u64;
    served.until("all are counted", |served| served.server.stats().requests.get(&200) == Some(&all)).await;
    assert_eq!(served.server.stats().instances, all);
    served.until("nothing is left", |served| served.server.container().usage().memory_bytes == 0).await;
}

#[tokio::test]
async fn servers_share_an_engine_and_not_each_others_memory_or_fate() {
    let one = Served::with(
        EngineConfig::default(),
        |spec| spec.env = vec![("NAME".into(), "one".into())],
        ServerLimits::default(),
    );
    let module = one.engine.compile(&super::SERVER).unwrap();
    let two = Served::of(
        one.engine.clone(),
        &module,
        |spec| spec.env = vec![("NAME".into(), "two".into())],
        ServerLimits::default(),
    );
    let (first, second) = tokio::join!(one.get("/env/NAME"), two.get("/env/NAME"));
    assert_eq!((first.1.as_str(), second.1.as_str()), ("one", "two"));
    one.get("/trap").await;
    one.server.drain(Duration::ZERO, Duration::ZERO);
    one.server.container().wait().await;
    assert_eq!(two.get("/").await.0, 200);
    assert_eq!((one.server.stats().traps, two.server.stats().traps), (1, 0));
    assert!(two.sink.text().is_empty());
}

#[tokio::test]
async fn a_server_of_one_program_can_be_found_by_its_digest_while_it_runs() {
    let served = Served::new();
    let digest = served.engine.compile(&super::SERVER).unwrap().digest().to_owned();
    assert!(served.engine.cached(&digest).is_some_and(|module| module.is_server()));
    served.server.container().stop();
    served.server.container().wait().await;
    assert!(served.engine.cached(&digest).is_none());
}
