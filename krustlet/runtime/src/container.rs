//! One running guest: what it is given, how it is stopped, how it ended.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use wasmtime::{InstancePre, Store, Trap};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{I32Exit, WasiCtx};

use crate::limits::Limits;
use crate::output::Output;
use crate::{Engine, LogSink, RuntimeError, Stream};

/// The exit code of a guest that trapped: 128 + 6, as a shell and the kubelet report a process which was ended by
/// `SIGABRT`. A trap is just that, the program's own abort; a Rust panic built with `panic=abort` ends so natively too,
/// and the `wasmtime` command line uses the same number.
pub const TRAPPED_CODE: i32 = 134;

/// The exit code of a guest that was stopped by force: 128 + 9, as of a process that was ended by `SIGKILL`.
pub const STOPPED_CODE: i32 = 137;

/// Everything that a guest is given.
pub struct RunSpec {
    /// The program's arguments. The first is its own name, as for every program; an empty list gives it none.
    pub args: Vec<String>,
    /// The environment: names and values, in this order. Nothing of the host's own environment is added.
    pub env: Vec<(String, String)>,
    /// Takes standard output and standard error.
    pub output: Arc<dyn LogSink>,
    /// The most linear memory that the guest may have, in bytes. `None` is the engine's
    /// [`default_memory_limit_bytes`](crate::EngineConfig::default_memory_limit_bytes).
    pub memory_limit_bytes: Option<u64>,
}

impl RunSpec {
    /// A guest without arguments and environment, with the engine's default memory limit.
    pub fn new(output: Arc<dyn LogSink>) -> Self {
        Self { args: Vec::new(), env: Vec::new(), output, memory_limit_bytes: None }
    }

    /// WASI hands strings over the way C does, and a variable as `NAME=VALUE`.
    pub(crate) fn check(&self) -> Result<(), RuntimeError> {
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
            .field("memory_limit_bytes", &self.memory_limit_bytes)
            .finish_non_exhaustive()
    }
}

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    /// What the guest gave to `proc_exit`, unchanged; 0 when it returned from `_start`; [`TRAPPED_CODE`] after a trap;
    /// [`STOPPED_CODE`] when it was stopped.
    pub code: i32,
    /// Which of these it was.
    pub reason: Exit,
}

/// Why a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself: it returned from `_start`, or called `proc_exit`.
    Exited,
    /// By a trap (`unreachable`, memory or table out of bounds, stack exhausted, division by zero …), or because it could
    /// not be instantiated. The text says which; where the guest had been refused memory before, it says that too.
    Trapped(String),
    /// By [`Container::stop`], or by the end of its last handle.
    Stopped,
}

impl ExitStatus {
    fn exited(code: i32) -> Self {
        Self { code, reason: Exit::Exited }
    }

    fn trapped(message: String) -> Self {
        Self { code: TRAPPED_CODE, reason: Exit::Trapped(message) }
    }

    fn stopped() -> Self {
        Self { code: STOPPED_CODE, reason: Exit::Stopped }
    }
}

/// A handle on a guest that was started, which keeps its engine alive. Clones are handles on the same guest; when the last
/// one goes, the guest is stopped, so that nothing can run that nobody knows of.
#[derive(Clone, Debug)]
pub struct Container(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    stop: watch::Sender<bool>,
    status: watch::Receiver<Option<ExitStatus>>,
    _engine: Engine,
}

impl Container {
    /// Waits until the guest has ended. Any number of waiters get the same answer, late ones too.
    ///
    /// All that the guest wrote has been handed to its [`LogSink`] by then.
    pub async fn wait(&self) -> ExitStatus {
        let mut status = self.0.status.clone();
        match status.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_else(ExitStatus::stopped),
            // The task is gone without a word: a sink panicked, and the guest with it.
            Err(_) => ExitStatus::stopped(),
        }
    }

    /// How the guest ended, or `None` while it runs. Does not wait.
    pub fn status(&self) -> Option<ExitStatus> {
        self.0.status.borrow().clone()
    }

    /// Stops the guest by force, whatever it does: computing, sleeping, or waiting in a host function. It is given no
    /// chance to clean up, as WASI preview 1 has no signals. Returns at once; [`wait`](Self::wait) tells when it is over,
    /// which takes two epoch ticks at most when the host is not overloaded. A guest that has ended stays as it is.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }
}

/// What the store of a guest holds.
pub(crate) struct State {
    pub(crate) wasi: WasiP1Ctx,
    limits: Limits,
}

/// Spawns the guest on `runtime`, which is the engine's. The checks that can be made beforehand have been made.
pub(crate) fn spawn(
    engine: &Engine,
    runtime: &tokio::runtime::Handle,
    program: InstancePre<State>,
    spec: RunSpec,
    memory_bytes: u64,
) -> Container {
    let (stop, mut stopped) = watch::channel(false);
    let (ended, status) = watch::channel(None);
    runtime.spawn(async move {
        // An error means that the last handle is gone, which stops the guest as well.
        let stopped = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let status = run(program, spec, memory_bytes, stopped).await;
        tracing::debug!(code = status.code, reason = ?status.reason, "guest ended");
        ended.send_replace(Some(status));
    });
    Container(Arc::new(Handle { stop, status, _engine: engine.clone() }))
}

async fn run(
    program: InstancePre<State>,
    spec: RunSpec,
    memory_bytes: u64,
    stopped: impl Future<Output = ()>,
) -> ExitStatus {
    let wasi = WasiCtx::builder()
        .args(&spec.args)
        .envs(&spec.env)
        .stdout(Output::new(spec.output.clone(), Stream::Stdout))
        .stderr(Output::new(spec.output, Stream::Stderr))
        .build_p1();
    let state = State { wasi, limits: Limits::new(memory_bytes) };
    let mut store = Store::new(program.module().engine(), state);
    store.limiter(|state| &mut state.limits);
    // At each tick the guest gives its thread back: to its neighbours, and to the `select` below, which drops it there if
    // it was stopped. A guest that waits in a host function is dropped by the same `select`.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);

    let result = {
        let guest = async {
            let instance = program.instantiate_async(&mut store).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call_async(&mut store, ()).await
        };
        tokio::select! {
            biased;
            () = stopped => return ExitStatus::stopped(),
            result = guest => result,
        }
    };
    match result {
        Ok(()) => ExitStatus::exited(0),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => ExitStatus::exited(exit.0),
            None => ExitStatus::trapped(describe(&error, store.data().limits.refused())),
        },
    }
}

fn describe(error: &wasmtime::Error, refused: Option<u64>) -> String {
    let message = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => format!("{error:#}"),
    };
    match refused {
        Some(limit) => {
            format!("{message} (the guest had been refused more memory: its limit is {limit} bytes)")
        }
        None => message,
    }
}
