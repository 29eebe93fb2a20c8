//! Whole lives of pods: real modules, and an API server and a registry that are as real as pods can tell.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::testing::{World, condition, container};

#[path = "restart_tests.rs"]
mod restarts;

fn code(pod: &Value, name: &str) -> Option<i64> {
    container(pod, name)["state"]["terminated"]["exitCode"].as_i64()
}

fn runs(pod: &Value, name: &str) -> bool {
    container(pod, name)["state"]["running"].is_object()
}

fn ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

/// Of this process.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_pod_runs_and_is_told_of_as_by_a_kubelet() {
    let world = World::new();
    let agent = world.agent();
    let uid = world.create_simple("web", "Always", "sleep");
    let pod = world.until("web", ready);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["status"]["qosClass"], "BestEffort", "the API server's own is left alone");
    let main = container(&pod, "main");
    assert_eq!(main["containerID"], format!("wasmtime://{uid}_main_0"));
    assert!(main["imageID"].as_str().unwrap().contains("/guests/sleep@sha256:"), "{main}");
    for reason in ["Pulled", "Created", "Started"] {
        world.until_event("web", reason);
    }
    assert!(agent.directory.get("default", "web").unwrap().container("main").unwrap().guest.is_some());
    world.delete("web", 1);
    world.until_gone("web");
    world.until_event_of("web", "Killing", "main");
}

#[test]
fn a_job_keeps_its_exit_code() {
    let world = World::new();
    let _agent = world.agent();
    world.create_simple("good", "Never", "exit-0");
    world.create_simple("bad", "Never", "exit-7");
    assert_eq!(code(&world.until_phase("good", "Succeeded"), "main"), Some(0));
    let bad = world.until_phase("bad", "Failed");
    assert_eq!((code(&bad, "main"), ready(&bad)), (Some(7), false));
}

#[test]
fn init_containers_come_first_and_do_not_run_again() {
    let world = World::new();
    let agent = world.agent();
    let spec = json!({
        "initContainers": [world.container("one", "exit-0"), world.container("two", "nap-0")],
        "containers": [world.container("main", "sleep")],
    });
    world.create("web", spec);
    let pod = world.until("web", |pod| runs(pod, "two"));
    assert_eq!((code(&pod, "one"), container(&pod, "one")["ready"].as_bool()), (Some(0), Some(true)));
    assert_eq!(container(&pod, "main")["state"]["waiting"]["reason"], "PodInitializing");
    assert_eq!((condition(&pod, "Initialized"), &pod["status"]["phase"]), (&json!("False"), &json!("Pending")));
    world.until("web", ready);
    agent.kill();
    let _again = world.agent();
    let pod = world.until("web", |pod| container(pod, "main")["restartCount"] == 1 && ready(pod));
    assert_eq!(
        (container(&pod, "one")["restartCount"].as_i64(), container(&pod, "two")["restartCount"].as_i64()),
        (Some(0), Some(0))
    );
    assert_eq!(
        (world.logs("web", "one"), world.logs("web", "main")),
        (vec!["0.log".into()], vec!["0.log".into(), "1.log".into()])
    );
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let world = World::new();
    let _agent = world.agent();
    let sidecar = json!({ "name": "side", "image": world.image("sleep"), "restartPolicy": "Always" });
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [sidecar, world.container("init", "exit-3")],
        "containers": [world.container("main", "sleep")],
    });
    world.create("job", spec);
    let pod = world.until_phase("job", "Failed");
    assert_eq!((code(&pod, "init"), code(&pod, "side")), (Some(3), Some(137)));
    assert_eq!(container(&pod, "main")["state"]["waiting"]["reason"], "PodInitializing");
}

#[test]
fn a_sidecar_does_not_keep_a_job_from_its_end() {
    let world = World::new();
    let _agent = world.agent();
    let sidecar = json!({ "name": "side", "image": world.image("spin"), "restartPolicy": "Always" });
    let spec = json!({ "restartPolicy": "Never", "initContainers": [sidecar], "containers": [world.container("main", "nap-0")] });
    world.create("job", spec);
    let pod = world.until("job", |pod| runs(pod, "main"));
    assert!(runs(&pod, "side") && container(&pod, "side")["started"] == true, "{pod}");
    let pod = world.until_phase("job", "Succeeded");
    assert_eq!((code(&pod, "main"), code(&pod, "side")), (Some(0), Some(137)));
}

