use std::time::Instant;

use super::super::machine::Event;
use super::*;

fn pod(policy: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "p", "namespace": "default", "uid": "u", "generation": 3 },
        "spec": { "restartPolicy": policy, "containers": [{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }] }
    }))
    .unwrap()
}

fn machine(policy: &str, events: Vec<Event>) -> Machine {
    let mut machine = Machine::new(RestartPolicy::of(Some(policy)));
    for event in events {
        machine.on(event, Instant::now());
    }
    machine
}

fn started() -> Event {
    Event::Started { at: Timestamp::UNIX_EPOCH, image_id: "r/a@sha256:0".into(), container_id: "wasmtime://x".into() }
}

fn exited(exit_code: i32) -> Event {
    Event::Exited(Termination {
        exit_code,
        reason: if exit_code == 0 { "Completed" } else { "Error" }.into(),
        message: None,
        started_at: Some(Timestamp::UNIX_EPOCH),
        finished_at: Timestamp::UNIX_EPOCH,
        container_id: None,
    })
}

fn status_of(policy: &str, containers: Vec<Vec<Event>>, deleting: bool) -> PodStatus {
    let machines: Vec<Machine> = containers.into_iter().map(|events| machine(policy, events)).collect();
    let names = ["a", "b"];
    let rows: Vec<_> =
        machines.iter().zip(names).map(|(machine, name)| (name.to_string(), "i".to_string(), machine)).collect();
    let pod = pod(policy);
    pod_status(&Facts {
        pod: &pod,
        before: None,
        containers: &rows,
        refusal: None,
        host_ip: "10.0.0.1",
        start_time: Timestamp::UNIX_EPOCH,
        deleting,
        now: Timestamp::UNIX_EPOCH,
    })
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> &'a PodCondition {
    status.conditions.as_ref().unwrap().iter().find(|condition| condition.type_ == type_).unwrap()
}

fn says(status: &PodStatus, type_: &str) -> (String, Option<String>) {
    let condition = condition(status, type_);
    (condition.status.clone(), condition.reason.clone())
}

#[test]
fn phases() {
    let pull = || Event::PullFailed("ErrImagePull", "no".into());
    let crash_loop = || vec![started(), exited(1), started(), exited(1)];
    let table = [
        ("Always", vec![vec![], vec![]], false, "Pending"),
        ("Always", vec![vec![started()], vec![]], false, "Pending"),
        ("Always", vec![vec![started()], vec![pull()]], false, "Pending"),
        ("Always", vec![vec![started()], vec![started()]], false, "Running"),
        ("Always", vec![vec![started(), exited(0)], vec![started()]], false, "Running"),
        ("Always", vec![vec![started(), exited(0)], vec![started(), exited(0)]], false, "Running"),
        ("Always", vec![crash_loop(), crash_loop()], false, "Running"),
        ("OnFailure", vec![vec![started(), exited(0)], vec![started(), exited(0)]], false, "Succeeded"),
        ("OnFailure", vec![vec![started(), exited(0)], vec![started(), exited(1)]], false, "Running"),
        ("Never", vec![vec![started(), exited(0)], vec![started()]], false, "Running"),
        ("Never", vec![vec![started(), exited(0)], vec![started(), exited(0)]], false, "Succeeded"),
        ("Never", vec![vec![started(), exited(0)], vec![started(), exited(7)]], false, "Failed"),
        ("Always", vec![vec![started(), exited(0)], vec![started(), exited(0)]], true, "Succeeded"),
        ("Always", vec![vec![started(), exited(137)], vec![started(), exited(0)]], true, "Failed"),
    ];
    for (policy, containers, deleting, wanted) in table {
        let shown = format!("{policy} {containers:?}");
        assert_eq!(status_of(policy, containers, deleting).phase.as_deref(), Some(wanted), "{shown}");
    }
}

#[test]
fn a_running_pod_is_ready() {
    let status = status_of("Always", vec![vec![started()], vec![started()]], false);
    for type_ in ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"] {
        assert_eq!(says(&status, type_), ("True".into(), None), "{type_}");
    }
    assert_eq!((status.host_ip.as_deref(), status.pod_ip), (Some("10.0.0.1"), None));
    assert_eq!(status.observed_generation, Some(3));
    let container = &status.container_statuses.unwrap()[0];
    assert_eq!((container.ready, container.started, container.restart_count), (true, Some(true), 0));
    assert_eq!(container.image_id, "r/a@sha256:0");
    assert!(container.state.as_ref().unwrap().running.is_some());
}

#[test]
fn a_starting_pod_names_who_is_not_ready() {
    let status = status_of("Always", vec![vec![started()], vec![]], false);
    let ready = condition(&status, "Ready");
    assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("ContainersNotReady")));
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [b]"));
    assert_eq!(says(&status, "Initialized"), ("True".into(), None));
    let state = status.container_statuses.unwrap()[1].state.clone().unwrap();
    assert_eq!(state.waiting.unwrap().reason.as_deref(), Some("ContainerCreating"));
}

