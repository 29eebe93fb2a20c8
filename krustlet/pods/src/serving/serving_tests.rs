//! Pods that answer requests, while they run.

use std::time::{Duration, Instant};

use krustlet_runtime::Tracer;
use krustlet_traces::Exporter;
use krustlet_traces::testing::Collector;
use serde_json::{Value, json};

use super::limits;
use crate::Addresses;
use crate::testing::serving::{free_port, get, get_at, probe, ready, serving};
use crate::testing::{Options, World, container};

fn waits(pod: &Value) -> &Value {
    &container(pod, "main")["state"]["waiting"]
}

#[test]
fn a_pod_that_serves_is_reached_at_the_nodes_address_and_counted() {
    let world = World::new();
    let agent = world.agent();
    let port = free_port();
    let probes = json!({ "startupProbe": probe(1), "readinessProbe": probe(1), "livenessProbe": probe(1) });
    world.create("web", serving(&world, "serve-204", port, probes));
    let pod = world.until("web", ready);
    assert_eq!((&pod["status"]["podIP"], &pod["status"]["phase"]), (&json!("127.0.0.1"), &json!("Running")));
    assert_eq!(pod["status"]["podIPs"][0], json!({ "ip": "127.0.0.1" }));
    assert_eq!(get(port).as_deref(), Some("204"));
    let view = agent.directory.get("default", "web").unwrap();
    let stats = view.containers[0].answering.as_ref().unwrap().server().unwrap().stats();
    // The probes' are among them.
    assert!(stats.requests[&204] >= 3 && stats.instances >= 3 && stats.traps == 0, "{stats:?}");
}

#[test]
fn the_requests_that_a_pod_answers_are_spans_of_its_container() {
    let (world, collector) = (World::new(), Collector::start());
    let tracer = Tracer::new("1".parse().unwrap());
    let _agent = world.agent_with(Options { tracer: Some(tracer.clone()), ..Options::default() });
    let port = free_port();
    world.create("web", serving(&world, "serve-204", port, json!({})));
    let pod = world.until("web", ready);
    assert_eq!(get(port).as_deref(), Some("204"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // It has ended by then, but for what its connection still does.
        while tracer.counts().queued == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Exporter::start(&tracer, &collector.base().parse().unwrap(), None, None).unwrap().stop().await;
    });
    let spans = collector.spans();
    let [span] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(span.attributes["http.response.status_code"], "204");
    for (key, value) in [
        ("service.name", "web"),
        ("k8s.namespace.name", "default"),
        ("k8s.pod.name", "web"),
        ("k8s.pod.uid", pod["metadata"]["uid"].as_str().unwrap()),
        ("k8s.container.name", "main"),
        ("k8s.node.name", "wasm"),
    ] {
        assert_eq!(span.resource[key], value, "{key}");
    }
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
    assert_eq!(pod["status"]["podIP"], Value::Null);
    assert_eq!(get(port).as_deref(), Some("200"));
    world.delete("one", 0);
    let begin = Instant::now();
    world.until("two", ready);
    assert!(begin.elapsed() < Duration::from_secs(6), "it has heard of it: {:?}", begin.elapsed());
    assert_eq!(get(port).as_deref(), Some("503"));
}

