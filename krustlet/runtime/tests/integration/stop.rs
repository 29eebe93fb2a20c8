//! Stopping by force, and sharing threads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{both, endless, engine, exited, module, run, sleeper, start, stopped};
use krustlet_runtime::{Engine, EngineConfig};

/// Far more than it takes, and far less than for ever.
const AT_LAST: Duration = Duration::from_secs(10);

/// Of three guests one at least is stopped in time: all three late are our fault, one may be the host's, which runs other
/// tests beside this one.
async fn stops_soon(wasm: &[u8]) {
    for (kind, wasm) in both(wasm) {
        stops_soon_as(kind, &wasm).await;
    }
}

async fn stops_soon_as(kind: &str, wasm: &[u8]) {
    let engine = engine();
    let mut times = Vec::new();
    for _ in 0..3 {
        let (container, _) = run(&engine, wasm, |_| {});
        // Long enough that it is in the middle of what it does.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(container.status(), None);
        let start = Instant::now();
        container.stop();
        assert_eq!(container.wait().await, stopped());
        times.push(start.elapsed());
    }
    assert!(times.iter().any(|time| *time < Duration::from_millis(200)), "{kind}: it took {times:?}");
}

#[tokio::test]
async fn an_endless_loop_is_stopped() {
    stops_soon(&endless()).await;
}

#[tokio::test]
async fn a_sleeping_guest_is_stopped() {
    stops_soon(&sleeper()).await;
}

#[tokio::test]
async fn an_endless_loop_in_a_start_section_is_stopped() {
    let wasm = module(r#"(func $init (loop $forever (br $forever))) (start $init) (func (export "_start"))"#);
    stops_soon(&wasm).await;
}

#[tokio::test]
async fn an_endless_loop_of_writes_is_stopped() {
    let wasm = start(
        "(i32.store (i32.const 4) (i32.const 1))
         (loop $forever
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br $forever))",
    );
    stops_soon(&wasm).await;
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
    let (container, sink) = run(&engine(), &endless(), |_| {});
    let second = container.clone();
    drop(container);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(second.status(), None);
    drop(second);
    // The guest's own references to the sink go with it.
    let start = Instant::now();
    while Arc::strong_count(&sink) > 1 {
        assert!(start.elapsed() < AT_LAST, "the guest still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_guest_outlives_every_other_handle_on_its_engine() {
    let engine = engine();
    let (container, _) = run(&engine, &endless(), |_| {});
    drop(engine);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(container.status(), None);
    container.stop();
    assert_eq!(container.wait().await, stopped());
}

#[tokio::test]
async fn busy_guests_do_not_starve_their_neighbours() {
    let engine = Engine::new(EngineConfig { worker_threads: NonZeroUsize::new(1), ..EngineConfig::default() }).unwrap();
    let busy: Vec<_> = (0..4).map(|_| run(&engine, &endless(), |_| {}).0).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (neighbour, _) = run(&engine, &start("(call $exit (i32.const 7))"), |_| {});
    let status = tokio::time::timeout(AT_LAST, neighbour.wait()).await;
    assert_eq!(status, Ok(exited(7)));
    for container in &busy {
        assert_eq!(container.status(), None);
        container.stop();
    }
    for container in &busy {
        assert_eq!(container.wait().await, stopped());
    }
}
