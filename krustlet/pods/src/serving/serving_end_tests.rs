//! How pods that answer requests come to their end.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::testing::serving::{free_port, get, probe, ready, serving};
use crate::testing::{World, container};

/// So long a request is surely under way, and not yet answered.
const MEANWHILE: Duration = Duration::from_millis(300);

/// Sends a request that takes a second.
fn under_way(port: u16) -> thread::JoinHandle<Option<String>> {
    let request = thread::spawn(move || get(port));
    thread::sleep(MEANWHILE);
    request
}

/// Whether it was said that it runs and takes nothing new, after it was ready.
fn was_unready(world: &World, name: &str) -> bool {
    let versions = world.versions(name);
    let begun = versions.iter().position(ready).unwrap();
    versions[begun..].iter().any(|pod| !ready(pod) && container(pod, "main")["state"]["running"].is_object())
}

/// Seconds until the pod has gone.
fn time_to_go(world: &World, name: &str) -> f64 {
    let begin = Instant::now();
    world.until_gone(name);
    begin.elapsed().as_secs_f64()
}

#[test]
fn a_pod_that_is_deleted_serves_for_a_moment_and_goes_before_its_grace_is_over() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("web", serving(&world, "serve-204", port, json!({ "livenessProbe": probe(1) })));
    world.until("web", ready);
    world.delete("web", 6);
    world.until_event_of("web", "Killing", "main");
    // It is still there for those who have not heard of it.
    assert_eq!(get(port).as_deref(), Some("204"));
    let took = time_to_go(&world, "web");
    assert!(took < 5.0, "nothing is waited for that is over: {took}");
    assert_eq!(get(port), None);
    assert!(!world.events("web").iter().any(|(reason, _)| reason == "Unhealthy"), "{:?}", world.events("web"));
}

#[test]
fn of_a_pod_that_leaves_nobody_asks_but_whether_it_is_ready() {
    let world = World::new();
    let agent = world.agent();
    for (name, kind) in [("live", "livenessProbe"), ("ready", "readinessProbe")] {
        world.create(name, serving(&world, "serve-204", free_port(), json!({ kind: probe(1) })));
    }
    let asked = ["live", "ready"].map(|name| {
        world.until(name, ready);
        let view = agent.directory.get("default", name).unwrap();
        let answering = view.containers[0].answering.clone().unwrap();
        move || answering.server().unwrap().stats().requests.get(&204).copied().unwrap_or_default()
    });
    for name in ["live", "ready"] {
        // Both serve for three seconds more.
        world.delete(name, 9);
        world.until_event_of(name, "Killing", "main");
    }
    // One may have been under way.
    thread::sleep(MEANWHILE);
    let before = [asked[0](), asked[1]()];
    assert!(before[0] > 0, "it was asked until then");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(asked[0](), before[0]);
    assert!(asked[1]() > before[1]);
}

#[test]
fn what_is_under_way_is_answered() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("web", serving(&world, "slow-204", port, json!({})));
    world.until("web", ready);
    // A second for new ones, and two for the old.
    world.delete("web", 3);
    thread::sleep(MEANWHILE);
    let request = under_way(port);
    assert_eq!(request.join().unwrap().as_deref(), Some("204"));
    world.until_gone("web");
}

#[test]
fn what_is_under_way_when_the_grace_is_over_is_cut_off() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("web", serving(&world, "slow-204", port, json!({})));
    world.until("web", ready);
    let request = under_way(port);
    world.delete("web", 0);
    world.until_gone("web");
    assert_eq!(request.join().unwrap(), None);
}

#[test]
fn a_hook_goes_before_the_end() {
    let world = World::new();
    let _agent = world.agent();
    let (sleeps, asks) = (free_port(), free_port());
    let hook = |hook: Value| json!({ "lifecycle": { "preStop": hook } });
    world.create("sleeps", serving(&world, "serve-204", sleeps, hook(json!({ "sleep": { "seconds": 2 } }))));
    world.create("asks", serving(&world, "serve-500", asks, hook(json!({ "httpGet": { "port": "http" } }))));
    world.until("sleeps", ready);
    world.until("asks", ready);
    world.delete("asks", 3);
    world.until_event_of("asks", "FailedPreStopHook", "main");
    world.delete("sleeps", 6);
    let took = time_to_go(&world, "sleeps");
    // Its own two, and two in which it takes new requests; counted from a moment later than the agent does.
    assert!((3.5..6.0).contains(&took), "{took}");
}

