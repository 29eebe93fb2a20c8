//! The Node object and its status, as pure data.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::jiff::Timestamp;
use krustlet_core::labels;
use krustlet_core::node::reserve;
use krustlet_core::node::{Host, Pressed, Reserve};
use kube::api::ObjectMeta;

use super::Config;
use super::conditions::{Readiness, conditions};
use super::images::{Inventory, listed};

/// What a Wasm node says it is, in labels, taints and nodeInfo.
pub const ARCHITECTURE: &str = "wasm32-wasi";

/// The Kubernetes release that this agent is tested with; the suffix says that it is not that release's kubelet.
pub const KUBELET_VERSION: &str = concat!("v1.36.4-krustlet.", env!("CARGO_PKG_VERSION"));

/// What of a status changes while the agent runs.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// See [`Readiness`].
    pub readiness: &'a Readiness,
    /// What the machine is short of.
    pub pressed: Pressed,
    /// What is on the node.
    pub images: Inventory,
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
    labels.extend(config.labels.clone());
    let starting = Readiness::NotReady("the node agent is starting".into());
    let observed = Observed { readiness: &starting, pressed: Pressed::default(), images: Inventory::new() };
    Node {
        metadata: ObjectMeta { name: Some(config.node_name.clone()), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(NodeSpec { taints: Some(taints()), ..NodeSpec::default() }),
        status: Some(status(config, host, observed, None, now)),
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
    observed: Observed<'_>,
    before: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeStatus {
    let known = before.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let address = |type_: &str, address: String| NodeAddress { type_: type_.into(), address };
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", config.node_ip.to_string()),
            address("Hostname", config.node_name.clone()),
        ]),
        allocatable: Some(resources(config, host, &not_for_pods(config, host))),
        capacity: Some(resources(config, host, &Reserve::default())),
        conditions: Some(conditions(observed.readiness, observed.pressed, known, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(config.port) }),
        }),
        node_info: Some(NodeSystemInfo {
            architecture: ARCHITECTURE.into(),
            boot_id: host.boot_id.clone(),
            container_runtime_version: format!("wasmtime://{}", wasmtime_environ::VERSION),
            kernel_version: host.kernel_version.clone(),
            kubelet_version: KUBELET_VERSION.into(),
            machine_id: host.machine_id.clone(),
            operating_system: "wasi".into(),
            os_image: host.os_image.clone(),
            system_uuid: host.system_uuid.clone(),
            ..NodeSystemInfo::default()
        }),
        images: Some(listed(observed.images)),
        ..NodeStatus::default()
    }
}

/// What is reserved, and what must always be left, for at less pods have to go.
pub fn not_for_pods(config: &Config, host: &Host) -> Reserve {
    let (reserved, left) = (config.system_reserved, &config.eviction_hard);
    Reserve {
        memory_bytes: reserved.memory_bytes.saturating_add(left.memory.of(host.memory_bytes)),
        storage_bytes: reserved.storage_bytes.saturating_add(left.disk.of(host.storage_bytes)),
        ..reserved
    }
}

/// What the machine has, less what is reserved.
pub fn resources(config: &Config, host: &Host, reserve: &Reserve) -> BTreeMap<String, Quantity> {
    let quantities = [
        ("cpu", reserve::cpu((host.cpus * 1000).saturating_sub(reserve.cpu_millis))),
        ("memory", reserve::bytes(host.memory_bytes.saturating_sub(reserve.memory_bytes))),
        ("ephemeral-storage", reserve::bytes(host.storage_bytes.saturating_sub(reserve.storage_bytes))),
        ("pods", config.max_pods.to_string()),
    ];
    quantities.into_iter().map(|(name, amount)| (name.to_string(), Quantity(amount))).collect()
}

/// The same status but for the heartbeat times: what decides whether a report is worth a request.
pub fn essence(status: &NodeStatus) -> NodeStatus {
    let mut status = status.clone();
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_heartbeat_time = None;
    }
    status
}

/// Whether the Node's conditions are still those that were reported.
pub fn stands(reported: &NodeStatus, node: &Node) -> bool {
    let now = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    reported
        .conditions
        .iter()
        .flatten()
        .all(|ours| now.iter().any(|theirs| (&theirs.type_, &theirs.status) == (&ours.type_, &ours.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        crate::tests::config(std::path::Path::new("/d"))
    }

    fn host() -> Host {
        Host {
            cpus: 2,
            memory_bytes: 4 << 30,
            storage_bytes: 10 << 30,
            inodes: 0,
            machine_id: "m".into(),
            boot_id: "b".into(),
            kernel_version: "6.1".into(),
            os_image: "Debian".into(),
            system_uuid: "u".into(),
        }
    }

    fn observed(readiness: &Readiness, images: Inventory) -> Observed<'_> {
        Observed { readiness, pressed: Pressed::default(), images }
    }

    #[test]
    fn a_new_node_has_labels_taints_and_true_numbers() {
        let node = node(&config(), &host(), Timestamp::UNIX_EPOCH);
        let labels = node.metadata.labels.clone().unwrap();
        assert_eq!((labels["kubernetes.io/arch"].as_str(), labels["team"].as_str()), ("wasm32-wasi", "a"));
        assert!(missing_taints(&node).is_empty());
        let status = node.status.unwrap();
        let capacity = status.capacity.unwrap();
        assert_eq!(capacity["cpu"].0, "2");
        assert_eq!(capacity["memory"].0, "4194304Ki");
        assert_eq!(capacity["ephemeral-storage"].0, "10485760Ki");
        assert_eq!(capacity["pods"].0, "110");
        let allocatable = status.allocatable.unwrap();
        let left = ["cpu", "memory", "ephemeral-storage", "pods"].map(|name| allocatable[name].0.as_str());
        assert_eq!(left, ["1900m", "3960832Ki", "8388608Ki", "110"]);
        assert_eq!(status.daemon_endpoints.unwrap().kubelet_endpoint.unwrap().port, 3000);
    }

    #[test]
    fn a_report_is_worth_a_request_when_more_than_the_time_has_changed() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let stopped = Readiness::NotReady("agent stopped".into());
        let before = status(&config(), &host(), observed(&Readiness::Ready, vec![]), None, first);
        let after = |observed| essence(&status(&config(), &host(), observed, Some(&before), later));
        assert_eq!(after(observed(&Readiness::Ready, vec![])), essence(&before));
        assert_ne!(after(observed(&stopped, vec![])), essence(&before));
        assert_ne!(after(observed(&Readiness::Ready, vec![(vec!["a".into()], 1)])), essence(&before));
        let short = Observed { pressed: Pressed { memory: true, disk: false }, ..observed(&Readiness::Ready, vec![]) };
        assert_ne!(after(short), essence(&before));
    }

    #[test]
    fn the_versions_are_true() {
        let info = status(&config(), &host(), observed(&Readiness::Ready, vec![]), None, Timestamp::UNIX_EPOCH);
        let info = info.node_info.unwrap();
        let locked = include_str!("../../Cargo.lock");
        let version = info.container_runtime_version.strip_prefix("wasmtime://").unwrap();
        assert!(locked.contains(&format!("name = \"wasmtime\"\nversion = \"{version}\"\n")), "{version}");
        assert_eq!((info.machine_id.as_str(), info.system_uuid.as_str()), ("m", "u"));
    }

    #[test]
    fn taints_that_went_are_noticed() {
        let mut node = node(&config(), &host(), Timestamp::UNIX_EPOCH);
        node.spec.as_mut().unwrap().taints.as_mut().unwrap().remove(0);
        assert_eq!(missing_taints(&node)[0].effect, "NoSchedule");
    }
}
