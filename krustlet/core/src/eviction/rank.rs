//! Which pod goes first when something is short, in a kubelet's order and words. Pure.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#pod-selection-for-kubelet-eviction>

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::Pod;

use crate::admission::fit;
use crate::node::{Resource, Shortage};
use crate::pod::containers;

/// Pods of this priority and above are the cluster's own.
const CRITICAL: i32 = 2_000_000_000;
/// A pod that has less than this part of what is missing stays: its end would help nobody. In hundredths.
const LEAST_HELP: u128 = 1;

/// A pod, as far as its turn to go depends on it. Amounts are of what is short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Of the pod.
    pub uid: String,
    priority: i32,
    usage: u64,
    request: u64,
    containers: Vec<Consumer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Consumer {
    name: String,
    usage: u64,
    request: u64,
}

/// Whether the pod is one of the cluster's own, which stay.
pub fn is_critical(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.priority).is_some_and(|priority| priority >= CRITICAL)
}

impl Candidate {
    /// A pod whose containers use so much of a resource, by name, and that uses so much `besides`. `None` for one that must stay.
    pub fn of(
        pod: &Pod,
        resource: Resource,
        used: impl IntoIterator<Item = (String, u64)>,
        besides: u64,
    ) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let (uid, priority) = (pod.metadata.uid.clone()?, spec.priority.unwrap_or(0));
        let request = |name: &str| {
            let found = containers(pod).find(|(_, container)| container.name == name);
            let requests = found.and_then(|(_, container)| container.resources.as_ref()?.requests.as_ref());
            fit::amounts(requests).get(resource.name()).copied().unwrap_or(0)
        };
        let consumer = |(name, usage): (String, u64)| Consumer { usage, request: request(&name), name };
        let containers: Vec<Consumer> = used.into_iter().map(consumer).collect();
        let usage = containers.iter().fold(besides, |sum, container| sum.saturating_add(container.usage));
        let request = fit::requests(spec).get(resource.name()).copied().unwrap_or(0);
        (!is_critical(pod)).then_some(Self { uid, priority, usage, request, containers })
    }

    fn excess(&self) -> i128 {
        i128::from(self.usage) - i128::from(self.request)
    }

    fn helps(&self, shortage: &Shortage) -> bool {
        self.usage > 0 && u128::from(self.usage) * 100 >= u128::from(shortage.missing()) * LEAST_HELP
    }

    /// Why it must go.
    pub fn message(&self, shortage: &Shortage) -> String {
        let Shortage { resource, threshold, available } = *shortage;
        let (name, text) = (resource.name(), |amount| resource.text(amount));
        let mut message = format!(
            "The node was low on resource: {name}. Threshold quantity: {}, available: {}. ",
            text(threshold),
            text(available)
        );
        for Consumer { name: container, usage, request } in &self.containers {
            if usage > request {
                message += &format!(
                    "Container {container} was using {}, request is {}, has larger consumption of {name}. ",
                    text(*usage),
                    text(*request)
                );
            }
        }
        message
    }
}

/// Who goes first: of those that use more than they have asked for, or else of all, that of the lowest priority; of several the one that
/// uses the most beyond what it has asked for.
pub fn first(candidates: impl IntoIterator<Item = Candidate>, shortage: &Shortage) -> Option<Candidate> {
    let helping = candidates.into_iter().filter(|candidate| candidate.helps(shortage));
    helping.min_by_key(|candidate| (candidate.excess() <= 0, candidate.priority, Reverse(candidate.excess())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHORT: Shortage =
        Shortage { resource: Resource::Memory, threshold: 100 << 20, available: (100 << 20) - 1000 };

    fn candidate(uid: &str, priority: i32, usage: u64, request: u64) -> Candidate {
        Candidate { uid: uid.into(), priority, usage, request, containers: Vec::new() }
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
            // A hundredth of the 1000 bytes that are missing is 10.
            candidate("tiny", -1, 9, 0),
        ];
        let mut left = all.to_vec();
        let mut order = Vec::new();
        while let Some(next) = first(left.clone(), &SHORT) {
            left.retain(|candidate| candidate.uid != next.uid);
            order.push(next.uid);
        }
        assert_eq!(order, ["greedy", "burst", "modest", "important", "guaranteed"]);
    }

    #[test]
    fn what_a_pod_asks_for_and_takes() {
        let pod = |priority: i32| -> Pod {
            let requests = |amount: &str| json!({ "requests": { "memory": amount, "ephemeral-storage": "2Mi" } });
            serde_json::from_value(json!({
                "metadata": { "uid": "u" },
                "spec": { "priority": priority, "containers": [
                    { "name": "a", "resources": requests("1Mi") }, { "name": "b" }, { "name": "c", "resources": requests("1") },
                ] },
            }))
            .unwrap()
        };
        let used = || [("a", 5), ("b", 3 << 20), ("c", 1536 << 10)].map(|(name, bytes)| (name.to_string(), bytes));
        let found = Candidate::of(&pod(3), Resource::Memory, used(), 0).unwrap();
        assert_eq!((found.priority, found.usage, found.request), (3, 5 + (4608 << 10), (1 << 20) + 1));
        assert_eq!(
            found.message(&Shortage { available: 50 << 20, ..SHORT }),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container b was using 3Mi, request \
             is 0, has larger consumption of memory. Container c was using 1536Ki, request is 1, has larger consumption of memory. "
        );
        assert_eq!(Candidate::of(&pod(CRITICAL), Resource::Memory, used(), 0), None);
        let storage = Candidate::of(&pod(0), Resource::Storage, [], 7).unwrap();
        assert_eq!((storage.usage, storage.request), (7, 4 << 20));
        let inodes = Candidate::of(&pod(0), Resource::Inodes, [], 7).unwrap();
        assert_eq!((inodes.usage, inodes.request), (7, 0));
    }

    #[test]
    fn files_are_counted_in_tens() {
        let short = Shortage { resource: Resource::Inodes, threshold: 5000, available: 1200 };
        let message = "The node was low on resource: inodes. Threshold quantity: 5k, available: 1200. ";
        assert_eq!(candidate("u", 0, 1, 0).message(&short), message);
    }
}
