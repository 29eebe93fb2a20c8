use super::*;
use serde_json::{Value, json};

fn pod(spec: Value) -> Pod {
    let mut spec = spec;
    let containers = spec.get("containers").cloned().unwrap_or(json!([{ "name": "c", "image": "i" }]));
    spec["containers"] = containers;
    serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap()
}

fn container(part: Value) -> Value {
    let mut container = json!({ "name": "c", "image": "i" });
    container.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    container
}

fn with_container(part: Value) -> Pod {
    pod(json!({ "containers": [container(part)] }))
}

#[test]
fn ordinary_pods_pass() {
    let token = json!({ "volumes": [{ "name": "kube-api-access-x1", "projected": { "sources": [] } }] });
    let harmless = json!({
        "imagePullSecrets": [{ "name": "s" }], "dnsPolicy": "ClusterFirst", "dnsConfig": { "options": [{ "name": "ndots" }] },
        "hostNetwork": false, "hostname": "h", "runtimeClassName": "wasm", "activeDeadlineSeconds": 5, "os": { "name": "linux" },
        "securityContext": { "runAsNonRoot": true, "fsGroup": 7, "seccompProfile": { "type": "RuntimeDefault" } },
        "initContainers": [{ "name": "i" }, { "name": "s", "restartPolicy": "Always" }],
    });
    let hardened = json!({
        "ports": [{ "containerPort": 80 }], "tty": true, "workingDir": "",
        "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsUser": 1000,
            "capabilities": { "drop": ["ALL"] }, "privileged": false },
        "restartPolicyRules": [{ "action": "Restart", "exitCodes": { "operator": "In", "values": [1] } }],
    });
    let serving = |hook: Value| {
        let ports = json!([{ "containerPort": 80, "hostPort": 80 }]);
        with_container(json!({ "ports": ports, "lifecycle": { "preStop": hook } }))
    };
    let (asks, sleeps) = (json!({ "httpGet": { "port": 80 } }), json!({ "sleep": { "seconds": 1 } }));
    let serving = [serving(asks), serving(sleeps)];
    for pod in [pod(json!({})), pod(token), pod(harmless), with_container(hardened)].into_iter().chain(serving) {
        assert_eq!(refuse(&pod), None);
    }
}

#[test]
fn each_unsupported_thing_is_named() {
    let table = [
        (pod(json!({ "hostNetwork": true })), "hostNetwork (a module has no sockets)"),
        (pod(json!({ "hostPID": true })), "hostPID"),
        (pod(json!({ "hostIPC": true })), "hostIPC"),
        (pod(json!({ "shareProcessNamespace": true })), "shareProcessNamespace"),
        (pod(json!({ "hostAliases": [{ "ip": "10.0.0.1", "hostnames": ["a"] }] })), "hostAliases"),
        (pod(json!({ "resourceClaims": [{ "name": "gpu" }] })), "resourceClaims"),
        (pod(json!({ "securityContext": { "sysctls": [{ "name": "a", "value": "b" }] } })), "sysctls"),
        (pod(json!({ "os": { "name": "windows" } })), "os.name windows"),
        (pod(json!({ "resources": { "limits": { "memory": "1Gi" } } })), "resources.limits of the pod"),
        (pod(json!({ "volumes": [{ "name": "v", "nfs": { "server": "s", "path": "/" } }] })), "volume v"),
        (with_container(json!({ "lifecycle": { "preStop": { "exec": { "command": ["a"] } } } })), "lifecycle.preStop"),
        (
            with_container(json!({ "lifecycle": { "preStop": { "httpGet": { "port": 1, "scheme": "HTTPS" } } } })),
            "lifecycle.preStop",
        ),
        (
            with_container(
                json!({ "lifecycle": { "preStop": { "httpGet": { "port": 1, "host": "other.example" } } } }),
            ),
            "lifecycle.preStop",
        ),
        (with_container(json!({ "lifecycle": { "postStart": {} } })), "lifecycle.postStart"),
        (with_container(json!({ "workingDir": "/x" })), "workingDir"),
        (with_container(json!({ "volumeDevices": [{ "name": "d", "devicePath": "/dev/d" }] })), "volumeDevices"),
        (with_container(json!({ "ports": [{ "containerPort": 80, "hostPort": 8080 }] })), "hostPort"),
        (with_container(json!({ "securityContext": { "privileged": true } })), "securityContext.privileged"),
        (
            with_container(json!({ "securityContext": { "capabilities": { "add": ["NET_ADMIN"] } } })),
            "capabilities.add",
        ),
        (with_container(json!({ "securityContext": { "procMount": "Unmasked" } })), "procMount"),
        (with_container(json!({ "restartPolicyRules": [{ "action": "RestartAllContainers" }] })), "restartPolicyRules"),
    ];
    for (pod, what) in table {
        let refusal = refuse(&pod).unwrap();
        assert!(refusal.message.contains(what), "{}", refusal.message);
        assert_eq!((refusal.reason.as_str(), refusal.fails), (UNSUPPORTED, true));
    }
}

#[test]
fn probes_are_refused_with_the_reason_of_their_kind() {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for (kind, handler, why) in [
            ("exec", json!({ "command": ["x"] }), "exec has nothing to run"),
            ("httpGet", json!({ "port": 1, "scheme": "HTTPS" }), "plain HTTP"),
            ("httpGet", json!({ "port": 1, "host": "other.example" }), "a probe asks its own container"),
            ("tcpSocket", json!({ "port": 1, "host": "10.0.0.9" }), "a probe asks its own container"),
        ] {
            let message = refuse(&with_container(json!({ name: { kind: handler } }))).unwrap().message;
            assert!(message.contains(&format!("{name} (")) && message.contains(why), "{message}");
            assert!(message.ends_with("of container c"), "{message}");
        }
        for (kind, handler) in [
            ("httpGet", json!({ "port": "http", "path": "/", "scheme": "HTTP", "host": "" })),
            ("tcpSocket", json!({ "port": 80 })),
            ("grpc", json!({ "port": 80, "service": "a" })),
        ] {
            assert_eq!(refuse(&with_container(json!({ name: { kind: handler } }))), None, "{kind}");
        }
    }
}

#[test]
fn init_containers_and_sidecars_are_looked_at_too() {
    for (part, kind) in [(json!({}), "init container c"), (json!({ "restartPolicy": "Always" }), "sidecar c")] {
        let mut part = part;
        part["workingDir"] = json!("/x");
        let message = refuse(&pod(json!({ "initContainers": [container(part)] }))).unwrap().message;
        assert!(message.ends_with(kind), "{message}");
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
