//! The threads of an engine end with it. A program of its own, as other engines would be counted too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

#[path = "integration/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

/// How many threads of this process have a name that starts so.
fn threads(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

#[test]
fn an_engine_has_one_ticker_and_leaves_no_thread() {
    let engine = support::engine();
    let (container, _) = support::run(&engine, &support::endless(), |_| {});
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(threads("wasm-epoch"), 1);
    assert!(threads("wasm-guest") > 0);
    drop(engine);
    assert_eq!(threads("wasm-epoch"), 1, "the container keeps its engine");
    drop(container);
    let start = Instant::now();
    while threads("wasm-") > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "{} threads are left", threads("wasm-"));
        std::thread::sleep(Duration::from_millis(5));
    }
}