#[test]
fn a_new_image_replaces_the_container() {
    let world = World::new();
    let _agent = world.agent();
    world.create_simple("web", "Always", "spin");
    world.until("web", ready);
    world.edit("web", |pod| pod["spec"]["containers"][0]["image"] = json!(world.image("sleep")));
    let pod = world.until("web", |pod| ready(pod) && container(pod, "main")["restartCount"] == 1);
    assert!(container(&pod, "main")["imageID"].as_str().unwrap().contains("/guests/sleep@"), "{pod}");
    world.until_event_of("web", "Killing", "main");
}

#[test]
fn a_crash_loop_says_so() {
    let world = World::new();
    let _agent = world.agent();
    let uid = world.create_simple("crash", "Always", "exit-1");
    let waiting = |pod: &Value| container(pod, "main")["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    let pod = world.until("crash", waiting);
    let main = container(&pod, "main");
    let message = format!("back-off 10s restarting failed container=main pod=crash_default({uid})");
    assert_eq!(main["state"]["waiting"]["message"], message);
    assert_eq!((&main["lastState"]["terminated"]["exitCode"], &main["restartCount"]), (&json!(1), &json!(1)));
    assert_eq!(pod["status"]["phase"], "Running");
    world.until_event("crash", "BackOff");
    world.delete("crash", 30);
    world.until_gone("crash");
}

#[test]
fn a_pod_that_is_active_for_too_long_fails() {
    let world = World::new();
    let _agent = world.agent();
    let spec = json!({ "activeDeadlineSeconds": 1, "containers": [world.container("main", "spin")] });
    let quick = json!({ "activeDeadlineSeconds": 1, "restartPolicy": "Never", "containers": [world.container("main", "exit-0")] });
    world.create("quick", quick);
    world.until_phase("quick", "Succeeded");
    world.create("slow", spec);
    let pod = world.until_phase("slow", "Failed");
    // Its time was over earlier, but it had ended.
    assert_eq!(world.pod("quick").unwrap()["status"]["phase"], "Succeeded");
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    assert_eq!(code(&pod, "main"), Some(137));
    world.until_event("slow", "DeadlineExceeded");
}

#[test]
fn a_grace_period_is_given_and_then_ended_by_force() {
    let world = World::new();
    let _agent = world.agent();
    for guest in ["spin", "nap-5"] {
        world.create_simple(guest, "Always", guest);
        world.until(guest, |pod| runs(pod, "main"));
    }
    // Kept by a finalizer, to see its last status.
    world.keep("nap-5");
    let start = Instant::now();
    world.delete("nap-5", 30);
    world.delete("spin", 2);
    let pod = world.until_phase("nap-5", "Failed");
    assert_eq!(code(&pod, "main"), Some(5), "it ended by itself");
    world.until_gone("spin");
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(10), "{took:?}");

    world.create_simple("hurry", "Always", "spin");
    world.until("hurry", |pod| runs(pod, "main"));
    world.delete("hurry", 600);
    world.delete("hurry", 1);
    world.until_gone("hurry");
}

