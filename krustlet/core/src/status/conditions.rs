//! The conditions of a pod, as a kubelet would write them. Pure.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions>

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Facts;
use crate::lifecycle::policy::Role;
use crate::lifecycle::turns;

/// Status, reason, message of a condition.
type Verdict = (bool, Option<&'static str>, Option<String>);

/// The kubelet's reason for the end of a pod that its node brought about.
const BY_KUBELET: &str = "TerminationByKubelet";

/// The five that are a kubelet's at all times, that of a pod which the node has ended, and that of one which waits for resources. A transition time stays for as long as the
/// status does.
pub fn conditions(facts: &Facts<'_>, phase: &str, statuses: &[ContainerStatus]) -> Vec<PodCondition> {
    let done = matches!(phase, "Succeeded" | "Failed");
    let containers_ready = containers_ready(facts, phase, statuses);
    let rows: [(&str, Verdict); 5] = [
        ("PodReadyToStartContainers", (!done && facts.mounted, None, None)),
        ("Initialized", initialized(facts, phase, statuses)),
        ("Ready", ready(facts, &containers_ready)),
        ("ContainersReady", containers_ready),
        ("PodScheduled", (true, None, None)),
    ];
    // With the end itself: a Job's `podFailurePolicy` is asked once, when the pod has failed.
    let disruption = facts.verdict.filter(|verdict| verdict.disruption && phase == "Failed");
    let disrupted =
        disruption.map(|verdict| ("DisruptionTarget", (true, Some(BY_KUBELET), Some(verdict.message.clone()))));
    let resize = facts.resize.filter(|_| !done).map(|resize| {
        let (type_, reason, message) = resize.condition();
        (type_, (true, Some(reason), Some(message.to_owned())))
    });
    let known = facts.before.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    rows.into_iter()
        .chain(disrupted)
        .chain(resize)
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

/// Whether the init containers are through. Once a main container has run they are, whatever becomes of a sidecar.
fn initialized(facts: &Facts<'_>, phase: &str, statuses: &[ContainerStatus]) -> Verdict {
    if phase == "Succeeded" {
        return (true, Some("PodCompleted"), None);
    }
    if turns::initialized(facts.containers.iter().map(|shown| (shown.role, shown.machine))) {
        return (true, None, None);
    }
    let through = |status: &ContainerStatus, role| match role {
        Role::Init => status.ready,
        _ => status.started == Some(true),
    };
    let inits = facts.containers.iter().filter(|shown| shown.role != Role::Main);
    incomplete(
        inits.filter(|shown| !find(statuses, shown.name).is_some_and(|status| through(status, shown.role))),
        "ContainersNotInitialized",
        "incomplete",
    )
}

fn containers_ready(facts: &Facts<'_>, phase: &str, statuses: &[ContainerStatus]) -> Verdict {
    match phase {
        "Succeeded" => return (false, Some("PodCompleted"), None),
        "Failed" => return (false, Some("PodFailed"), None),
        _ => {}
    }
    let counted = facts.containers.iter().filter(|shown| shown.role != Role::Init);
    incomplete(
        counted.filter(|shown| !find(statuses, shown.name).is_some_and(|status| status.ready)),
        "ContainersNotReady",
        "unready",
    )
}

/// False as long as there are such containers.
fn incomplete<'a>(
    containers: impl Iterator<Item = &'a super::container_status::Shown<'a>>,
    reason: &'static str,
    word: &str,
) -> Verdict {
    let names: Vec<&str> = containers.map(|shown| shown.name).collect();
    match names.is_empty() {
        true => (true, None, None),
        false => (false, Some(reason), Some(format!("containers with {word} status: [{}]", names.join(" ")))),
    }
}

fn find<'a>(statuses: &'a [ContainerStatus], name: &str) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == name)
}

/// As the containers are, and every readiness gate besides.
fn ready(facts: &Facts<'_>, containers_ready: &Verdict) -> Verdict {
    if !containers_ready.0 {
        return containers_ready.clone();
    }
    let gates = facts.pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let present = facts.pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let closed = gates.iter().filter_map(|gate| {
        let type_ = &gate.condition_type;
        match present.iter().find(|condition| condition.type_ == *type_) {
            None => Some(format!("corresponding condition of pod readiness gate {type_:?} does not exist.")),
            Some(condition) if condition.status == "True" => None,
            Some(condition) => {
                Some(format!("the status of pod readiness gate {type_:?} is not \"True\", but {}", condition.status))
            }
        }
    });
    let closed: Vec<String> = closed.collect();
    match closed.is_empty() {
        true => (true, None, None),
        false => (false, Some("ReadinessGatesNotReady"), Some(closed.join(", "))),
    }
}
