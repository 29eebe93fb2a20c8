//! How an attempt of a container ended.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::not_started::NotStarted;

/// The exit code of one that the agent has ended: as of a process that SIGKILL has.
pub const STOPPED_CODE: i32 = 137;
/// The kubelet's code for a container that could not be started.
const NOT_STARTED_CODE: i32 = 128;

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
    /// The end of an attempt that never began.
    pub fn not_started(why: NotStarted, at: Timestamp) -> Self {
        Self {
            exit_code: NOT_STARTED_CODE,
            reason: why.reason.word().into(),
            message: Some(why.message),
            started_at: None,
            finished_at: at,
            container_id: None,
        }
    }

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
