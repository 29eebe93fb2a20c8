//! One container of a pod, as its worker keeps it: the machine, and the real thing that it stands for.

use k8s_openapi::api::core::v1::Container as ContainerSpec;
use krustlet_runtime::Container;
use tokio::task::AbortHandle;

use super::directory::ContainerView;
use super::launch::{LaunchError, Launched};
use super::machine::{Machine, State, Termination};
use crate::logs::Progress;

/// News of a container: which, of which preparation, what.
pub struct News {
    /// Place of the container in the spec.
    pub slot: usize,
    /// See [`Slot::epoch`].
    pub epoch: u64,
    /// The news.
    pub what: What,
}

/// What can be new.
pub enum What {
    /// A preparation is over.
    Launch(Result<Launched, LaunchError>),
    /// The guest has ended.
    Exited(Termination),
}

/// A container.
pub struct Slot {
    /// From the pod's spec.
    pub spec: ContainerSpec,
    /// Where it is in its life.
    pub machine: Machine,
    /// Counts preparations, so that news of one that was given up can be told apart.
    pub epoch: u64,
    /// While it runs.
    pub guest: Option<Container>,
    /// While its module is made ready.
    pub preparation: Option<AbortHandle>,
}

impl Slot {
    /// The image in the spec.
    pub fn image(&self) -> &str {
        self.spec.image.as_deref().unwrap_or_default()
    }

    /// Why it waits, if it does.
    pub fn waiting_reason(&self) -> Option<&'static str> {
        match &self.machine.state {
            State::Waiting(waiting) => Some(waiting.reason),
            _ => None,
        }
    }

    /// What readers of its log need to know.
    pub fn view(&self) -> ContainerView {
        let machine = &self.machine;
        let waiting = match &machine.state {
            State::Preparing => Some("ContainerCreating"),
            _ => self.waiting_reason(),
        };
        let ended = !matches!(machine.state, State::Running { .. });
        let newest = machine.attempts.checked_sub(1);
        ContainerView {
            name: self.spec.name.clone(),
            progress: newest.map(|attempt| Progress { attempt, ended, finished: machine.ended() }),
            waiting: waiting.map(Into::into),
        }
    }
}
