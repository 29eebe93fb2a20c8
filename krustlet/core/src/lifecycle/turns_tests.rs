use std::time::Instant;

use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::lifecycle::policy::{Policy, RestartPolicy};
use crate::lifecycle::termination::Termination;

const INIT: Role = Role::Init;
const SIDE: Role = Role::Sidecar;
const MAIN: Role = Role::Main;

/// A pod's containers, as its worker would treat them, without the worker.
struct Pod {
    roles: Vec<Role>,
    machines: Vec<Machine>,
    /// Those whose startup probe has not succeeded yet.
    starting: Vec<usize>,
    orders: Orders,
}

impl Pod {
    fn new(policy: RestartPolicy, roles: &[Role]) -> Self {
        let machine = |role: &Role| {
            Machine::new(match (role, policy) {
                (Role::Sidecar, _) => Policy::from(RestartPolicy::Always),
                (Role::Init, RestartPolicy::Always) => RestartPolicy::OnFailure.into(),
                (_, policy) => policy.into(),
            })
        };
        Self {
            roles: roles.to_vec(),
            machines: roles.iter().map(machine).collect(),
            starting: Vec::new(),
            orders: Orders::Run,
        }
    }

    /// Deals with what is due until nothing is: what has been due, in order.
    fn settle(&mut self) -> Vec<(usize, &'static str)> {
        let mut done = Vec::new();
        for _ in 0..100 {
            let turn = |(place, (role, machine)): (usize, (&Role, _))| {
                let machine: &Machine = machine;
                Turn { role: *role, machine, started: machine.running() && !self.starting.contains(&place) }
            };
            let turns: Vec<_> = self.roles.iter().zip(&self.machines).enumerate().map(turn).collect();
            let events = due(&turns, self.orders);
            if events.is_empty() {
                return done;
            }
            for (place, event) in events {
                let word = match event {
                    Event::Begin => "begin",
                    Event::Retire => "retire",
                    Event::Stop => "stop",
                    other => panic!("{other:?}"),
                };
                done.push((place, word));
                let before = self.machines[place].clone();
                self.machines[place].on(event, Instant::now());
                assert!(
                    before.state != self.machines[place].state
                        || before.retired() != self.machines[place].retired()
                        || before.stopping() != self.machines[place].stopping(),
                    "what is due changes something: {word} {before:?}"
                );
            }
        }
        panic!("never settles: {done:?}");
    }

    fn start(&mut self, place: usize) -> Vec<(usize, &'static str)> {
        let started = Event::Started { at: Timestamp::UNIX_EPOCH, image_id: "i".into(), container_id: "c".into() };
        self.machines[place].on(started, Instant::now());
        self.settle()
    }

    fn end(&mut self, place: usize, exit_code: i32) -> Vec<(usize, &'static str)> {
        let ended = Event::Exited(Termination {
            exit_code,
            reason: "x".into(),
            message: None,
            started_at: Some(Timestamp::UNIX_EPOCH),
            finished_at: Timestamp::UNIX_EPOCH,
            container_id: None,
        });
        self.machines[place].on(ended, Instant::now());
        self.settle()
    }

    fn order(&mut self, orders: Orders) -> Vec<(usize, &'static str)> {
        self.orders = orders;
        self.settle()
    }

    fn over(&self) -> bool {
        self.machines.iter().all(Machine::ended)
    }
}

#[test]
fn plain_containers_begin_together() {
    let mut pod = Pod::new(RestartPolicy::Always, &[MAIN, MAIN]);
    assert_eq!(pod.order(Orders::Hold), []);
    assert_eq!(pod.order(Orders::Run), [(0, "begin"), (1, "begin")]);
    assert_eq!(pod.start(0), []);
    assert_eq!(pod.end(0, 1), []);
}

#[test]
fn init_containers_run_one_after_the_other_to_success() {
    let mut pod = Pod::new(RestartPolicy::Always, &[INIT, INIT, MAIN, MAIN]);
    assert_eq!(pod.settle(), [(0, "begin")]);
    assert_eq!(pod.start(0), []);
    assert_eq!(pod.end(0, 1), [], "it is tried again, and holds up the next");
    assert_eq!(pod.start(0), []);
    assert_eq!(pod.end(0, 0), [(1, "begin")]);
    assert_eq!(pod.start(1), []);
    assert_eq!(pod.end(1, 0), [(2, "begin"), (3, "begin")]);
}

#[test]
fn a_failed_init_container_ends_a_pod_that_never_restarts() {
    let mut pod = Pod::new(RestartPolicy::Never, &[SIDE, INIT, INIT, MAIN]);
    assert_eq!(pod.settle(), [(0, "begin")]);
    assert_eq!(pod.start(0), [(1, "begin")]);
    pod.start(1);
    assert_eq!(pod.end(1, 3), [(2, "stop"), (3, "stop"), (0, "stop")]);
    assert!(!pod.over(), "the sidecar has been told");
    assert_eq!(pod.end(0, 137), []);
    assert!(pod.over());
    assert_eq!(pod.machines[3].attempts, 0);
}

