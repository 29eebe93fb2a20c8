//! Taking up pods that the agent, before it was restarted, had begun to run.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;

use super::lifecycle::machine::{Machine, State, Termination};
use super::lifecycle::policy::{Policy, Role};
use super::status::container_status::{LOST_CODE, LOST_REASON};

/// Whether the pod has come to its end, after which nothing of it may run again.
pub fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether an agent has taken the pod up before: it has its place, and keeps it.
pub fn was_started(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.start_time.is_some())
}

/// The status of a container, as far as the API server has one.
pub fn status<'a>(pod: &'a Pod, role: Role, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let list = match role {
        Role::Init | Role::Sidecar => status.init_container_statuses.as_ref()?,
        Role::Main => status.container_statuses.as_ref()?,
    };
    list.iter().find(|status| status.name == name)
}

/// The container as its status tells. One that ran has ended with the agent that ran it: it is started again, at once, if the
/// policy says so; an init container that has succeeded is not. `newest_log` is the newest attempt that has a log file, which the status may not have learned of.
pub fn machine(
    policy: Policy,
    status: Option<&ContainerStatus>,
    newest_log: Option<u32>,
    terminal: bool,
    now: Timestamp,
) -> Machine {
    let mut machine = Machine::new(policy.clone());
    let Some(status) = status else {
        machine.attempts = newest_log.map_or(0, |attempt| attempt + 1);
        if terminal {
            machine.state = State::Ended;
        }
        return machine;
    };
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(termination);
    let ended = termination(&state);
    let was_running = state.running.is_some();
    let counted = u32::try_from(status.restart_count).unwrap_or(0);
    let was_started = was_running || ended.is_some() || last.is_some();
    machine.attempts = (if was_started { counted + 1 } else { 0 }).max(newest_log.map_or(0, |attempt| attempt + 1));
    machine.image_id = status.image_id.clone();
    machine.container_id = status.container_id.clone();
    (machine.last, machine.before_last) = match (ended, state.running) {
        (Some(ended), _) => (Some(ended), last),
        (None, Some(running)) => {
            let lost = Termination {
                exit_code: LOST_CODE,
                reason: LOST_REASON.into(),
                message: Some("the node agent was restarted while this container ran".into()),
                started_at: running.started_at.map(|time| time.0),
                finished_at: now,
                container_id: status.container_id.clone(),
            };
            (Some(lost), last)
        }
        (None, None) => (last, None),
    };
    let done = machine.last.as_ref().is_some_and(|last| !policy.restarts(last.exit_code));
    if terminal || done {
        machine.state = State::Ended;
    }
    machine
}

fn termination(state: &ContainerState) -> Option<Termination> {
    let terminated = state.terminated.as_ref()?;
    Some(Termination {
        exit_code: terminated.exit_code,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone(),
        started_at: terminated.started_at.as_ref().map(|time| time.0),
        finished_at: terminated.finished_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        container_id: terminated.container_id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::lifecycle::policy::RestartPolicy;
    use serde_json::{Value, json};

    fn restored(policy: RestartPolicy, state: Value, restarts: i32) -> Machine {
        let status = json!({ "name": "c", "image": "i", "imageID": "id", "ready": false, "restartCount": restarts, "state": state });
        let status: ContainerStatus = serde_json::from_value(status).unwrap();
        machine(policy.into(), Some(&status), None, false, Timestamp::UNIX_EPOCH)
    }

    fn ended(code: i32) -> Value {
        json!({ "terminated": { "exitCode": code, "reason": "x" } })
    }

    #[test]
    fn by_policy_and_by_what_it_did() {
        let running = json!({ "running": {} });
        let table = [
            (RestartPolicy::Always, running.clone(), State::Queued),
            (RestartPolicy::OnFailure, running.clone(), State::Queued),
            (RestartPolicy::Never, running, State::Ended),
            (RestartPolicy::Always, ended(0), State::Queued),
            (RestartPolicy::OnFailure, ended(0), State::Ended),
            (RestartPolicy::OnFailure, ended(1), State::Queued),
            (RestartPolicy::Never, ended(0), State::Ended),
            (RestartPolicy::Never, json!({ "waiting": {} }), State::Queued),
        ];
        for (policy, state, wanted) in table {
            let shown = format!("{policy:?} {state}");
            assert_eq!(restored(policy, state, 0).state, wanted, "{shown}");
        }
    }

    #[test]
    fn a_lost_container_counts_as_killed() {
        let machine = restored(RestartPolicy::Never, json!({ "running": {} }), 2);
        let last = machine.last.unwrap();
        assert_eq!((last.exit_code, last.reason.as_str()), (137, "ContainerStatusUnknown"));
        assert_eq!(machine.attempts, 3);
    }

    #[test]
    fn the_count_goes_on_from_status_or_log() {
        assert_eq!(restored(RestartPolicy::Always, ended(1), 4).attempts, 5);
        assert_eq!(restored(RestartPolicy::Always, json!({ "waiting": {} }), 0).attempts, 0);
        let machine = machine(RestartPolicy::Always.into(), None, Some(6), false, Timestamp::UNIX_EPOCH);
        assert_eq!((machine.attempts, machine.state), (7, State::Queued));
    }

    #[test]
    fn a_crash_loop_begins_anew_and_keeps_what_it_knows() {
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let status = json!({
            "name": "c", "image": "i", "imageID": "id", "ready": false, "restartCount": 4, "state": waiting,
            "lastState": { "terminated": { "exitCode": 3, "reason": "Error" } },
        });
        let status: ContainerStatus = serde_json::from_value(status).unwrap();
        let policy = Policy::from(RestartPolicy::Always);
        let machine = machine(policy, Some(&status), Some(4), false, Timestamp::UNIX_EPOCH);
        assert_eq!((machine.state, machine.attempts), (State::Queued, 5));
        assert_eq!(machine.last.unwrap().exit_code, 3);
    }

    #[test]
    fn what_is_over_stays_over() {
        let over = machine(RestartPolicy::Always.into(), None, None, true, Timestamp::UNIX_EPOCH);
        assert_eq!(over.state, State::Ended);
    }
}
