//! What anybody may write into a pod: taken, or refused with a sentence, and never an end of the agent.
//!
//! Each is tried with a few hundred pods; `PROPTEST_CASES` says how many.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::admission::{admit, fit};
use crate::content::Known;
use crate::env::{self, Facts, Node, Service};
use crate::lifecycle::course::grace_period;
use crate::serving::{ports, probes};
use crate::volumes::{references as volume_references, token_keys, unsupported_mount, unsupported_volume};
use crate::{command, eviction::rank, pod, references};

/// A text that somebody may have put there: a number, a quantity, a name, a path, a reference to a variable.
fn text() -> impl Strategy<Value = String> {
    "[0-9]{1,21}|-?[0-9.]{1,12}(m|k|Ki|Gi|e[0-9]{1,3})?|[a-z][a-z0-9.-]{0,12}|/?[a-z./]{0,12}|(\\$\\(?[A-Z]{0,3}\\)?){0,4}|\\PC{0,12}"
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-2..70_000i64, any::<i64>(), any::<i32>().prop_map(i64::from)]
}

fn port() -> impl Strategy<Value = Value> {
    prop_oneof![
        (i32::MIN..i32::MAX).prop_map(|port| json!(port)),
        (0..70_000i32).prop_map(|port| json!(port)),
        text().prop_map(|name| json!(name))
    ]
}

