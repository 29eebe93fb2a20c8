//! What only components of WASI 0.3 can do. What they share with other programs is tested beside those, by their toolbox.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Memory, TOOLBOX_P3, TOOLBOXES, args, engine, exited, run, stopped};
use krustlet_runtime::{Container, Engine, EngineConfig, Exit, LogSink, Mount, RunSpec, Stream};

/// For what takes milliseconds, on a machine that is busy.
const LONG: Duration = Duration::from_secs(30);

fn tool(engine: &Engine, words: &[&str]) -> (Container, Arc<Memory>) {
    run(engine, &TOOLBOX_P3, |spec| spec.args = args(words))
}

#[tokio::test]
async fn run_and_exit_give_the_exit_code() {
    let engine = engine();
    let _held = engine.compile(&TOOLBOX_P3).unwrap();
    for (words, code) in [
        (&["exit", "well"][..], 0),
        (&["exit", "badly"], 1),
        (&["exit", "0"], 0),
        (&["exit", "42"], 42),
        (&["exit", "255"], 255),
        (&["env", "NONE"], 0),
        (&["fail"], 1),
    ] {
        assert_eq!(tool(&engine, words).0.wait().await, exited(code), "{words:?}");
    }
    let status = tool(&engine, &["trap"]).0.wait().await;
    assert_eq!(status.reason, Exit::Trapped("wasm trap: wasm `unreachable` instruction executed".into()));
}

