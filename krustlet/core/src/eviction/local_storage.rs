//! What a pod may take of the node's disk, and whether it takes more. Pure.
//!
//! <https://kubernetes.io/docs/concepts/storage/ephemeral-storage/>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};

use crate::admission::fit;
use crate::quantity;

/// The resource.
const EPHEMERAL_STORAGE: &str = "ephemeral-storage";

/// What the spec of a pod allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// By the name of an emptyDir: `sizeLimit`.
    volumes: BTreeMap<String, Amount>,
    /// All that the pod writes: the limits of its containers together.
    pod: Option<Amount>,
    /// By the name of a container: what it writes itself, which is its logs.
    containers: BTreeMap<String, Amount>,
}

/// So much, and as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Amount {
    bytes: u64,
    text: String,
}

/// What a pod takes: bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// By the name of an emptyDir.
    pub volumes: BTreeMap<String, u64>,
    /// By the name of a container.
    pub logs: BTreeMap<String, u64>,
}

impl Usage {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.volumes.values().chain(self.logs.values()).fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

impl Limits {
    /// Of a pod of which these volumes are mounted.
    pub fn of(spec: &PodSpec, volumes: &[Volume]) -> Self {
        let volumes = volumes.iter().filter_map(|volume| {
            let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
            Some((volume.name.clone(), Amount::of(&limit.0)?))
        });
        let limited = |container: &Container| Some((container.name.clone(), Amount::of(limit(container)?)?));
        let containers: BTreeMap<String, Amount> = spec.containers.iter().filter_map(limited).collect();
        let inits = spec.init_containers.iter().flatten();
        let like = inits.chain(&spec.containers).filter_map(limit).find(|text| quantity::bytes(text) != Some(0));
        let together = fit::limits(spec).get(EPHEMERAL_STORAGE).copied().filter(|bytes| *bytes > 0);
        let pod =
            together.zip(like).map(|(bytes, like)| Amount { bytes, text: quantity::text(bytes, is_binary(like)) });
        Self { volumes: volumes.collect(), pod, containers }
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty() && self.pod.is_none() && self.containers.is_empty()
    }

    /// From where on it is of no interest how much more an emptyDir takes; `None` if it is of none how much at all.
    pub fn most_of_volume(&self, volume: &str) -> Option<u64> {
        least(self.volumes.get(volume), self.pod.as_ref())
    }

    /// The same of the logs of a container.
    pub fn most_of_logs(&self, container: &str) -> Option<u64> {
        least(self.containers.get(container), self.pod.as_ref())
    }

    /// Why a pod that takes so much must go, in a kubelet's order and words.
    pub fn exceeded(&self, usage: &Usage) -> Option<String> {
        let over = |used: &BTreeMap<String, u64>, name: &str, limit: &Amount| {
            used.get(name).is_some_and(|bytes| *bytes > limit.bytes)
        };
        if let Some((name, limit)) = self.volumes.iter().find(|(name, limit)| over(&usage.volumes, name, limit)) {
            return Some(format!("Usage of EmptyDir volume {name:?} exceeds the limit {:?}. ", limit.text));
        }
        if let Some(limit) = self.pod.as_ref().filter(|limit| usage.total() > limit.bytes) {
            let text = &limit.text;
            return Some(format!("Pod ephemeral local storage usage exceeds the total limit of containers {text}. "));
        }
        let (name, limit) = self.containers.iter().find(|(name, limit)| over(&usage.logs, name, limit))?;
        Some(format!("Container {name} exceeded its local ephemeral storage limit {:?}. ", limit.text))
    }
}

impl Amount {
    /// One of zero is none.
    fn of(text: &str) -> Option<Self> {
        let bytes = quantity::bytes(text).filter(|bytes| *bytes > 0)?;
        Some(Self { bytes, text: text.into() })
    }
}

fn limit(container: &Container) -> Option<&str> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    limits.get(EPHEMERAL_STORAGE).map(|limit| limit.0.as_str())
}

fn least(own: Option<&Amount>, pod: Option<&Amount>) -> Option<u64> {
    own.into_iter().chain(pod).map(|limit| limit.bytes).min()
}

