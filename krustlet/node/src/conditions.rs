//! The conditions of a Node, with the kubelet's reasons and messages.

use k8s_openapi::api::core::v1::NodeCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use krustlet_core::node::Pressed;

/// Whether the node is ready, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Pods may come, and their logs can be read.
    Ready,
    /// Not (yet, or any more), with a message for people.
    NotReady(String),
}

/// All conditions. Transition times are carried over from `known`.
pub fn conditions(
    readiness: &Readiness,
    pressed: Pressed,
    known: &[NodeCondition],
    now: Timestamp,
) -> Vec<NodeCondition> {
    let memory = match pressed.memory {
        true => ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        false => ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    };
    let disk = match pressed.disk {
        true => ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        false => ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    };
    let ready = match readiness {
        Readiness::Ready => ("KubeletReady", "kubelet is posting ready status"),
        Readiness::NotReady(why) => ("KubeletNotReady", why.as_str()),
    };
    let rows = [
        ("MemoryPressure", pressed.memory, memory),
        ("DiskPressure", pressed.disk, disk),
        // WebAssembly pods take no process ids.
        ("PIDPressure", false, ("KubeletHasSufficientPID", "kubelet has sufficient PID available")),
        ("Ready", *readiness == Readiness::Ready, ready),
    ];
    rows.into_iter()
        .map(|(type_, holds, (reason, message))| {
            let status = if holds { "True" } else { "False" };
            let same = known.iter().find(|condition| condition.type_ == type_ && condition.status == status);
            NodeCondition {
                type_: type_.into(),
                status: status.into(),
                reason: Some(reason.into()),
                message: Some(message.into()),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: same
                    .and_then(|condition| condition.last_transition_time.clone())
                    .or(Some(Time(now))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(conditions: &[NodeCondition], type_: &str) -> NodeCondition {
        conditions.iter().find(|condition| condition.type_ == type_).unwrap().clone()
    }

    #[test]
    fn each_state_has_the_kubelets_words() {
        let starting = Readiness::NotReady("starting".into());
        let table = [
            (&Readiness::Ready, Pressed::default(), "Ready", "True", "KubeletReady"),
            (&starting, Pressed::default(), "Ready", "False", "KubeletNotReady"),
            (&Readiness::Ready, Pressed::default(), "MemoryPressure", "False", "KubeletHasSufficientMemory"),
            (
                &starting,
                Pressed { memory: true, disk: false },
                "MemoryPressure",
                "True",
                "KubeletHasInsufficientMemory",
            ),
            (&starting, Pressed { memory: true, disk: false }, "DiskPressure", "False", "KubeletHasNoDiskPressure"),
            (
                &Readiness::Ready,
                Pressed { memory: false, disk: true },
                "DiskPressure",
                "True",
                "KubeletHasDiskPressure",
            ),
            (
                &Readiness::Ready,
                Pressed { memory: true, disk: true },
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
            ),
            // A node under pressure is ready: the taint of the pressure keeps pods away.
            (&Readiness::Ready, Pressed { memory: true, disk: true }, "Ready", "True", "KubeletReady"),
        ];
        for (readiness, pressed, type_, status, reason) in table {
            let found = condition(&conditions(readiness, pressed, &[], Timestamp::UNIX_EPOCH), type_);
            assert_eq!((found.status.as_str(), found.reason.as_deref()), (status, Some(reason)));
        }
    }

    #[test]
    fn transition_times_change_with_the_status_only() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let before = conditions(&Readiness::Ready, Pressed::default(), &[], first);
        let after = conditions(&Readiness::Ready, Pressed { memory: true, disk: false }, &before, later);
        for (type_, wanted) in [("Ready", first), ("DiskPressure", first), ("MemoryPressure", later)] {
            let found = condition(&after, type_);
            assert_eq!(found.last_transition_time, Some(Time(wanted)), "{type_}");
            assert_eq!(found.last_heartbeat_time, Some(Time(later)), "{type_}");
        }
    }
}
