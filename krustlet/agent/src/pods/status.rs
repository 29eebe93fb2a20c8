//! A pod's status, as a kubelet would write it, from what its containers are doing. Pure.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
    Pod, PodCondition, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::admit::Refusal;
use super::machine::{Machine, RestartPolicy, State, Termination};

/// What a status is made from.
pub struct Facts<'a> {
    /// The pod as the API server has it.
    pub pod: &'a Pod,
    /// The status written last, for transition times.
    pub before: Option<&'a PodStatus>,
    /// In the order of the spec.
    pub containers: &'a [(String, String, &'a Machine)],
    /// If the pod will not run.
    pub refusal: Option<&'a Refusal>,
    /// The node's address.
    pub host_ip: &'a str,
    /// When the agent took the pod up.
    pub start_time: Timestamp,
    /// Whether the pod is being deleted, so that nothing will be restarted.
    pub deleting: bool,
    /// The time for conditions that change.
    pub now: Timestamp,
}

/// The whole status.
pub fn pod_status(facts: &Facts<'_>) -> PodStatus {
    let failed = facts.refusal.filter(|refusal| refusal.fails);
    let statuses: Vec<ContainerStatus> = match failed {
        // It never came to having containers.
        Some(_) => Vec::new(),
        None => facts
            .containers
            .iter()
            .map(|(name, image, machine)| container_status(name, image, machine, facts.refusal))
            .collect(),
    };
    let spec = facts.pod.spec.as_ref();
    let policy = RestartPolicy::of(spec.and_then(|spec| spec.restart_policy.as_deref()));
    let phase = if failed.is_some() { "Failed" } else { phase(&statuses, policy, facts.deleting) };
    PodStatus {
        phase: Some(phase.into()),
        reason: failed.map(|_| "UnsupportedOnWasmNode".into()),
        message: failed.map(|refusal| refusal.message.clone()),
        conditions: Some(conditions(facts, phase, &statuses)),
        container_statuses: Some(statuses),
        host_ip: Some(facts.host_ip.into()),
        host_ips: Some(vec![HostIP { ip: facts.host_ip.into() }]),
        start_time: Some(Time(facts.start_time)),
        observed_generation: facts.pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// The kubelet's rule for the phase. <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase>
fn phase(statuses: &[ContainerStatus], policy: RestartPolicy, deleting: bool) -> &'static str {
    let (mut waiting, mut running, mut stopped, mut succeeded) = (0, 0, 0, 0);
    for status in statuses {
        let state = status.state.clone().unwrap_or_default();
        let stopped_before = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
        match (state.running, state.terminated) {
            (Some(_), _) => running += 1,
            (None, Some(terminated)) => {
                stopped += 1;
                succeeded += usize::from(terminated.exit_code == 0);
            }
            (None, None) if stopped_before => stopped += 1,
            (None, None) => waiting += 1,
        }
    }
    match () {
        () if waiting > 0 => "Pending",
        () if running > 0 => "Running",
        () if stopped == 0 => "Pending",
        () if policy == RestartPolicy::Always && !deleting => "Running",
        () if stopped == succeeded => "Succeeded",
        () if policy == RestartPolicy::Never || deleting => "Failed",
        () => "Running",
    }
}

fn container_status(name: &str, image: &str, machine: &Machine, refusal: Option<&Refusal>) -> ContainerStatus {
    let running = matches!(machine.state, State::Running { .. });
    let (state, last) = match (&machine.state, &machine.last) {
        (State::Running { started_at }, last) => {
            let running = ContainerStateRunning { started_at: Some(Time(*started_at)) };
            (ContainerState { running: Some(running), ..ContainerState::default() }, last.as_ref())
        }
        (State::Waiting(wait), last) => (waiting(wait.reason, Some(&wait.message)), last.as_ref()),
        (State::Preparing | State::Ended, Some(last)) => (terminated(last), machine.before_last.as_ref()),
        (State::Preparing | State::Ended, None) => match refusal {
            Some(refusal) => (waiting("CreateContainerConfigError", Some(&refusal.message)), None),
            None => (waiting("ContainerCreating", None), None),
        },
    };
    ContainerStatus {
        name: name.into(),
        image: image.into(),
        image_id: machine.image_id.clone(),
        container_id: machine.container_id.clone(),
        ready: running,
        started: Some(running),
        restart_count: i32::try_from(machine.restart_count()).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: last.map(terminated),
        ..ContainerStatus::default()
    }
}

fn waiting(reason: &str, message: Option<&str>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.into()), message: message.map(Into::into) };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn terminated(termination: &Termination) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: termination.exit_code,
        reason: Some(termination.reason.clone()),
        message: termination.message.clone(),
        started_at: termination.started_at.map(Time),
        finished_at: Some(Time(termination.finished_at)),
        container_id: termination.container_id.clone(),
        signal: None,
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// Status, reason, message of a condition.
type Verdict = (bool, Option<&'static str>, Option<String>);

fn conditions(facts: &Facts<'_>, phase: &str, statuses: &[ContainerStatus]) -> Vec<PodCondition> {
    let done = matches!(phase, "Succeeded" | "Failed");
    let completed = (phase == "Succeeded").then_some("PodCompleted");
    let containers_ready = containers_ready(facts, phase, statuses);
    let rows: [(&str, Verdict); 5] = [
        ("PodReadyToStartContainers", (!done && facts.refusal.is_none(), None, None)),
        ("Initialized", (true, completed, None)),
        ("Ready", ready(facts, &containers_ready)),
        ("ContainersReady", containers_ready),
        ("PodScheduled", (true, None, None)),
    ];
    let known = facts.before.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    rows.into_iter()
        .map(|(type_, (holds, reason, message))| {
            let status = if holds { "True" } else { "False" };
            let same = known.iter().find(|condition| condition.type_ == type_ && condition.status == status);
            PodCondition {
                type_: type_.into(),
                status: status.into(),
                reason: reason.map(Into::into),
                message,
                last_transition_time: same
                    .and_then(|condition| condition.last_transition_time.clone())
                    .or(Some(Time(facts.now))),
                observed_generation: facts.pod.metadata.generation,
                ..PodCondition::default()
            }
        })
        .collect()
}

fn containers_ready(facts: &Facts<'_>, phase: &str, statuses: &[ContainerStatus]) -> Verdict {
    match phase {
        "Succeeded" => return (false, Some("PodCompleted"), None),
        "Failed" => return (false, Some("PodFailed"), None),
        _ => {}
    }
    let unready: Vec<&str> = facts
        .containers
        .iter()
        .map(|(name, _, _)| name.as_str())
        .filter(|name| !statuses.iter().any(|status| status.name == *name && status.ready))
        .collect();
    match unready.is_empty() {
        true => (true, None, None),
        false => (
            false,
            Some("ContainersNotReady"),
            Some(format!("containers with unready status: [{}]", unready.join(" "))),
        ),
    }
}

/// As the containers are, and every readiness gate besides.
fn ready(facts: &Facts<'_>, containers_ready: &Verdict) -> Verdict {
    if !containers_ready.0 {
        return containers_ready.clone();
    }
    let gates = facts.pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let present = facts.pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let closed = gates.iter().find(|gate| {
        !present.iter().any(|condition| condition.type_ == gate.condition_type && condition.status == "True")
    });
    match closed {
        None => (true, None, None),
        Some(gate) => {
            let message = format!("the condition of pod readiness gate {:?} is not \"True\"", gate.condition_type);
            (false, Some("ReadinessGatesNotReady"), Some(message))
        }
    }
}

/// The status as a strategic merge patch. Lists of conditions merge by type, so what a condition no longer says must be
/// taken back explicitly. The uid makes the API server refuse it when another pod has taken the name.
pub fn patch(status: &PodStatus, uid: &str) -> Value {
    let mut status = serde_json::to_value(status).unwrap_or_default();
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = condition.as_object_mut() {
            fields.entry("reason").or_insert(Value::Null);
            fields.entry("message").or_insert(Value::Null);
        }
    }
    json!({ "metadata": { "uid": uid }, "status": status })
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
