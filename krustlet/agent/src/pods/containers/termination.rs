//! How an attempt of a container ended.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
}
