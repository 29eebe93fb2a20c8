//! A node whose programs want more memory than there is.

use std::time::Instant;

use krustlet_core::node::Thresholds;
use krustlet_host::readings;
use serde_json::{Value, json};

use crate::testing::{Agent, Options, World, condition, container};

fn runs(pod: &Value) -> bool {
    container(pod, "main")["state"]["running"].is_object()
}

fn pod(world: &World, guest: &str, resources: &Value) -> Value {
    json!({ "containers": [{ "name": "main", "image": world.image(guest), "resources": resources }] })
}

fn with_memory(world: &World, memory_bytes: u64) -> Agent {
    world.agent_with(Options { memory_bytes, ..Options::default() })
}

fn under_pressure(agent: &Agent) -> bool {
    agent.pressure.observe(&Default::default(), Instant::now()).memory
}

#[test]
fn the_greediest_goes_and_the_others_stay() {
    let world = World::new();
    let agent = with_memory(&world, 64 << 20);
    let modest = json!({ "requests": { "memory": "16Mi" }, "limits": { "memory": "16Mi" } });
    world.create("modest", pod(&world, "grow-100", &modest));
    world.create("greedy", pod(&world, "grow-600", &json!({})));
    world.until("modest", runs);
    world.until("greedy", runs);
    let guest = || agent.directory.get("default", "greedy").and_then(|view| view.container("main")?.guest.clone());
    while guest().is_some_and(|guest| guest.usage().memory_bytes < 600 * 65_536) {
        std::thread::yield_now();
    }
    assert!(!under_pressure(&agent));
    // It wants less than the greedy one has, so that the other one goes.
    world.create("second", pod(&world, "grow-500", &json!({})));
    let greedy = world.until_phase("greedy", "Failed");
    assert_eq!(greedy["status"]["reason"], "Evicted");
    let message = greedy["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("The node was low on resource: memory. Threshold quantity: "), "{message}");
    let used = "Container main was using 38464Ki, request is 0, has larger consumption of memory. ";
    assert!(message.ends_with(used), "{message}");
    assert_eq!(condition(&greedy, "DisruptionTarget"), "True");
    world.until_event("greedy", "Evicted");
    world.until("second", runs);
    assert!(runs(&world.pod("modest").unwrap()));
    assert_eq!(container(&world.pod("second").unwrap(), "main")["restartCount"], 0);
    // One that wants nearly everything goes itself, before it has got any of it.
    world.create("boundless", pod(&world, "grow-900", &json!({})));
    assert_eq!(world.until_phase("boundless", "Failed")["status"]["reason"], "Evicted");
    assert!(runs(&world.pod("second").unwrap()) && runs(&world.pod("modest").unwrap()));
    assert_eq!(agent.evictions.by_signal()[0], ("memory.available", 2));
    assert!(under_pressure(&agent), "though it is over");
}

#[test]
fn what_the_node_does_not_have_is_out_of_memory_and_no_eviction() {
    let world = World::new();
    let agent = with_memory(&world, 64 << 20);
    let mut spec = pod(&world, "grow-2000", &json!({}));
    spec["restartPolicy"] = json!("Never");
    world.create("huge", spec);
    let huge = world.until_phase("huge", "Failed");
    assert_eq!(container(&huge, "main")["state"]["terminated"]["reason"], "OOMKilled");
    assert_eq!(agent.evictions.by_signal()[0].1, 0);
}

#[test]
fn what_the_machine_has_no_memory_for_goes_before_it_has_it() {
    let world = World::new();
    // It leaves programs less than this one wants.
    let least = readings::memory().unwrap().available_bytes.saturating_sub(1 << 30);
    let thresholds = format!("memory.available<{least},nodefs.available<0,nodefs.inodesFree<0");
    let agent = world.agent_with(Options { thresholds: Thresholds::parse(&thresholds).unwrap(), ..Options::default() });
    world.create("greedy", pod(&world, "grow-60000", &json!({})));
    let greedy = world.until_phase("greedy", "Failed");
    assert_eq!(greedy["status"]["reason"], "Evicted");
    let message = greedy["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("The node was low on resource: memory. Threshold quantity: "), "{message}");
    assert!(agent.evictions.by_signal()[0].1 > 0);
}
