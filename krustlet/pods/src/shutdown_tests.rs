//! What becomes of pods when their agent is told to end.

use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{World, condition, container};

fn runs(pod: &Value) -> bool {
    container(pod, "main")["state"]["running"].is_object()
}

fn code(pod: &Value) -> Option<i64> {
    container(pod, "main")["state"]["terminated"]["exitCode"].as_i64()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a Job's `podFailurePolicy` asks for.
fn disrupted(pod: &Value) -> bool {
    condition(pod, "DisruptionTarget") == "True"
}

#[test]
fn what_comes_to_its_end_in_its_grace_has_ended_by_itself() {
    let world = World::new();
    let agent = world.agent_with_grace(seconds(20));
    for policy in ["Never", "OnFailure"] {
        world.create_simple(policy, policy, "nap-0");
        world.until(policy, runs);
    }
    let took = agent.stop();
    assert!(took < seconds(6), "{took:?}");
    for policy in ["Never", "OnFailure"] {
        let pod = world.pod(policy).unwrap();
        assert_eq!((&pod["status"]["phase"], code(&pod), disrupted(&pod)), (&json!("Succeeded"), Some(0), false));
    }
}

#[test]
fn what_no_agent_goes_on_with_fails_as_disrupted_and_the_rest_goes_on() {
    let world = World::new();
    let agent = world.agent_with_grace(seconds(1));
    world.create_simple("job", "Never", "sleep");
    world.create_simple("retried", "OnFailure", "spin");
    world.create_simple("web", "Always", "spin");
    for name in ["job", "retried", "web"] {
        world.until(name, runs);
    }
    let took = agent.stop();
    assert!(took >= seconds(1) && took < seconds(6), "{took:?}");
    let job = world.pod("job").unwrap();
    assert_eq!((&job["status"]["phase"], code(&job)), (&json!("Failed"), Some(137)));
    assert_eq!(job["status"]["reason"], "Terminated");
    let conditions = job["status"]["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&target["status"], &target["reason"]), (&json!("True"), &json!("TerminationByKubelet")));
    assert_eq!(target["message"], "Pod was terminated in response to imminent node shutdown.");
    // A Job decides on the first version that has failed.
    let versions = world.versions("job");
    let first = versions.iter().find(|pod| pod["status"]["phase"] == "Failed").unwrap();
    assert!(disrupted(first), "{first:#}");
    let _again = world.agent();
    for name in ["retried", "web"] {
        let pod = world.until(name, |pod| runs(pod) && container(pod, "main")["restartCount"] == 1);
        assert!(!disrupted(&pod), "{name}");
    }
    assert_eq!(world.pod("job").unwrap(), job, "what has ended stays as it is");
}

#[test]
fn no_grace_is_waited_for_in_vain() {
    let world = World::new();
    let agent = world.agent_with_grace(seconds(60));
    // It goes on with the next agent, whatever it does until then.
    world.create_simple("web", "Always", "spin");
    // Its author gives it less than the agent would.
    let main = world.container("main", "spin");
    world
        .create("brief", json!({ "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [main] }));
    world.until("web", runs);
    world.until("brief", runs);
    let took = agent.stop();
    assert!(took >= seconds(1) && took < seconds(6), "{took:?}");
    assert!(disrupted(&world.pod("brief").unwrap()));
}

#[test]
fn who_is_deleted_meanwhile_ends_sooner() {
    let world = World::new();
    let agent = world.agent_with_grace(seconds(60));
    for name in ["forced", "deleted"] {
        world.create_simple(name, "Never", "spin");
        world.until(name, runs);
    }
    let stopped = std::thread::spawn(move || agent.stop());
    std::thread::sleep(Duration::from_millis(300));
    world.delete("forced", 0);
    world.delete("deleted", 1);
    let took = stopped.join().unwrap();
    assert!(took < seconds(10), "{took:?}");
    assert!(world.pod("deleted").is_none());
}

#[test]
fn what_could_not_be_told_in_time_is_told_by_the_next_agent() {
    let world = World::new();
    let agent = world.agent();
    world.create_simple("job", "Never", "spin");
    world.until("job", runs);
    world.refuse_statuses(true);
    agent.stop();
    world.refuse_statuses(false);
    assert_eq!(world.pod("job").unwrap()["status"]["phase"], "Running");
    let _again = world.agent();
    let job = world.until_phase("job", "Failed");
    assert!(disrupted(&job) && job["status"]["reason"] == "Terminated", "{job:#}");
    assert_eq!((code(&job), world.logs("job", "main")), (Some(137), vec!["0.log".into()]));
}
