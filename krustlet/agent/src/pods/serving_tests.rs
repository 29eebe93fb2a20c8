//! Pods that answer requests: from their start to the last request.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::testing::{World, condition, container};

/// A port of this machine that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

fn waits(pod: &Value) -> &Value {
    &container(pod, "main")["state"]["waiting"]
}

/// The status code of an answer at the node's address.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.get(9..12).map(str::to_owned)
}

fn serving(world: &World, guest: &str, port: u16, part: Value) -> Value {
    let mut main = world.container("main", guest);
    main["ports"] = json!([{ "containerPort": port, "name": "http" }]);
    main.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    json!({ "restartPolicy": "Always", "containers": [main] })
}

fn probe(failures: u32) -> Value {
    json!({ "httpGet": { "port": "http", "path": "/" }, "periodSeconds": 1, "failureThreshold": failures })
}

#[test]
fn a_pod_that_serves_is_reached_at_the_nodes_address_until_it_ends() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create(
        "web",
        serving(&world, "serve-204", port, json!({ "readinessProbe": probe(1), "livenessProbe": probe(1) })),
    );
    let pod = world.until("web", ready);
    assert_eq!((&pod["status"]["podIP"], &pod["status"]["phase"]), (&json!("127.0.0.1"), &json!("Running")));
    assert_eq!(get(port).as_deref(), Some("204"));

    world.delete("web", 6);
    world.until_event_of("web", "Killing", "main");
    // It is still there for those who have not heard of it.
    assert_eq!(get(port).as_deref(), Some("204"));
    let begin = Instant::now();
    world.until_gone("web");
    assert!(begin.elapsed() < Duration::from_secs(5), "nothing is waited for that is over: {:?}", begin.elapsed());
    assert_eq!(get(port), None);
}

#[test]
fn a_port_is_one_pods_alone_and_the_next_one_waits_for_it() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("one", serving(&world, "serve-200", port, json!({})));
    world.until("one", ready);
    world.create("two", serving(&world, "serve-503", port, json!({})));
    let pod = world.until("two", |pod| waits(pod)["reason"] == "CreateContainerConfigError");
    let message = waits(&pod)["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("port {port} is default/one/main's: ")), "{message}");
    assert_eq!(get(port).as_deref(), Some("200"));
    world.delete("one", 0);
    world.until("two", ready);
    assert_eq!(get(port).as_deref(), Some("503"));
}

#[test]
fn a_pod_that_is_not_ready_runs_and_one_that_is_not_alive_is_started_again() {
    let world = World::new();
    let _agent = world.agent();
    let (unready, unwell) = (free_port(), free_port());
    world.create("unready", serving(&world, "serve-503", unready, json!({ "readinessProbe": probe(1) })));
    world.create("unwell", serving(&world, "serve-503", unwell, json!({ "livenessProbe": probe(2) })));
    world.until_event_of("unready", "Unhealthy", "main");
    let pod = world.until("unready", |pod| pod["status"]["phase"] == "Running");
    assert!(!ready(&pod) && container(&pod, "main")["started"] == true, "{pod}");

    let pod = world.until("unwell", |pod| container(pod, "main")["restartCount"] == 1);
    assert_eq!(container(&pod, "main")["lastState"]["terminated"]["exitCode"], 137);
    world.until_event_of("unwell", "Killing", "main");
}

#[test]
fn a_program_that_runs_to_its_end_has_no_probes() {
    let world = World::new();
    let _agent = world.agent();
    world.create("job", serving(&world, "sleep", free_port(), json!({ "livenessProbe": probe(1) })));
    let pod = world.until("job", |pod| waits(pod)["reason"] == "CreateContainerConfigError");
    assert!(waits(&pod)["message"].as_str().unwrap().contains("its program answers no requests"), "{pod}");
}
