//! Which pod goes first when something is short, in a kubelet's order. Pure.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#pod-selection-for-kubelet-eviction>

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::Pod;

use crate::pods::admission::fit;

/// Pods of this priority and above are the cluster's own, and stay.
const CRITICAL: i32 = 2_000_000_000;

/// A pod, as far as its turn to go depends on it. Amounts are of what is short, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Of the pod.
    pub uid: String,
    /// `spec.priority`.
    pub priority: i32,
    /// What it uses.
    pub usage: u64,
    /// What it has asked for.
    pub request: u64,
    /// The container that uses the most, and how much.
    pub largest: (String, u64),
}

impl Candidate {
    /// A pod whose containers use that much of a resource. `None` for one that must stay.
    pub fn of(pod: &Pod, resource: &str, containers: impl Iterator<Item = (String, u64)>) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let priority = spec.priority.unwrap_or(0);
        let containers: Vec<(String, u64)> = containers.collect();
        let largest = containers.iter().max_by_key(|(_, usage)| *usage)?.clone();
        let request = fit::requests(spec).get(resource).copied().unwrap_or(0);
        let usage = containers.iter().fold(0u64, |sum, (_, usage)| sum.saturating_add(*usage));
        let uid = pod.metadata.uid.clone()?;
        (priority < CRITICAL).then_some(Self { uid, priority, usage, request, largest })
    }

    fn excess(&self) -> i128 {
        i128::from(self.usage) - i128::from(self.request)
    }
}

/// Who goes first: of those that use more than they have asked for, or else of all, that of the lowest priority; of several the one that
/// uses the most beyond what it has asked for. What uses nothing is not asked to go: it would help nobody.
pub fn first(candidates: impl IntoIterator<Item = Candidate>) -> Option<Candidate> {
    let using = candidates.into_iter().filter(|candidate| candidate.usage > 0);
    using.min_by_key(|candidate| (candidate.excess() <= 0, candidate.priority, Reverse(candidate.excess())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn candidate(uid: &str, priority: i32, usage: u64, request: u64) -> Candidate {
        Candidate { uid: uid.into(), priority, usage, request, largest: ("main".into(), usage) }
    }

    #[test]
    fn the_kubelets_order() {
        let all = [
            candidate("guaranteed", 0, 90, 100),
            candidate("important", 5, 500, 0),
            candidate("modest", 0, 10, 0),
            candidate("burst", 0, 300, 200),
            candidate("greedy", 0, 120, 0),
            candidate("idle", -1, 0, 0),
        ];
        let mut left = all.to_vec();
        let mut order = Vec::new();
        while let Some(next) = first(left.clone()) {
            left.retain(|candidate| candidate.uid != next.uid);
            order.push(next.uid);
        }
        assert_eq!(order, ["greedy", "burst", "modest", "important", "guaranteed"]);
    }

    #[test]
    fn what_a_pod_asks_for_and_takes() {
        let pod = |priority: i32| -> Pod {
            let requests = json!({ "requests": { "memory": "1Mi" } });
            serde_json::from_value(json!({
                "metadata": { "uid": "u" },
                "spec": { "priority": priority, "containers": [{ "name": "a", "resources": requests }, { "name": "b" }] },
            }))
            .unwrap()
        };
        let used = || [("a".to_string(), 5), ("b".to_string(), 7)].into_iter();
        let found = Candidate::of(&pod(3), "memory", used()).unwrap();
        assert_eq!((found.priority, found.usage, found.request), (3, 12, 1 << 20));
        assert_eq!(found.largest, ("b".into(), 7));
        assert_eq!(Candidate::of(&pod(CRITICAL), "memory", used()), None);
    }
}
