//! Which pods cannot run on a WebAssembly node, and what is said to those who sent them.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Volume};

/// A pod that will not run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For people: all that is wrong with it, in one sentence.
    pub message: String,
    /// Whether the pod fails. A controller that would put another in its place at once, for ever, gets a pod that waits instead.
    pub fails: bool,
}

/// Looks for what the agent does not provide. What is harmless without it (ports, imagePullSecrets, the token of the service
/// account, which is just not mounted) passes.
pub fn refuse(pod: &Pod) -> Option<Refusal> {
    let spec = pod.spec.as_ref()?;
    let mut missing = pod_level(spec);
    for container in &spec.containers {
        missing.extend(
            container_level(container).into_iter().map(|what| format!("{what} of container {}", container.name)),
        );
    }
    (!missing.is_empty()).then(|| Refusal {
        message: format!("this WebAssembly node does not support: {}", missing.join("; ")),
        fails: !replaced_at_once(pod),
    })
}

fn pod_level(spec: &PodSpec) -> Vec<String> {
    let mut missing = Vec::new();
    let mut check = |unsupported: bool, what: &str| {
        if unsupported {
            missing.push(what.to_string());
        }
    };
    check(spec.init_containers.as_ref().is_some_and(|list| !list.is_empty()), "initContainers");
    check(spec.host_network == Some(true), "hostNetwork (a module has no network)");
    check(spec.host_pid == Some(true), "hostPID");
    check(spec.host_ipc == Some(true), "hostIPC");
    check(spec.active_deadline_seconds.is_some(), "activeDeadlineSeconds");
    check(spec.resource_claims.as_ref().is_some_and(|list| !list.is_empty()), "resourceClaims");
    missing.extend(
        spec.volumes
            .iter()
            .flatten()
            .filter(|volume| !is_service_account_token(volume))
            .map(|volume| format!("volume {}", volume.name)),
    );
    missing
}

fn container_level(container: &Container) -> Vec<&'static str> {
    let probes = [
        (container.liveness_probe.is_some(), "livenessProbe"),
        (container.readiness_probe.is_some(), "readinessProbe"),
        (container.startup_probe.is_some(), "startupProbe"),
        (
            container.lifecycle.as_ref().is_some_and(|hooks| hooks.post_start.is_some() || hooks.pre_stop.is_some()),
            "lifecycle hooks",
        ),
        (container.volume_devices.as_ref().is_some_and(|list| !list.is_empty()), "volumeDevices"),
        (container.working_dir.as_ref().is_some_and(|dir| !dir.is_empty()), "workingDir"),
    ];
    probes.into_iter().filter(|(present, _)| *present).map(|(_, what)| what).collect()
}

/// The volume that the API server adds to every pod of a service account. Nobody asked for it, and a module without network
/// has no use for a token.
fn is_service_account_token(volume: &Volume) -> bool {
    volume.projected.is_some() && volume.name.starts_with("kube-api-access-")
}

/// True for pods of ReplicaSets and their like, which know no pause after a failure. Jobs count failures and stop.
fn replaced_at_once(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| owner.controller == Some(true) && owner.kind != "Job")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: Value) -> Pod {
        let mut spec = spec;
        let containers = spec.get("containers").cloned().unwrap_or(json!([{ "name": "c", "image": "i" }]));
        spec["containers"] = containers;
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap()
    }

    fn with_container(part: Value) -> Pod {
        let mut container = json!({ "name": "c", "image": "i" });
        container.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        pod(json!({ "containers": [container] }))
    }

    #[test]
    fn ordinary_pods_pass() {
        let token = json!({ "volumes": [{ "name": "kube-api-access-x1", "projected": { "sources": [] } }], "imagePullSecrets": [{ "name": "s" }] });
        for pod in [pod(json!({})), pod(token), with_container(json!({ "ports": [{ "containerPort": 80 }] }))] {
            assert_eq!(refuse(&pod), None);
        }
    }

    #[test]
    fn each_unsupported_thing_is_named() {
        let probe = json!({ "tcpSocket": { "port": 1 } });
        let table = [
            (pod(json!({ "initContainers": [{ "name": "i" }] })), "initContainers"),
            (pod(json!({ "hostNetwork": true })), "hostNetwork"),
            (pod(json!({ "hostPID": true })), "hostPID"),
            (pod(json!({ "activeDeadlineSeconds": 5 })), "activeDeadlineSeconds"),
            (pod(json!({ "volumes": [{ "name": "v", "emptyDir": {} }] })), "volume v"),
            (
                pod(json!({ "volumes": [{ "name": "kube-api-access-fake", "emptyDir": {} }] })),
                "volume kube-api-access-fake",
            ),
            (with_container(json!({ "livenessProbe": probe })), "livenessProbe of container c"),
            (with_container(json!({ "readinessProbe": probe })), "readinessProbe of container c"),
            (with_container(json!({ "startupProbe": probe })), "startupProbe of container c"),
            (with_container(json!({ "lifecycle": { "preStop": {} } })), "lifecycle hooks of container c"),
            (with_container(json!({ "workingDir": "/x" })), "workingDir of container c"),
        ];
        for (pod, what) in table {
            let refusal = refuse(&pod).unwrap();
            assert!(refusal.message.contains(what), "{}", refusal.message);
            assert!(refusal.fails);
        }
    }

    #[test]
    fn all_of_them_stand_in_one_message() {
        let both = refuse(&pod(json!({ "hostNetwork": true, "hostIPC": true }))).unwrap();
        assert!(both.message.contains("hostNetwork") && both.message.contains("hostIPC"));
    }

    #[test]
    fn pods_that_would_be_replaced_at_once_wait() {
        for (kind, fails) in [("ReplicaSet", false), ("DaemonSet", false), ("Job", true)] {
            let mut pod = pod(json!({ "hostNetwork": true }));
            let owner = json!({ "apiVersion": "v1", "kind": kind, "name": "o", "uid": "u", "controller": true });
            pod.metadata.owner_references = Some(vec![serde_json::from_value(owner).unwrap()]);
            assert_eq!(refuse(&pod).unwrap().fails, fails, "{kind}");
        }
    }
}
