//! The engine: one per process.

mod config;

use std::fmt;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use krustlet_http::Client;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use wasmtime::Config;

pub use self::config::EngineConfig;
use crate::code_cache::CodeCache;
use crate::host::{self, Epochs, Hosts};
use crate::http::{self, GuestHttp};
use crate::module::{Modules, hex};
use crate::opening::{Opener, Openers};
use crate::program::Program;
use crate::resources::memory::MemoryBudget;
use crate::resources::usage::Meter;
use crate::serve::{self, Server, ServerLimits};
use crate::{Container, Module, RunSpec, RuntimeError, exports, run};

/// How often a guest that computes is asked whether its turn is over, see `usage::at_tick`. A tick costs the host one atomic addition.
const TICK: Duration = Duration::from_millis(5);

/// How many threads may wait for the disk in the guests' name at once. They are made when they are needed.
const FILE_THREADS: usize = 64;

/// How many handles of WASI 0.2 a socket may come to: its own, those of its two streams, and a pollable of each, with some to spare.
const HANDLES_OF_SOCKET: usize = 8;

/// How long such a thread waits for more work before it ends and its memory goes.
pub(crate) const FILE_THREAD_IDLE: Duration = Duration::from_secs(2);

/// Compiles modules and runs them. Clones are the same engine; its threads end when the last clone and the last
/// [`Container`] are gone.
///
/// Guests run on threads of the engine's own, so that the scheduler of the host, and not luck in a shared queue, keeps a
/// busy guest from delaying the rest of the process (a node's heartbeat, say). Many guests share these threads: each is
/// a task that yields when it waits and at the end of its turn.
///
/// Memory of programs that run to their end is taken on demand: a node starts a few of them a second and idles for hours, so a small
/// idle footprint is worth more than starts that are still cheaper. Servers are made anew for each request, or for a hundred, so that their instances
/// come from a pool, see [`EngineConfig::pooled_instances`].
///
/// A linear memory is 4 GiB of address space, of which only touched pages are resident; the pages of a module's
/// data segments are shared by its instances until they are written to.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    hosts: Hosts,
    modules: Modules,
    code_cache: Option<CodeCache>,
    default_memory_limit_bytes: u64,
    memory: MemoryBudget,
    /// Of all servers.
    connections: Arc<Semaphore>,
    instances: Arc<Semaphore>,
    http: Client,
    openers: Openers,
    wasi_0_3: bool,
    /// `None` only while it is dropped.
    guests: Option<Runtime>,
}

impl Engine {
    /// Sets up the engine, its threads and its epoch ticker. Takes milliseconds.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Engine`] when the host allows no threads, or has a processor that Wasmtime does not know;
    /// [`RuntimeError::Authorities`] when `trusted_ca_file` cannot be used.
    pub fn new(config: EngineConfig) -> Result<Self, RuntimeError> {
        Self::with(config, host::config())
    }

    fn with(config: EngineConfig, mut wasmtime: Config) -> Result<Self, RuntimeError> {
        let http = Client::new(config.trusted_ca_file.as_deref(), config.network, config.egress, config.max_sockets)?;
        let mut code_cache = config.code_cache.as_deref().and_then(CodeCache::open);
        wasmtime.cache(code_cache.as_ref().map(CodeCache::wasmtime));
        let hosts = Hosts::new(wasmtime, config.pooled_instances).map_err(failed)?;
        if let Some(cache) = &mut code_cache {
            cache.bind(hosts.plain().engine());
        }
        tick(hosts.epochs().clone()).map_err(failed)?;
        let mut guests = Builder::new_multi_thread();
        guests
            .enable_all()
            .thread_name("wasm-guest")
            .max_blocking_threads(FILE_THREADS)
            .thread_keep_alive(FILE_THREAD_IDLE);
        if let Some(threads) = config.worker_threads {
            guests.worker_threads(threads.get());
        }
        Ok(Self(Arc::new(Shared {
            hosts,
            modules: Modules::default(),
            code_cache,
            default_memory_limit_bytes: config.default_memory_limit_bytes,
            memory: MemoryBudget::new(config.memory_budget_bytes),
            connections: serve::semaphore(config.max_server_connections),
            instances: serve::semaphore(match config.pooled_instances {
                0 => usize::MAX,
                instances => usize::try_from(instances).unwrap_or(usize::MAX),
            }),
            http,
            openers: Openers::default(),
            wasi_0_3: config.wasi_0_3,
            guests: Some(guests.build().map_err(failed)?),
        })))
    }

