//! What tells the spans of a container from others: the attributes of its resource. Pure.
//!
//! <https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/>,
//! <https://opentelemetry.io/docs/specs/semconv/resource/k8s/>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

/// An annotation of this beginning is an attribute, without it.
const ANNOTATION: &str = "resource.opentelemetry.io/";

/// The label by which a ReplicaSet's name goes on after that of its Deployment.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What only Kubernetes or the machine can tell: no annotation does.
const KNOWN: [&str; 2] = ["k8s.", "host."];
const NAMESPACE: &str = "service.namespace";

/// The most annotations that are taken, and the most bytes of each.
const ANNOTATIONS: usize = 32;
const TEXT_BYTES: usize = 1024;

/// Those of a container of a pod that is bound to a node. What its author says by annotation comes before what the pod is called by. It
/// stands for nothing that Kubernetes knows, nor for the namespace, so that no pod passes for one of another.
pub fn resource(pod: &Pod, container: &str) -> BTreeMap<String, String> {
    let meta = &pod.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (namespace, name, uid) = (text(&meta.namespace), text(&meta.name), text(&meta.uid));
    let owner = owner(pod);
    let service = owner.as_ref().map_or(&name, |(_, owner)| owner).clone();
    let mut all = BTreeMap::from([
        ("service.name".to_owned(), service),
        (NAMESPACE.to_owned(), namespace.clone()),
        ("service.instance.id".to_owned(), format!("{namespace}.{name}.{container}")),
    ]);
    all.extend(said(pod));
    all.extend(owner.map(|(key, owner)| (key.to_owned(), owner)));
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    let known = [
        ("k8s.namespace.name", namespace),
        ("k8s.pod.name", name),
        ("k8s.pod.uid", uid),
        ("k8s.container.name", container.to_owned()),
        ("k8s.node.name", node),
    ];
    all.extend(known.map(|(key, value)| (key.to_owned(), value)));
    all
}

/// What its annotations say.
fn said(pod: &Pod) -> impl Iterator<Item = (String, String)> {
    let annotations = pod.metadata.annotations.iter().flatten();
    let named = annotations.filter_map(|(key, value)| Some((key.strip_prefix(ANNOTATION)?, value)));
    let cut = |text: &str| text[..text.floor_char_boundary(TEXT_BYTES)].to_owned();
    let is_its_own =
        |key: &str| !key.is_empty() && key != NAMESPACE && !KNOWN.iter().any(|known| key.starts_with(known));
    named.filter(move |(key, _)| is_its_own(key)).take(ANNOTATIONS).map(move |(key, value)| (cut(key), cut(value)))
}

/// Who made it: the attribute that is for such an owner, and its name.
fn owner(pod: &Pod) -> Option<(&'static str, String)> {
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
    let of_deployment = hash.and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    Some(match (owner.kind.as_str(), of_deployment) {
        ("ReplicaSet", Some(deployment)) => ("k8s.deployment.name", deployment.to_owned()),
        ("ReplicaSet", None) => ("k8s.replicaset.name", owner.name.clone()),
        ("StatefulSet", _) => ("k8s.statefulset.name", owner.name.clone()),
        ("DaemonSet", _) => ("k8s.daemonset.name", owner.name.clone()),
        ("Job", _) => ("k8s.job.name", owner.name.clone()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn attributes(metadata: Value) -> BTreeMap<String, String> {
        let mut pod = json!({ "metadata": { "namespace": "shop", "name": "web-5d9-x", "uid": "u1" }, "spec": { "nodeName": "wasm", "containers": [] } });
        pod["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        resource(&serde_json::from_value(pod).unwrap(), "main")
    }

    #[test]
    fn a_container_is_told_from_all_others() {
        let wanted = [
            ("k8s.container.name", "main"),
            ("k8s.namespace.name", "shop"),
            ("k8s.node.name", "wasm"),
            ("k8s.pod.name", "web-5d9-x"),
            ("k8s.pod.uid", "u1"),
            ("service.instance.id", "shop.web-5d9-x.main"),
            ("service.name", "web-5d9-x"),
            ("service.namespace", "shop"),
        ];
        assert_eq!(attributes(json!({})), wanted.map(|(key, value)| (key.into(), value.into())).into());
    }

    #[test]
    fn a_service_is_called_as_who_made_its_pods() {
        let owned = |kind: &str, name: &str, controller: bool| {
            let owner =
                json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": "u2", "controller": controller });
            attributes(json!({ "ownerReferences": [owner], "labels": { "pod-template-hash": "5d9" } }))
        };
        for (kind, name, key, service) in [
            ("ReplicaSet", "web-5d9", "k8s.deployment.name", "web"),
            ("ReplicaSet", "web", "k8s.replicaset.name", "web"),
            ("ReplicaSet", "web5d9", "k8s.replicaset.name", "web5d9"),
            ("StatefulSet", "web", "k8s.statefulset.name", "web"),
            ("DaemonSet", "web-5d9", "k8s.daemonset.name", "web-5d9"),
            ("Job", "web", "k8s.job.name", "web"),
        ] {
            let found = owned(kind, name, true);
            assert_eq!((found["service.name"].as_str(), found[key].as_str()), (service, service), "{kind} {name}");
        }
        for found in [owned("Rollout", "web", true), owned("ReplicaSet", "web", false)] {
            assert_eq!((found["service.name"].as_str(), found.len()), ("web-5d9-x", 8));
        }
    }

    #[test]
    fn an_author_may_say_more_and_nothing_else_than_kubernetes() {
        let mut annotations = json!({
            "resource.opentelemetry.io/service.name": "shop",
            "resource.opentelemetry.io/team": "é".repeat(1000),
            "resource.opentelemetry.io/k8s.pod.name": "another",
            "resource.opentelemetry.io/k8s.deployment.name": "another",
            "resource.opentelemetry.io/k8s.cluster.name": "another",
            "resource.opentelemetry.io/host.name": "another",
            "resource.opentelemetry.io/service.namespace": "another",
            "resource.opentelemetry.io/": "x",
            "service.version": "x",
        });
        let found = attributes(json!({ "annotations": annotations }));
        assert_eq!((found["service.name"].as_str(), found["k8s.pod.name"].as_str()), ("shop", "web-5d9-x"));
        assert_eq!(found["service.namespace"], "shop");
        assert_eq!((found["team"].as_str(), found.len()), ("é".repeat(512).as_str(), 9));
        for index in 0..100 {
            annotations[format!("resource.opentelemetry.io/a{index}")] = json!("x");
        }
        assert_eq!(attributes(json!({ "annotations": annotations })).len(), 8 + ANNOTATIONS);
    }
}
