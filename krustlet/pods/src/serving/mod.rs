//! Containers that answer HTTP requests: where they listen, and what their clients may take.
//!
//! Pods that have the node's own address share its ports, so that each can be one pod's alone.

#[cfg(test)]
mod calling_tests;
pub mod limits;
#[cfg(test)]
mod serving_end_tests;
#[cfg(test)]
mod serving_tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use krustlet_core::serving::health::Health;
use krustlet_prober::Hook;
use krustlet_runtime::Server;
use tokio::task::JoinSet;

/// A container that answers requests, while it runs.
pub struct Serving {
    /// What answers.
    pub server: Server,
    /// What its probes say of it.
    pub health: Health,
    /// What it is given before it is to end.
    pub pre_stop: Option<Hook>,
    /// It has been asked to end.
    pub ends: bool,
    /// It ends because a probe has found it unwell, however well it does that.
    pub unwell: Arc<AtomicBool>,
    /// Its probes and its hook. They end with it.
    pub tasks: JoinSet<()>,
}
