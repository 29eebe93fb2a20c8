//! A pod's status, as a kubelet would write it, from what its containers are doing. Pure.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>

pub mod conditions;
pub mod container_status;
pub mod drift;

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use self::conditions::conditions;
use self::container_status::{Common, Shown, container_status, ended};
use crate::admission::admit::{self, Refusal};
use crate::lifecycle::course::Verdict;
use crate::lifecycle::not_started::Reason;
use crate::lifecycle::policy::Role;
use crate::lifecycle::turns;
use crate::pod::containers_mut;

/// Why containers do not have the resources that the pod names by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The node cannot have as much.
    Infeasible(String),
    /// Others have it at present.
    Deferred(String),
    /// It is less than a container uses.
    InUse(String),
}

impl Resize {
    /// The condition, its reason and its message, as the kubelet has them.
    fn condition(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::Infeasible(message) => (RESIZE_CONDITIONS[0], "Infeasible", message),
            Self::Deferred(message) => (RESIZE_CONDITIONS[0], "Deferred", message),
            Self::InUse(message) => (RESIZE_CONDITIONS[1], "Error", message),
        }
    }

    /// The reason of its event, and the message.
    pub fn event(&self) -> (String, &str) {
        let (_, reason, message) = self.condition();
        (format!("Resize{reason}"), message)
    }
}

/// The pod as an earlier agent has granted it: with the resources that its status tells, if it wanted others when that was written.
pub fn as_granted(pod: &Pod) -> Option<Pod> {
    let status = pod.status.as_ref()?;
    let wants =
        |condition: &PodCondition| RESIZE_CONDITIONS.contains(&condition.type_.as_str()) && condition.status == "True";
    status.conditions.iter().flatten().find(|condition| wants(condition))?;
    let told: Vec<&ContainerStatus> =
        status.init_container_statuses.iter().chain(&status.container_statuses).flatten().collect();
    let mut granted = pod.clone();
    for container in containers_mut(&mut granted) {
        let status = told.iter().find(|status| status.name == container.name);
        if let Some(resources) = status.and_then(|status| status.resources.clone()) {
            container.resources = Some(resources);
        }
    }
    Some(granted)
}

/// Those that a pod has only while it is so.
const RESIZE_CONDITIONS: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

/// What a status is made from.
pub struct Facts<'a> {
    /// The pod as the API server has it.
    pub pod: &'a Pod,
    /// The status written last, for transition times.
    pub before: Option<&'a PodStatus>,
    /// In the order of the spec, init containers first.
    pub containers: &'a [Shown<'a>],
    /// If the pod never began to run, and will not.
    pub refusal: Option<&'a Refusal>,
    /// If the pod fails, whatever its containers did.
    pub verdict: Option<&'a Verdict>,
    /// What the pod wants of resources that it does not have.
    pub resize: Option<&'a Resize>,
    /// Whether its volumes are ready.
    pub mounted: bool,
    /// Why they are not, if that is known.
    pub mount_error: Option<&'a str>,
    /// Whether one of its containers listens, or has: under this agent, or under an earlier one.
    pub listens: bool,
    /// Whether the pod is to end, so that nothing will be restarted by anybody.
    pub terminal: bool,
    /// The pod's address, which it has if it listens.
    pub pod_ip: IpAddr,
    /// The node's address.
    pub host_ip: &'a str,
    /// When the agent took the pod up.
    pub start_time: Timestamp,
    /// The time for conditions that change.
    pub now: Timestamp,
}

impl Facts<'_> {
    /// Whether the pod is to end, and has.
    fn over(&self) -> bool {
        self.terminal && self.containers.iter().all(|shown| shown.machine.ended())
    }
}

/// The whole status.
pub fn pod_status(facts: &Facts<'_>) -> PodStatus {
    // A pod that was refused never came to having containers.
    let rejected = facts.refusal.filter(|refusal| refusal.fails).is_some();
    let statuses = if rejected { Vec::new() } else { container_statuses(facts) };
    let phase = if rejected { "Failed" } else { phase(facts) };
    let conditions = conditions(facts, phase, &statuses);
    // Only when nothing runs any more is it told why.
    let verdict = facts.verdict.filter(|_| phase == "Failed");
    let inits = facts.containers.iter().filter(|shown| shown.role != Role::Main).count();
    // Those that do not listen cannot be reached.
    let pod_ip = (facts.listens && matches!(phase, "Pending" | "Running")).then(|| facts.pod_ip.to_string());
    let mut statuses = statuses.into_iter();
    let init_statuses: Vec<ContainerStatus> = statuses.by_ref().take(inits).collect();
    PodStatus {
        phase: Some(phase.into()),
        reason: verdict.map(|verdict| verdict.reason.clone()),
        message: verdict.map(|verdict| verdict.message.clone()),
        conditions: Some(conditions),
        init_container_statuses: (!init_statuses.is_empty()).then_some(init_statuses),
        container_statuses: Some(statuses.collect()),
        ephemeral_container_statuses: ephemeral(facts.pod),
        host_ip: Some(facts.host_ip.into()),
        host_ips: Some(vec![HostIP { ip: facts.host_ip.into() }]),
        pod_ips: pod_ip.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip,
        start_time: Some(Time(facts.start_time)),
        observed_generation: facts.pod.metadata.generation,
        ..PodStatus::default()
    }
}

