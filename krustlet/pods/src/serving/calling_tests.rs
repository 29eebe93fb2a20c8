//! Programs that ask a Service by its name.

use krustlet_runtime::Egress;
use serde_json::{Value, json};

use crate::Addresses;
use crate::testing::serving::{free_port, ready, serving};
use crate::testing::{Agent, Options, World, container};

/// All of them are this machine's own, as those of a node's range are made.
const RANGE: &str = "127.66.9.0/24";

fn agent(world: &World) -> Agent {
    let addresses = Addresses::told([127, 0, 0, 1].into(), RANGE);
    let egress = Egress { allowed: vec![RANGE.parse().unwrap()] };
    world.agent_with(Options { addresses, egress, ..Options::default() })
}

fn service(name: &str, spec: Value) -> Value {
    json!({ "metadata": { "name": name, "namespace": "default" }, "spec": spec })
}

fn selecting(name: &str) -> Value {
    service(name, json!({ "clusterIP": "10.96.0.7", "selector": { "app": name }, "ports": [{ "port": 80 }] }))
}

/// As the control plane writes it.
fn slice(service: &str, address: &str, port: u16, ready: bool) -> Value {
    let labels = json!({
        "kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    json!({
        "metadata": { "name": format!("{service}-1"), "namespace": "default", "labels": labels },
        "addressType": "IPv4",
        "ports": [{ "name": "", "port": port, "protocol": "TCP" }],
        "endpoints": [{
            "addresses": [address], "conditions": { "ready": ready }, "targetRef": { "kind": "Pod", "name": "p" },
        }],
    })
}

/// Makes a pod that asks this host, and may ask these origins.
fn ask(world: &World, name: &str, host: &str, allowed: &[&str], part: Value) {
    let mut spec = json!({ "restartPolicy": "Never", "containers": [world.container("main", &format!("ask-{host}"))] });
    spec.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    let allowed = json!(allowed).to_string();
    world.create_annotated(name, spec, json!({ "alpha.wasi.krustlet.dev/allowed-domains": allowed }));
}

/// How it ended.
fn code(world: &World, name: &str) -> i64 {
    let ended = |pod: &Value| container(pod, "main")["state"]["terminated"].is_object();
    container(&world.until(name, ended), "main")["state"]["terminated"]["exitCode"].as_i64().unwrap()
}

const NOT_ALLOWED: i64 = 7;
const FAILED: i64 = 11;

#[test]
fn a_program_reaches_what_is_ready_behind_a_service_that_its_pod_names() {
    let world = World::new();
    let (web, own) = (free_port(), free_port());
    let ports = json!([{ "port": 80 }]);
    let services = vec![
        selecting("web"),
        service("headless", json!({ "clusterIP": "None", "selector": { "app": "web" }, "ports": ports })),
        selecting("unready"),
        service("written", json!({ "clusterIP": "10.96.0.8", "ports": ports })),
        selecting("loopback"),
        selecting("metadata"),
        selecting("node"),
        service("external", json!({ "type": "ExternalName", "externalName": "localhost" })),
    ];
    world.set_services(services.clone(), Vec::new());
    let _agent = agent(&world);
    world.create("web", serving(&world, "serve-204", web, json!({})));
    let pod = world.until("web", ready);
    let address = pod["status"]["podIP"].as_str().unwrap();
    let slices = [
        slice("web", address, web, true),
        slice("headless", address, web, true),
        slice("unready", address, web, false),
        // Whatever somebody has written of it.
        slice("written", "10.0.0.7", 8080, true),
        slice("loopback", "127.0.0.1", own, true),
        slice("metadata", "169.254.169.254", 80, true),
        slice("node", "0.0.0.0", web, true),
        slice("external", address, web, true),
    ];
    world.set_services(services, slices.into());

    let default = json!({ "dnsPolicy": "Default" });
    let none = json!({});
    let nothing = |name: &str, why: &str| Some(format!("{name}:80 is Service default/{why}"));
    let table = [
        ("web", &["http://web"][..], &none, 104, None),
        ("web.default", &["http://web.default"], &none, 104, None),
        ("web.default.svc", &["http://web.default.svc"], &none, 104, None),
        ("web.default.svc.cluster.local", &["http://web.default.svc.cluster.local:80/"], &none, 104, None),
        ("headless.default", &["http://headless.default"], &none, 104, None),
        ("web.default", &["http://web", "http://web.default.svc", "https://web.default"], &none, NOT_ALLOWED, None),
        ("web.default", &["http://web.default:8080"], &none, NOT_ALLOWED, None),
        (
            "unready.default",
            &["http://unready.default"],
            &none,
            FAILED,
            nothing("unready.default", "unready, which is not reached: none of its endpoints is ready"),
        ),
        ("written.default", &["http://written.default"], &none, NOT_ALLOWED, None),
        ("loopback.default", &["http://loopback.default"], &none, NOT_ALLOWED, None),
        ("metadata.default", &["http://metadata.default"], &none, NOT_ALLOWED, None),
        ("node.default", &["http://node.default"], &none, NOT_ALLOWED, None),
        (
            "external.default",
            &["http://external.default"],
            &none,
            FAILED,
            nothing(
                "external.default",
                "external, which is not reached: it stands for a name outside the cluster, which is to be named itself",
            ),
        ),
        (
            "gone.default.svc",
            &["http://gone.default.svc"],
            &none,
            FAILED,
            nothing("gone.default.svc", "gone, which is not reached: there is no such Service"),
        ),
        ("web.default.svc", &["http://web.default.svc"], &default, FAILED, None),
    ];
    for (index, (host, allowed, part, ..)) in table.iter().enumerate() {
        ask(&world, &format!("asks-{index}"), host, allowed, (*part).clone());
    }
    for (index, (host, allowed, _, wanted, note)) in table.iter().enumerate() {
        let name = format!("asks-{index}");
        assert_eq!(code(&world, &name), *wanted, "{host} {allowed:?}: {:?}", world.messages(&name));
        if let Some(note) = note {
            world.until_event(&name, "ServiceNotReached");
            assert!(world.messages(&name).contains(note), "{note}: {:?}", world.messages(&name));
        } else {
            assert!(world.events(&name).iter().all(|(reason, _)| reason != "ServiceNotReached"), "{host}");
        }
    }
}
