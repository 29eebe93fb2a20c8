//! What the conditions of a pod say.

use super::*;

#[test]
fn a_pod_that_serves_has_its_address_and_is_ready_when_its_probes_say_so() {
    let case =
        |started, ready| Case { health: Health { started, ready }, listens: true, ..Case::new("Always", &[RUNS]) };
    let status = case(true, true).status();
    assert_eq!((status.pod_ip.as_deref(), status.host_ip.as_deref()), (Some("10.244.1.2"), Some("10.0.0.1")));
    assert_eq!(status.pod_ips.as_ref().unwrap()[0].ip, "10.244.1.2");
    assert_eq!(says(&status, "Ready"), said("True", "", ""));
    for (started, ready) in [(false, true), (true, false)] {
        let status = case(started, ready).status();
        let container = &status.container_statuses.as_ref().unwrap()[0];
        assert_eq!((container.ready, container.started), (false, Some(started)));
        assert_eq!(says(&status, "Ready"), said("False", "ContainersNotReady", "containers with unready status: [a]"));
        assert_eq!(status.phase.as_deref(), Some("Running"));
        let taken_back = &patch(&status, "u")["status"]["podIPs"];
        assert_eq!(*taken_back, json!([{ "ip": "10.244.1.2" }, { "$patch": "replace" }]));
    }
    let taken_back = &patch(&Case::new("Always", &[RUNS]).status(), "u")["status"];
    assert_eq!((&taken_back["podIP"], &taken_back["podIPs"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_running_pod_is_ready() {
    let status = Case::new("Always", &[RUNS, RUNS]).status();
    for type_ in ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"] {
        assert_eq!(says(&status, type_), said("True", "", ""), "{type_}");
        assert_eq!(condition(&status, type_).observed_generation, Some(3));
    }
    assert_eq!((status.host_ip.as_deref(), status.pod_ip), (Some("10.0.0.1"), None));
    assert_eq!((status.observed_generation, status.init_container_statuses), (Some(3), None));
    let container = &status.container_statuses.unwrap()[0];
    assert_eq!((container.ready, container.started, container.restart_count), (true, Some(true), 0));
    assert_eq!(container.image_id, "r/a@sha256:0");
    assert!(container.state.as_ref().unwrap().running.is_some());
}

#[test]
fn a_starting_pod_names_who_is_not_ready() {
    let status = Case::new("Always", &[RUNS, PREPARES]).status();
    for type_ in ["Ready", "ContainersReady"] {
        let wanted = said("False", "ContainersNotReady", "containers with unready status: [b]");
        assert_eq!(says(&status, type_), wanted);
    }
    assert_eq!(says(&status, "Initialized"), said("True", "", ""));
    assert_eq!(state(&status, "b"), json!({ "waiting": { "reason": "ContainerCreating" } }));
}

#[test]
fn a_pod_that_is_not_initialized_says_by_whom() {
    let case = Case::new("Always", &[QUEUED]).first("second", Role::Sidecar, QUEUED).first("first", Role::Init, RUNS);
    let status = case.status();
    let wanted = said("False", "ContainersNotInitialized", "containers with incomplete status: [first second]");
    assert_eq!(says(&status, "Initialized"), wanted);
    let wanted = said("False", "ContainersNotReady", "containers with unready status: [second a]");
    assert_eq!(says(&status, "Ready"), wanted, "an init container is never ready in this sense");
    let waits = json!({ "waiting": { "reason": "PodInitializing" } });
    assert_eq!((state(&status, "second"), state(&status, "a")), (waits.clone(), waits));
    let inits = status.init_container_statuses.unwrap();
    assert_eq!((inits[0].ready, inits[0].started), (false, Some(true)));
    assert_eq!((inits.len(), status.container_statuses.unwrap().len()), (2, 1));
}

#[test]
fn completed_and_failed_pods_say_so() {
    let done = |did| Case::new("Never", &[did, SUCCEEDED]).status();
    assert_eq!(says(&done(SUCCEEDED), "Ready"), said("False", "PodCompleted", ""));
    assert_eq!(says(&done(SUCCEEDED), "Initialized"), said("True", "PodCompleted", ""));
    assert_eq!(says(&done(FAILED), "Ready"), said("False", "PodFailed", ""));
    assert_eq!(says(&done(FAILED), "PodReadyToStartContainers"), said("False", "", ""));
    assert_eq!(state(&done(FAILED), "a")["terminated"]["exitCode"], 7);
}

#[test]
fn readiness_gates_are_kept() {
    let mut case = Case::new("Always", &[RUNS]);
    let gates = json!([{ "conditionType": "example.com/a" }, { "conditionType": "example.com/b" }]);
    case.pod.spec.as_mut().unwrap().readiness_gates = Some(serde_json::from_value(gates).unwrap());
    let mut ready = |conditions: Value| {
        case.pod.status = Some(serde_json::from_value(json!({ "conditions": conditions })).unwrap());
        says(&case.status(), "Ready")
    };
    let (status, reason, message) = ready(json!([{ "type": "example.com/b", "status": "False" }]));
    assert_eq!((status.as_str(), reason.as_deref()), ("False", Some("ReadinessGatesNotReady")));
    let words = "corresponding condition of pod readiness gate \"example.com/a\" does not exist., the status of pod readiness gate \
                 \"example.com/b\" is not \"True\", but False";
    assert_eq!(message.as_deref(), Some(words));
    let open = json!([{ "type": "example.com/a", "status": "True" }, { "type": "example.com/b", "status": "True" }]);
    assert_eq!(ready(open), said("True", "", ""));
}

#[test]
fn transition_times_stay_while_the_status_does() {
    let mut case = Case { second: 1, ..Case::new("Always", &[RUNS]) };
    let first = case.status();
    (case.before, case.second) = (Some(first.clone()), 60);
    assert_eq!(case.status(), first);
}
