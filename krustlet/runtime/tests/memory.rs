//! What one more container of the same module costs. A program of its own, as it measures its own process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use krustlet_runtime::RunSpec;

/// Resident memory in bytes: the second field of statm, in pages of 4 KiB on every platform that is built for.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn a_further_container_of_a_module_costs_less_than_half_a_megabyte() {
    let engine = support::engine();
    let module = engine.compile(&support::sleeper()).unwrap();
    let sink = Arc::new(support::Memory::default());
    let start = |count: usize| -> Vec<_> {
        (0..count).map(|_| engine.start(&module, RunSpec::new(sink.clone())).unwrap()).collect()
    };
    let first = start(10);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = resident();
    let more = start(100);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let each = resident().saturating_sub(before) / 100;
    println!("resident before: {} KiB; each further container: {} KiB", before / 1024, each / 1024);
    assert!(each < 512 * 1024, "{each} bytes each");
    assert!(first.iter().chain(&more).all(|container| container.status().is_none()));
}
