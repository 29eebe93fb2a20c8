//! Pods that take more of the disk than they may.

use serde_json::json;

use crate::testing::{World, condition, container};

#[test]
fn a_pod_over_its_own_limit_is_evicted_for_good() {
    let world = World::new();
    let _agent = world.agent();
    let spec = json!({
        "volumes": [{ "name": "e", "emptyDir": {} }],
        "containers": [{
            "name": "main", "image": world.image("sleep"),
            "volumeMounts": [{ "name": "e", "mountPath": "/e" }],
            "resources": { "limits": { "ephemeral-storage": "1Mi" } },
        }],
    });
    for name in ["full", "modest"] {
        world.create(name, spec.clone());
        world.until(name, |pod| container(pod, "main")["state"]["running"].is_object());
    }
    std::fs::write(world.volume("modest", "e").join("file"), vec![1; 900 << 10]).unwrap();
    std::fs::write(world.volume("full", "e").join("file"), vec![1; 2 << 20]).unwrap();
    let pod = world.until_phase("full", "Failed");
    assert_eq!(pod["status"]["reason"], "Evicted");
    let message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
    assert_eq!(pod["status"]["message"], message);
    assert_eq!(container(&pod, "main")["state"]["terminated"]["exitCode"], 137);
    assert!(condition(&pod, "DisruptionTarget").is_null(), "it would do so again elsewhere");
    world.until_event("full", "Evicted");
    assert_eq!(world.pod("modest").unwrap()["status"]["phase"], "Running");
}