#[test]
fn completed_and_failed_pods_say_so() {
    let done = |code| status_of("Never", vec![vec![started(), exited(code)], vec![started(), exited(0)]], false);
    let succeeded = done(0);
    for type_ in ["ContainersReady", "Ready"] {
        assert_eq!(says(&succeeded, type_), ("False".into(), Some("PodCompleted".into())));
    }
    assert_eq!(says(&succeeded, "Initialized"), ("True".into(), Some("PodCompleted".into())));
    assert_eq!(says(&succeeded, "PodReadyToStartContainers"), ("False".into(), None));
    let failed = done(3);
    assert_eq!(says(&failed, "Ready"), ("False".into(), Some("PodFailed".into())));
    let terminated = failed.container_statuses.unwrap()[0].state.clone().unwrap().terminated.unwrap();
    assert_eq!((terminated.exit_code, terminated.reason.as_deref()), (3, Some("Error")));
}

#[test]
fn a_crash_loop_shows_the_last_end() {
    let events = vec![started(), exited(1), started(), exited(2)];
    let status = status_of("Always", vec![events, vec![started()]], false);
    let container = &status.container_statuses.as_ref().unwrap()[0];
    let waiting = container.state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(container.last_state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 2);
    assert_eq!(container.restart_count, 1);
}

#[test]
fn refused_pods_fail_or_wait() {
    let pod = pod("Always");
    let machine = Machine::new(RestartPolicy::Always);
    let rows = [("a".to_string(), "i".to_string(), &machine), ("b".to_string(), "i".to_string(), &machine)];
    let status = |fails| {
        let refusal = Refusal { message: "no probes".into(), fails };
        pod_status(&Facts {
            pod: &pod,
            before: None,
            containers: &rows,
            refusal: Some(&refusal),
            host_ip: "10.0.0.1",
            start_time: Timestamp::UNIX_EPOCH,
            deleting: false,
            now: Timestamp::UNIX_EPOCH,
        })
    };
    let failed = status(true);
    assert_eq!(failed.phase.as_deref(), Some("Failed"));
    assert_eq!(failed.reason.as_deref(), Some("UnsupportedOnWasmNode"));
    assert_eq!(failed.message.as_deref(), Some("no probes"));
    assert_eq!(says(&failed, "Ready"), ("False".into(), Some("PodFailed".into())));
    let held = status(false);
    assert_eq!((held.phase.as_deref(), held.reason), (Some("Pending"), None));
    let state = held.container_statuses.unwrap()[0].state.clone().unwrap();
    assert_eq!(state.waiting.unwrap().reason.as_deref(), Some("CreateContainerConfigError"));
}

#[test]
fn readiness_gates_are_kept() {
    let mut gated = pod("Always");
    let gate = json!([{ "conditionType": "example.com/gate" }]);
    gated.spec.as_mut().unwrap().readiness_gates = Some(serde_json::from_value(gate).unwrap());
    let machine = machine("Always", vec![started()]);
    let rows = [("a".to_string(), "i".to_string(), &machine)];
    let ready = |pod: &Pod| {
        let facts = Facts {
            pod,
            before: None,
            containers: &rows,
            refusal: None,
            host_ip: "",
            start_time: Timestamp::UNIX_EPOCH,
            deleting: false,
            now: Timestamp::UNIX_EPOCH,
        };
        says(&pod_status(&facts), "Ready")
    };
    assert_eq!(ready(&gated), ("False".into(), Some("ReadinessGatesNotReady".into())));
    let open = json!({ "conditions": [{ "type": "example.com/gate", "status": "True" }] });
    gated.status = Some(serde_json::from_value(open).unwrap());
    assert_eq!(ready(&gated), ("True".into(), None));
}

#[test]
fn transition_times_stay_while_the_status_does() {
    let pod = pod("Always");
    let machine = machine("Always", vec![started()]);
    let rows = [("a".to_string(), "i".to_string(), &machine)];
    let at = |before, second| {
        pod_status(&Facts {
            pod: &pod,
            before,
            containers: &rows,
            refusal: None,
            host_ip: "",
            start_time: Timestamp::UNIX_EPOCH,
            deleting: false,
            now: Timestamp::from_second(second).unwrap(),
        })
    };
    let first = at(None, 1);
    assert_eq!(at(Some(&first), 60), first);
}

#[test]
fn the_patch_takes_back_reasons_and_names_the_uid() {
    let patch = patch(&status_of("Always", vec![vec![started()], vec![started()]], false), "u");
    assert_eq!(patch["metadata"]["uid"], "u");
    let ready = patch["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == "Ready")
        .unwrap();
    assert_eq!((ready["reason"].clone(), ready["message"].clone()), (Value::Null, Value::Null));
    assert!(ready.as_object().unwrap().contains_key("message"));
}
