use std::sync::Arc;

use serde_json::{Value, json};

use super::services::Port;
use super::*;
use crate::content::Content;

fn content(values: &[(&str, &[u8])]) -> Option<Arc<Content>> {
    let values = values.iter().map(|(key, value)| ((*key).to_string(), value.to_vec())).collect();
    Some(Arc::new(Content { values, ..Content::default() }))
}

fn known() -> Known {
    Known::from([
        ((Kind::ConfigMap, "settings".into()), content(&[("host", b"example"), ("port", b"80")])),
        ((Kind::ConfigMap, "odd".into()), content(&[("a=b", b"1"), ("dash-ed.name", b"2")])),
        ((Kind::ConfigMap, "gone".into()), None),
        ((Kind::Secret, "login".into()), content(&[("user", b"me"), ("key", b"\xff\xfe")])),
        ((Kind::Secret, "gone".into()), None),
    ])
}

fn build(container: Value, services: &[Service]) -> Result<Built, NotStarted> {
    build_for(container, services, None)
}

fn build_for(container: Value, services: &[Service], address: Option<IpAddr>) -> Result<Built, NotStarted> {
    let mut container = container;
    container["name"] = "c".into();
    let container: Container = serde_json::from_value(container).unwrap();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "p", "namespace": "ns" },
        "spec": { "containers": [
            container,
            { "name": "other", "resources": { "limits": { "memory": "3Mi" } } },
        ]},
    }))
    .unwrap();
    let node = Node { host_ip: "10.0.0.1".into(), ..Node::default() };
    environment(&container, &Facts { pod: &pod, node: &node, objects: &known(), services, address })
}

