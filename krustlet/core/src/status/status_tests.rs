use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{PodCondition, ResourceRequirements, VolumeMount};

use super::*;
use crate::lifecycle::machine::{Event, Machine, State};
use crate::lifecycle::not_started::NotStarted;
use crate::lifecycle::policy::RestartPolicy;
use crate::lifecycle::termination::Termination;
use crate::serving::health::Health;

#[path = "conditions_tests.rs"]
mod conditions_tests;
#[path = "phase_tests.rs"]
mod phases;

/// What happened to a container, in one word each.
#[derive(Clone, Copy, Debug)]
enum Did {
    Begin,
    Start,
    Exit(i32),
    FailToPull,
    WaitForPull,
    Stop,
}
use Did::{Begin, Exit, FailToPull, Start, Stop, WaitForPull};

const RUNS: &[Did] = &[Begin, Start];
const SUCCEEDED: &[Did] = &[Begin, Start, Exit(0)];
const FAILED: &[Did] = &[Begin, Start, Exit(7)];
const CRASH_LOOP: &[Did] = &[Begin, Start, Exit(1), Start, Exit(1)];
const PREPARES: &[Did] = &[Begin];
const QUEUED: &[Did] = &[];
const STOPPED: &[Did] = &[Begin, Start, Stop, Exit(137)];
const NEVER_RAN: &[Did] = &[Begin, Stop];

fn machine(policy: RestartPolicy, did: &[Did]) -> Machine {
    let (mut machine, mut now) = (Machine::new(policy), Instant::now());
    for did in did {
        let event = match did {
            Begin => Event::Begin,
            Start => Event::Started {
                at: Timestamp::UNIX_EPOCH,
                image_id: "r/a@sha256:0".into(),
                container_id: "wasmtime://x".into(),
            },
            Exit(exit_code) => Event::Exited(Termination {
                exit_code: *exit_code,
                reason: if *exit_code == 0 { "Completed" } else { "Error" }.into(),
                message: None,
                started_at: Some(Timestamp::UNIX_EPOCH),
                finished_at: Timestamp::UNIX_EPOCH,
                container_id: None,
            }),
            FailToPull => {
                let why = NotStarted::new(Reason::ErrImagePull, "no such tag");
                Event::NotStarted(why, Timestamp::UNIX_EPOCH)
            }
            WaitForPull => Event::Timer,
            Stop => Event::Stop,
        };
        machine.on(event, now);
        now += Duration::from_secs(3);
    }
    machine
}

/// A pod, and what its containers did.
struct Case {
    pod: Pod,
    policy: RestartPolicy,
    containers: Vec<(&'static str, Role, Machine)>,
    before: Option<PodStatus>,
    refusal: Option<Refusal>,
    verdict: Option<Verdict>,
    mount_error: Option<&'static str>,
    mounted: bool,
    terminal: bool,
    second: i64,
    health: Health,
    listens: bool,
    resources: Option<ResourceRequirements>,
    mounts: Option<Vec<VolumeMount>>,
    resize: Option<Resize>,
}

impl Case {
    fn new(policy: &str, mains: &[&[Did]]) -> Self {
        let pod = json!({
            "metadata": { "name": "p", "namespace": "default", "uid": "u", "generation": 3 },
            "spec": { "restartPolicy": policy, "containers": [] }
        });
        let policy = RestartPolicy::of(Some(policy));
        let containers =
            ["a", "b"].into_iter().zip(mains).map(|(name, did)| (name, Role::Main, machine(policy, did))).collect();
        Self {
            pod: serde_json::from_value(pod).unwrap(),
            policy,
            containers,
            before: None,
            refusal: None,
            verdict: None,
            mount_error: None,
            mounted: true,
            terminal: false,
            second: 0,
            health: Health::GOOD,
            listens: false,
            resources: None,
            mounts: None,
            resize: None,
        }
    }

    /// With a container before the others.
    fn first(mut self, name: &'static str, role: Role, did: &[Did]) -> Self {
        let policy = match role {
            Role::Sidecar => RestartPolicy::Always,
            _ if self.policy == RestartPolicy::Never => RestartPolicy::Never,
            _ => RestartPolicy::OnFailure,
        };
        self.containers.insert(0, (name, role, machine(policy, did)));
        self
    }