#[test]
fn an_engine_that_is_not_to_run_it_says_so() {
    let engine = Engine::new(EngineConfig { wasi_0_3: false, ..EngineConfig::default() }).unwrap();
    let error = engine.compile(&TOOLBOX_P3).unwrap_err();
    assert!(error.to_string().contains("--wasi-0-3"), "{error}");
    for (kind, wasm) in TOOLBOXES.iter().take(2) {
        assert!(engine.compile(wasm).is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn there_is_no_network() {
    let (container, sink) = tool(&engine(), &["sockets"]);
    assert_eq!(container.wait().await, exited(0));
    let (denied, unresolvable) = ("Err(ErrorCode::AccessDenied)", "Err(ErrorCode::PermanentResolverFailure)");
    assert_eq!(sink.text(), format!("{denied} {denied} {unresolvable} {unresolvable}\n"));
}

#[tokio::test]
async fn calls_under_way_and_streams_are_as_many_as_handles_may_be() {
    let engine = engine();
    let _held = engine.compile(&TOOLBOX_P3).unwrap();
    for (what, few, many) in [("calls", "1000", "5000"), ("streams", "1000", "2500")] {
        let (container, sink) = tool(&engine, &[what, few]);
        assert_eq!(container.wait().await, exited(0));
        assert_eq!(sink.text(), format!("{few} {what}\n"));
        let status = tool(&engine, &[what, many]).0.wait().await;
        let Exit::Trapped(reason) = status.reason else { panic!("{what}: {status:?}") };
        assert!(reason.contains("store handle limit exceeded"), "{what}: {reason}");
    }
}

#[tokio::test]
async fn a_program_is_stopped_and_counted_whatever_it_does() {
    let engine = engine();
    let _held = engine.compile(&TOOLBOX_P3).unwrap();
    for (words, is_busy) in
        [("spin", true), ("spin-beside", true), ("yield", true), ("write-for-ever", true), ("greet-and-stay", false)]
    {
        let (container, sink) = run(&engine, &TOOLBOX_P3, |spec| spec.args = args(&[words]));
        let begin = Instant::now();
        // It is in the middle of what it does.
        while if is_busy { container.usage().cpu < Duration::from_millis(100) } else { sink.text().is_empty() } {
            assert!(begin.elapsed() < LONG, "{words}: {:?}", container.usage());
            assert_eq!(container.status(), None, "{words}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        container.stop();
        let status = tokio::time::timeout(LONG, container.wait()).await.expect(words);
        assert_eq!((status, container.usage().memory_bytes), (stopped(), 0), "{words}");
    }
}

#[tokio::test]
async fn a_path_that_no_system_takes_is_refused_before_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (container, sink) = run(&engine(), &TOOLBOX_P3, |spec| {
        spec.args = args(&["long-path", "/data", "5000"]);
        spec.mounts = vec![Mount { host: folder.path().into(), guest: "/data".into(), read_only: false }];
    });
    assert_eq!(container.wait().await, exited(0));
    assert_eq!(sink.text(), "ErrorCode::NameTooLong\n");
}

#[tokio::test]
async fn listings_that_are_kept_count_as_memory() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..1000 {
        std::fs::write(folder.path().join(format!("{number:0>200}")), "").unwrap();
    }
    let (container, sink) = run(&engine(), &TOOLBOX_P3, |spec| {
        spec.args = args(&["keep-listings", "/data", "1000"]);
        spec.mounts = vec![Mount { host: folder.path().into(), guest: "/data".into(), read_only: true }];
        spec.memory_limit_bytes = Some(8 << 20);
    });
    assert_eq!(container.wait().await, exited(1));
    assert_eq!(sink.text(), "error: ErrorCode::InsufficientMemory\n");
}

#[tokio::test]
async fn output_arrives_in_order_and_in_pieces() {
    let engine = engine();
    let (container, sink) = tool(&engine, &["orderly"]);
    assert_eq!(container.wait().await, exited(0));
    let expected = [(Stream::Stdout, "a"), (Stream::Stderr, "b"), (Stream::Stdout, "c"), (Stream::Stderr, "d")];
    assert_eq!(sink.writes()[..4], expected.map(|(stream, text)| (stream, text.to_owned())));

    let (container, sink) = tool(&engine, &["large", "1000000"]);
    assert_eq!(container.wait().await, exited(0));
    assert_eq!(sink.text(), format!("{}\n", "x".repeat(1_000_000)));
    let longest = sink.writes().iter().map(|(_, text)| text.len()).max();
    assert_eq!(longest, Some(64 * 1024), "a sink is handed no more at once");
}

#[tokio::test]
async fn a_sink_that_fails_is_an_error_to_the_program_alone() {
    /// Takes nothing but what tells of an error.
    struct Broken(io::ErrorKind, Memory);
    impl LogSink for Broken {
        fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
            if bytes == b"x" { Err(self.0.into()) } else { self.1.write(stream, bytes) }
        }
    }
    let engine = engine();
    let module = engine.compile(&TOOLBOX_P3).unwrap();
    let cases = [(io::ErrorKind::BrokenPipe, "err(errorcode::pipe)\n"), (io::ErrorKind::Other, "err(errorcode::io)\n")];
    for (error, told) in cases {
        let sink = Arc::new(Broken(error, Memory::default()));
        let mut spec = RunSpec::new(sink.clone());
        spec.args = args(&["try-print"]);
        assert_eq!(engine.start(&module, spec).unwrap().wait().await, exited(0));
        assert_eq!(sink.1.text(), told);
    }
}

/// An interface that would pass around a limit is none that a component may use.
#[test]
fn what_is_not_bounded_is_refused_by_name() {
    let engine = engine();
    // Functions without a callback, of which each call would have a stack of its own, for as long as it waits.
    let stackful = r#"(component
        (core module $m (func (export "run")))
        (core instance $m (instantiate $m))
        (func $run async (result (result)) (canon lift (core func $m "run") async))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.3.0" (instance $run)))"#;
    let threads = r#"(component
        (core type $start (func (param i32)))
        (core func $spawn (canon thread.spawn-ref $start)))"#;
    for (wat, feature) in [(stackful, "stackful"), (threads, "threads")] {
        let error = engine.compile(&wat::parse_str(wat).unwrap()).unwrap_err().to_string();
        assert!(error.contains("is not valid") && error.contains(feature), "{error}");
    }
}
