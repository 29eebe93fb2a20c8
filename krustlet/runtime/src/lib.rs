//! Runs WASI programs as containers.
//!
//! An [`Engine`] compiles a [`Module`] once and starts it as often as it is wanted; each start is a [`Container`] with
//! its own memory, arguments, environment and folders, whose end is an [`ExitStatus`]. A guest gets nothing but what its
//! [`RunSpec`] names: no file, no place to send requests to, no variable of the host, and a standard input that is at its end.
//!
//! The guest's side of the contract is either WASI preview 1
//! (<https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md>): a core module with an exported `_start`; or
//! WASI 0.2 (<https://github.com/WebAssembly/WASI/tree/v0.2.12>) or 0.3 (<https://github.com/WebAssembly/WASI/tree/v0.3.0>): a component
//! that exports `wasi:cli/run`, or one that exports `wasi:http/incoming-handler` (0.2) or `wasi:http/handler` (0.3), and is a [`Server`].
//! The binary itself tells which. `docs/reference/wasi.md` says what each gets. The code has a file for each version, `p1`, `p2` and `p3`,
//! where they differ.
//!
//! ```no_run
//! # use std::{io, sync::Arc};
//! # use krustlet_runtime::{Engine, EngineConfig, LogSink, RunSpec, Stream};
//! struct Console;
//! impl LogSink for Console {
//!     fn write(&self, _: Stream, bytes: &[u8]) -> io::Result<()> {
//!         io::Write::write_all(&mut io::stdout(), bytes)
//!     }
//! }
//! # async fn example(wasm: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(EngineConfig::default())?;
//! let compiler = engine.clone();
//! let module = tokio::task::spawn_blocking(move || compiler.compile(&wasm)).await??;
//! let container = engine.start(&module, RunSpec::new(Arc::new(Console)))?;
//! println!("ended with {}", container.wait().await.code);
//! # Ok(())
//! # }
//! ```

mod code_cache;
mod container;
mod engine;
mod error;
mod exports;
mod host;
mod http;
mod listing;
mod module;
mod mount;
mod opening;
mod output;
mod program;
mod resources;
mod run;
mod serve;
mod sockets;
mod spec;

pub use container::{Container, Exit, ExitStatus, STOPPED_CODE, TRAPPED_CODE};
pub use engine::{Engine, EngineConfig, compile_into};
pub use error::RuntimeError;
pub use krustlet_http::{
    AllowedOrigins, AllowedOriginsError, Cidr, CidrError, DEFAULT_MAX_CONCURRENT_REQUESTS, Discovery, Egress, Endpoint,
    Found, HostNetwork, HttpAccess, HttpLimits, Lease, Leases, Network, Origin, OriginError, Scheme,
};
pub use krustlet_traces::{Counts as TraceCounts, Source as TraceSource, Tracer};
pub use module::Module;
pub use mount::Mount;
pub use output::{LogSink, Stream};
pub use resources::memory::MemoryBudget;
pub use resources::usage::Usage;
pub use serve::{Durations, Server, ServerLimits, ServerStats};
pub use spec::{DEFAULT_OPEN_RESOURCES, RunSpec};
