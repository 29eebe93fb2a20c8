//! What a container is given.

use std::fmt;
use std::sync::Arc;

use krustlet_http::{HttpAccess, Session};
use krustlet_traces::Source;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiView};

use crate::mount;
use crate::output::Output;
use crate::sockets;
use crate::{LogSink, Mount, RuntimeError, Stream};

/// How many files, folders, streams and pollables a guest may hold at once where its [`RunSpec`] says nothing else. Each may be a file
/// descriptor of the process, which all guests and the rest of the process share; Linux gives a process the same number unless it asks for
/// more.
pub const DEFAULT_OPEN_RESOURCES: usize = 1024;

/// Everything that a guest is given.
pub struct RunSpec {
    /// The program's arguments. The first is its own name, as for every program; an empty list gives it none.
    pub args: Vec<String>,
    /// The environment: names and values, in this order. Nothing of the host's own environment is added.
    pub env: Vec<(String, String)>,
    /// The folders that the guest may use. Without any it has no file system at all.
    pub mounts: Vec<Mount>,
    /// Takes standard output and standard error.
    pub output: Arc<dyn LogSink>,
    /// The most memory that the guest may have, in bytes: what [`Usage::memory_bytes`](crate::Usage::memory_bytes) counts. A guest that
    /// wants more is ended: [`Exit::OutOfMemory`](crate::Exit::OutOfMemory). `None` is the engine's
    /// [`default_memory_limit_bytes`](crate::EngineConfig::default_memory_limit_bytes).
    pub memory_limit_bytes: Option<u64>,
    /// How many files, folders, streams and pollables the guest may hold at once, its mounts included. Default:
    /// [`DEFAULT_OPEN_RESOURCES`]. Each instance of a server may have so many, but the fewer the more of them there may be at once: see
    /// [`ServerLimits::max_concurrent_requests`](crate::ServerLimits::max_concurrent_requests).
    pub open_resources: usize,
    /// Whose guest this is. To be set where a mount holds files that others than guests have made, among them named pipes it may be: all
    /// guests of a tenant open files on threads of its own, and a pipe is refused. Default: `None`, it has no such mounts.
    pub tenant: Option<String>,
    /// Where the guest may send HTTP requests and connect sockets to. Default: nowhere. `docs/http.md` says what it gets.
    pub http: HttpAccess,
    /// Whether a server says each request in its standard error, once it has ended: its name, method, path, status and how long it took.
    /// Default: no.
    pub access_log: bool,
    /// Who begins the spans of the requests that a server answers, and of those that it sends for them. Default: nobody, and what a client
    /// says of its trace is handed on as it is.
    pub traces: Option<Source>,
}

impl RunSpec {
    /// A guest without arguments, environment, files and network, with the engine's default memory limit.
    pub fn new(output: Arc<dyn LogSink>) -> Self {
        Self {
            args: Vec::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            output,
            memory_limit_bytes: None,
            open_resources: DEFAULT_OPEN_RESOURCES,
            tenant: None,
            http: HttpAccess::default(),
            access_log: false,
            traces: None,
        }
    }

    /// The folders, opened, once all that can be wrong with the rest has been looked for.
    pub(crate) fn open(&self) -> Result<WasiFilesystemCtx, RuntimeError> {
        self.check()?;
        mount::open_all(&self.mounts)
    }

    /// All of it as WASI wants it, with these folders. `session` is that of its HTTP access.
    pub(crate) fn wasi(&self, folders: &WasiFilesystemCtx, session: &Session) -> WasiP1Ctx {
        let mut context = WasiCtx::builder();
        context
            .args(&self.args)
            .envs(&self.env)
            .stdout(Output::new(self.output.clone(), Stream::Stdout))
            .stderr(Output::new(self.output.clone(), Stream::Stderr));
        sockets::allow(&mut context, session);
        let mut wasi = context.build_p1();
        wasi.ctx().ctx.filesystem().clone_from(folders);
        wasi.ctx().table.set_max_capacity(self.open_resources);
        wasi
    }

    /// WASI hands strings over the way C does, and a variable as `NAME=VALUE`.
    fn check(&self) -> Result<(), RuntimeError> {
        if let Some(arg) = self.args.iter().find(|arg| arg.contains('\0')) {
            return Err(RuntimeError::Spec(format!(
                "the argument {arg:?} holds a NUL character, which cannot be passed to a program"
            )));
        }
        for (name, value) in &self.env {
            // The value may be a secret, so that only the name is told.
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(RuntimeError::Spec(format!(
                    "{name:?} is no name for an environment variable: it must not be empty, nor hold '=' or NUL"
                )));
            }
            if value.contains('\0') {
                return Err(RuntimeError::Spec(format!(
                    "the value of the environment variable {name} holds a NUL character, which cannot be passed to a \
                     program"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RunSpec {
    /// Without the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSpec")
            .field("args", &self.args)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("mounts", &self.mounts)
            .field("memory_limit_bytes", &self.memory_limit_bytes)
            .field("open_resources", &self.open_resources)
            .field("tenant", &self.tenant)
            .field("http", &self.http)
            .field("access_log", &self.access_log)
            .field("traces", &self.traces.is_some())
            .finish_non_exhaustive()
    }
}