fn is_binary(text: &str) -> bool {
    text.ends_with('i')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const MI: u64 = 1 << 20;

    fn container(name: &str, limit: &str) -> Value {
        let limits = if limit.is_empty() { json!({}) } else { json!({ EPHEMERAL_STORAGE: limit }) };
        json!({ "name": name, "resources": { "limits": limits } })
    }

    fn limits(containers: &[Value], inits: &[Value], volumes: Value) -> Limits {
        let spec = json!({ "containers": containers, "initContainers": inits, "volumes": volumes });
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        Limits::of(&spec, spec.volumes.as_deref().unwrap_or_default())
    }

    fn usage(volumes: &[(&str, u64)], logs: &[(&str, u64)]) -> Usage {
        let map = |list: &[(&str, u64)]| list.iter().map(|(name, bytes)| ((*name).to_string(), *bytes)).collect();
        Usage { volumes: map(volumes), logs: map(logs) }
    }

    #[test]
    fn what_has_no_limit_is_not_looked_at() {
        let volumes = json!([
            { "name": "a", "emptyDir": {} },
            { "name": "b", "emptyDir": { "sizeLimit": "0" } },
            { "name": "c", "configMap": { "name": "x" } },
        ]);
        for limit in ["", "0"] {
            let limits = limits(&[container("main", limit)], &[], volumes.clone());
            assert!(limits.is_empty(), "{limit} {limits:?}");
            assert_eq!((limits.most_of_volume("a"), limits.most_of_logs("main")), (None, None));
        }
    }

    #[test]
    fn by_whatever_limit_is_exceeded_first_in_the_kubelets_order() {
        let volumes = json!([{ "name": "e", "emptyDir": { "sizeLimit": "1Mi" } }, { "name": "f", "emptyDir": {} }]);
        let two = limits(&[container("a", "1Mi"), container("b", "3Mi")], &[], volumes);
        let volume = "Usage of EmptyDir volume \"e\" exceeds the limit \"1Mi\". ";
        let pod = "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ";
        let logs = "Container a exceeded its local ephemeral storage limit \"1Mi\". ";
        let table = [
            (usage(&[], &[]), None),
            (usage(&[("e", MI), ("f", MI)], &[("a", MI), ("b", MI)]), None),
            (usage(&[("e", MI + 1)], &[]), Some(volume)),
            (usage(&[("e", MI + 1), ("f", 9 * MI)], &[("a", 9 * MI)]), Some(volume)),
            (usage(&[("e", u64::MAX)], &[]), Some(volume)),
            (usage(&[("e", MI), ("f", 3 * MI)], &[("a", 1)]), Some(pod)),
            (usage(&[("f", 2 * MI)], &[("a", MI + 1), ("b", MI)]), Some(pod)),
            (usage(&[("f", u64::MAX)], &[("a", u64::MAX)]), Some(pod)),
            (usage(&[], &[("a", MI + 1), ("b", MI)]), Some(logs)),
            (usage(&[], &[("a", MI), ("b", 2 * MI)]), None),
        ];
        for (usage, wanted) in table {
            assert_eq!(two.exceeded(&usage).as_deref(), wanted, "{usage:?}");
        }
        assert_eq!((two.most_of_volume("e"), two.most_of_volume("f")), (Some(MI), Some(4 * MI)));
        assert_eq!((two.most_of_logs("a"), two.most_of_logs("b")), (Some(MI), Some(3 * MI)));
    }

    #[test]
    fn the_limits_of_containers_are_one_of_the_pod() {
        let message = |limits: Limits| limits.exceeded(&usage(&[("v", u64::MAX)], &[])).unwrap();
        let table = [
            (vec![container("a", "1Mi")], vec![], "1Mi"),
            (vec![container("a", "1Mi"), container("b", "")], vec![], "1Mi"),
            (vec![container("a", "1500k"), container("b", "500k")], vec![], "2M"),
            (vec![container("a", "1Mi")], vec![container("init", "5Mi")], "5Mi"),
        ];
        for (containers, inits, wanted) in table {
            let told = message(limits(&containers, &inits, json!([])));
            assert_eq!(
                told,
                format!("Pod ephemeral local storage usage exceeds the total limit of containers {wanted}. ")
            );
        }
    }
}