    fn status(&self) -> PodStatus {
        let shown = self.containers.iter().map(|(name, role, machine)| Shown {
            name,
            image: "i",
            role: *role,
            machine,
            health: self.health,
            resources: self.resources.as_ref(),
            mounts: self.mounts.as_deref(),
        });
        let shown: Vec<_> = shown.collect();
        pod_status(&Facts {
            pod: &self.pod,
            before: self.before.as_ref(),
            containers: &shown,
            refusal: self.refusal.as_ref(),
            verdict: self.verdict.as_ref(),
            resize: self.resize.as_ref(),
            mounted: self.mounted,
            mount_error: self.mount_error,
            listens: self.listens,
            terminal: self.terminal,
            pod_ip: "10.244.1.2".parse().unwrap(),
            host_ip: "10.0.0.1",
            start_time: Timestamp::UNIX_EPOCH,
            now: Timestamp::from_second(self.second).unwrap(),
        })
    }
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> &'a PodCondition {
    status.conditions.as_ref().unwrap().iter().find(|condition| condition.type_ == type_).unwrap()
}

fn says(status: &PodStatus, type_: &str) -> (String, Option<String>, Option<String>) {
    let condition = condition(status, type_);
    (condition.status.clone(), condition.reason.clone(), condition.message.clone())
}

fn said(status: &str, reason: &str, message: &str) -> (String, Option<String>, Option<String>) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
    (status.into(), some(reason), some(message))
}

fn state(status: &PodStatus, name: &str) -> Value {
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let found = all.into_iter().find(|status| status.name == name).unwrap();
    serde_json::to_value(&found.state).unwrap()
}

#[test]
fn completed_init_containers_are_ready_and_sidecars_run() {
    let status =
        Case::new("Always", &[RUNS]).first("s", Role::Sidecar, RUNS).first("i", Role::Init, SUCCEEDED).status();
    for type_ in ["Initialized", "Ready"] {
        assert_eq!(says(&status, type_), said("True", "", ""));
    }
    let inits = status.init_container_statuses.unwrap();
    assert_eq!((inits[0].ready, inits[0].started), (true, Some(false)));
    assert_eq!((inits[1].ready, inits[1].started), (true, Some(true)));

    let crashed = Case::new("Always", &[RUNS]).first("s", Role::Sidecar, CRASH_LOOP).status();
    assert_eq!(says(&crashed, "Initialized"), said("True", "", ""), "the main container has run");
    let wanted = said("False", "ContainersNotReady", "containers with unready status: [s]");
    assert_eq!(says(&crashed, "Ready"), wanted);
}

#[test]
fn what_a_container_waits_for_is_said_in_the_kubelets_words() {
    let loops = Case::new("Always", &[CRASH_LOOP]).status();
    let message = "back-off 10s restarting failed container=a pod=p_default(u)";
    assert_eq!(state(&loops, "a"), json!({ "waiting": { "reason": "CrashLoopBackOff", "message": message } }));
    let container = &loops.container_statuses.unwrap()[0];
    assert_eq!((container.restart_count, container.ready, container.started), (1, false, Some(false)));
    assert_eq!(container.last_state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 1);

    let fails = Case::new("Always", &[&[Begin, FailToPull], &[Begin, FailToPull, WaitForPull]]).status();
    assert_eq!(state(&fails, "a"), json!({ "waiting": { "reason": "ErrImagePull", "message": "no such tag" } }));
    let message = "Back-off pulling image \"i\": ErrImagePull: no such tag";
    assert_eq!(state(&fails, "b"), json!({ "waiting": { "reason": "ImagePullBackOff", "message": message } }));
}

#[test]
fn volumes_that_are_not_ready_hold_all_back() {
    let why = "configmap \"x\" not found";
    let case = Case { mounted: false, mount_error: Some(why), ..Case::new("Always", &[QUEUED]) };
    let status = case.status();
    assert_eq!(state(&status, "a"), json!({ "waiting": { "reason": "ContainerCreating", "message": why } }));
    assert_eq!(says(&status, "PodReadyToStartContainers"), said("False", "", ""));
}

#[test]
fn a_pod_that_fails_says_why_when_nothing_runs_any_more() {
    let verdict = Verdict::new("DeadlineExceeded", "too long");
    let case = |mains: &[&[Did]]| Case { verdict: Some(verdict.clone()), terminal: true, ..Case::new("Always", mains) };
    let ending = case(&[RUNS]).status();
    assert_eq!((ending.phase.as_deref(), ending.reason), (Some("Running"), None));
    let ended = case(&[&[Begin, Start, Stop, Exit(0)], NEVER_RAN]).status();
    assert_eq!(ended.phase.as_deref(), Some("Failed"), "though what ran ended well");
    assert_eq!((ended.reason.as_deref(), ended.message.as_deref()), (Some("DeadlineExceeded"), Some("too long")));
    let never = state(&ended, "b");
    assert_eq!(
        (&never["terminated"]["exitCode"], &never["terminated"]["reason"]),
        (&json!(137), &json!("ContainerStatusUnknown"))
    );
}