#[test]
fn a_port_stays_its_pods_while_that_starts_again_and_under_the_next_agent() {
    let world = World::new();
    let agent = world.agent();
    let port = free_port();
    world.create("one", serving(&world, "serve-503", port, json!({ "livenessProbe": probe(1) })));
    // It runs for moments only.
    world.until("one", |pod| pod["status"]["podIP"] == "127.0.0.1");
    world.create("two", serving(&world, "serve-204", port, json!({})));
    let waits_for = |pod: &Value, other: &str| {
        waits(pod)["message"].as_str().is_some_and(|words| words.contains(&format!("is {other}")))
    };
    world.until("two", |pod| waits_for(pod, "default/one"));
    world.until("one", |pod| waits(pod)["reason"] == "CrashLoopBackOff");
    // Longer than it takes to hear of a port that has become free.
    std::thread::sleep(Duration::from_secs(2));
    let two = world.pod("two").unwrap();
    assert!(waits_for(&two, "default/one"), "{two}");
    world.delete("one", 0);
    world.until("two", ready);

    world.create("three", serving(&world, "serve-200", port, json!({})));
    world.until("three", |pod| waits_for(pod, "default/two"));
    agent.kill();
    let _again = world.agent();
    world.until("two", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
    world.until("three", |pod| waits_for(pod, "default/two"));
}

#[test]
fn a_program_has_time_to_listen_again_under_the_next_agent() {
    let world = World::new();
    let agent = world.agent();
    let [first, second] = [(); 2].map(|()| free_port());
    let ports = json!([{ "containerPort": first }, { "containerPort": second }]);
    world.create("one", serving(&world, "component-spin", first, json!({ "ports": ports })));
    world.until("one", ready);
    agent.kill();
    world.create("two", serving(&world, "serve-204", second, json!({})));
    let _again = world.agent();
    world.until("one", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
    // Longer than it takes to hear of a port that has become free.
    std::thread::sleep(Duration::from_secs(2));
    let two = world.until("two", |pod| waits(pod)["reason"] == "CreateContainerConfigError");
    let message = waits(&two)["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("port {second} is default/one's: ")), "{message}");
    // It does not listen, and could not be waited for for ever.
    world.until("two", ready);
}

#[test]
fn pods_with_addresses_of_their_own_share_no_port_and_keep_them() {
    let world = World::new();
    // All of them are this machine's own, as those of a node's range are made.
    let agent = || {
        let addresses = Addresses::told([127, 0, 0, 1].into(), "127.66.7.0/24");
        world.agent_with(Options { addresses, ..Options::default() })
    };
    let first = agent();
    let port = free_port();
    world.create("one", serving(&world, "serve-200", port, json!({ "readinessProbe": probe(1) })));
    world.create("two", serving(&world, "serve-204", port, json!({ "readinessProbe": probe(1) })));
    let host = json!({ "ports": [{ "containerPort": port, "hostPort": port }] });
    world.create("host", serving(&world, "serve-503", port, host));
    let address = |name: &str| {
        let status = &world.until(name, ready)["status"];
        assert_eq!((&status["hostIP"], &status["podIPs"][0]["ip"]), (&json!("127.0.0.1"), &status["podIP"]));
        status["podIP"].as_str().unwrap().to_owned()
    };
    let (one, two) = (address("one"), address("two"));
    assert!(one != two && one.starts_with("127.66.7.") && two.starts_with("127.66.7."), "{one} {two}");
    assert_eq!(address("host"), "127.0.0.1");
    let answers = || [&one, &two, "127.0.0.1"].map(|at| get_at(at, port));
    let wanted = ["200", "204", "503"].map(|code| Some(code.to_owned()));
    assert_eq!(answers(), wanted);
    world.create("short", serving(&world, "serve-200", port, json!({})));
    let short = address("short");
    world.delete("short", 0);
    world.create("next", serving(&world, "serve-200", port, json!({})));
    assert_ne!(address("next"), short, "clients may still know that one");

    first.kill();
    let _again = agent();
    let again = |pod: &Value| ready(pod) && container(pod, "main")["restartCount"] == 1;
    for (name, before) in [("one", &one), ("two", &two)] {
        assert_eq!(world.until(name, again)["status"]["podIP"], *before);
        assert!(
            world.versions(name).iter().all(|pod| [&json!(null), &json!(before)].contains(&&pod["status"]["podIP"]))
        );
    }
    world.until("host", again);
    assert_eq!(answers(), wanted);
}

#[test]
fn a_program_that_could_not_be_started_has_listened_nowhere() {
    let world = World::new();
    let addresses = Addresses::told([127, 0, 0, 1].into(), "127.66.8.0/24");
    let _agent = world.agent_with(Options { addresses: addresses.clone(), ..Options::default() });
    // The second cannot be started: no program can be given such an argument.
    for (name, args, last, listened) in [("fine", "-v", "Completed", true), ("not", "a\0b", "StartError", false)] {
        world.create(name, serving(&world, "component-0", 8080, json!({ "args": [args] })));
        let pod = world.until(name, |pod| {
            container(pod, "main").pointer("/lastState/terminated/reason").is_some_and(|reason| reason == last)
        });
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        assert!(pod["status"]["podIP"].is_string() || !listened, "{pod}");
        assert_eq!(addresses.has_listened(uid), listened, "{name}");
    }
}

#[test]
fn a_port_that_is_somebody_elses_on_the_machine_is_said() {
    let world = World::new();
    let _agent = world.agent();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    world.create("web", serving(&world, "serve-200", port, json!({})));
    let pod = world.until("web", |pod| waits(pod)["reason"] == "CreateContainerConfigError");
    let message = waits(&pod)["message"].as_str().unwrap();
    let wanted = format!("cannot listen on port {port} of the address 127.0.0.1: ");
    assert!(message.starts_with(&wanted), "{message}");
}

#[test]
fn a_pod_that_is_not_ready_runs_and_one_that_is_not_alive_is_started_again() {
    let world = World::new();
    let _agent = world.agent();
    let (unready, unwell, never) = (free_port(), free_port(), free_port());
    world.create("unready", serving(&world, "serve-503", unready, json!({ "readinessProbe": probe(1) })));
    let mut spec = serving(&world, "serve-503", unwell, json!({ "livenessProbe": probe(2) }));
    // What a probe ends is no success, however well it ends.
    spec["restartPolicy"] = json!("OnFailure");
    world.create("unwell", spec);
    let probes = json!({ "startupProbe": probe(1), "livenessProbe": probe(1) });
    world.create("never", serving(&world, "serve-503", never, probes));
    world.until_event_of("unready", "Unhealthy", "main");
    let pod = world.until("unready", |pod| pod["status"]["phase"] == "Running");
    assert!(!ready(&pod) && container(&pod, "main")["started"] == true, "{pod}");

    for name in ["unwell", "never"] {
        let pod = world.until(name, |pod| container(pod, "main")["restartCount"] == 1);
        let last = &container(&pod, "main")["lastState"]["terminated"];
        assert_eq!((&last["exitCode"], &last["reason"]), (&json!(137), &json!("Error")), "{name}");
        world.until_event_of(name, "Killing", "main");
    }
    let starting = |pod: &Value| container(pod, "main")["started"] == false;
    assert!(world.versions("never").iter().all(|pod| pod["status"]["containerStatuses"].is_null() || starting(pod)));
}

#[test]
fn a_connection_is_enough_for_some_probes_and_a_call_is_wanted_by_others() {
    let world = World::new();
    let _agent = world.agent();
    let (tcp, grpc) = (free_port(), free_port());
    let quick = |kind: &str, port: u16| json!({ "readinessProbe": { kind: { "port": port }, "periodSeconds": 1 } });
    world.create("tcp", serving(&world, "serve-503", tcp, quick("tcpSocket", tcp)));
    world.until("tcp", ready);
    world.create("grpc", serving(&world, "serve-503", grpc, quick("grpc", grpc)));
    world.until_event_of("grpc", "Unhealthy", "main");
    assert!(!ready(&world.pod("grpc").unwrap()));
}

#[test]
fn what_only_a_server_can_have_is_refused_to_a_program_that_runs_to_its_end() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    let table = [
        ("probe", json!({ "livenessProbe": probe(1) }), "it has a probe"),
        ("hook", json!({ "lifecycle": { "preStop": { "httpGet": { "port": port } } } }), "it has an httpGet hook"),
        ("port", json!({ "ports": [{ "containerPort": port, "hostPort": port }] }), "it has a hostPort"),
    ];
    for (name, part, wanted) in table {
        world.create(name, serving(&world, "sleep", port, part));
        let pod = world.until(name, |pod| waits(pod)["reason"] == "CreateContainerConfigError");
        let message = waits(&pod)["message"].as_str().unwrap();
        assert!(message.starts_with(wanted) && message.contains("its program answers no requests"), "{message}");
    }
    // To wait is no harm.
    world.create(
        "sleeps",
        serving(&world, "sleep", port, json!({ "lifecycle": { "preStop": { "sleep": { "seconds": 1 } } } })),
    );
    world.until("sleeps", ready);
}

#[test]
fn clients_get_what_the_annotation_says_and_the_node_gives() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    let annotate = |limits: &'static str| {
        move |pod: &mut Value| pod["metadata"]["annotations"] = json!({ limits::ANNOTATION: limits })
    };
    let env = json!([{ "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }]);
    world.create("web", serving(&world, "slow-204", port, json!({ "env": env, "image": world.image("none") })));
    world.edit("web", annotate("max-requests=1000"));
    world.edit("web", |pod| pod["spec"]["containers"][0]["image"] = json!(world.image("slow-204")));
    let pod = world.until("web", |pod| waits(pod)["reason"] == "CreateContainerConfigError");
    let message = waits(&pod)["message"].as_str().unwrap();
    assert!(message.contains("max-requests=1000 is more than this node gives, 256"), "{message}");
    world.edit("web", annotate("max-requests=1"));
    world.until("web", ready);
    let first = std::thread::spawn(move || get(port));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(get(port).as_deref(), Some("503"));
    assert_eq!(first.join().unwrap().as_deref(), Some("204"));
}

#[test]
fn a_port_of_the_host_that_it_listens_on_anyway_is_kept() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    let ports = json!({ "ports": [{ "containerPort": port, "hostPort": port }] });
    world.create("web", serving(&world, "serve-204", port, ports));
    world.until("web", ready);
    assert_eq!(get(port).as_deref(), Some("204"));
}
