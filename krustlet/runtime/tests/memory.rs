//! What one more container of the same module costs. A program of its own, with a single test, as it measures its own
//! process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

#[path = "integration/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use krustlet_runtime::{Container, Engine, Module, RunSpec};
use support::{Memory, TOOLBOXES, args};

const GUESTS: usize = 100;

/// Resident memory of the process in bytes, without what other processes pay for a part of.
fn resident() -> usize {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Guests that have printed a line and sleep.
async fn start(engine: &Engine, module: &Module, count: usize) -> Vec<Container> {
    let sink = Arc::new(Memory::default());
    let guests: Vec<_> = (0..count)
        .map(|_| {
            let mut spec = RunSpec::new(sink.clone());
            spec.args = args(&["greet-and-stay"]);
            spec.env = (0..20).map(|index| (format!("VARIABLE_{index}"), "value".repeat(10))).collect();
            engine.start(module, spec).unwrap()
        })
        .collect();
    let begin = Instant::now();
    while sink.text().lines().count() < count {
        assert!(begin.elapsed() < Duration::from_secs(30), "{}", sink.text());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    guests
}

#[tokio::test]
async fn a_further_container_of_a_module_costs_less_than_400_kilobytes() {
    let engine = support::engine();
    for (kind, wasm) in TOOLBOXES.iter() {
        let module = engine.compile(wasm).unwrap();
        let first = start(&engine, &module, 10).await;
        let before = resident();
        let more = start(&engine, &module, GUESTS).await;
        let each = resident().saturating_sub(before) / GUESTS;
        println!("{kind}: resident before {} KiB; each further container {} KiB", before / 1024, each / 1024);
        assert!(each < 400 * 1000, "{kind}: {each} bytes each");
        assert!(first.iter().chain(&more).all(|container| container.status().is_none()), "{kind}");
        // What the guests had goes with them, so that the next do not pay less than they cost.
        for container in first.iter().chain(&more) {
            container.stop();
            container.wait().await;
        }
    }
}
