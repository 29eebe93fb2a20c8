//! What a guest gets, what it may not have, and how its end is told.

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{TOOLBOXES, args, both, engine, exited, module, run, start, try_run};
use krustlet_runtime::{Exit, LogSink, RunSpec, Stream};

#[tokio::test]
async fn the_exit_code_is_what_the_program_said() {
    let engine = engine();
    for code in [0, 1, 42, 125, 126, 200, 255, 256, -1] {
        let (container, _) = run(&engine, &start(&format!("(call $exit (i32.const {code}))")), |_| {});
        assert_eq!(container.wait().await, exited(code), "proc_exit({code})");
    }
}

#[tokio::test]
async fn a_return_from_start_is_exit_code_0_for_every_waiter_also_a_late_one() {
    let engine = engine();
    for (_, wasm) in both(&start("")) {
        let (container, _) = run(&engine, &wasm, |_| {});
        let waiters: Vec<_> = (0..3)
            .map(|_| container.clone())
            .map(|container| tokio::spawn(async move { container.wait().await }))
            .collect();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), exited(0));
        }
        assert_eq!(container.wait().await, exited(0));
        assert_eq!(container.status(), Some(exited(0)));
    }
}

#[tokio::test]
async fn a_trap_is_exit_code_134_with_its_message() {
    let engine = engine();
    let cases = [
        (start("unreachable"), "wasm trap: wasm `unreachable` instruction executed"),
        (start("(drop (i32.load (i32.const -8)))"), "wasm trap: out of bounds memory access"),
        (start("(drop (i32.div_u (i32.const 1) (i32.const 0)))"), "wasm trap: integer divide by zero"),
        (module(r#"(func $deep (export "_start") (call $deep))"#), "wasm trap: call stack exhausted"),
    ];
    for (wasm, expected) in cases {
        for (kind, wasm) in both(&wasm) {
            let status = run(&engine, &wasm, |_| {}).0.wait().await;
            assert_eq!(status.code, 134, "{kind}");
            assert_eq!(status.reason, Exit::Trapped(expected.into()), "{kind}");
        }
    }
}

/// Prints the strings of `args_get` or `environ_get` as WASI lays them out: each ends in a NUL. The sizes are at 0 and 4, the
/// pointers at 1024, the strings at 4096, and the vector to write at 16.
fn print(what: &str) -> Vec<u8> {
    start(&format!(
        "(drop (call ${what}_sizes (i32.const 0) (i32.const 4)))
         (drop (call ${what} (i32.const 1024) (i32.const 4096)))
         (i32.store (i32.const 16) (i32.const 4096))
         (i32.store (i32.const 20) (i32.load (i32.const 4)))
         (call $exit (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))"
    ))
}

#[tokio::test]
async fn arguments_arrive_whole_and_in_order() {
    let engine = engine();
    for (kind, wasm) in both(&print("args")) {
        let (container, sink) = run(&engine, &wasm, |spec| {
            spec.args = ["hello", "--name=Zoë", "", "two words"].map(Into::into).into();
        });
        assert_eq!(container.wait().await, exited(0));
        assert_eq!(sink.text(), "hello\0--name=Zoë\0\0two words\0", "{kind}");
    }
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_nothing_of_the_hosts() {
    assert!(std::env::var_os("PATH").is_some());
    let engine = engine();
    for (kind, wasm) in both(&print("env")) {
        let (container, sink) = run(&engine, &wasm, |spec| {
            let env = [("B", "2"), ("A", "x=y z"), ("EMPTY", "")];
            spec.env = env.map(|(name, value)| (name.into(), value.into())).into();
        });
        assert_eq!(container.wait().await, exited(0));
        assert_eq!(sink.text(), "B=2\0A=x=y z\0EMPTY=\0", "{kind}");
    }

    // Without variables, the count at 0 and the size at 4 are both 0.
    let none = start(
        "(drop (call $env_sizes (i32.const 0) (i32.const 4)))
         (call $exit (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 4))))",
    );
    for (kind, wasm) in both(&none) {
        assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, exited(0), "{kind}");
    }
}

