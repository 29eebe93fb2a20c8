//! `krustlet-wasi compile`: compiles one module within limits, for the agent that has started it. Its standard input says which.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use krustlet_host::files;
use krustlet_runtime::{RuntimeError, compile_into};
use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, setpriority_process, setrlimit};
use serde::{Deserialize, Serialize};

/// Guests and the agent come first.
const PRIORITY: i32 = 10;
/// File in the job's folder with what came of it.
const ANSWER: &str = "answer.json";

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The module's file.
    pub module: PathBuf,
    /// Where its machine code and the answer go.
    pub folder: PathBuf,
    /// The most address space: bytes.
    pub memory_bytes: u64,
    /// The most processor time of all threads: seconds.
    pub cpu_seconds: u64,
    /// The process that waits for it.
    pub parent: u32,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The machine code is in the folder.
    Done,
    /// It is no program that can run here: why.
    Unusable(String),
    /// The host could not do it: why.
    Failed(String),
}

impl Answer {
    /// What the job has left, if it came so far.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&files::read_optional(&folder.join(ANSWER)).ok()??).ok()
    }
}

/// The whole process. The exit code is 0 if there is an answer.
pub fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("krustlet-wasi compile: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let job: Job = serde_json::from_str(&text)?;
    limit(&job)?;
    let answer = match compile_into(&job.folder, &fs::read(&job.module)?) {
        Ok(()) => Answer::Done,
        Err(error @ (RuntimeError::Engine(_) | RuntimeError::Authorities(_))) => Answer::Failed(error.to_string()),
        Err(error) => Answer::Unusable(error.to_string()),
    };
    files::write_private(&job.folder.join(ANSWER), &serde_json::to_vec(&answer)?)
}

fn limit(job: &Job) -> io::Result<()> {
    // An agent that is killed takes it along.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(Pid::as_raw_pid).and_then(|parent| u32::try_from(parent).ok()) != Some(job.parent) {
        return Err(io::Error::other("the agent is gone"));
    }
    let most = |amount: u64| Rlimit { current: Some(amount), maximum: Some(amount) };
    setrlimit(Resource::As, most(job.memory_bytes))?;
    setrlimit(Resource::Cpu, most(job.cpu_seconds))?;
    setrlimit(Resource::Core, most(0))?;
    setpriority_process(None, PRIORITY)?;
    // When memory is short it goes, and not the agent with all pods. Where there is no such file nothing is lost.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}
