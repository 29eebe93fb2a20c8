//! The host's side of every guest: how Wasmtime is configured, and which functions there are.

use wasmtime::{Config, Linker, component};
use wasmtime_wasi::{I32Exit, p1, p2};

use crate::http;
use crate::run::State;

/// How deep a guest may nest its calls, in bytes of its native stack; past that it traps. Twice what Wasmtime gives by
/// default: interpreters recurse. Stacks cost address space only, until they are used.
const WASM_STACK_BYTES: usize = 1 << 20;

/// The stack of a guest with what the host's own functions need on it. The difference, 1 MiB, is theirs alone, so that a
/// guest which calls them at its deepest does no harm.
const STACK_BYTES: usize = 2 << 20;

/// Wasmtime's engine with the functions of WASI and of HTTP.
pub(crate) struct Host {
    engine: wasmtime::Engine,
    modules: Linker<State>,
    components: component::Linker<State>,
}

impl Host {
    pub(crate) fn new(config: &Config) -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(config)?;
        Ok(Self { modules: modules(&engine)?, components: components(&engine)?, engine })
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        &self.engine
    }

    pub(crate) fn modules(&self) -> &Linker<State> {
        &self.modules
    }

    pub(crate) fn components(&self) -> &component::Linker<State> {
        &self.components
    }
}

pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        // A 32-bit memory bounds a guest even where no limit is set. Several of them are what the engine's own code between
        // composed components needs; the limits count them together.
        .wasm_memory64(false)
        .wasm_multi_memory(true)
        // Nobody reads native unwind tables or Wasm addresses here: without them a module takes less memory.
        .native_unwind_info(false)
        .generate_address_map(false);
    config
}

fn modules(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
    // The stock `proc_exit` turns every code from 126 on into a trap. A container's exit code is what the program said.
    linker.allow_shadowing(true);
    linker.func_wrap("wasi_snapshot_preview1", "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(I32Exit(code).into())
    })?;
    http::add_to_modules(&mut linker)?;
    Ok(linker)
}

fn components(engine: &wasmtime::Engine) -> wasmtime::Result<component::Linker<State>> {
    let mut linker = component::Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    http::add_to_components(&mut linker)?;
    Ok(linker)
}
