//! One container of a pod, as its worker keeps it: the machine, and the real thing that it stands for.

use k8s_openapi::api::core::v1::Container as ContainerSpec;
use k8s_openapi::jiff::Timestamp;
use krustlet_api::events::Subject;
use krustlet_core::lifecycle::machine::{Cause, Machine, State};
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::lifecycle::policy::Role;
use krustlet_core::lifecycle::termination::Termination;
use krustlet_core::lifecycle::turns::Turn;
use krustlet_core::serving::health::Health;
use krustlet_core::serving::ports::PortLease;
use krustlet_core::status::container_status::Shown;
use krustlet_logs::Progress;
use krustlet_prober::Found;
use krustlet_runtime::Container;
use tokio::task::AbortHandle;

use super::launch::Launched;
use crate::directory::ContainerView;
use crate::resources::NotMounted;
use crate::serving::Serving;

/// News of a pod's own tasks.
pub enum News {
    /// Its volumes are ready, or why not.
    Mounted(Result<(), NotMounted>),
    /// It must go, and why.
    Evict(String),
    /// Of one of its containers.
    Container {
        /// Place of the container.
        slot: usize,
        /// See [`Slot::epoch`].
        epoch: u64,
        /// The news.
        what: What,
    },
}

/// What can be new of a container.
pub enum What {
    /// A preparation is over.
    Launched(Box<Launched>),
    /// A preparation has failed, at that time.
    NotStarted(NotStarted, Timestamp),
    /// A probe has found something.
    Probed(Found),
    /// The guest has ended.
    Exited(Termination),
}

/// A container.
pub struct Slot {
    /// From the pod's spec.
    pub name: String,
    /// From the pod's spec, which may change.
    pub image: String,
    /// In its pod.
    pub role: Role,
    /// Where it is in its life.
    pub machine: Machine,
    /// Counts preparations, so that news of one that was given up can be told apart.
    pub epoch: u64,
    /// While it runs.
    pub guest: Option<Container>,
    /// While it runs, if it listens.
    pub serving: Option<Serving>,
    /// The port that the agent listens on for it when it runs: the pod's until that has ended, whatever becomes of the container.
    pub port: Option<PortLease>,
    /// While its module is made ready.
    pub preparation: Option<AbortHandle>,
}

impl Slot {
    /// Of a container whose life so far is known.
    pub fn new(role: Role, spec: &ContainerSpec, machine: Machine) -> Self {
        let image = spec.image.clone().unwrap_or_default();
        Self {
            name: spec.name.clone(),
            image,
            role,
            machine,
            epoch: 0,
            guest: None,
            serving: None,
            port: None,
            preparation: None,
        }
    }

    /// It, as events name it.
    pub fn subject(&self, pod: &Subject) -> Subject {
        match self.role {
            Role::Main => pod.container(&self.name),
            Role::Init | Role::Sidecar => pod.init_container(&self.name),
        }
    }

    /// Why it waits, if something is to be tried again.
    pub fn waiting_reason(&self) -> Option<&'static str> {
        match &self.machine.state {
            State::Waiting(waiting) => Some(waiting.cause.reason()),
            _ => None,
        }
    }

    /// What its probes say of it.
    fn health(&self) -> Health {
        self.serving.as_ref().map_or(Health::GOOD, |serving| serving.health)
    }

    /// For the order in which containers begin and end.
    pub fn turn(&self) -> Turn<'_> {
        Turn { role: self.role, machine: &self.machine, started: self.machine.running() && self.health().started }
    }

    /// For the status.
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            name: &self.name,
            image: &self.image,
            role: self.role,
            machine: &self.machine,
            health: self.health(),
            resources: None,
            mounts: None,
        }
    }

    /// What those who look in from outside need to know.
    pub fn view(&self, has_inits: bool) -> ContainerView {
        let machine = &self.machine;
        let waiting = match (&machine.state, machine.cause()) {
            (_, Some(cause)) => Some(Cause::reason(cause)),
            (State::Queued | State::Preparing(_), None) if has_inits => Some("PodInitializing"),
            (State::Ended, None) if has_inits && machine.last.is_none() => Some("PodInitializing"),
            (State::Queued | State::Preparing(_), None) => Some("ContainerCreating"),
            _ => None,
        };
        let newest = machine.attempts.checked_sub(1);
        let started_at = match machine.state {
            State::Running { started_at } => Some(started_at),
            _ => None,
        };
        ContainerView {
            name: self.name.clone(),
            init: self.role != Role::Main,
            progress: newest.map(|attempt| Progress { attempt, ended: !machine.running(), finished: machine.ended() }),
            ended: machine.ended(),
            waiting: waiting.map(Into::into),
            started_at,
            guest: self.guest.clone(),
            answering: self.serving.as_ref().map(|serving| serving.answering.clone()),
        }
    }
}
