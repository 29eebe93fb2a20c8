//! Stopping by force, and sharing threads.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

mod support;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use krustlet_runtime::{Container, Engine, EngineConfig};
use support::{endless, engine, exited, run, sleeper, start, stopped};

const SOON: Duration = Duration::from_millis(200);

async fn stops_soon(container: &Container) {
    // Long enough that it is in the middle of what it does.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(container.status(), None);
    let start = Instant::now();
    container.stop();
    assert_eq!(container.wait().await, stopped());
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn an_endless_loop_is_stopped() {
    stops_soon(&run(&engine(), &endless(), |_| {}).0).await;
}

#[tokio::test]
async fn a_sleeping_guest_is_stopped() {
    stops_soon(&run(&engine(), &sleeper(), |_| {}).0).await;
}

#[tokio::test]
async fn an_endless_loop_in_a_start_section_is_stopped() {
    let wasm = support::module(r#"(func $init (loop $forever (br $forever))) (start $init) (func (export "_start"))"#);
    stops_soon(&run(&engine(), &wasm, |_| {}).0).await;
}

#[tokio::test]
async fn an_endless_loop_of_writes_is_stopped() {
    let wasm = start(
        "(i32.store (i32.const 4) (i32.const 1))
         (loop $forever
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br $forever))",
    );
    stops_soon(&run(&engine(), &wasm, |_| {}).0).await;
}

#[tokio::test]
async fn a_stop_comes_too_late_for_a_guest_that_has_ended() {
    let (container, _) = run(&engine(), &start("(call $exit (i32.const 3))"), |_| {});
    assert_eq!(container.wait().await, exited(3));
    container.stop();
    assert_eq!(container.wait().await, exited(3));
}

#[tokio::test]
async fn a_guest_is_stopped_when_its_last_handle_goes() {
    let (container, sink) = run(&engine_that_stays(), &endless(), |_| {});
    let second = container.clone();
    drop(container);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(second.status(), None);
    drop(second);
    // The guest's own references to the sink go with it.
    let start = Instant::now();
    while Arc::strong_count(&sink) > 1 {
        assert!(start.elapsed() < SOON, "the guest still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One that no end of a handle takes along.
fn engine_that_stays() -> Engine {
    static ENGINE: std::sync::OnceLock<Engine> = std::sync::OnceLock::new();
    ENGINE.get_or_init(engine).clone()
}

#[tokio::test]
async fn guests_are_stopped_when_their_engine_goes() {
    let engine = engine();
    let (busy, _) = run(&engine, &endless(), |_| {});
    let (asleep, _) = run(&engine, &sleeper(), |_| {});
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(engine);
    for container in [busy, asleep] {
        let status = tokio::time::timeout(Duration::from_secs(2), container.wait()).await;
        assert_eq!(status, Ok(stopped()));
    }
}

#[tokio::test]
async fn busy_guests_do_not_starve_their_neighbours() {
    let engine = Engine::new(EngineConfig { worker_threads: NonZeroUsize::new(1), ..EngineConfig::default() }).unwrap();
    let busy: Vec<_> = (0..4).map(|_| run(&engine, &endless(), |_| {}).0).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begin = Instant::now();
    let (neighbour, _) = run(&engine, &start("(call $exit (i32.const 7))"), |_| {});
    assert_eq!(neighbour.wait().await, exited(7));
    assert!(begin.elapsed() < Duration::from_millis(500), "it took {:?}", begin.elapsed());
    for container in &busy {
        assert_eq!(container.status(), None);
        container.stop();
    }
    for container in &busy {
        assert_eq!(container.wait().await, stopped());
    }
}
