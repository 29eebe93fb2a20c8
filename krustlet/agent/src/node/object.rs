//! The Node object and its status, as pure data.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/>

use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;

use super::host::Host;
use crate::config::Config;
use crate::labels;

/// What a Wasm node says it is, in labels, taints and nodeInfo.
pub const ARCHITECTURE: &str = "wasm32-wasi";

/// The Kubernetes release that this agent is tested with; the suffix says that it is not that release's kubelet.
const KUBELET_VERSION: &str = concat!("v1.36.4-krustlet.", env!("CARGO_PKG_VERSION"));

/// The runtime, by its long-term support line.
const RUNTIME_VERSION: &str = "wasmtime://48";

/// Whether the node is ready, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Pods may come, and their logs can be read.
    Ready,
    /// Not (yet, or any more), with a message for people.
    NotReady(String),
}

/// The taints: only pods that say they can stand WebAssembly come here, and others are sent away.
pub fn taints() -> Vec<Taint> {
    ["NoSchedule", "NoExecute"]
        .into_iter()
        .map(|effect| Taint {
            key: "kubernetes.io/arch".into(),
            value: Some(ARCHITECTURE.into()),
            effect: effect.into(),
            time_added: None,
        })
        .collect()
}

/// The Node as it is first created: not ready yet.
pub fn node(config: &Config, host: &Host, now: Timestamp) -> Node {
    let mut labels = labels::own(&config.node_name);
    labels.extend(config.node_labels.clone());
    let starting = Readiness::NotReady("the node agent is starting".into());
    Node {
        metadata: ObjectMeta { name: Some(config.node_name.clone()), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(NodeSpec { taints: Some(taints()), ..NodeSpec::default() }),
        status: Some(status(config, host, &starting, None, now)),
    }
}

/// The taints of [`taints`] that `node` lacks. A node may not put them back itself.
pub fn missing_taints(node: &Node) -> Vec<Taint> {
    let present = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let has = |taint: &Taint| {
        present.iter().any(|p| p.key == taint.key && p.value == taint.value && p.effect == taint.effect)
    };
    taints().into_iter().filter(|taint| !has(taint)).collect()
}

/// The status to report. `before` is the status that the API server has: transition times are carried over from it.
pub fn status(
    config: &Config,
    host: &Host,
    readiness: &Readiness,
    before: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeStatus {
    let quantities = [
        ("cpu", host.cpus.to_string()),
        ("memory", format!("{}Ki", host.memory_bytes / 1024)),
        ("ephemeral-storage", format!("{}Ki", host.storage_bytes / 1024)),
        ("pods", config.max_pods.to_string()),
    ];
    let capacity: std::collections::BTreeMap<String, Quantity> =
        quantities.into_iter().map(|(name, amount)| (name.to_string(), Quantity(amount))).collect();
    let address = |type_: &str, address: String| NodeAddress { type_: type_.into(), address };
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", config.node_ip.to_string()),
            address("Hostname", config.node_name.clone()),
        ]),
        allocatable: Some(capacity.clone()),
        capacity: Some(capacity),
        conditions: Some(conditions(readiness, before, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(config.listen.port()) }),
        }),
        node_info: Some(NodeSystemInfo {
            architecture: ARCHITECTURE.into(),
            boot_id: host.boot_id.clone(),
            container_runtime_version: RUNTIME_VERSION.into(),
            kernel_version: host.kernel_version.clone(),
            kubelet_version: KUBELET_VERSION.into(),
            machine_id: host.machine_id.clone(),
            operating_system: "wasi".into(),
            os_image: host.os_image.clone(),
            // A machine without SMBIOS access has no other; the field must be there.
            system_uuid: host.machine_id.clone(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

fn conditions(readiness: &Readiness, before: Option<&NodeStatus>, now: Timestamp) -> Vec<NodeCondition> {
    let ready = match readiness {
        Readiness::Ready => ("Ready", true, "KubeletReady", "the node agent is ready and its log port is open"),
        Readiness::NotReady(why) => ("Ready", false, "KubeletNotReady", why.as_str()),
    };
    let rows = [
        ("MemoryPressure", false, "KubeletHasSufficientMemory", "the agent has sufficient memory available"),
        ("DiskPressure", false, "KubeletHasNoDiskPressure", "the agent has no disk pressure"),
        ("PIDPressure", false, "KubeletHasSufficientPID", "WebAssembly pods take no process ids"),
        ready,
    ];
    let known = before.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    rows.into_iter()
        .map(|(type_, holds, reason, message)| {
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

/// The same status but for the heartbeat times: what decides whether a report is worth a request.
pub fn essence(status: &NodeStatus) -> NodeStatus {
    let mut status = status.clone();
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_heartbeat_time = None;
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Surroundings};
    use clap::Parser;

    fn config() -> Config {
        let flags = Flags::parse_from([
            "krustlet-wasi",
            "--node-ip=10.0.0.1",
            "--node-name=wasm",
            "--data-dir=/d",
            "--node-labels=disk=ssd",
        ]);
        Config::resolve(flags, &Surroundings::default()).unwrap()
    }

    fn host() -> Host {
        Host {
            cpus: 2,
            memory_bytes: 4 << 30,
            storage_bytes: 10 << 30,
            machine_id: "m".into(),
            boot_id: "b".into(),
            kernel_version: "6.1".into(),
            os_image: "Debian".into(),
        }
    }

    fn condition<'a>(status: &'a NodeStatus, type_: &str) -> &'a NodeCondition {
        status.conditions.as_ref().unwrap().iter().find(|condition| condition.type_ == type_).unwrap()
    }

    #[test]
    fn a_new_node_has_labels_taints_and_true_numbers() {
        let node = node(&config(), &host(), Timestamp::UNIX_EPOCH);
        let labels = node.metadata.labels.clone().unwrap();
        assert_eq!((labels["kubernetes.io/arch"].as_str(), labels["disk"].as_str()), ("wasm32-wasi", "ssd"));
        assert!(missing_taints(&node).is_empty());
        let status = node.status.unwrap();
        let capacity = status.capacity.unwrap();
        assert_eq!(capacity["cpu"].0, "2");
        assert_eq!(capacity["memory"].0, "4194304Ki");
        assert_eq!(capacity["ephemeral-storage"].0, "10485760Ki");
        assert_eq!(capacity["pods"].0, "110");
        assert_eq!(status.allocatable.unwrap(), capacity);
        assert_eq!(status.daemon_endpoints.unwrap().kubelet_endpoint.unwrap().port, 3000);
    }

    #[test]
    fn transition_times_change_with_the_status_only() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let before = status(&config(), &host(), &Readiness::Ready, None, first);
        let same = status(&config(), &host(), &Readiness::Ready, Some(&before), later);
        assert_eq!(condition(&same, "Ready").last_transition_time, Some(Time(first)));
        assert_eq!(condition(&same, "Ready").last_heartbeat_time, Some(Time(later)));
        assert_eq!(essence(&same), essence(&before));
        let stopped = status(&config(), &host(), &Readiness::NotReady("agent stopped".into()), Some(&before), later);
        let ready = condition(&stopped, "Ready");
        assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("KubeletNotReady")));
        assert_eq!(ready.last_transition_time, Some(Time(later)));
        assert_ne!(essence(&stopped), essence(&before));
    }

    #[test]
    fn taints_that_went_are_noticed() {
        let mut node = node(&config(), &host(), Timestamp::UNIX_EPOCH);
        node.spec.as_mut().unwrap().taints.as_mut().unwrap().remove(0);
        assert_eq!(missing_taints(&node)[0].effect, "NoSchedule");
    }
}
