//! Starting the process that compiles, and telling what its end means.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use krustlet_host::files;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::CompileLimits;
use super::child::{Answer, Job};

/// Signals that end it: it aborts when it gets no memory; the kernel ends it for what it takes of the processors, or of memory.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// What compiles: a program that reads its [`Job`] from standard input.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment.
    pub env: Vec<(String, String)>,
}

/// What an end without machine code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The module is no program that runs here.
    Unusable,
    /// The module takes more than it may.
    OverLimit,
    /// The host could not do it.
    Failed,
}

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one below `folder`.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn new(folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = folder.join(format!("{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        files::private_dir(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: it is swept at the next start, too. There are two or three files in it.
        let _ = files::remove_tree(&self.0);
    }
}

impl Launcher {
    /// This very program, even if its file has been replaced.
    pub fn this() -> Self {
        Self { program: "/proc/self/exe".into(), args: vec!["compile".into()], env: Vec::new() }
    }

    /// Compiles the module of that file into the folder. The process ends with this, however that ends.
    ///
    /// # Errors
    /// What its end without an answer means, in words.
    pub async fn run(&self, module: &Path, folder: &Path, limits: &CompileLimits) -> Result<Answer, (String, End)> {
        let processors = available_parallelism().map_or(1, |count| count.get() as u64);
        let job = Job {
            module: module.into(),
            folder: folder.into(),
            memory_bytes: limits.memory_bytes,
            // Its clock on the wall ends it before this, unless the agent is no more.
            cpu_seconds: (limits.timeout.as_secs() + 1) * processors,
            parent: std::process::id(),
        };
        let ended = timeout(limits.timeout, self.spawn(&job)).await;
        let status = ended.map_err(|_| {
            (format!("compiling the module takes longer than {} s", limits.timeout.as_secs()), End::OverLimit)
        })?;
        let status = status.map_err(|error| (format!("cannot start compiling the module: {error}"), End::Failed))?;
        match Answer::read(folder).filter(|_| status.success()) {
            Some(answer) => Ok(answer),
            None => Err(meaning(status, limits)),
        }
    }

    async fn spawn(&self, job: &Job) -> io::Result<ExitStatus> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends before it has read this says why by its status.
            let _ = stdin.write_all(&serde_json::to_vec(job)?).await;
        }
        child.wait().await
    }
}

fn meaning(status: ExitStatus, limits: &CompileLimits) -> (String, End) {
    match status.signal() {
        Some(SIGABRT) => {
            let mebibytes = limits.memory_bytes >> 20;
            (format!("compiling the module takes more than {mebibytes} MiB of memory"), End::OverLimit)
        }
        Some(SIGXCPU) => ("compiling the module takes too much of the processors".into(), End::OverLimit),
        // By the kernel, most likely, when all memory was taken, which may be others' doing.
        Some(SIGKILL) => ("compiling the module was stopped: the host is short of memory".into(), End::Failed),
        // The compiler has come to its own end with this module, by a stack that is too deep, say.
        Some(signal) => (format!("the compiler was ended by signal {signal}"), End::OverLimit),
        None => (format!("the compiler ended without an answer: {status}"), End::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_ends_mean() {
        let limits = CompileLimits { at_once: 1, timeout: Duration::from_secs(1), memory_bytes: 64 << 20 };
        let table = [
            (ExitStatus::from_raw(SIGABRT), "more than 64 MiB of memory", End::OverLimit),
            (ExitStatus::from_raw(SIGXCPU), "too much of the processors", End::OverLimit),
            (ExitStatus::from_raw(SIGKILL), "short of memory", End::Failed),
            (ExitStatus::from_raw(11), "signal 11", End::OverLimit),
            (ExitStatus::from_raw(1 << 8), "exit status: 1", End::Failed),
            (ExitStatus::from_raw(0), "without an answer", End::Failed),
        ];
        for (status, words, end) in table {
            let (message, found) = meaning(status, &limits);
            assert!(message.contains(words) && found == end, "{message} {found:?}");
        }
    }
}
