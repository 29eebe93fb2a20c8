//! Taking up pods that the agent, before it was restarted, had begun to run.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use krustlet_core::lifecycle::machine::{Machine, State};
use krustlet_core::lifecycle::policy::{Policy, Role};
use krustlet_core::lifecycle::termination::Termination;
use krustlet_core::status::container_status::{LOST_CODE, LOST_REASON};

use super::checkpoint::{Attempt, Attempts};

/// The status of a container, as far as the API server has one.
pub fn status<'a>(pod: &'a Pod, role: Role, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let list = match role {
        Role::Init | Role::Sidecar => status.init_container_statuses.as_ref()?,
        Role::Main => status.container_statuses.as_ref()?,
    };
    list.iter().find(|status| status.name == name)
}

/// The container as this node and its status remember it. One that ran has ended with the agent that ran it: it is started again, at
/// once, if the policy says so; an init container that has succeeded is not. What the node's own disk has of an attempt comes first, for
/// the API server hears of everything later, if at all; the status knows of an end that could not be written down.
pub fn machine(
    policy: Policy,
    status: Option<&ContainerStatus>,
    attempts: Option<&Attempts>,
    terminal: bool,
    now: Timestamp,
) -> Machine {
    let mut machine = Machine::new(policy.clone());
    if let Some(status) = status {
        told(&mut machine, status, now);
    }
    if let Some(attempts) = attempts.filter(|attempts| attempts.number.saturating_add(1) >= machine.attempts) {
        remembered(&mut machine, attempts, status, now);
    }
    let done = machine.last.as_ref().is_some_and(|last| !policy.restarts(last.exit_code));
    if terminal || done {
        machine.state = State::Ended;
    }
    machine
}

/// What the API server knows.
fn told(machine: &mut Machine, status: &ContainerStatus, now: Timestamp) {
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(termination);
    let ended = termination(&state);
    let was_started = state.running.is_some() || ended.is_some() || last.is_some();
    let counted = u32::try_from(status.restart_count).unwrap_or(0);
    machine.attempts = if was_started { counted + 1 } else { 0 };
    machine.image_id = status.image_id.clone();
    machine.container_id = status.container_id.clone();
    (machine.last, machine.before_last) = match (ended, state.running) {
        (Some(ended), _) => (Some(ended), last),
        (None, Some(running)) => {
            (Some(lost(running.started_at.map(|time| time.0), status.container_id.clone(), now)), last)
        }
        (None, None) => (last, None),
    };
}

/// What this node knows.
fn remembered(machine: &mut Machine, attempts: &Attempts, status: Option<&ContainerStatus>, now: Timestamp) {
    let told = |id: &Option<String>| {
        let states = status.into_iter().flat_map(|status| [status.state.as_ref(), status.last_state.as_ref()]);
        states.flatten().filter_map(termination).find(|told| told.container_id.is_some() && told.container_id == *id)
    };
    let end = |attempt: &Attempt| {
        let known = attempt.ended.clone().or_else(|| told(&attempt.container_id));
        known.unwrap_or_else(|| lost(attempt.started_at, attempt.container_id.clone(), now))
    };
    machine.attempts = attempts.number.saturating_add(1);
    machine.image_id = attempts.newest.image_id.clone();
    machine.container_id = attempts.newest.container_id.clone();
    machine.last = Some(end(&attempts.newest));
    machine.before_last = attempts.before.as_ref().map(end);
}

/// How a container ended that ended with its agent.
fn lost(started_at: Option<Timestamp>, container_id: Option<String>, now: Timestamp) -> Termination {
    Termination {
        exit_code: LOST_CODE,
        reason: LOST_REASON.into(),
        message: Some("the node agent was restarted while this container ran".into()),
        started_at,
        finished_at: now,
        container_id,
    }
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
    use krustlet_core::lifecycle::policy::RestartPolicy;
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
    fn the_count_goes_on_from_the_status() {
        assert_eq!(restored(RestartPolicy::Always, ended(1), 4).attempts, 5);
        assert_eq!(restored(RestartPolicy::Always, json!({ "waiting": {} }), 0).attempts, 0);
    }

    /// Of the attempt of this number, which ended with that code if it is known.
    fn attempts(number: u32, code: Option<i32>) -> Attempts {
        let id = Some(format!("wasmtime://c_{number}"));
        let ended = code.map(|exit_code| Termination { exit_code, ..lost(None, id.clone(), Timestamp::UNIX_EPOCH) });
        Attempts { number, newest: Attempt { container_id: id, ended, ..Attempt::default() }, before: None }
    }

    #[test]
    fn what_this_node_remembers_is_newer_than_what_was_told() {
        let waiting = json!({ "waiting": { "reason": "ContainerCreating" } });
        let running = json!({ "running": {} });
        let ended = json!({ "terminated": { "exitCode": 3, "reason": "Error", "containerID": "wasmtime://c_0" } });
        let table = [
            // Policy, what was told with which count, what is remembered; then: state, attempts, code.
            (RestartPolicy::Never, &waiting, 0, attempts(0, None), State::Ended, 1, 137),
            (RestartPolicy::OnFailure, &waiting, 0, attempts(0, None), State::Queued, 1, 137),
            (RestartPolicy::Never, &waiting, 0, attempts(0, Some(0)), State::Ended, 1, 0),
            (RestartPolicy::OnFailure, &running, 0, attempts(0, Some(0)), State::Ended, 1, 0),
            (RestartPolicy::Never, &running, 0, attempts(0, Some(4)), State::Ended, 1, 4),
            (RestartPolicy::OnFailure, &running, 0, attempts(2, Some(0)), State::Ended, 3, 0),
            // An end that could be told but not written down.
            (RestartPolicy::Never, &ended, 0, attempts(0, None), State::Ended, 1, 3),
            // The folder is an older one: somebody has put it back.
            (RestartPolicy::Never, &ended, 5, attempts(0, Some(0)), State::Ended, 6, 3),
        ];
        for (policy, told, count, attempts, state, number, code) in table {
            let shown = format!("{policy:?} {told} {attempts:?}");
            let status = json!({ "name": "c", "image": "i", "imageID": "id", "ready": false, "restartCount": count, "state": told });
            let status: ContainerStatus = serde_json::from_value(status).unwrap();
            let machine = machine(policy.into(), Some(&status), Some(&attempts), false, Timestamp::UNIX_EPOCH);
            let last = machine.last.unwrap().exit_code;
            assert_eq!((machine.state, machine.attempts, last), (state, number, code), "{shown}");
        }
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
        let machine = machine(policy, Some(&status), None, false, Timestamp::UNIX_EPOCH);
        assert_eq!((machine.state, machine.attempts), (State::Queued, 5));
        assert_eq!(machine.last.unwrap().exit_code, 3);
    }

    #[test]
    fn what_is_over_stays_over() {
        let over = machine(RestartPolicy::Always.into(), None, None, true, Timestamp::UNIX_EPOCH);
        assert_eq!(over.state, State::Ended);
    }
}
