//! Whether a pod may begin on a node that is short of something: a kubelet's rules. Pure.
//!
//! The scheduler knows them as taints, but those come some time after the shortage, and pods that tolerate them, or name their node, come
//! all the same.

use k8s_openapi::api::core::v1::{Pod, Toleration};

use super::admit::Refusal;
use crate::eviction::rank;
use crate::node::Pressed;

/// Of a node that is short of memory.
const TAINT: &str = "node.kubernetes.io/memory-pressure";

/// Why the pod has to go elsewhere, if it has to.
pub fn refuse(pod: &Pod, pressed: Pressed) -> Option<Refusal> {
    // Who has asked for what it needs, or says that it can do with what there is, does no harm to a node that is short of memory.
    let only_memory = !pressed.disk;
    let fits = !pressed.memory && !pressed.disk || only_memory && (!is_best_effort(pod) || tolerates_shortage(pod));
    (!fits && !rank::is_critical(pod)).then(|| {
        let conditions: Vec<&str> = [(pressed.disk, "DiskPressure"), (pressed.memory, "MemoryPressure")]
            .into_iter()
            .filter_map(|(so, name)| so.then_some(name))
            .collect();
        Refusal {
            reason: "Evicted".into(),
            message: format!("The node had condition: [{}]. ", conditions.join(" ")),
            fails: true,
        }
    })
}

/// By the API server, which says so of every pod.
fn is_best_effort(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.qos_class.as_deref() == Some("BestEffort"))
}

fn tolerates_shortage(pod: &Pod) -> bool {
    let tolerates = |toleration: &Toleration| {
        let exists = toleration.operator.as_deref() == Some("Exists");
        let key = toleration.key.as_deref().unwrap_or_default();
        let value = toleration.value.as_deref().unwrap_or_default();
        let effect = toleration.effect.as_deref().unwrap_or_default();
        (key == TAINT || exists && key.is_empty())
            && (exists || value.is_empty())
            && matches!(effect, "" | "NoSchedule")
    };
    pod.spec.as_ref().is_some_and(|spec| spec.tolerations.iter().flatten().any(tolerates))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_kubelets_table() {
        let pod = |qos: &str, spec: Value| -> Pod {
            let mut all = json!({ "containers": [] });
            all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            serde_json::from_value(json!({ "spec": all, "status": { "qosClass": qos } })).unwrap()
        };
        let tolerating = |toleration: Value| pod("BestEffort", json!({ "tolerations": [toleration] }));
        let none = || json!({});
        // Which conditions it is refused by: none, memory, disk, both.
        let table = [
            (pod("BestEffort", none()), [false, true, true, true]),
            (pod("Burstable", none()), [false, false, true, true]),
            (pod("Guaranteed", none()), [false, false, true, true]),
            (pod("BestEffort", json!({ "priority": 1_000_000_000 })), [false, true, true, true]),
            (pod("BestEffort", json!({ "priority": 2_000_000_000 })), [false; 4]),
            (tolerating(json!({ "operator": "Exists" })), [false, false, true, true]),
            (tolerating(json!({ "key": TAINT, "effect": "NoSchedule" })), [false, false, true, true]),
            (tolerating(json!({ "key": TAINT, "operator": "Exists" })), [false, false, true, true]),
            (tolerating(json!({ "key": TAINT, "value": "x" })), [false, true, true, true]),
            (
                tolerating(json!({ "key": TAINT, "operator": "Exists", "effect": "NoExecute" })),
                [false, true, true, true],
            ),
            (tolerating(json!({ "key": "other", "operator": "Exists" })), [false, true, true, true]),
        ];
        let shortages = [(false, false), (true, false), (false, true), (true, true)];
        for (pod, wanted) in table {
            let refused = shortages.map(|(memory, disk)| refuse(&pod, Pressed { memory, disk }).is_some());
            assert_eq!(refused, wanted, "{pod:?}");
        }
        let refusal = refuse(&pod("BestEffort", none()), Pressed { memory: true, disk: true }).unwrap();
        assert_eq!(refusal.message, "The node had condition: [DiskPressure MemoryPressure]. ");
        assert_eq!((refusal.reason.as_str(), refusal.fails), ("Evicted", true));
    }
}