    /// Validates and compiles a program, or finds it among those that are in use: a program is known by the SHA-256 digest
    /// of its bytes and kept as long as somebody holds it or a container of it runs. The first bytes tell whether it is a
    /// core module of WASI preview 1 or a component of WASI 0.2 or 0.3.
    ///
    /// This computes for as long as a compiler does, from milliseconds to seconds, on all processors: call it from
    /// `tokio::task::spawn_blocking`, never from an async task itself. With a
    /// [`code_cache`](EngineConfig::code_cache) it is milliseconds from the second time on.
    ///
    /// # Errors
    ///
    /// [`NotWasm`](RuntimeError::NotWasm), [`Invalid`](RuntimeError::Invalid), [`Import`](RuntimeError::Import),
    /// [`NoStart`](RuntimeError::NoStart), [`NoRun`](RuntimeError::NoRun) or [`Wasi03`](RuntimeError::Wasi03), by what the bytes are.
    pub fn compile(&self, wasm: &[u8]) -> Result<Module, RuntimeError> {
        self.admit(wasm)?;
        self.0.modules.get_or_compile(&self.0.hosts, self.0.code_cache.as_ref(), wasm)
    }

    /// As [`compile`](Self::compile), but only of a program whose machine code is kept on disk; `None` of another. Takes milliseconds.
    /// Where there is no usable [`code_cache`](EngineConfig::code_cache), see [`keeps_code`](Self::keeps_code), it is always `None`.
    ///
    /// # Errors
    ///
    /// Those of [`compile`](Self::compile).
    pub fn load(&self, wasm: &[u8]) -> Result<Option<Module>, RuntimeError> {
        self.admit(wasm)?;
        match &self.0.code_cache {
            Some(cache) => self.0.modules.get_or_load(&self.0.hosts, cache, wasm),
            None => Ok(None),
        }
    }

    /// Whether a program is of a kind that may run here, before anything is compiled.
    fn admit(&self, wasm: &[u8]) -> Result<(), RuntimeError> {
        if self.0.wasi_0_3 || !exports::is_of_0_3(wasm) { Ok(()) } else { Err(RuntimeError::Wasi03) }
    }

    /// Whether machine code can be kept on disk, so that another process can compile for this one.
    pub fn keeps_code(&self) -> bool {
        self.0.code_cache.is_some()
    }

    /// Takes the machine code that another process has left in `folder` by [`compile_into`]: from then on [`load`](Self::load) finds it.
    /// `digest` is that of the program's bytes, as [`Module::digest`] gives it. The folder is on the file system of the code cache.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Engine`] when there is no machine code of this program for this engine, or it cannot be kept.
    pub fn adopt(&self, folder: &Path, digest: &str) -> Result<(), RuntimeError> {
        let cache = self.0.code_cache.as_ref().ok_or_else(|| failed("it keeps no machine code"))?;
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        cache
            .adopt(folder, hex)
            .map_err(|error| failed(format!("the machine code of {digest} is not to be had: {error}")))
    }

    /// Removes the machine code on disk that is of no program in use, but for what has come or was used in the last minute: the disk is
    /// full. Waits for the disk.
    pub fn reclaim_code(&self) {
        if let Some(cache) = &self.0.code_cache {
            cache.reclaim(|digest| self.cached(&format!("sha256:{digest}")).is_some());
        }
    }

    /// The program with this digest, if it is in use, so that its bytes need not be read again. `digest` is that of its
    /// bytes, as [`Module::digest`] gives it: `sha256:` and 64 hexadecimal digits in lower case. Does not wait: a program
    /// that is being compiled at this moment is not found.
    pub fn cached(&self, digest: &str) -> Option<Module> {
        self.0.modules.get(digest)
    }

    /// What all guests have together.
    pub fn memory(&self) -> &MemoryBudget {
        &self.0.memory
    }

    /// Starts a program as a new container. Returns at once; the guest may not have made its first step by then. Works from
    /// any thread, inside a Tokio runtime or outside. The folders of its mounts are opened before it returns.
    ///
    /// A module that declares more memory than its limit is started all the same, and ends at once as
    /// [`Exit::OutOfMemory`](crate::Exit::OutOfMemory): to a user it is the same whether the first or the last page was
    /// too much.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Spec`] when an argument, a variable or the path of a mount cannot be passed on,
    /// [`RuntimeError::Mount`] when a folder cannot be opened, [`RuntimeError::Serves`] when the module
    /// [is a server](Module::is_server).
    pub fn start(&self, module: &Module, spec: RunSpec) -> Result<Container, RuntimeError> {
        if module.is_server() {
            return Err(RuntimeError::Serves);
        }
        let limit = self.memory_limit(spec.memory_limit_bytes);
        let mut access = spec.http.clone();
        // Past its handles a guest ends, which its clients could bring about.
        access.max_sockets = access.max_sockets.min(spec.open_resources / HANDLES_OF_SOCKET).max(1);
        let session = self.0.http.session(access);
        let opener = self.opener(&spec)?;
        let wasi = spec.wasi(&spec.open()?, &session);
        let http = GuestHttp::new(session, http::Side::Client, None);
        let start = run::Start { module: module.clone(), wasi, http, memory_limit: limit, opener };
        Ok(run::spawn(self, self.guests()?, start))
    }

