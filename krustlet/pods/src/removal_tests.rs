//! What a pod leaves on disk goes, whatever its program has made of it.

use krustlet_host::files;
use serde_json::{Value, json};

use super::testing::{World, container};

fn runs(pod: &Value) -> bool {
    container(pod, "main")["state"]["running"].is_object()
}

#[test]
fn a_pod_of_deep_folders_goes_and_its_agent_stays() {
    let world = World::new();
    let agent = world.agent();
    let spec = json!({
        "restartPolicy": "Never", "volumes": [{ "name": "e", "emptyDir": {} }],
        "containers": [{ "name": "main", "image": world.image("sleep"), "volumeMounts": [{ "name": "e", "mountPath": "/e" }] }],
    });
    world.create("deep", spec.clone());
    world.until("deep", runs);
    files::nest(&world.volume("deep", "e"), "a", 16_000);
    world.delete("deep", 1);
    world.until_gone("deep");
    world.until_folders(0);
    // What is left of one that went while no agent ran goes, too.
    world.create("left", spec);
    world.until("left", runs);
    files::nest(&world.volume("left", "e"), "a", 16_000);
    agent.kill();
    world.delete("left", 0);
    let again = world.agent();
    world.until_folders(0);
    world.create_simple("next", "Never", "exit-0");
    world.until_phase("next", "Succeeded");
    again.kill();
}