fn container_statuses(facts: &Facts<'_>) -> Vec<ContainerStatus> {
    let metadata = &facts.pod.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let pod = format!("{}_{}({})", text(&metadata.name), text(&metadata.namespace), text(&metadata.uid));
    let has_inits = facts.containers.iter().any(|shown| shown.role != Role::Main);
    let waits_for = match facts.refusal {
        Some(refusal) => (Reason::CreateContainerConfigError.word(), Some(refusal.message.as_str())),
        None if has_inits => ("PodInitializing", facts.mount_error),
        None => ("ContainerCreating", facts.mount_error),
    };
    let through = |shown: &Shown<'_>| shown.role != Role::Init || shown.machine.succeeded();
    let common = Common { pod: &pod, waits_for, never_ran: facts.over() && facts.containers.iter().all(through) };
    facts.containers.iter().map(|shown| container_status(shown, &common)).collect()
}

/// The kubelet's rule for the phase. <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase>
fn phase(facts: &Facts<'_>) -> &'static str {
    let (mut initializing, mut not_initialized) = (false, false);
    let (mut waiting, mut running, mut stopped, mut failed, mut again) = (0, 0, 0, 0, 0);
    for Shown { role, machine, .. } in facts.containers {
        let restarts = machine.would_restart() && !facts.terminal;
        let code = machine.last.as_ref().map(|last| last.exit_code).filter(|_| !machine.running());
        match (role, code) {
            (Role::Init, None) => initializing = true,
            (Role::Init, Some(code)) => not_initialized |= code != 0 && !restarts,
            (_, None) if machine.running() => running += 1,
            (Role::Sidecar, None) => {
                initializing = true;
                waiting += 1;
            }
            // A sidecar that has ended does not count.
            (Role::Sidecar, Some(_)) => {}
            (Role::Main, None) => waiting += 1,
            (Role::Main, Some(code)) => {
                stopped += 1;
                failed += usize::from(code != 0);
                again += usize::from(restarts);
            }
        }
    }
    let begun = turns::initialized(facts.containers.iter().map(|shown| (shown.role, shown.machine)));
    match () {
        () if facts.over() && (facts.verdict.is_some() || waiting > 0) => "Failed",
        () if not_initialized && running == 0 => "Failed",
        () if initializing && !begun => "Pending",
        () if waiting > 0 => "Pending",
        () if running > 0 || again > 0 => "Running",
        () if stopped == 0 => "Pending",
        () if failed == 0 => "Succeeded",
        () => "Failed",
    }
}

/// Ephemeral containers never run here. Who waits for one learns so from its end.
fn ephemeral(pod: &Pod) -> Option<Vec<ContainerStatus>> {
    let containers = pod.spec.as_ref()?.ephemeral_containers.as_ref().filter(|list| !list.is_empty())?;
    let refused = containers.iter().map(|container| ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(ended(ContainerStateTerminated {
            exit_code: 128,
            reason: Some(admit::UNSUPPORTED.into()),
            message: Some(admit::refuse_ephemeral(container)),
            ..ContainerStateTerminated::default()
        })),
        ..ContainerStatus::default()
    });
    Some(refused.collect())
}

/// The status as a strategic merge patch: what it does not name stays, as the API server's `qosClass` does. Lists of conditions
/// merge by type, so what a condition no longer says must be taken back explicitly; those of containers are replaced whole. The uid
/// makes the API server refuse it when another pod has taken the name.
pub fn patch(status: &PodStatus, uid: &str) -> Value {
    let mut status = serde_json::to_value(status).unwrap_or_default();
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = condition.as_object_mut() {
            fields.entry("reason").or_insert(Value::Null);
            fields.entry("message").or_insert(Value::Null);
        }
    }
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        let gone: Vec<_> = RESIZE_CONDITIONS
            .into_iter()
            .filter(|type_| conditions.iter().all(|condition| condition["type"] != *type_))
            .map(|type_| json!({ "$patch": "delete", "type": type_ }))
            .collect();
        conditions.extend(gone);
    }
    // Those of addresses merge by address: that of before would stay beside it, and the API server refuses two of one family.
    for list in ["hostIPs", "podIPs"] {
        if let Some(addresses) = status.get_mut(list).and_then(Value::as_array_mut) {
            addresses.push(json!({ "$patch": "replace" }));
        }
    }
    // One that serves no more has none.
    if let Some(fields) = status.as_object_mut() {
        fields.entry("podIP").or_insert(Value::Null);
        fields.entry("podIPs").or_insert(Value::Null);
    }
    json!({ "metadata": { "uid": uid }, "status": status })
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