    /// Answers HTTP requests at `listener` with a module that [is a server](Module::is_server): an instance of its own for each
    /// request, or by WASI 0.3 one that several share, with all that `spec` names. Returns at once; from then on requests are taken. `docs/serving.md` says what a program and
    /// its clients get.
    ///
    /// The memory limit is for all instances together, and so is the limit of requests that they send.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start), with [`RuntimeError::DoesNotServe`] when the module is no server, and
    /// [`RuntimeError::Engine`] when nothing can be accepted at the listener.
    pub fn serve(
        &self,
        module: &Module,
        mut spec: RunSpec,
        listener: TcpListener,
        limits: ServerLimits,
    ) -> Result<Server, RuntimeError> {
        spec.open_resources = limits.open_resources(spec.open_resources);
        // What is wrong with it is to be known now, and not with the first request.
        let folders = spec.open()?;
        let program = module.proxy().ok_or(RuntimeError::DoesNotServe)?;
        let runtime = self.guests()?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener)).map_err(failed)?
        };
        let meter = Arc::new(Meter::new(self.memory_limit(spec.memory_limit_bytes)));
        let guests = serve::Guests {
            module: module.clone(),
            program: program.clone(),
            http: self.0.http.session(spec.http.clone()),
            folders,
            memory: self.0.memory.clone(),
            connections: self.0.connections.clone(),
            instances: self.0.instances.clone(),
            meter,
            opener: self.opener(&spec)?,
            spec,
        };
        Ok(serve::spawn(self, runtime, guests, listener, self.0.http.serves(address), limits))
    }

    /// What holds for a guest that is given this limit, or none.
    pub(crate) fn memory_limit(&self, bytes: Option<u64>) -> u64 {
        bytes.unwrap_or(self.0.default_memory_limit_bytes)
    }

    fn opener(&self, spec: &RunSpec) -> Result<Option<Arc<Opener>>, RuntimeError> {
        spec.tenant.as_deref().map(|tenant| self.0.openers.of(tenant)).transpose().map_err(failed)
    }

    fn guests(&self) -> Result<&Handle, RuntimeError> {
        self.0.guests.as_ref().map(Runtime::handle).ok_or_else(|| failed("it is being shut down"))
    }
}

/// Compiles a program and leaves its machine code in `folder`, where an [`Engine`] can [`adopt`](Engine::adopt) it: a process of its own
/// may be limited, and ended, as a thread cannot be. The folder becomes a [`code_cache`](EngineConfig::code_cache), with what is said there.
///
/// # Errors
///
/// Those of [`Engine::compile`]; [`RuntimeError::Engine`] also when the machine code cannot be written.
pub fn compile_into(folder: &Path, wasm: &[u8]) -> Result<(), RuntimeError> {
    let mut cache = CodeCache::open(folder).ok_or_else(|| failed("its folder for machine code cannot be used"))?;
    let mut wasmtime = host::config();
    wasmtime.cache(Some(cache.wasmtime()));
    // Nothing is run here, so that no pool is wanted.
    let hosts = Hosts::new(wasmtime, 0).map_err(failed)?;
    cache.bind(hosts.plain().engine());
    let hex = hex(&Sha256::digest(wasm));
    Program::compile(&hosts, Some(&cache), wasm, &hex)?;
    if cache.holds(&hex) { Ok(()) } else { Err(failed("the machine code cannot be written to disk")) }
}

#[cfg(test)]
impl Engine {
    pub(crate) fn modules(&self) -> &Modules {
        &self.0.modules
    }

    pub(crate) fn code_cache(&self) -> Option<&CodeCache> {
        self.0.code_cache.as_ref()
    }

    /// An engine whose code no other could run.
    pub(crate) fn unlike(config: EngineConfig) -> Self {
        let mut wasmtime = host::config();
        wasmtime.cranelift_opt_level(wasmtime::OptLevel::None);
        Self::with(config, wasmtime).unwrap()
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

/// Advances the epoch until all engines are gone. The thread holds them weakly, so it ends by itself, a tick later.
fn tick(epochs: Epochs) -> std::io::Result<()> {
    std::thread::Builder::new().name("wasm-epoch".into()).spawn(move || {
        while epochs.advance() {
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

fn failed(error: impl fmt::Display) -> RuntimeError {
    RuntimeError::Engine(format!("{error:#}"))
}
