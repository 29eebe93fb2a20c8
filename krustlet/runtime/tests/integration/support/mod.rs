//! What the tests of this crate share: guests written as text, and a sink that remembers.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use krustlet_runtime::{
    Container, Engine, EngineConfig, Exit, ExitStatus, LogSink, Module, RunSpec, RuntimeError, Stream,
};
use wasi_preview1_component_adapter_provider as adapter;

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

/// A module of preview 1 as a component of WASI 0.2, by the adapter that toolchains use for it.
pub fn component(module: &[u8]) -> Vec<u8> {
    let name = adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
    let encoder = wit_component::ComponentEncoder::default().module(module).unwrap();
    let mut encoder = encoder.adapter(name, adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER).unwrap().validate(true);
    encoder.encode().unwrap()
}

/// The same program as both kinds that run here.
pub fn both(module: &[u8]) -> [(&'static str, Vec<u8>); 2] {
    [("module", module.to_vec()), ("component", component(module))]
}

/// The test program `programs/<name>.rs` as a module.
pub fn program(name: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.rs"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let wasm = folder.path().join("program.wasm");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--edition=2024", "--target=wasm32-wasip1", "-Copt-level=1", "-Cpanic=abort", "-Cstrip=symbols", "-o"])
        .args([&wasm, &source]);
    built(&mut rustc);
    std::fs::read(wasm).unwrap()
}

/// The test program of the folder `programs/<name>`, a project of its own, as a component; `file` is what its build makes.
pub fn component_project(name: &str, file: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    built(
        cargo
            .args(["build", "--release", "--target", "wasm32-wasip2", "--locked"])
            .current_dir(source)
            .env("CARGO_TARGET_DIR", &target),
    );
    std::fs::read(target.join("wasm32-wasip2/release").join(file)).unwrap()
}

/// Runs a compiler, which must succeed.
pub fn built(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed; are the targets there (rustup target add wasm32-wasip1 wasm32-wasip2)?\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The test program `programs/toolbox.rs`.
pub static TOOLBOX: LazyLock<Vec<u8>> = LazyLock::new(|| program("toolbox"));

/// The test program `programs/toolbox-p3`.
pub static TOOLBOX_P3: LazyLock<Vec<u8>> = LazyLock::new(|| component_project("toolbox-p3", "toolbox_p3.wasm"));

/// The toolbox as every kind of program that runs here.
pub static TOOLBOXES: LazyLock<[(&'static str, Vec<u8>); 3]> = LazyLock::new(|| {
    let [module, component] = both(&TOOLBOX);
    [module, component, ("component of 0.3", TOOLBOX_P3.clone())]
});

/// Compiles the toolboxes once for all uses of an engine, which keeps them as long as somebody holds them.
pub fn hold_toolboxes(engine: &Engine) -> Vec<Module> {
    TOOLBOXES.iter().map(|(_, wasm)| engine.compile(wasm).unwrap()).collect()
}

/// Arguments for a program, after its name.
pub fn args(args: &[&str]) -> Vec<String> {
    ["program"].iter().chain(args).map(|arg| (*arg).to_owned()).collect()
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