#[test]
fn an_agent_that_stops_ends_what_is_under_way_and_the_next_one_serves_again() {
    let world = World::new();
    let agent = world.agent_with_grace(Duration::from_secs(6));
    let port = free_port();
    world.create("web", serving(&world, "slow-204", port, json!({})));
    world.until("web", ready);
    let request = under_way(port);
    let took = agent.stop();
    // A third of the grace is for those who have not heard of it.
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    assert_eq!(request.join().unwrap().as_deref(), Some("204"));
    assert!(was_unready(&world, "web"), "nobody was told");
    let _again = world.agent();
    let pod = world.until("web", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
    assert_eq!(container(&pod, "main")["lastState"]["terminated"]["exitCode"], 0);
    assert_eq!(get(port).as_deref(), Some("204"));
}

#[test]
fn an_agent_that_stops_makes_no_success_of_a_server_that_would_not_be_started_again() {
    let world = World::new();
    let agent = world.agent_with_grace(Duration::from_secs(1));
    let port = free_port();
    let mut spec = serving(&world, "serve-204", port, json!({}));
    spec["restartPolicy"] = json!("OnFailure");
    world.create("web", spec);
    world.until("web", ready);
    agent.stop();
    let _again = world.agent();
    world.until("web", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
}

#[test]
fn another_image_ends_what_is_under_way_and_is_served_then() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("web", serving(&world, "slow-204", port, json!({})));
    world.until("web", ready);
    let request = under_way(port);
    let image = world.image("serve-503");
    world.edit("web", |pod| pod["spec"]["containers"][0]["image"] = json!(image));
    assert_eq!(request.join().unwrap().as_deref(), Some("204"));
    world.until("web", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
    assert!(was_unready(&world, "web"), "nobody was told");
    assert_eq!(get(port).as_deref(), Some("503"));
}

/// A Job's pod that runs for a second, with a server beside it.
fn job(world: &World, server: &str, port: u16) -> Value {
    let mut sidecar = world.container("sidecar", server);
    sidecar["ports"] = json!([{ "containerPort": port }]);
    sidecar["restartPolicy"] = json!("Always");
    let main = world.container("main", "doze-0");
    json!({ "restartPolicy": "Never", "initContainers": [sidecar], "containers": [main] })
}

fn begun(pod: &Value) -> bool {
    container(pod, "main")["state"]["running"].is_object()
}

#[test]
fn a_server_beside_others_goes_on_as_long_as_they_do() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("job", job(&world, "serve-204", port));
    world.until("job", begun);
    world.delete("job", 20);
    world.until_event("job", "Killing");
    assert_eq!(get(port).as_deref(), Some("204"));
    let took = time_to_go(&world, "job");
    assert!(took < 10.0, "{took}");
    assert_eq!(get(port), None);
}

#[test]
fn a_server_beside_others_answers_what_is_under_way_when_they_have_ended() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("job", job(&world, "long-204", port));
    world.until("job", begun);
    thread::sleep(MEANWHILE);
    let request = under_way(port);
    assert_eq!(request.join().unwrap().as_deref(), Some("204"));
    world.until_phase("job", "Succeeded");
    assert_eq!(get(port), None);
}

#[test]
fn a_server_beside_others_has_no_more_time_than_a_later_deletion_gives() {
    let world = World::new();
    let _agent = world.agent();
    let port = free_port();
    world.create("job", job(&world, "stuck-204", port));
    world.until("job", begun);
    let request = under_way(port);
    world.until("job", |pod| container(pod, "main")["state"]["terminated"].is_object());
    world.delete("job", 1);
    let took = time_to_go(&world, "job");
    assert!(took < 10.0, "{took}");
    assert_eq!(request.join().unwrap(), None);
}

#[test]
fn a_pod_that_is_deleted_is_not_asked_whether_it_is_alive() {
    let world = World::new();
    let _agent = world.agent();
    let probe = json!({ "httpGet": { "port": "http" }, "initialDelaySeconds": 8, "failureThreshold": 1 });
    let mut spec =
        serving(&world, "serve-503", free_port(), json!({ "restartPolicy": "Always", "livenessProbe": probe }));
    spec["initContainers"] = spec["containers"].take();
    spec["initContainers"][0]["name"] = json!("beside");
    spec["containers"] = json!([world.container("main", "sleep")]);
    spec["restartPolicy"] = json!("Never");
    world.create("web", spec);
    world.until("web", ready);
    world.delete("web", 11);
    world.until_gone("web");
    let told = world.messages("web");
    assert!(!told.iter().any(|note| note.contains("probe")), "{told:?}");
}