#[tokio::test]
async fn there_are_no_files_and_standard_input_is_at_its_end() {
    let engine = engine();
    // Errno 8 is `badf`: no directory was opened beforehand.
    let prestat = start("(call $exit (call $prestat (i32.const 3) (i32.const 0)))");
    assert_eq!(run(&engine, &prestat, |_| {}).0.wait().await, exited(8));

    // Reads up to 100 bytes: success is 0, and the number of bytes, at 8, as well.
    let read = start(
        "(i32.store (i32.const 0) (i32.const 1024))
         (i32.store (i32.const 4) (i32.const 100))
         (i32.store (i32.const 8) (i32.const 77))
         (call $exit (i32.add (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
                              (i32.load (i32.const 8))))",
    );
    for (kind, wasm) in both(&read) {
        assert_eq!(run(&engine, &wasm, |_| {}).0.wait().await, exited(0), "{kind}");
    }
}

/// Instructions that write a letter to a file descriptor.
fn letter(fd: i32, letter: char) -> String {
    format!(
        "(i32.store (i32.const 0) (i32.const 64))
         (i32.store (i32.const 4) (i32.const 1))
         (i32.store8 (i32.const 64) (i32.const {}))
         (drop (call $write (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 8)))",
        letter as u32
    )
}

#[tokio::test]
async fn output_arrives_in_the_order_in_which_it_was_written() {
    let wasm = start(&[letter(1, 'a'), letter(2, 'b'), letter(1, 'c'), letter(2, 'd')].concat());
    let engine = engine();
    for (kind, wasm) in both(&wasm) {
        let (container, sink) = run(&engine, &wasm, |_| {});
        assert_eq!(container.wait().await, exited(0), "{kind}");
        let expected = [(Stream::Stdout, "a"), (Stream::Stderr, "b"), (Stream::Stdout, "c"), (Stream::Stderr, "d")];
        assert_eq!(sink.writes(), expected.map(|(stream, text)| (stream, text.to_owned())), "{kind}");
    }
}

#[tokio::test]
async fn a_large_write_arrives_whole() {
    let wasm = start(
        "(memory.fill (i32.const 64) (i32.const 120) (i32.const 60000))
         (i32.store (i32.const 0) (i32.const 64))
         (i32.store (i32.const 4) (i32.const 60000))
         (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
    );
    let engine = engine();
    for (kind, wasm) in both(&wasm) {
        let (container, sink) = run(&engine, &wasm, |_| {});
        assert_eq!(container.wait().await, exited(0), "{kind}");
        assert_eq!(sink.text(), "x".repeat(60000), "{kind}");
    }
}

#[tokio::test]
async fn a_sink_that_fails_is_an_error_to_the_guest_alone() {
    struct Broken(fn() -> io::Error);
    impl LogSink for Broken {
        fn write(&self, _: Stream, _: &[u8]) -> io::Result<()> {
            Err(self.0())
        }
    }
    let engine = engine();
    let wasm = start(
        "(i32.store (i32.const 4) (i32.const 1))
         (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
    );
    let module = engine.compile(&wasm).unwrap();
    // ENOSPC of Linux is errno 51 (`nospc`) of WASI, EPIPE is 64 (`pipe`), and all that has no number is 29 (`io`).
    let cases: [(fn() -> io::Error, i32); 3] = [
        (|| io::Error::from_raw_os_error(28), 51),
        (|| io::Error::from_raw_os_error(32), 64),
        (|| io::Error::other("no number"), 29),
    ];
    for (error, errno) in cases {
        let spec = RunSpec::new(Arc::new(Broken(error)));
        assert_eq!(engine.start(&module, spec).unwrap().wait().await, exited(errno), "{}", error());
    }
}

#[test]
fn what_cannot_run_is_refused_by_what_it_is() {
    let engine = engine();
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let valid = start("");
    let cases = [
        (Vec::new(), "starts with nothing, not with"),
        (b"#!/bin/sh".to_vec(), "starts with 23212f62, not with"),
        (b"\0as".to_vec(), "starts with 006173, not with"),
        (valid[..valid.len() - 1].to_vec(), "this WebAssembly module is not valid"),
        (wat("(module)"), "exports no function `_start`"),
        (wat(r#"(module (memory (export "_start") 1))"#), "exports no function `_start`"),
        (wat(r#"(module (func (export "_start") (param i32)))"#), "exports no function `_start`"),
        (
            wat(r#"(module (import "env" "connect" (func)) (func (export "_start")))"#),
            "imports what a node does not provide: unknown import: `env::connect`",
        ),
        (wat(r#"(module (memory i64 1) (func (export "_start")))"#), "this WebAssembly module is not valid"),
    ];
    for (wasm, expected) in cases {
        let error = engine.compile(&wasm).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn strings_that_wasi_cannot_carry_are_refused_without_telling_a_secret() {
    let engine = engine();
    let env = |name: &str, value: &str| {
        let pair = (name.to_owned(), value.to_owned());
        try_run(&engine, &start(""), |spec| spec.env = vec![pair]).err().unwrap().to_string()
    };
    assert!(env("", "hunter2").contains("is no name for an environment variable"));
    assert!(env("A=B", "hunter2").contains("\"A=B\" is no name"));
    assert!(env("A", "hunter2\0").contains("the environment variable A holds a NUL"));
    assert!(!env("A", "hunter2\0").contains("hunter2"));
    let error = try_run(&engine, &start(""), |spec| spec.args = vec!["a\0b".into()]).err().unwrap();
    assert!(error.to_string().contains("the argument \"a\\0b\" holds a NUL"), "{error}");
}

/// Runs the toolbox as each kind; what each printed.
async fn tool(words: &[&str]) -> Vec<String> {
    let engine = engine();
    let mut printed = Vec::new();
    for (kind, wasm) in TOOLBOXES.iter() {
        let (container, sink) = run(&engine, wasm, |spec| {
            spec.args = args(words);
            spec.env = vec![("GREETING".into(), "hello".into())];
        });
        assert_eq!(container.wait().await, exited(0), "{kind} {words:?}: {}", sink.text());
        printed.push(sink.text().trim_end().to_owned());
    }
    printed
}

#[tokio::test]
async fn a_compiled_program_finds_its_surroundings() {
    assert_eq!(tool(&["env", "GREETING"]).await, ["hello"; 3]);
    assert_eq!(tool(&["env", "PATH"]).await, ["unset"; 3]);
    assert_eq!(tool(&["stdin"]).await, ["\"\""; 3]);
}

#[tokio::test]
async fn clocks_go_and_random_numbers_differ() {
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for seconds in tool(&["clocks"]).await {
        assert!((before..before + 600).contains(&seconds.parse().unwrap()), "{seconds}");
    }
    let mut numbers: Vec<u64> = Vec::new();
    for _ in 0..3 {
        numbers.extend(tool(&["random"]).await.iter().map(|number| number.parse::<u64>().unwrap()));
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 9, "{numbers:?}");
}
