//! The engine: one per process.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wasmtime::{Config, Linker};
use wasmtime_wasi::{I32Exit, p1};

use crate::container::{self, State};
use crate::limits::WASM32_MEMORY_BYTES;
use crate::module::Cache;
use crate::{Container, Module, RunSpec, RuntimeError};

/// How long a guest may compute before it has to give its thread to the next one, and about how long it takes to stop it.
/// A tick costs the host one atomic addition.
const TICK: Duration = Duration::from_millis(10);

/// What can be chosen about an [`Engine`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How many threads run guests. Default: as many as the host has processors.
    pub worker_threads: Option<NonZeroUsize>,
    /// The most linear memory that a guest may have whose [`RunSpec`] names no limit, in bytes. Default: 4 GiB, which is
    /// all that a 32-bit module can address.
    pub default_memory_limit_bytes: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { worker_threads: None, default_memory_limit_bytes: WASM32_MEMORY_BYTES }
    }
}

/// Compiles modules and runs them. Clones are the same engine; its threads end when the last clone and the last
/// [`Container`] are gone.
///
/// Guests run on threads of the engine's own, so that the scheduler of the host, and not luck in a shared queue, keeps a
/// busy guest from delaying the rest of the process (a node's heartbeat, say). Many guests share these threads: each is
/// a task that yields when it waits and at every tick of the epoch.
///
/// Memory is taken on demand. A pool would reserve its slots ahead and keep freed ones resident, to make starts of
/// microseconds still cheaper; a node starts a few pods a second and idles for hours, so a small idle footprint is worth more.
/// A linear memory is 4 GiB of address space, of which only touched pages are resident; the pages of a module's
/// data segments are shared by its instances until they are written to.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    linker: Linker<State>,
    modules: Cache,
    default_memory_limit_bytes: u64,
    /// `None` only while it is dropped.
    guests: Option<Runtime>,
}

impl Engine {
    /// Sets up the engine, its threads and its epoch ticker. Takes milliseconds.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Engine`] when the host allows no threads, or has a processor that Wasmtime does not know.
    pub fn new(config: EngineConfig) -> Result<Self, RuntimeError> {
        let engine = wasmtime::Engine::new(&wasmtime_config()).map_err(failed)?;
        let linker = linker(&engine).map_err(failed)?;
        tick(&engine).map_err(failed)?;
        let mut guests = Builder::new_multi_thread();
        guests.enable_all().thread_name("wasm-guest");
        if let Some(threads) = config.worker_threads {
            guests.worker_threads(threads.get());
        }
        Ok(Self(Arc::new(Shared {
            linker,
            modules: Cache::default(),
            default_memory_limit_bytes: config.default_memory_limit_bytes,
            guests: Some(guests.build().map_err(failed)?),
        })))
    }

    /// Validates and compiles a module, or finds it among those that are in use: a module is known by the SHA-256 digest
    /// of its bytes and kept as long as somebody holds it.
    ///
    /// This computes for as long as a compiler does, from milliseconds to seconds, on all processors: call it from
    /// `tokio::task::spawn_blocking`, never from an async task itself.
    ///
    /// # Errors
    ///
    /// [`NotWasm`](RuntimeError::NotWasm), [`Component`](RuntimeError::Component), [`Invalid`](RuntimeError::Invalid),
    /// [`Import`](RuntimeError::Import) or [`NoStart`](RuntimeError::NoStart), by what the bytes are.
    pub fn compile(&self, wasm: &[u8]) -> Result<Module, RuntimeError> {
        self.0.modules.get_or_compile(&self.0.linker, wasm)
    }

    /// Starts a module as a new container. Returns at once; the guest may not have made its first step by then. Works from
    /// any thread, inside a Tokio runtime or outside.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::MemoryLimit`] when the module's initial memory is more than it may have, [`RuntimeError::Spec`]
    /// when an argument or a variable cannot be passed on.
    pub fn start(&self, module: &Module, spec: RunSpec) -> Result<Container, RuntimeError> {
        spec.check()?;
        let limit = spec.memory_limit_bytes.unwrap_or(self.0.default_memory_limit_bytes);
        let needed = module.0.initial_memory_bytes;
        if needed > limit {
            return Err(RuntimeError::MemoryLimit { needed, limit });
        }
        let guests = self.0.guests.as_ref().ok_or_else(|| failed("it is being shut down"))?;
        Ok(container::spawn(self, guests.handle(), module.0.program.clone(), spec, limit))
    }
}

#[cfg(test)]
impl Engine {
    pub(crate) fn modules(&self) -> &Cache {
        &self.0.modules
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(guests) = self.guests.take() {
            // The plain drop of a runtime waits, which an async task, where this may well happen, must not do.
            guests.shutdown_background();
        }
    }
}

fn wasmtime_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // A 32-bit memory bounds a guest even where no limit is set.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        // Nobody reads native unwind tables or Wasm addresses here: without them a module takes less memory.
        .native_unwind_info(false)
        .generate_address_map(false);
    config
}

fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
    // The stock `proc_exit` turns every code from 126 on into a trap. A container's exit code is what the program said.
    linker.allow_shadowing(true);
    linker.func_wrap("wasi_snapshot_preview1", "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(I32Exit(code).into())
    })?;
    Ok(linker)
}

/// Advances the epoch until the engine is gone. The thread holds it weakly, so it ends by itself, a tick later.
fn tick(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("wasm-epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

fn failed(error: impl fmt::Display) -> RuntimeError {
    RuntimeError::Engine(format!("{error:#}"))
}