fn shown(container: Value) -> Vec<String> {
    built(container, &[]).environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn built(container: Value, services: &[Service]) -> Built {
    build(container, services).unwrap()
}

#[test]
fn a_container_that_serves_is_told_its_address() {
    for path in ["status.podIP", "status.podIPs"] {
        let env = json!([{ "name": "X", "valueFrom": { "fieldRef": { "fieldPath": path } } }]);
        let built = build_for(json!({ "env": env }), &[], Some([10, 244, 1, 2].into())).unwrap();
        assert_eq!(built.environment, [("X".to_owned(), "10.244.1.2".to_owned())]);
    }
}

#[test]
fn variables_see_those_before_them_and_the_last_of_a_name_wins() {
    let env = json!([
        { "name": "LATER", "value": "$(HOST)" },
        { "name": "HOST", "value": "example" },
        { "name": "URL", "value": "http://$(HOST)/" },
        { "name": "EMPTY" },
        { "name": "HOST", "value": "other" },
    ]);
    assert_eq!(shown(json!({ "env": env })), ["LATER=$(HOST)", "HOST=other", "URL=http://example/", "EMPTY="]);
}

#[test]
fn every_source() {
    let table = [
        (json!({ "fieldRef": { "fieldPath": "metadata.name" } }), Some("p")),
        (json!({ "fieldRef": { "fieldPath": "status.hostIP" } }), Some("10.0.0.1")),
        (json!({ "resourceFieldRef": { "resource": "requests.memory" } }), Some("0")),
        (
            json!({ "resourceFieldRef": { "containerName": "other", "resource": "limits.memory", "divisor": "1Mi" } }),
            Some("3"),
        ),
        (json!({ "configMapKeyRef": { "name": "settings", "key": "port" } }), Some("80")),
        (json!({ "configMapKeyRef": { "name": "settings", "key": "none", "optional": true } }), None),
        (json!({ "configMapKeyRef": { "name": "gone", "key": "x", "optional": true } }), None),
        (json!({ "secretKeyRef": { "name": "login", "key": "user" } }), Some("me")),
        (json!({ "secretKeyRef": { "name": "gone", "key": "x", "optional": true } }), None),
    ];
    for (from, wanted) in table {
        let wanted: Vec<String> = wanted.iter().map(|value| format!("X={value}")).collect();
        assert_eq!(shown(json!({ "env": [{ "name": "X", "valueFrom": from }] })), wanted, "{from}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let table = [
        (json!({ "configMapKeyRef": { "name": "gone", "key": "x" } }), r#"configmap "gone" not found"#),
        (json!({ "configMapKeyRef": { "name": "never-seen", "key": "x" } }), r#"configmap "never-seen" not found"#),
        (json!({ "secretKeyRef": { "name": "gone", "key": "x", "optional": false } }), r#"secret "gone" not found"#),
        (
            json!({ "configMapKeyRef": { "name": "settings", "key": "x" } }),
            "couldn't find key x in ConfigMap ns/settings",
        ),
        (json!({ "secretKeyRef": { "name": "login", "key": "x" } }), "couldn't find key x in Secret ns/login"),
        (
            json!({ "secretKeyRef": { "name": "login", "key": "key" } }),
            "key key in Secret ns/login is no text (UTF-8), which a variable has to be: mount it as a file",
        ),
        (
            json!({ "fieldRef": { "fieldPath": "status.podIP" } }),
            "env X: status.podIP: a pod on a WebAssembly node has no IP address",
        ),
        (
            json!({ "fileKeyRef": { "volumeName": "v", "path": "p", "key": "k" } }),
            "env X: fileKeyRef is not supported on this node, which reads no files of a pod",
        ),
        (
            json!({ "resourceFieldRef": { "containerName": "none", "resource": "limits.cpu" } }),
            "env X: container none not found",
        ),
        (json!({}), "env X: this node does not know where its value is to come from"),
    ];
    for (from, wanted) in table {
        assert_eq!(
            build(json!({ "env": [{ "name": "X", "valueFrom": from }] }), &[]).unwrap_err(),
            NotStarted::config(wanted)
        );
    }
    for (from, wanted) in [
        (json!({ "configMapRef": { "name": "gone" } }), r#"configmap "gone" not found"#),
        (json!({ "secretRef": { "name": "gone" } }), r#"secret "gone" not found"#),
        (json!({ "prefix": "X" }), "envFrom: this node knows configMapRef and secretRef only"),
    ] {
        assert_eq!(build(json!({ "envFrom": [from] }), &[]).unwrap_err(), NotStarted::config(wanted));
    }
}

#[test]
fn whole_objects_come_first_and_give_way() {
    let container = json!({
        "envFrom": [
            { "configMapRef": { "name": "settings" } },
            { "prefix": "my.", "configMapRef": { "name": "settings" } },
            { "secretRef": { "name": "gone", "optional": true } },
        ],
        "env": [{ "name": "port", "value": "81" }, { "name": "url", "value": "$(host):$(port)$(my.host)" }],
    });
    let wanted = ["host=example", "port=81", "my.host=example", "my.port=80", "url=example:81example"];
    assert_eq!(shown(container), wanted);
}

#[test]
fn keys_that_are_no_names_are_skipped_and_told() {
    let built = built(json!({ "envFrom": [{ "prefix": "P_", "configMapRef": { "name": "odd" } }] }), &[]);
    assert_eq!(built.environment, [("P_dash-ed.name".to_string(), "2".to_string())]);
    assert_eq!(
        built.skipped,
        [
            "Keys [P_a=b] from the EnvFrom configmap ns/odd were skipped since they are considered invalid environment variable names."
        ]
    );
}

#[test]
fn services_come_last_and_can_be_expanded() {
    let port = Port { name: String::new(), number: 443, protocol: "TCP".into() };
    let service = Service {
        name: "kubernetes".into(),
        cluster_ip: Some("10.96.0.1".into()),
        ports: vec![port],
        backing: Backing::Written,
    };
    let env = json!([
        { "name": "API", "value": "$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)" },
        { "name": "KUBERNETES_SERVICE_PORT", "value": "6443" },
    ]);
    let environment = built(json!({ "env": env }), &[service]).environment;
    assert_eq!(environment[0], ("API".into(), "10.96.0.1:443".into()));
    assert_eq!(environment[1], ("KUBERNETES_SERVICE_PORT".into(), "6443".into()));
    assert_eq!(environment[2], ("KUBERNETES_SERVICE_HOST".into(), "10.96.0.1".into()));
    assert_eq!(environment.iter().filter(|(name, _)| name == "KUBERNETES_SERVICE_PORT").count(), 1);
}

#[test]
fn all_references_are_found() {
    let container: Container = serde_json::from_value(json!({ "name": "c",
        "envFrom": [{ "configMapRef": { "name": "a" } }, { "secretRef": { "name": "b" } }],
        "env": [
            { "name": "L", "value": "x" },
            { "name": "F", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "C", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k" } } },
            { "name": "S", "valueFrom": { "secretKeyRef": { "name": "d", "key": "k" } } },
        ],
    }))
    .unwrap();
    let wanted = [(Kind::ConfigMap, "a"), (Kind::Secret, "b"), (Kind::ConfigMap, "c"), (Kind::Secret, "d")];
    assert_eq!(references(&container).collect::<Vec<_>>(), wanted);
}
