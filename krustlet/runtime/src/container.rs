//! A running guest as seen from outside: how it is stopped, how it ended, what it uses.

use std::net::SocketAddr;
use std::sync::Arc;

use krustlet_http::Session;
use tokio::sync::watch;

use crate::resources::usage::Meter;
use crate::{Engine, Usage};

/// The exit code of a guest that trapped: 128 + 6, as a shell and the kubelet report a process which was ended by
/// `SIGABRT`. A trap is just that, the program's own abort; a Rust panic built with `panic=abort` ends so natively too,
/// and the `wasmtime` command line uses the same number.
pub const TRAPPED_CODE: i32 = 134;

/// The exit code of a guest that was stopped by force, or because it wanted more memory than it may have: 128 + 9, as of a
/// process that was ended by `SIGKILL`, which both the kubelet and a full control group send.
pub const STOPPED_CODE: i32 = 137;

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    /// What the guest gave to `proc_exit`, unchanged, or to `wasi:cli/exit`; 0 when it returned from `_start`, or well from
    /// `wasi:cli/run`, and 1 when it returned from there with an error; [`TRAPPED_CODE`] after a trap; [`STOPPED_CODE`] when
    /// it was stopped or ran out of memory.
    pub code: i32,
    /// Which of these it was.
    pub reason: Exit,
}

/// Why a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself: it returned, or called for its own exit.
    Exited,
    /// By a trap (`unreachable`, memory or table out of bounds, stack exhausted, division by zero …), or because it could
    /// not be instantiated. The text says which.
    Trapped(String),
    /// It wanted more memory than its [`memory_limit_bytes`](crate::RunSpec::memory_limit_bytes), at its start or later:
    /// what Kubernetes calls `OOMKilled`. The text holds the limit and what was asked for, in bytes.
    OutOfMemory(String),
    /// By [`Container::stop`], or by the end of its last handle.
    Stopped,
}

impl ExitStatus {
    pub(crate) fn exited(code: i32) -> Self {
        Self { code, reason: Exit::Exited }
    }

    pub(crate) fn trapped(message: String) -> Self {
        Self { code: TRAPPED_CODE, reason: Exit::Trapped(message) }
    }

    pub(crate) fn out_of_memory(message: String) -> Self {
        Self { code: STOPPED_CODE, reason: Exit::OutOfMemory(message) }
    }

    pub(crate) fn stopped() -> Self {
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
    meter: Arc<Meter>,
    session: Session,
    engine: Engine,
}

impl Container {
    /// Waits until the guest has ended. Any number of waiters get the same answer, late ones too.
    ///
    /// All that the guest wrote has been handed to its [`LogSink`](crate::LogSink) by then.
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

    /// What the guest has used until now. Does not wait, and disturbs nobody.
    pub fn usage(&self) -> Usage {
        self.0.meter.usage()
    }

    /// How many connections the guest has that others have opened.
    pub fn under_way(&self) -> usize {
        self.0.session.under_way()
    }

    /// Whether a socket of this very guest listens there.
    pub fn listens(&self, address: SocketAddr) -> bool {
        self.0.session.is_listening(address)
    }

    /// Gives the guest another memory limit, as [`memory_limit_bytes`](crate::RunSpec::memory_limit_bytes) has it. Its next growth is
    /// judged by that; what it has by then it keeps. Does not wait.
    pub fn set_memory_limit(&self, bytes: Option<u64>) {
        self.0.meter.set_memory_limit(self.0.engine.memory_limit(bytes));
    }

    /// Stops the guest by force, whatever it does: computing, sleeping, or waiting in a host function. It is given no
    /// chance to clean up, as WASI has no signals. Returns at once; [`wait`](Self::wait) tells when it is over, which takes
    /// two turns of 10 ms at most when the host is not overloaded. A guest that has ended stays as it is.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// The handle, and the two ends that the guest's task keeps: what tells it to stop, and where its end is told.
    pub(crate) fn handle(
        engine: Engine,
        meter: Arc<Meter>,
        session: Session,
    ) -> (Self, watch::Receiver<bool>, watch::Sender<Option<ExitStatus>>) {
        let (stop, stopped) = watch::channel(false);
        let (ended, status) = watch::channel(None);
        (Self(Arc::new(Handle { stop, status, meter, session, engine })), stopped, ended)
    }
}
