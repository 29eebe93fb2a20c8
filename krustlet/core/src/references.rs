//! What a pod's spec refers to.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Volume};

use crate::content::Kind;
use crate::{env, volumes};

/// The volumes that some container mounts. The others are left alone, as by the kubelet.
pub fn used_volumes(pod: &Pod) -> Vec<Volume> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mounted = |name: &str| {
        containers(spec).any(|container| container.volume_mounts.iter().flatten().any(|mount| mount.name == name))
    };
    spec.volumes.iter().flatten().filter(|volume| mounted(&volume.name)).cloned().collect()
}

/// Everything that the pod refers to, at its start or later.
pub fn all_references(spec: &PodSpec) -> impl Iterator<Item = (Kind, &str)> {
    let of_volumes = spec.volumes.iter().flatten().flat_map(volumes::references);
    let of_variables = containers(spec).flat_map(env::references);
    of_volumes.chain(of_variables).chain(pull_secret_names(spec).map(|name| (Kind::Secret, name)))
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

/// The secrets for pulling that it names.
pub fn pull_secret_names(spec: &PodSpec) -> impl Iterator<Item = &str> {
    spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": {
            "imagePullSecrets": [{ "name": "pull" }, { "name": "" }],
            "volumes": [
                { "name": "a", "configMap": { "name": "cm" } },
                { "name": "b", "secret": { "secretName": "s" } },
                { "name": "unused", "emptyDir": {} },
            ],
            "initContainers": [{ "name": "i", "volumeMounts": [{ "name": "b", "mountPath": "/b" }] }],
            "containers": [{
                "name": "c",
                "volumeMounts": [{ "name": "a", "mountPath": "/a" }],
                "envFrom": [{ "configMapRef": { "name": "env" } }],
            }],
        }}))
        .unwrap()
    }

    #[test]
    fn volumes_that_nobody_mounts_are_left_alone() {
        let names: Vec<String> = used_volumes(&pod()).into_iter().map(|volume| volume.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(used_volumes(&Pod::default()).is_empty());
    }

    #[test]
    fn all_are_found() {
        let pod = pod();
        let all: Vec<_> = all_references(pod.spec.as_ref().unwrap()).collect();
        let wanted = [(Kind::ConfigMap, "cm"), (Kind::Secret, "s"), (Kind::ConfigMap, "env"), (Kind::Secret, "pull")];
        assert_eq!(all, wanted);
    }
}
