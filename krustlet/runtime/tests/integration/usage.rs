//! What guests use, and how they share it.

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Memory, TOOLBOXES, args, both, endless, engine, exited, run, sleeper, start, stopped};
use krustlet_runtime::{Container, Engine, EngineConfig, LogSink, RunSpec, Stream, Usage};

#[tokio::test]
async fn a_busy_guest_uses_processor_time_and_a_sleeping_one_does_not() {
    let engine = Engine::new(EngineConfig { worker_threads: NonZeroUsize::new(2), ..EngineConfig::default() }).unwrap();
    for ((kind, busy), (_, idle)) in both(&endless()).into_iter().zip(both(&sleeper())) {
        let begin = Instant::now();
        let (busy, _) = run(&engine, &busy, |_| {});
        let (idle, _) = run(&engine, &idle, |_| {});
        // The host may be crowded: it takes as long as it takes.
        while busy.usage().cpu < Duration::from_millis(200) {
            assert!(begin.elapsed() < Duration::from_secs(60), "{kind}: {:?}", busy.usage());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let used = busy.usage().cpu;
        assert!(used <= begin.elapsed(), "{kind}: {used:?} of {:?}", begin.elapsed());
        assert!(idle.usage().cpu < Duration::from_millis(100), "{kind}: {:?}", idle.usage());
        assert_eq!(idle.status(), None);
        busy.stop();
        busy.wait().await;
        assert!(busy.usage().cpu >= used, "{kind}: it stays when the guest has ended");
        assert_eq!(busy.usage().memory_bytes, 0, "{kind}");
    }
}

#[tokio::test]
async fn memory_is_what_the_guest_has_now() {
    let engine = engine();
    // Of one page at the start, and three after; then it sleeps.
    let grow = start(
        "(drop (memory.grow (i32.const 2)))
         (i32.store (i32.const 16) (i32.const 1))
         (i64.store (i32.const 24) (i64.const 3600000000000))
         (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))",
    );
    let (container, _) = run(&engine, &grow, |_| {});
    let expected = 3 * 64 * 1024;
    let begin = Instant::now();
    while container.usage().memory_bytes != expected {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", container.usage());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    container.stop();
    container.wait().await;
    assert_eq!(container.usage().memory_bytes, 0);
    assert_eq!(Usage::default(), Usage { cpu: Duration::ZERO, memory_bytes: 0, wanted_memory_bytes: 0 });
}

#[tokio::test]
async fn usage_is_cheap_enough_for_all_guests_of_a_node() {
    let engine = engine();
    let module = engine.compile(&sleeper()).unwrap();
    let sink = Arc::new(Memory::default());
    let guests: Vec<_> = (0..110).map(|_| engine.start(&module, RunSpec::new(sink.clone())).unwrap()).collect();
    let begin = Instant::now();
    for _ in 0..1000 {
        let total: Duration = guests.iter().map(|guest| guest.usage().cpu).sum();
        assert!(total < Duration::from_secs(60));
    }
    assert!(begin.elapsed() < Duration::from_secs(1), "1000 times all: {:?}", begin.elapsed());
}

/// Notes when each write came.
#[derive(Default)]
struct Times(Mutex<Vec<Instant>>);

impl LogSink for Times {
    fn write(&self, _: Stream, _: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().push(Instant::now());
        Ok(())
    }
}

fn busy(engine: &Engine, count: usize) -> Vec<Container> {
    (0..count).map(|_| run(engine, &endless(), |_| {}).0).collect()
}

#[tokio::test]
async fn a_guest_that_prints_every_50_ms_does_so_beside_more_busy_ones_than_there_are_threads() {
    let engine = Engine::new(EngineConfig { worker_threads: NonZeroUsize::new(1), ..EngineConfig::default() }).unwrap();
    let neighbours = busy(&engine, 4);
    // One subscription to the monotonic clock, of 50 ms; then one letter; for ever.
    let printer = start(
        "(i32.store (i32.const 16) (i32.const 1))
         (i64.store (i32.const 24) (i64.const 50000000))
         (i32.store (i32.const 256) (i32.const 300))
         (i32.store (i32.const 260) (i32.const 1))
         (loop $forever
            (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
            (drop (call $write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 264)))
            (br $forever))",
    );
    let times = Arc::new(Times::default());
    let module = engine.compile(&printer).unwrap();
    let container = engine.start(&module, RunSpec::new(times.clone())).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    container.stop();
    assert_eq!(container.wait().await, stopped());
    let times = times.0.lock().unwrap().clone();
    let mut gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort();
    // It wakes after 50 ms and waits for its turn behind 4 guests of 10 ms each: 100 ms at most, if the host has nothing else
    // to do.
    assert!(gaps.len() >= 5, "{gaps:?}");
    assert!(gaps[gaps.len() / 2] < Duration::from_millis(300), "{gaps:?}");
    println!("{} gaps; median {:?}, longest {:?}", gaps.len(), gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    // The busy ones got their share alike.
    let shares: Vec<_> = neighbours.iter().map(|guest| guest.usage().cpu.as_secs_f64()).collect();
    let (least, most) = (shares.iter().copied().fold(f64::MAX, f64::min), shares.iter().copied().fold(0.0, f64::max));
    assert!(least > 0.0 && most < 4.0 * least, "{shares:?}");
    assert!(neighbours.iter().all(|guest| guest.status().is_none()));
}

#[tokio::test]
async fn busy_guests_do_not_delay_the_rest_of_the_process() {
    let engine = engine();
    let threads = std::thread::available_parallelism().unwrap().get();
    let _neighbours = busy(&engine, 4 * threads);
    let mut late = Vec::new();
    for _ in 0..40 {
        let begin = Instant::now();
        tokio::time::sleep(Duration::from_millis(25)).await;
        late.push(begin.elapsed().saturating_sub(Duration::from_millis(25)));
    }
    late.sort();
    assert!(late[20] < Duration::from_millis(50), "{late:?}");
    assert!(late[39] < Duration::from_secs(1), "{late:?}");
}

#[tokio::test]
async fn a_hundred_and_ten_guests_start_in_well_under_a_second() {
    let engine = engine();
    let sink = Arc::new(Memory::default());
    for (kind, wasm) in TOOLBOXES.iter() {
        let module = engine.compile(wasm).unwrap();
        let begin = Instant::now();
        let guests: Vec<_> = (0..110)
            .map(|_| {
                let mut spec = RunSpec::new(sink.clone());
                spec.args = args(&["env", "NONE"]);
                engine.start(&module, spec).unwrap()
            })
            .collect();
        for guest in &guests {
            assert_eq!(guest.wait().await, exited(0));
        }
        println!("110 of one {kind}: {:?}", begin.elapsed());
        assert!(begin.elapsed() < Duration::from_secs(1), "{kind}: {:?}", begin.elapsed());
    }
    assert_eq!(sink.text(), "unset\n".repeat(330));
}