#[test]
fn refused_pods_fail_or_wait() {
    let status = |fails| {
        let refusal = Refusal { reason: "OutOfcpu".into(), message: "no place".into(), fails };
        let verdict = fails.then(|| Verdict::new("OutOfcpu", "no place"));
        Case { refusal: Some(refusal), verdict, mounted: false, terminal: fails, ..Case::new("Always", &[QUEUED]) }
            .status()
    };
    let failed = status(true);
    assert_eq!(failed.phase.as_deref(), Some("Failed"));
    assert_eq!((failed.reason.as_deref(), failed.message.as_deref()), (Some("OutOfcpu"), Some("no place")));
    assert_eq!(failed.container_statuses.as_deref(), Some(&[][..]));
    assert_eq!(says(&failed, "Ready"), said("False", "PodFailed", ""));
    let held = status(false);
    assert_eq!((held.phase.as_deref(), held.reason.as_deref()), (Some("Pending"), None));
    let waits = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "no place" } });
    assert_eq!(state(&held, "a"), waits);
}

#[test]
fn who_waits_for_an_ephemeral_container_learns_why_it_never_runs() {
    let mut case = Case::new("Always", &[RUNS]);
    let debugger = json!([{ "name": "debugger", "image": "busybox" }]);
    case.pod.spec.as_mut().unwrap().ephemeral_containers = Some(serde_json::from_value(debugger).unwrap());
    let status = case.status();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let refused = &status.ephemeral_container_statuses.as_ref().unwrap()[0];
    let terminated = refused.state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((refused.name.as_str(), terminated.exit_code), ("debugger", 128));
    assert!(terminated.message.as_ref().unwrap().contains("ephemeral containers"));
}

#[test]
fn the_patch_takes_back_reasons_and_names_the_uid() {
    let patch = patch(&Case::new("Always", &[RUNS]).status(), "u");
    assert_eq!(patch["metadata"]["uid"], "u");
    let conditions = patch["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!((ready["reason"].clone(), ready["message"].clone()), (Value::Null, Value::Null));
    assert!(ready.as_object().unwrap().contains_key("message"));
    // Only the address of now is left.
    let addresses = patch["status"]["hostIPs"].as_array().unwrap();
    assert_eq!(addresses.last(), Some(&serde_json::json!({ "$patch": "replace" })));
    assert_eq!(addresses.len(), 2);
    for field in ["qosClass", "resize", "nominatedNodeName"] {
        assert!(!patch["status"].as_object().unwrap().contains_key(field), "{field} is left as it is");
    }
}

#[test]
fn a_queued_container_that_ran_under_an_earlier_agent_counts_as_stopped() {
    let mut case = Case::new("Always", &[CRASH_LOOP]);
    case.containers[0].2.state = State::Queued;
    let status = case.status();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(state(&status, "a")["terminated"]["exitCode"], 1);
}

#[test]
fn what_a_container_has_is_told_and_what_the_pod_cannot_have() {
    let mut case = Case::new("Always", &[&[Begin, Start], CRASH_LOOP]);
    case.resources =
        serde_json::from_value(json!({ "limits": { "memory": "2Mi" }, "requests": { "memory": "1Mi" } })).unwrap();
    case.mounts = serde_json::from_value(
        json!([{ "name": "v", "mountPath": "/v" }, { "name": "t", "mountPath": "/t", "readOnly": true }]),
    )
    .unwrap();
    let mounted = json!([
        { "name": "v", "mountPath": "/v" },
        { "name": "t", "mountPath": "/t", "readOnly": true, "recursiveReadOnly": "Disabled" },
    ]);
    let status = case.status();
    let [running, waiting] = &status.container_statuses.as_deref().unwrap() else { panic!("{status:?}") };
    for told in [running, waiting] {
        assert_eq!(told.resources, case.resources);
        assert_eq!(serde_json::to_value(&told.volume_mounts).unwrap(), mounted);
        assert_eq!(serde_json::to_value(&told.allocated_resources).unwrap(), json!({ "memory": "1Mi" }));
    }
    for (resize, type_, reason) in [
        (Resize::Infeasible("m".into()), "PodResizePending", "Infeasible"),
        (Resize::Deferred("m".into()), "PodResizePending", "Deferred"),
        (Resize::InUse("m".into()), "PodResizeInProgress", "Error"),
    ] {
        case.resize = Some(resize);
        let status = case.status();
        assert_eq!(says(&status, type_), said("True", reason, "m"));
        let deleted = |status: &PodStatus| {
            let conditions = patch(status, "u")["status"]["conditions"].clone();
            let all = conditions.as_array().unwrap().iter();
            all.filter(|one| one["$patch"] == "delete")
                .map(|one| one["type"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert!(deleted(&status).len() == 1 && !deleted(&status).contains(&type_.to_owned()));
        case.resize = None;
        assert_eq!(deleted(&case.status()), ["PodResizePending", "PodResizeInProgress"]);
    }
}