#[test]
fn a_sidecar_begins_in_its_place_and_ends_after_the_main_containers_the_last_first() {
    let mut pod = Pod::new(RestartPolicy::Never, &[SIDE, INIT, SIDE, MAIN, MAIN]);
    assert_eq!(pod.settle(), [(0, "begin")]);
    assert_eq!(pod.start(0), [(1, "begin")]);
    pod.start(1);
    assert_eq!(pod.end(0, 1), [], "it restarts while the init container runs");
    assert_eq!(pod.start(0), []);
    assert_eq!(pod.end(1, 0), [(2, "begin")]);
    assert_eq!(pod.start(2), [(3, "begin"), (4, "begin")]);
    pod.start(3);
    pod.start(4);
    assert_eq!(pod.end(3, 0), []);
    assert_eq!(pod.end(4, 7), [(2, "stop")]);
    assert_eq!(pod.end(2, 137), [(0, "stop")]);
    assert_eq!(pod.end(0, 137), []);
    assert!(pod.over());
}

#[test]
fn a_sidecar_that_crashes_before_the_pod_is_initialized_holds_it_up() {
    let mut pod = Pod::new(RestartPolicy::Always, &[SIDE, MAIN]);
    pod.settle();
    assert_eq!(pod.end(0, 1), []);
    assert_eq!(pod.end(0, 1), []);
    assert_eq!(pod.machines[1].state, State::Queued);
}

#[test]
fn what_follows_a_sidecar_waits_for_its_startup_probe() {
    let mut pod = Pod::new(RestartPolicy::Always, &[SIDE, INIT, MAIN]);
    pod.starting = vec![0];
    assert_eq!(pod.settle(), [(0, "begin")]);
    assert_eq!(pod.start(0), [], "it runs, and has not started");
    pod.end(0, 137);
    assert_eq!(pod.start(0), [], "after a probe's kill it begins anew");
    pod.starting.clear();
    assert_eq!(pod.settle(), [(1, "begin")]);
    pod.start(1);
    assert_eq!(pod.end(1, 0), [(2, "begin")]);
    let mut again = Pod::new(RestartPolicy::Always, &[SIDE, MAIN]);
    (again.starting, again.machines[1].attempts) = (vec![0], 1);
    assert_eq!(again.settle(), [(0, "begin"), (1, "begin")], "once the pod was initialized, nothing waits for it");
}

#[test]
fn a_pod_that_was_initialized_before_takes_up_all_at_once() {
    let mut pod = Pod::new(RestartPolicy::Always, &[INIT, SIDE, MAIN]);
    pod.machines[0].state = State::Ended;
    pod.machines[2].attempts = 3;
    assert_eq!(pod.settle(), [(1, "begin"), (2, "begin")]);
    let mut forgotten = Pod::new(RestartPolicy::Always, &[INIT, MAIN]);
    forgotten.machines[1].attempts = 1;
    assert_eq!(forgotten.settle(), [(1, "begin")], "an init container does not run after the main ones");
}

#[test]
fn a_grace_period_lets_run_what_runs_and_starts_nothing() {
    let mut pod = Pod::new(RestartPolicy::Always, &[SIDE, SIDE, MAIN, MAIN]);
    pod.settle();
    pod.start(0);
    pod.start(1);
    pod.start(2);
    assert_eq!(pod.order(Orders::Retire), [(0, "retire"), (1, "retire"), (2, "retire"), (3, "retire")]);
    assert!(pod.machines[2].running() && pod.machines[3].ended());
    assert_eq!(pod.end(2, 0), [(1, "stop")]);
    assert_eq!(pod.end(1, 137), [(0, "stop")]);
    assert_eq!(pod.end(0, 137), []);
    assert!(pod.over());
}

#[test]
fn the_end_of_the_grace_period_stops_all() {
    let mut pod = Pod::new(RestartPolicy::Always, &[SIDE, MAIN, MAIN]);
    pod.settle();
    for place in 0..3 {
        pod.start(place);
    }
    pod.order(Orders::Retire);
    assert_eq!(pod.order(Orders::Stop), [(1, "stop"), (2, "stop")]);
    assert_eq!(pod.end(1, 137), []);
    assert_eq!(pod.end(2, 137), [(0, "stop")]);
    pod.end(0, 137);
    assert!(pod.over());
}

#[test]
fn stopping_reaches_every_stage() {
    for steps in 0..6 {
        let mut pod = Pod::new(RestartPolicy::OnFailure, &[INIT, SIDE, MAIN]);
        let walk: [fn(&mut Pod); 5] = [
            |pod| drop(pod.settle()),
            |pod| drop(pod.start(0)),
            |pod| drop(pod.end(0, 0)),
            |pod| drop(pod.start(1)),
            |pod| drop(pod.start(2)),
        ];
        walk.iter().take(steps).for_each(|step| step(&mut pod));
        pod.order(Orders::Stop);
        for place in [2, 0, 1] {
            if pod.machines[place].running() {
                pod.end(place, 137);
            }
        }
        assert!(pod.over(), "after {steps} steps: {:?}", pod.machines);
    }
}
