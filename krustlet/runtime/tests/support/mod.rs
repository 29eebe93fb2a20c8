//! What the tests of this crate share: guests written as text, and a sink that remembers.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io;
use std::sync::{Arc, Mutex};

use krustlet_runtime::{Container, Engine, EngineConfig, Exit, ExitStatus, LogSink, RunSpec, RuntimeError, Stream};

/// Remembers every write.
#[derive(Default)]
pub struct Memory(Mutex<Vec<(Stream, Vec<u8>)>>);

impl LogSink for Memory {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().push((stream, bytes.to_vec()));
        Ok(())
    }
}

impl Memory {
    pub fn writes(&self) -> Vec<(Stream, String)> {
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        self.0.lock().unwrap().iter().map(|(stream, bytes)| (*stream, text(bytes))).collect()
    }

    pub fn text(&self) -> String {
        self.writes().into_iter().map(|(_, text)| text).collect()
    }
}

pub fn engine() -> Engine {
    Engine::new(EngineConfig::default()).unwrap()
}

/// A module with the functions of WASI that the guests here use, one page of memory, and this body.
pub fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            {body})"#
    ))
    .unwrap()
}

/// A module whose `_start` is these instructions.
pub fn start(instructions: &str) -> Vec<u8> {
    module(&format!(r#"(func (export "_start") {instructions})"#))
}

/// Sleeps for an hour: one subscription (of 48 bytes at 0) to the monotonic clock.
pub fn sleeper() -> Vec<u8> {
    start(
        "(i32.store (i32.const 16) (i32.const 1))
         (i64.store (i32.const 24) (i64.const 3600000000000))
         (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))",
    )
}

pub fn endless() -> Vec<u8> {
    start("(loop $forever (br $forever))")
}

/// Starts a module; the sink is for reading what it wrote.
pub fn run(engine: &Engine, wasm: &[u8], spec: impl FnOnce(&mut RunSpec)) -> (Container, Arc<Memory>) {
    try_run(engine, wasm, spec).unwrap()
}

pub fn try_run(
    engine: &Engine,
    wasm: &[u8],
    spec: impl FnOnce(&mut RunSpec),
) -> Result<(Container, Arc<Memory>), RuntimeError> {
    let sink = Arc::new(Memory::default());
    let mut run = RunSpec::new(sink.clone());
    spec(&mut run);
    let module = engine.compile(wasm)?;
    Ok((engine.start(&module, run)?, sink))
}

pub fn exited(code: i32) -> ExitStatus {
    ExitStatus { code, reason: Exit::Exited }
}

pub fn stopped() -> ExitStatus {
    ExitStatus { code: 137, reason: Exit::Stopped }
}
