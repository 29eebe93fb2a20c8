//! Compiling modules: each in a process of its own, that can be limited in time and memory, and ended; a few at a time, in fair turns.
//!
//! A job is a digest's, not a pod's: all who want the module wait for the same one, and it goes on as long as one of them does.

pub mod child;
mod launcher;
mod refused;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use krustlet_core::fair::Fair;
use krustlet_core::lifecycle::not_started::{NotStarted, Reason};
use krustlet_runtime::{Engine, Module, RuntimeError};
use tokio::sync::watch;
use tokio::time::timeout;

use self::child::Answer;
pub use self::launcher::Launcher;
use self::launcher::{End, Scratch};
use self::refused::Refused;
use super::{blocking, disk};

/// A job that nobody waits for goes on for so long: who stands in the row behind the pod that has just gone may come next.
const LINGER: Duration = Duration::from_secs(2);
/// Who waits longer than this for a turn is told so.
const PATIENCE: Duration = Duration::from_secs(1);

/// What compiling may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// So many modules at the same time.
    pub at_once: usize,
    /// Of one module: time.
    pub timeout: Duration,
    /// Of one module: bytes of memory.
    pub memory_bytes: u64,
}

/// What has come of the jobs, since the agent was started.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// There is machine code.
    pub done: AtomicU64,
    /// No program that runs here.
    pub unusable: AtomicU64,
    /// More time or memory than a module may take.
    pub over_limit: AtomicU64,
    /// The host could not do it.
    pub failed: AtomicU64,
    /// Nobody waited for it any more.
    pub abandoned: AtomicU64,
}

/// A module that is wanted.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Who wants it: a namespace. Turns are fair between these.
    pub tenant: &'a str,
    /// Its file.
    pub file: &'a Path,
    /// Of its bytes.
    pub digest: &'a str,
}

/// Compiles modules. Clones are the same.
#[derive(Clone)]
pub struct Compiler(Arc<Inner>);

struct Inner {
    engine: Engine,
    limits: CompileLimits,
    launcher: Launcher,
    folder: PathBuf,
    turns: Fair,
    refused: Refused,
    jobs: Mutex<HashMap<String, Running>>,
    outcomes: Outcomes,
}

#[derive(Clone)]
enum Stage {
    Queued,
    Compiling,
    /// With the module itself where the engine keeps no machine code.
    Done(Result<Option<Module>, NotStarted>),
    /// Nobody waited for it.
    Abandoned,
}

/// A job, and how many wait for it.
#[derive(Clone)]
struct Running {
    waiters: Arc<watch::Sender<usize>>,
    stage: watch::Receiver<Stage>,
}

/// One who waits.
struct Waiter(Running);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.waiters.send_modify(|waiters| *waiters -= 1);
    }
}

impl Compiler {
    /// Works below `data_dir` for `engine`. Blocking: it sweeps out what a killed agent has left.
    pub fn new(engine: Engine, data_dir: &Path, limits: CompileLimits, launcher: Launcher) -> Self {
        let folder = data_dir.join("compiling");
        if let Err(error) = krustlet_host::files::remove_tree(&folder) {
            tracing::warn!("what is left of compiling cannot be removed: {error}");
        }
        Self(Arc::new(Inner {
            engine,
            limits,
            launcher,
            folder,
            turns: Fair::new(limits.at_once),
            refused: Refused::open(data_dir.join("refused")),
            jobs: Mutex::default(),
            outcomes: Outcomes::default(),
        }))
    }

    /// Sees to it that there is machine code of a module; gives the module itself where the engine keeps none. When it has to wait for its
    /// turn, `waits` is told once.
    ///
    /// # Errors
    /// `StartError`: it is no program; `CreateContainerError`: it takes too much, or the host cannot do it.
    pub async fn compile(&self, wanted: Wanted<'_>, waits: impl Fn()) -> Result<Option<Module>, NotStarted> {
        let mut told = false;
        loop {
            if let Some(error) = self.0.refused.get(wanted.digest) {
                return Err(error);
            }
            let mut waiter = self.join(wanted);
            let stage = &mut waiter.0.stage;
            let over = |stage: &Stage| matches!(stage, Stage::Done(_) | Stage::Abandoned);
            if timeout(PATIENCE, stage.wait_for(over)).await.is_err()
                && !told
                && matches!(*stage.borrow(), Stage::Queued)
            {
                told = true;
                waits();
            }
            match stage.wait_for(over).await.map(|stage| stage.clone()) {
                Ok(Stage::Done(result)) => return result,
                Err(_) => return Err(NotStarted::host("the work was cut short")),
                Ok(_) => {}
            }
        }
    }

    /// How many modules are being compiled, and how many wait for their turn.
    pub fn load(&self) -> (usize, usize) {
        self.0.turns.load()
    }

    /// What has come of the jobs.
    pub fn outcomes(&self) -> &Outcomes {
        &self.0.outcomes
    }

