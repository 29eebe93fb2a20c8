//! Containers that listen: where they do, and what the clients of those that answer HTTP requests may take.
//!
//! Pods that have the node's own address share its ports, so that each can be one pod's alone.

#[cfg(test)]
mod calling_tests;
pub mod limits;
#[cfg(test)]
mod serving_end_tests;
#[cfg(test)]
mod serving_tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use krustlet_core::serving::health::Health;
use krustlet_prober::Hook;
use krustlet_runtime::{Container, Server};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Between two looks at whether a program has something under way.
const LOOK: Duration = Duration::from_millis(50);

/// How many of them in a row must find nothing: between one connection and the next that waits already there is none for a moment.
const IDLE_LOOKS: u32 = 20;

/// What answers for a container. Clones are handles on the same.
#[derive(Clone, Debug)]
pub enum Answering {
    /// The agent listens, for HTTP requests that the program answers.
    Requests(Server),
    /// The program listens itself, or may.
    Sockets {
        /// It.
        container: Container,
        /// Where it may listen.
        at: Vec<SocketAddr>,
    },
}

impl Answering {
    /// Where it listens now. At the node's address all else may be somebody else's, of this host or of another pod.
    pub fn listens(&self) -> Vec<SocketAddr> {
        match self {
            Self::Requests(server) => vec![server.address()],
            Self::Sockets { container, at } => at.iter().copied().filter(|at| container.listens(*at)).collect(),
        }
    }

    /// Where it listens on this port, if it does.
    pub fn at(&self, port: u16) -> Option<SocketAddr> {
        self.listens().into_iter().find(|at| at.port() == port)
    }

    /// The server, where requests are answered.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Requests(server) => Some(server),
            Self::Sockets { .. } => None,
        }
    }

    /// Ends it: for the time of `linger` it goes on as before, and what it has under way then has `grace` to end.
    ///
    /// A program that listens itself cannot be told of its end. Without `linger` it is stopped; else when it has no connection that
    /// others have opened. One that does not listen has all of the time where its pod is `deleted`, as any program, and none else.
    pub async fn drain(&self, linger: Duration, grace: Duration, deleted: bool) {
        let container = match self {
            Self::Requests(server) => return server.drain(linger, grace),
            Self::Sockets { container, .. } => container,
        };
        if !linger.is_zero() && (deleted || !self.listens().is_empty()) {
            sleep(linger).await;
            let idle = async {
                let mut looks = 0;
                while looks < IDLE_LOOKS {
                    let busy = container.under_way() > 0 || deleted && self.listens().is_empty();
                    looks = if busy { 0 } else { looks + 1 };
                    sleep(LOOK).await;
                }
            };
            let _ = timeout(grace, idle).await;
        }
        container.stop();
    }
}

/// A container that listens, while it runs.
pub struct Serving {
    /// What answers.
    pub answering: Answering,
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