#[test]
fn deletion_at_any_stage_leaves_nothing() {
    let world = World::new();
    let agent = world.agent();
    let slow_init = json!({ "initContainers": [world.container("init", "spin")], "containers": [world.container("main", "sleep")] });
    world.create("initializing", slow_init);
    world.create_simple("pulling", "Always", "no-such-guest");
    world.create_simple("crashing", "Always", "exit-1");
    world.create_simple("forced", "Always", "spin");
    world.create("refused", json!({ "hostNetwork": true, "containers": [world.container("main", "spin")] }));
    world.until("initializing", |pod| runs(pod, "init"));
    world.until("pulling", |pod| container(pod, "main")["state"]["waiting"]["reason"] == "ErrImagePull");
    world.until("crashing", |pod| container(pod, "main")["restartCount"] == 1);
    world.until("forced", |pod| runs(pod, "main"));
    world.until_phase("refused", "Failed");
    let start = Instant::now();
    world.delete("forced", 0);
    for name in ["initializing", "pulling", "crashing", "refused"] {
        world.delete(name, 1);
        world.until_gone(name);
    }
    // And one that is not even begun.
    world.create_simple("brief", "Always", "sleep");
    world.delete("brief", 0);
    world.until_folders(0);
    while ["forced", "brief"].iter().any(|name| agent.directory.get("default", name).is_some()) {
        assert!(start.elapsed() < Duration::from_secs(20), "they can still be seen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let world = World::new();
    let _agent = world.agent();
    let with = |part: Value| {
        let mut spec = json!({ "containers": [world.container("main", "sleep")] });
        spec.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        spec
    };
    let big = json!({ "name": "main", "image": world.image("sleep"), "resources": { "requests": { "cpu": "3" } } });
    let table = [
        ("network", with(json!({ "hostNetwork": true })), "UnsupportedOnWasmNode"),
        ("big", json!({ "containers": [big] }), "OutOfcpu"),
        ("elsewhere", with(json!({ "nodeSelector": { "disk": "ssd" } })), "NodeAffinity"),
    ];
    for (name, spec, reason) in table {
        world.create(name, spec);
        let pod = world.until_phase(name, "Failed");
        assert_eq!(pod["status"]["reason"], reason);
        world.until_event(name, reason);
    }
    world.create("debugged", with(json!({ "nodeSelector": { "kubernetes.io/arch": "wasm32-wasi" } })));
    world.until("debugged", ready);
    world.edit("debugged", |pod| {
        pod["spec"]["ephemeralContainers"] = json!([{ "name": "debugger", "image": "busybox" }])
    });
    let pod = world.until("debugged", |pod| code(pod, "debugger") == Some(128));
    assert!(ready(&pod), "it goes on");
    world.until_event("debugged", "UnsupportedOnWasmNode");
}

#[test]
fn a_container_that_runs_gets_other_resources_if_there_are_so_many() {
    let world = World::new();
    let agent = world.agent();
    world.create_simple("resized", "Always", "sleep");
    world.until("resized", ready);
    let resize = |resources: Value| {
        world.edit("resized", |pod| pod["spec"]["containers"][0]["resources"] = resources.clone());
    };
    let has = |pod: &Value| pod["status"]["containerStatuses"][0]["resources"]["limits"]["memory"].clone();
    let pending = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        conditions.iter().find(|one| one["type"] == "PodResizePending").map(|one| one["reason"].clone())
    };
    resize(json!({ "limits": { "memory": "1Gi" } }));
    world.until("resized", |pod| has(pod) == "1Gi");
    world.until_event("resized", "ResizeCompleted");
    resize(json!({ "limits": { "memory": "1Ei" }, "requests": { "memory": "1Ei" } }));
    let pod = world.until("resized", |pod| pending(pod) == Some("Infeasible".into()));
    assert_eq!(has(&pod), "1Gi");
    world.until_event("resized", "ResizeInfeasible");
    // The next agent knows what this one has granted, and that there is no more.
    drop(agent);
    let _agent = world.agent();
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1 && ready(pod);
    let pod = world.until("resized", restarted);
    assert_eq!((has(&pod), pending(&pod).is_some()), ("1Gi".into(), true));
    world.create_simple("another", "Never", "exit-0");
    world.until_phase("another", "Succeeded");
    world.until("resized", |pod| pending(pod) == Some("Infeasible".into()));
    // Less than it has at present.
    resize(json!({ "limits": { "memory": "1" } }));
    let pod = world.until("resized", |pod| pending(pod).is_none());
    assert_eq!(has(&pod), "1Gi");
    world.until_event("resized", "ResizeError");
    resize(json!({ "limits": { "memory": "2Gi" } }));
    let pod = world.until("resized", |pod| has(pod) == "2Gi");
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1);
    world.edit("resized", |pod| {
        pod["spec"]["containers"][0]["resizePolicy"] =
            json!([{ "resourceName": "memory", "restartPolicy": "RestartContainer" }]);
    });
    resize(json!({ "limits": { "memory": "3Gi" } }));
    world.until("resized", |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 2 && has(pod) == "3Gi");
}

#[test]
fn a_full_node_is_ready_within_seconds() {
    let world = World::new();
    let _agent = world.agent();
    world.create_simple("warm", "Never", "exit-0");
    world.until_phase("warm", "Succeeded");
    world.delete("warm", 1);
    world.until_gone("warm");
    let before = resident_kib();
    let names: Vec<String> = (0..110).map(|number| format!("web-{number}")).collect();
    let start = Instant::now();
    for name in &names {
        world.create_simple(name, "Always", "sleep");
    }
    for name in &names {
        world.until(name, ready);
    }
    let took = start.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let statuses = world.requests("/status");
    let requests = (statuses, world.requests("POST /api/v1/namespaces/default/events"), world.requests("/nodes/"));
    // The cluster's own copies and the guests are in it.
    let each = (resident_kib() - before) / 110;
    println!("110 pods ready in {took:?}; statuses, events, looks at the node: {requests:?}; {each} KiB a pod");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(statuses <= 225, "{statuses} statuses for 110 pods");
    assert_eq!(requests.2, 1);

    world.create_simple("one-too-many", "Always", "sleep");
    assert_eq!(world.until_phase("one-too-many", "Failed")["status"]["reason"], "OutOfpods");
}