    fn join(&self, wanted: Wanted<'_>) -> Waiter {
        let mut jobs = self.0.jobs();
        if let Some(job) = jobs.get(wanted.digest) {
            job.waiters.send_modify(|waiters| *waiters += 1);
            return Waiter(job.clone());
        }
        let (set_stage, stage) = watch::channel(Stage::Queued);
        let waiters = watch::Sender::new(1);
        let (left, inner) = (waiters.subscribe(), self.0.clone());
        let job = Running { waiters: Arc::new(waiters), stage };
        jobs.insert(wanted.digest.into(), job.clone());
        let (tenant, file, digest) = (wanted.tenant.to_owned(), wanted.file.to_owned(), wanted.digest.to_owned());
        tokio::spawn(async move {
            let end = tokio::select! {
                result = inner.work(&tenant, &file, &digest, &set_stage) => Stage::Done(result),
                () = abandoned(left) => {
                    inner.outcomes.abandoned.fetch_add(1, Ordering::Relaxed);
                    Stage::Abandoned
                }
            };
            // In this order: who finds the job no more begins a new one.
            inner.jobs().remove(&digest);
            set_stage.send_replace(end);
        });
        Waiter(job)
    }
}

/// Returns when nobody waits any more.
async fn abandoned(mut waiters: watch::Receiver<usize>) {
    while waiters.wait_for(|waiters| *waiters == 0).await.is_ok() {
        if !matches!(timeout(LINGER, waiters.wait_for(|waiters| *waiters > 0)).await, Ok(Ok(_))) {
            return;
        }
    }
}

impl Inner {
    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(
        self: &Arc<Self>,
        tenant: &str,
        file: &Path,
        digest: &str,
        stage: &watch::Sender<Stage>,
    ) -> Result<Option<Module>, NotStarted> {
        let _turn = self.turns.turn(tenant).await;
        stage.send_replace(Stage::Compiling);
        if !self.engine.keeps_code() {
            return self.here(file.to_owned()).await;
        }
        let result = self.apart(file, digest).await;
        let outcome = match &result {
            Ok(()) => &self.outcomes.done,
            Err((_, End::Unusable)) => &self.outcomes.unusable,
            Err((_, End::OverLimit)) => &self.outcomes.over_limit,
            Err((_, End::Failed)) => &self.outcomes.failed,
        };
        outcome.fetch_add(1, Ordering::Relaxed);
        let Err((message, end)) = result else { return Ok(None) };
        let reason = match end {
            End::Unusable => Reason::StartError,
            End::OverLimit | End::Failed => Reason::CreateContainerError,
        };
        let error = NotStarted::new(reason, message);
        if end != End::Failed {
            let (inner, digest, known) = (self.clone(), digest.to_owned(), error.clone());
            blocking(move || inner.refused.add(&digest, &known)).await?;
        }
        Err(error)
    }

    /// In a process of its own.
    async fn apart(self: &Arc<Self>, file: &Path, digest: &str) -> Result<(), (String, End)> {
        let failed = |what: &str, error: &dyn std::fmt::Display| (format!("{what}: {error}"), End::Failed);
        let scratch =
            Scratch::new(&self.folder).map_err(|error| failed("cannot begin to compile the module", &error))?;
        let scratch = Arc::new(scratch);
        match self.launcher.run(file, scratch.path(), &self.limits).await? {
            Answer::Unusable(why) => Err((why, End::Unusable)),
            Answer::Failed(why) => Err((format!("the module cannot be compiled: {why}"), End::Failed)),
            Answer::Done => {
                let (inner, digest) = (self.clone(), digest.to_owned());
                let adopted = blocking(move || inner.engine.adopt(scratch.path(), &digest)).await;
                adopted
                    .map_err(|error| failed("cannot keep the machine code", &error))?
                    .map_err(|error| failed("cannot keep the machine code", &error))
            }
        }
    }

    /// In this process, where there is no other way for the machine code to come here.
    async fn here(self: &Arc<Self>, file: PathBuf) -> Result<Option<Module>, NotStarted> {
        let engine = self.engine.clone();
        let work = move || {
            let bytes = std::fs::read(&file).map_err(disk)?;
            engine.compile(&bytes).map_err(unusable)
        };
        blocking(work).await?.map(Some)
    }
}

/// What the runtime says of a module, or of the host.
pub fn unusable(error: RuntimeError) -> NotStarted {
    let reason = match error {
        RuntimeError::Engine(_) => Reason::CreateContainerError,
        _ => Reason::StartError,
    };
    NotStarted::new(reason, error.to_string())
}

#[cfg(any(test, feature = "testing"))]
impl Compiler {
    /// One that never starts a process, for engines that keep no machine code.
    pub fn here(engine: Engine, data_dir: &Path) -> Self {
        assert!(!engine.keeps_code());
        let limits = CompileLimits { at_once: 8, timeout: Duration::MAX, memory_bytes: u64::MAX };
        Self::new(engine, data_dir, limits, Launcher::this())
    }
}

#[cfg(test)]
mod tests;
