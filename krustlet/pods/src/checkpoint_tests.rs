//! What happened is remembered, whatever was away or killed in between.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::testing::{Agent, World, container};

fn code(pod: &Value) -> Option<i64> {
    container(pod, "main")["state"]["terminated"]["exitCode"].as_i64()
}

fn runs(agent: &Agent, name: &str) -> bool {
    let view = agent.directory.get("default", name);
    view.and_then(|view| view.container("main")?.guest.clone()).is_some()
}

fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_ended_while_the_api_server_was_away_has_ended() {
    for policy in ["Never", "OnFailure"] {
        let world = World::new();
        let agent = world.agent();
        world.create_simple("job", policy, "nap-0");
        world.until("job", |pod| container(pod, "main")["state"]["running"].is_object());
        world.set_down(true);
        until("its end", || !runs(&agent, "job"));
        agent.kill();
        world.set_down(false);
        let _again = world.agent();
        let pod = world.until_phase("job", "Succeeded");
        assert_eq!((code(&pod), &container(&pod, "main")["restartCount"]), (Some(0), &json!(0)), "{policy}");
        assert_eq!(world.logs("job", "main"), ["0.log"], "{policy}");
    }
}

#[test]
fn a_pod_that_never_restarts_does_not_run_twice() {
    let world = World::new();
    let agent = world.agent();
    world.refuse_statuses(true);
    world.create_simple("once", "Never", "sleep");
    world.create_simple("broken", "Never", "garbage");
    world.create_simple("web", "Always", "sleep");
    until("they run", || runs(&agent, "once") && runs(&agent, "web"));
    until("it cannot be started", || world.events("broken").iter().any(|(reason, _)| reason == "Failed"));
    agent.kill();
    world.refuse_statuses(false);
    let _again = world.agent();
    let pod = world.until_phase("once", "Failed");
    assert_eq!((code(&pod), world.logs("once", "main")), (Some(137), vec!["0.log".into()]));
    assert_eq!(container(&pod, "main")["state"]["terminated"]["reason"], "ContainerStatusUnknown");
    assert_eq!(code(&world.until_phase("broken", "Failed")), Some(128));
    let pod = world.until("web", |pod| container(pod, "main")["state"]["running"].is_object());
    assert_eq!(container(&pod, "main")["restartCount"], 1);
}

#[test]
fn an_evicted_pod_stays_evicted() {
    let world = World::new();
    let agent = world.agent();
    world.create(
        "full",
        json!({
            "volumes": [{ "name": "e", "emptyDir": { "sizeLimit": "1Mi" } }],
            "containers": [{ "name": "main", "image": world.image("sleep"), "volumeMounts": [{ "name": "e", "mountPath": "/e" }] }],
        }),
    );
    until("it runs", || runs(&agent, "full"));
    world.refuse_statuses(true);
    std::fs::write(world.volume("full", "e").join("file"), vec![1; 2 << 20]).unwrap();
    until("its eviction", || !runs(&agent, "full"));
    agent.kill();
    world.refuse_statuses(false);
    let _again = world.agent();
    let pod = world.until_phase("full", "Failed");
    assert_eq!(pod["status"]["reason"], "Evicted");
    assert_eq!(world.logs("full", "main"), ["0.log"]);
}

#[test]
fn what_the_host_lacks_is_tried_again_and_ends_no_pod() {
    let world = World::new();
    let _agent = world.agent();
    // What is there of no pod goes when the agent begins: by now it has.
    world.create_simple("first", "Never", "exit-0");
    world.until_phase("first", "Succeeded");
    // The names of pods' folders are known beforehand: nothing can be written where a folder is in the way.
    let log = world.folder("job", "uid-2").join("main/0.log");
    std::fs::create_dir_all(&log).unwrap();
    world.create_simple("job", "Never", "exit-0");
    let pod = world.until("job", |pod| container(pod, "main")["state"]["waiting"]["reason"] == "CreateContainerError");
    assert_eq!(pod["status"]["phase"], "Pending");
    std::fs::remove_dir(&log).unwrap();
    assert_eq!(code(&world.until_phase("job", "Succeeded")), Some(0));
}
