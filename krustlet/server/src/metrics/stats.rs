//! `/stats/summary`: the Summary of the kubelet's stats API, version v1alpha1.
//!
//! <https://github.com/kubernetes/kubelet/blob/master/pkg/apis/stats/v1alpha1/types.go>. What a WebAssembly node does not know
//! (network, resident memory, page faults) is left out, as its fields are optional.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use krustlet_core::node::{FileSystem, Memory};
use serde::Serialize;

use super::usage::{PodUsage, Usage};

/// Statistics of the node and its pods.
#[derive(Debug, Serialize)]
pub struct Summary {
    node: Node,
    pods: Vec<Pod>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    node_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fs: Option<Fs>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pod {
    pod_ref: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Time>,
    containers: Vec<Container>,
    cpu: Cpu,
    memory: MemoryStats,
}

#[derive(Debug, Serialize)]
struct Reference {
    name: String,
    namespace: String,
    uid: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: String,
    start_time: Time,
    cpu: Cpu,
    memory: MemoryStats,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_nano_cores: Option<u64>,
    usage_core_nano_seconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemoryStats {
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_bytes: Option<u64>,
    usage_bytes: u64,
    working_set_bytes: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fs {
    time: Time,
    available_bytes: u64,
    capacity_bytes: u64,
    used_bytes: u64,
    inodes_free: u64,
    inodes: u64,
    inodes_used: u64,
}

/// The summary; with `only_cpu_and_memory` without file systems, as the kubelet has it for those who ask often.
pub fn summary(usage: &Usage, node_name: &str, only_cpu_and_memory: bool) -> Summary {
    let node = &usage.node;
    let at = usage.at;
    Summary {
        node: Node {
            node_name: node_name.into(),
            start_time: node.started_at.map(Time),
            cpu: node.cpu.map(|total| cpu(at, total, node.nano_cores)),
            memory: node.memory.map(|memory| node_memory(at, memory)),
            fs: node.disk.filter(|_| !only_cpu_and_memory).map(|disk| fs(at, disk)),
        },
        pods: usage.pods.iter().map(|usage| pod(at, usage)).collect(),
    }
}

fn pod(at: Timestamp, pod: &PodUsage) -> Pod {
    Pod {
        pod_ref: Reference { name: pod.name.clone(), namespace: pod.namespace.clone(), uid: pod.uid.clone() },
        start_time: pod.started_at.map(Time),
        containers: pod
            .containers
            .iter()
            .map(|container| Container {
                name: container.name.clone(),
                start_time: Time(container.started_at),
                cpu: cpu(at, container.cpu, container.nano_cores),
                memory: memory(at, container.memory_bytes),
            })
            .collect(),
        cpu: cpu(at, pod.cpu(), pod.nano_cores()),
        memory: memory(at, pod.memory_bytes()),
    }
}

fn cpu(at: Timestamp, total: Duration, nano_cores: Option<u64>) -> Cpu {
    Cpu {
        time: Time(at),
        usage_nano_cores: nano_cores,
        usage_core_nano_seconds: u64::try_from(total.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// Of a linear memory nothing can be given up.
fn memory(at: Timestamp, bytes: u64) -> MemoryStats {
    MemoryStats { time: Time(at), available_bytes: None, usage_bytes: bytes, working_set_bytes: bytes }
}

fn node_memory(at: Timestamp, memory: Memory) -> MemoryStats {
    MemoryStats {
        time: Time(at),
        available_bytes: Some(memory.available_bytes),
        usage_bytes: memory.used_bytes,
        working_set_bytes: memory.working_set_bytes(),
    }
}

fn fs(at: Timestamp, disk: FileSystem) -> Fs {
    Fs {
        time: Time(at),
        available_bytes: disk.available_bytes,
        capacity_bytes: disk.capacity_bytes,
        used_bytes: disk.used_bytes,
        inodes_free: disk.inodes_free,
        inodes: disk.inodes,
        inodes_used: disk.inodes.saturating_sub(disk.inodes_free),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::usage::{NodeUsage, example};
    use super::*;

    #[test]
    fn the_kubelets_shape() {
        let (time, started) = ("1970-01-01T00:33:20Z", "1970-01-01T00:16:40Z");
        let memory = |bytes: u64| json!({ "time": time, "usageBytes": bytes, "workingSetBytes": bytes });
        let cpu = |nano_cores: u64, total: u64| json!({ "time": time, "usageNanoCores": nano_cores, "usageCoreNanoSeconds": total });
        let wanted = json!({
            "node": {
                "nodeName": "wasm",
                "startTime": "1970-01-01T00:08:20Z",
                "cpu": cpu(250_000_000, 12_500_000_000),
                "memory": { "time": time, "availableBytes": 1024, "usageBytes": 3500, "workingSetBytes": 3072 },
                "fs": {
                    "time": time, "availableBytes": 4000, "capacityBytes": 10000, "usedBytes": 5500,
                    "inodes": 100, "inodesFree": 70, "inodesUsed": 30,
                },
            },
            "pods": [{
                "podRef": { "name": "cats", "namespace": "default", "uid": "u-1" },
                "startTime": "1970-01-01T00:16:30Z",
                "containers": [
                    { "name": "facts", "startTime": started, "cpu": cpu(5, 1_500_000_000), "memory": memory(65_536) },
                    { "name": "side", "startTime": started, "cpu": cpu(7, 250_000_000), "memory": memory(131_072) },
                ],
                "cpu": cpu(12, 1_750_000_000),
                "memory": memory(196_608),
            }],
        });
        assert_eq!(serde_json::to_value(summary(&example(), "wasm", false)).unwrap(), wanted);
    }

    #[test]
    fn what_is_not_known_or_not_wanted_is_left_out() {
        let value = serde_json::to_value(summary(&example(), "wasm", true)).unwrap();
        assert_eq!((value["node"].get("fs"), value["node"].get("cpu").is_some()), (None, true));
        let mut usage = Usage { node: NodeUsage::default(), ..example() };
        usage.pods[0].containers[0].nano_cores = None;
        let value = serde_json::to_value(summary(&usage, "wasm", false)).unwrap();
        assert_eq!(value["node"], json!({ "nodeName": "wasm" }));
        assert_eq!(value["pods"][0]["cpu"].get("usageNanoCores"), None);
    }
}
