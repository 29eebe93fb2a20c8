//! Whose turn it is: the order in which the containers of a pod begin and end. Pure.
//!
//! | orders | init containers and main ones                    | sidecars                                       |
//! |--------|--------------------------------------------------|------------------------------------------------|
//! | Hold   | stay as they are                                 | stay as they are                               |
//! | Run    | an init container begins when all before it are through; the main ones begin together after the last | begin in their place; through when they have started (their startup probe says so, if they have one); stop as below when the main ones have ended or the pod cannot be initialized |
//! | Retire | those that run go on until they end by themselves | go on, but are not started again; stop as below |
//! | Stop   | stop at once                                     | stop after all others have ended, the last first |
//!
//! A pod whose main containers have begun before (by an earlier agent) is initialized: nothing waits for anything then.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/>,
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>

use super::machine::{Event, Machine, State};
use super::policy::Role;

/// What the pod as a whole is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// Wait.
    Hold,
    /// Run.
    Run,
    /// Come to an end, without being told: its grace period runs.
    Retire,
    /// End.
    Stop,
}

/// A container of a pod, as far as turns go.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// In its pod.
    pub role: Role,
    /// Where it is in its life.
    pub machine: &'a Machine,
    /// It runs, and its startup probe has succeeded if it has one.
    pub started: bool,
}

/// The events that are due, by place of the container. The places stand in the order of the spec, init containers first. When
/// all of them have been dealt with, asking again gives the next ones, and in the end none.
pub fn due(containers: &[Turn<'_>], orders: Orders) -> Vec<(usize, Event)> {
    match orders {
        Orders::Hold => Vec::new(),
        Orders::Run if finished(containers) => wind_down(containers),
        Orders::Run => begin(containers),
        Orders::Retire => retire(containers),
        Orders::Stop => wind_down(containers),
    }
}

/// Whether a main container has ever been started.
pub fn initialized<'a>(containers: impl IntoIterator<Item = (Role, &'a Machine)>) -> bool {
    containers.into_iter().any(|(role, machine)| role == Role::Main && machine.attempts > 0)
}

/// Whether the pod has done all that it will do by itself.
fn finished(containers: &[Turn<'_>]) -> bool {
    let cannot_begin = || {
        let failed = |turn: &Turn<'_>| turn.role == Role::Init && turn.machine.ended() && !turn.machine.succeeded();
        containers.iter().any(failed)
    };
    let mut mains = containers.iter().filter(|turn| turn.role == Role::Main);
    mains.all(|turn| turn.machine.ended()) || (!has_begun(containers) && cannot_begin())
}

fn has_begun(containers: &[Turn<'_>]) -> bool {
    initialized(containers.iter().map(|turn| (turn.role, turn.machine)))
}

fn begin(containers: &[Turn<'_>]) -> Vec<(usize, Event)> {
    let initialized = has_begun(containers);
    let mut due = Vec::new();
    for (place, Turn { role, machine, started }) in containers.iter().enumerate() {
        let through = match role {
            Role::Init => machine.succeeded(),
            Role::Sidecar => *started,
            Role::Main => true,
        };
        let begins = machine.state == State::Queued && !(initialized && *role == Role::Init);
        if begins {
            due.push((place, Event::Begin));
        }
        if !through && !initialized {
            break;
        }
    }
    due
}

fn retire(containers: &[Turn<'_>]) -> Vec<(usize, Event)> {
    if others_ended(containers) {
        return last_sidecar(containers);
    }
    let going = containers.iter().enumerate().filter(|(_, turn)| !turn.machine.ended() && !turn.machine.retired());
    going.map(|(place, _)| (place, Event::Retire)).collect()
}

fn wind_down(containers: &[Turn<'_>]) -> Vec<(usize, Event)> {
    if others_ended(containers) {
        return last_sidecar(containers);
    }
    let others = containers
        .iter()
        .enumerate()
        .filter(|(_, turn)| turn.role != Role::Sidecar && !turn.machine.ended() && !turn.machine.stopping());
    others.map(|(place, _)| (place, Event::Stop)).collect()
}

/// Whether all but the sidecars have ended.
fn others_ended(containers: &[Turn<'_>]) -> bool {
    containers.iter().all(|turn| turn.role == Role::Sidecar || turn.machine.ended())
}

/// Stops the last sidecar that has not ended, unless it has been told already.
fn last_sidecar(containers: &[Turn<'_>]) -> Vec<(usize, Event)> {
    let last = containers.iter().enumerate().rfind(|(_, turn)| !turn.machine.ended());
    last.filter(|(_, turn)| !turn.machine.stopping()).map(|(place, _)| (place, Event::Stop)).into_iter().collect()
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
