//! The status of one container, as a kubelet would write it. Pure.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    ResourceRequirements, VolumeMount, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::lifecycle::machine::{Cause, Machine, State};
use crate::lifecycle::policy::Role;
use crate::lifecycle::termination::Termination;
use crate::serving::health::Health;

/// The kubelet's code for a container of which nobody knows how it ended.
pub const LOST_CODE: i32 = 137;
/// The kubelet's reason for it.
pub const LOST_REASON: &str = "ContainerStatusUnknown";

/// A container, as its status shows it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// From the spec.
    pub name: &'a str,
    /// Of the newest attempt, or else from the spec.
    pub image: &'a str,
    /// In its pod.
    pub role: Role,
    /// Where it is in its life.
    pub machine: &'a Machine,
    /// What its probes say of it, while it runs.
    pub health: Health,
    /// What it is given when it runs.
    pub resources: Option<&'a ResourceRequirements>,
    /// What it sees of the pod's volumes.
    pub mounts: Option<&'a [VolumeMount]>,
}

/// What the status of each container of a pod has in common.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// `name_namespace(uid)`, as the kubelet names a pod in messages.
    pub pod: &'a str,
    /// Why a container waits that has nothing else to wait for: reason, message.
    pub waits_for: (&'a str, Option<&'a str>),
    /// All has ended, and a main container that never ran will not.
    pub never_ran: bool,
}

/// The status.
pub fn container_status(shown: &Shown<'_>, common: &Common<'_>) -> ContainerStatus {
    let machine = shown.machine;
    let running = machine.running();
    let (state, last) = match (&machine.state, machine.cause(), &machine.last) {
        (State::Running { started_at }, _, last) => {
            let running = ContainerStateRunning { started_at: Some(Time(*started_at)) };
            (ContainerState { running: Some(running), ..ContainerState::default() }, last.as_ref())
        }
        (_, Some(cause), last) => (waiting(cause.reason(), Some(&words(cause, shown, common.pod))), last.as_ref()),
        (_, None, Some(last)) => (terminated(last), machine.before_last.as_ref()),
        (_, None, None) if common.never_ran && shown.role == Role::Main => (never_ran(), None),
        (_, None, None) => (waiting(common.waits_for.0, common.waits_for.1), None),
    };
    ContainerStatus {
        name: shown.name.into(),
        image: shown.image.into(),
        image_id: machine.image_id.clone(),
        container_id: machine.container_id.clone(),
        ready: match shown.role {
            Role::Init => machine.succeeded(),
            Role::Sidecar | Role::Main => running && shown.health.serves(),
        },
        started: Some(running && shown.health.started),
        restart_count: i32::try_from(machine.restart_count()).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: last.map(terminated),
        allocated_resources: shown.resources.and_then(|resources| resources.requests.clone()),
        // One that was not created yet has none; those that it is to have are kept for it, whatever the pod wants meanwhile.
        resources: shown
            .resources
            .filter(|given| machine.container_id.is_some() || **given != Default::default())
            .cloned(),
        volume_mounts: shown.mounts.map(|mounts| mounts.iter().map(mount_status).collect()),
        ..ContainerStatus::default()
    }
}

/// What is read-only is so for all that is below it, whether that is asked for or not; a kubelet tells what was asked for.
fn mount_status(mount: &VolumeMount) -> VolumeMountStatus {
    let read_only = mount.read_only.filter(|read_only| *read_only);
    let asked = mount.recursive_read_only.as_deref().is_some_and(|how| how != "Disabled");
    VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only,
        recursive_read_only: read_only.map(|_| if asked { "Enabled".into() } else { "Disabled".into() }),
        ..VolumeMountStatus::default()
    }
}

/// The words for what a container waits for.
fn words(cause: &Cause, shown: &Shown<'_>, pod: &str) -> String {
    match cause {
        Cause::NotStarted(why) => why.message.clone(),
        Cause::PullBackOff(words) => format!("Back-off pulling image {:?}: ErrImagePull: {words}", shown.image),
        Cause::CrashLoop(pause) => {
            format!("back-off {} restarting failed container={} pod={pod}", span(pause.as_secs()), shown.name)
        }
    }
}

/// As Go writes it: `10s`, `2m40s`.
fn span(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// Waiting, for this reason.
fn waiting(reason: &str, message: Option<&str>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.into()), message: message.map(Into::into) };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

/// Ended, so.
pub fn terminated(termination: &Termination) -> ContainerState {
    ended(ContainerStateTerminated {
        exit_code: termination.exit_code,
        reason: Some(termination.reason.clone()),
        message: termination.message.clone(),
        started_at: termination.started_at.map(Time),
        finished_at: Some(Time(termination.finished_at)),
        container_id: termination.container_id.clone(),
        signal: None,
    })
}

fn never_ran() -> ContainerState {
    ended(ContainerStateTerminated {
        exit_code: LOST_CODE,
        reason: Some(LOST_REASON.into()),
        message: Some("the container had not been started when the pod came to its end".into()),
        ..ContainerStateTerminated::default()
    })
}

/// Terminated, with no more to it.
pub fn ended(terminated: ContainerStateTerminated) -> ContainerState {
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_go_writes_them() {
        let table = [(10, "10s"), (60, "1m0s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s")];
        for (seconds, wanted) in table {
            assert_eq!(span(seconds), wanted);
        }
    }
}
