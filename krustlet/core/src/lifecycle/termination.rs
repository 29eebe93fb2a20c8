//! How an attempt of a container ended.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The exit code of one that the agent has ended: as of a process that SIGKILL has.
pub const STOPPED_CODE: i32 = 137;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Termination {
    /// The program's own, or 128 and more when it did not end by itself.
    pub exit_code: i32,
    /// One word: `Completed`, `Error`, `StartError` …
    pub reason: String,
    /// A sentence, if there is more to say.
    pub message: Option<String>,
    /// When it was started, if it was.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// `wasmtime://…`
    pub container_id: Option<String>,
}

impl Termination {
    /// For how long it ran.
    pub fn ran_for(&self) -> Duration {
        let started = self.started_at.unwrap_or(self.finished_at);
        Duration::try_from(self.finished_at.duration_since(started)).unwrap_or_default()
    }

    /// As of one that was stopped, though it may have ended well: its policy is to take it for a failure.
    pub fn killed(self) -> Self {
        match self.exit_code {
            0 => Self { exit_code: STOPPED_CODE, reason: "Error".into(), ..self },
            _ => self,
        }
    }
}