/// Fields that most pods have, each perhaps, with anything that its type takes.
fn container() -> impl Strategy<Value = Value> {
    let amounts = || {
        let key = prop::sample::select(vec!["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "x.io/gpu"]);
        prop::collection::btree_map(key, text(), 0..3)
    };
    let env = (
        prop_oneof![Just("A".to_owned()), Just("B".to_owned()), text()],
        prop_oneof![
            text().prop_map(|value| json!({ "value": value })),
            text().prop_map(|path| json!({ "valueFrom": { "fieldRef": { "fieldPath": path } } })),
            (text(), text())
                .prop_map(|(name, key)| json!({ "valueFrom": { "secretKeyRef": { "name": name, "key": key } } })),
            (text(), text())
                .prop_map(|(of, by)| json!({ "valueFrom": { "resourceFieldRef": { "resource": of, "divisor": by } } })),
        ],
    );
    let env = env.prop_map(|(name, mut value)| {
        value["name"] = json!(name);
        value
    });
    let handler = prop_oneof![
        (port(), text()).prop_map(|(port, path)| json!({ "httpGet": { "port": port, "path": path } })),
        port().prop_map(|port| json!({ "tcpSocket": { "port": port } })),
        any::<i32>().prop_map(|port| json!({ "grpc": { "port": port } })),
        Just(json!({ "exec": { "command": ["x"] } })),
        Just(json!({})),
    ];
    let probe = (handler, any::<i32>(), any::<i32>()).prop_map(|(mut probe, times, seconds)| {
        (probe["failureThreshold"], probe["periodSeconds"], probe["initialDelaySeconds"]) =
            (json!(times), json!(seconds), json!(seconds));
        (probe["timeoutSeconds"], probe["successThreshold"]) = (json!(seconds), json!(times));
        probe
    });
    let ports = (any::<i32>(), any::<i32>(), text())
        .prop_map(|(port, host, name)| json!({ "containerPort": port, "hostPort": host, "name": name }));
    let mounts = (text(), text(), text())
        .prop_map(|(name, path, sub)| json!({ "name": name, "mountPath": path, "subPathExpr": sub }));
    (
        (prop::sample::select(vec!["a", "b", ""]), text(), prop::collection::vec(text(), 0..3), amounts(), amounts()),
        (prop::collection::vec(env, 0..4), prop::option::of(probe), prop::collection::vec(ports, 0..3), prop::collection::vec(mounts, 0..2)),
    )
        .prop_map(|((name, image, args, limits, requests), (env, probe, ports, mounts))| {
            json!({
                "name": name, "image": image, "args": args, "env": env, "resources": { "limits": limits, "requests": requests },
                "readinessProbe": probe, "livenessProbe": probe, "ports": ports, "volumeMounts": mounts,
            })
        })
}

fn volume() -> impl Strategy<Value = Value> {
    let source = prop_oneof![
        text().prop_map(|limit| json!({ "emptyDir": { "sizeLimit": limit } })),
        (text(), text(), any::<i32>()).prop_map(|(key, path, mode)| json!({
            "configMap": { "name": "c", "defaultMode": mode, "items": [{ "key": key, "path": path, "mode": mode }] }
        })),
        (text(), number()).prop_map(|(path, seconds)| json!({
            "projected": { "sources": [{ "serviceAccountToken": { "path": path, "expirationSeconds": seconds } }] }
        })),
        (text(), text()).prop_map(|(path, field)| json!({ "downwardAPI": { "items": [{ "path": path, "fieldRef": { "fieldPath": field } }] } })),
        (text(), text()).prop_map(|(path, of)| json!({ "hostPath": { "path": path, "type": of } })),
        Just(json!({ "nfs": { "server": "s", "path": "/" } })),
        Just(json!({})),
    ];
    (text(), source).prop_map(|(name, mut volume)| {
        volume["name"] = json!(name);
        volume
    })
}

fn some_pod() -> impl Strategy<Value = Pod> {
    let maps = || prop::collection::btree_map("[a-z./-]{0,12}", "(?s).{0,20}", 0..4);
    (
        (maps(), maps(), number(), any::<i32>(), text()),
        (
            prop::collection::vec(container(), 0..3),
            prop::collection::vec(container(), 0..2),
            prop::collection::vec(volume(), 0..3),
        ),
    )
        .prop_map(|((labels, annotations, grace, priority, policy), (containers, first, volumes))| {
            let written = json!({
                "metadata": {
                    "name": "p", "namespace": "ns", "uid": "u", "labels": labels, "annotations": annotations,
                    "deletionGracePeriodSeconds": grace,
                },
                "spec": {
                    "containers": containers, "initContainers": first, "volumes": volumes, "priority": priority,
                    "terminationGracePeriodSeconds": grace, "activeDeadlineSeconds": grace, "restartPolicy": policy,
                },
            });
            serde_json::from_value(written).unwrap()
        })
}

proptest! {
    #[test]
    fn whatever_a_pod_says_is_taken_or_refused(given in some_pod()) {
        let (node, known) = (Node::default(), Known::default());
        let spec = given.spec.clone().unwrap_or_default();
        let sum = fit::requests(&spec);
        let refused = [admit::refuse(&given), fit::misfit(&given, &sum, &fit::limits(&spec), &fit::NodeFacts::default())];
        for refusal in refused.into_iter().flatten() {
            prop_assert!(!refusal.message.is_empty());
        }
        let _ = (grace_period(&given), rank::is_critical(&given), references::used_volumes(&given), references::all_references(&spec).count());
        let facts = Facts { pod: &given, node: &node, objects: &known, services: &[], address: None };
        for (_, container) in pod::containers(&given) {
            let _ = (probes::plans(container, &ports::may_listen_on(container)), ports::listens_on(container), ports::host_ports_are_kept(container));
            if let Ok(built) = env::environment(container, &facts) {
                let names: HashSet<_> = built.environment.iter().map(|(name, _)| name).collect();
                prop_assert_eq!(names.len(), built.environment.len());
                let _ = command::arguments("program", container, &built.environment);
            }
            let _ = container.volume_mounts.iter().flatten().map(unsupported_mount).count();
        }
        for volume in spec.volumes.iter().flatten() {
            let _ = (unsupported_volume(volume), volume_references(volume), token_keys(volume).count());
        }
    }

    /// Who writes an annotation writes its value, and no line of another one.
    #[test]
    fn in_a_file_of_labels_each_has_one_line(map in prop::collection::btree_map("[a-z./-]{1,12}", "(?s).{0,30}", 0..5)) {
        let given: Pod = serde_json::from_value(json!({ "metadata": { "annotations": map } })).unwrap();
        let file = env::field(&given, &Node::default(), "metadata.annotations").unwrap();
        let names: Vec<_> = file.lines().map(|line| line.split_once("=\"").unwrap().0).collect();
        prop_assert_eq!(names, map.keys().collect::<Vec<_>>());
        for (key, value) in &map {
            let path = format!("metadata.annotations['{key}']");
            prop_assert_eq!(&env::field(&given, &Node::default(), &path).unwrap(), value);
        }
    }

    #[test]
    fn a_services_variables_are_its_own(name in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?", number in 1..=65535u16, of in "[a-z]{0,4}") {
        let service = json!({ "metadata": { "name": name }, "spec": { "clusterIP": "10.96.0.7", "ports": [{ "port": number, "name": of }] } });
        let service = Service::of(&serde_json::from_value(service).unwrap()).unwrap();
        let prefix = format!("{}_", name.to_uppercase().replace('-', "_"));
        let variables = env::variables(&[service]);
        prop_assert!(variables.len() >= 7);
        for (variable, value) in variables {
            prop_assert!(variable.starts_with(&prefix) && variable.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            prop_assert!(!value.is_empty());
        }
    }

    #[test]
    fn amounts_are_added_whatever_they_are(amounts in prop::collection::vec(prop::collection::btree_map("cpu|memory", text(), 0..2), 0..4)) {
        let containers: Vec<Value> = amounts.iter().map(|requests| json!({ "name": "c", "resources": { "requests": requests } })).collect();
        let given: Pod = serde_json::from_value(json!({ "spec": { "containers": containers } })).unwrap();
        let one = fit::requests(given.spec.as_ref().unwrap());
        let mut sum = one.clone();
        fit::add(&mut sum, &one);
        prop_assert!(one.iter().all(|(name, amount)| sum[name] >= *amount));
    }
}
