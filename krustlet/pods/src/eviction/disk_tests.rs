//! A node whose disk is full.

use std::fs::File;

use krustlet_core::node::Thresholds;
use krustlet_host::readings;
use rustix::fs::{FallocateFlags, fallocate};
use serde_json::{Value, json};

use crate::testing::{Options, World, condition, container};

const MI: u64 = 1 << 20;

fn runs(pod: &Value) -> bool {
    container(pod, "main")["state"]["running"].is_object()
}

#[test]
fn who_has_the_most_of_a_full_disk_goes_and_the_disk_has_it_back() {
    let world = World::new();
    let available = || readings::file_system(world.data_dir()).unwrap().available_bytes;
    // What others write meanwhile is less than the differences.
    let thresholds = format!("nodefs.available<{},nodefs.inodesFree<0", available() - 3000 * MI);
    let agent = world.agent_with(Options { thresholds: Thresholds::parse(&thresholds).unwrap(), ..Options::default() });
    let spec = json!({
        "volumes": [{ "name": "e", "emptyDir": {} }],
        "containers": [
            { "name": "main", "image": world.image("sleep"), "volumeMounts": [{ "name": "e", "mountPath": "/e" }] },
        ],
    });
    world.create_simple("done", "Never", "exit-0");
    world.until_phase("done", "Succeeded");
    for name in ["large", "small", "idle"] {
        world.create(name, spec.clone());
        world.until(name, runs);
    }
    let fill = |name: &str, mebibytes: u64| {
        let file = File::create(world.volume(name, "e").join("file")).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, mebibytes * MI).unwrap();
    };
    fill("small", 60);
    fill("large", 5000);
    let large = world.until_phase("large", "Failed");
    assert_eq!(large["status"]["reason"], "Evicted");
    let message = large["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("The node was low on resource: ephemeral-storage. Threshold quantity: "), "{message}");
    assert_eq!(condition(&large, "DisruptionTarget"), "True");
    world.until_event("large", "Evicted");
    let now = agent.pressure.observe(&Default::default(), std::time::Instant::now());
    assert!(now.disk && !now.memory);
    // By the next look there is enough again, and nobody else had to go. What little the dead have left is no help.
    std::thread::sleep(std::time::Duration::from_secs(11));
    assert!(runs(&world.pod("small").unwrap()) && runs(&world.pod("idle").unwrap()));
    assert_eq!(agent.evictions.by_signal()[1], ("nodefs.available", 1));
    assert_eq!(world.logs("done", "main"), ["0.log"]);
}
