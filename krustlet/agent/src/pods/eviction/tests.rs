//! A node whose programs want more memory than there is.

use serde_json::{Value, json};

use crate::pods::testing::{World, condition, container};

fn runs(pod: &Value) -> bool {
    container(pod, "main")["state"]["running"].is_object()
}

fn pod(world: &World, guest: &str, resources: &Value) -> Value {
    json!({ "containers": [{ "name": "main", "image": world.image(guest), "resources": resources }] })
}

#[test]
fn the_greediest_goes_and_the_others_stay() {
    let world = World::new();
    let agent = world.agent_with_memory(64 << 20);
    let modest = json!({ "requests": { "memory": "16Mi" }, "limits": { "memory": "16Mi" } });
    world.create("modest", pod(&world, "grow-100", &modest));
    world.create("greedy", pod(&world, "grow-600", &json!({})));
    world.until("modest", runs);
    world.until("greedy", runs);
    let view = || agent.directory.get("default", "greedy").and_then(|view| view.container("main")?.guest.clone());
    while view().is_some_and(|guest| guest.usage().memory_bytes < 600 * 65_536) {
        std::thread::yield_now();
    }
    // It wants less than the greedy one has, so that the other one goes.
    world.create("second", pod(&world, "grow-500", &json!({})));
    let greedy = world.until_phase("greedy", "Failed");
    assert_eq!(greedy["status"]["reason"], "Evicted");
    let message = greedy["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("The node was low on resource: memory. "), "{message}");
    assert!(message.contains("Container main was using 39387136, request is 0"), "{message}");
    assert_eq!(condition(&greedy, "DisruptionTarget"), "True");
    world.until_event("greedy", "Evicted");
    world.until("second", runs);
    assert!(runs(&world.pod("modest").unwrap()));
    assert_eq!(container(&world.pod("second").unwrap(), "main")["restartCount"], 0);
    // One that wants nearly everything goes itself, before it has got any of it.
    world.create("boundless", pod(&world, "grow-900", &json!({})));
    assert_eq!(world.until_phase("boundless", "Failed")["status"]["reason"], "Evicted");
    assert!(runs(&world.pod("second").unwrap()) && runs(&world.pod("modest").unwrap()));
    assert_eq!(agent.evictions.for_memory(), 2);
}

#[test]
fn what_the_node_does_not_have_is_out_of_memory_and_no_eviction() {
    let world = World::new();
    let agent = world.agent_with_memory(64 << 20);
    let mut spec = pod(&world, "grow-2000", &json!({}));
    spec["restartPolicy"] = json!("Never");
    world.create("huge", spec);
    let huge = world.until_phase("huge", "Failed");
    assert_eq!(container(&huge, "main")["state"]["terminated"]["reason"], "OOMKilled");
    assert_eq!(agent.evictions.for_memory(), 0);
}
