//! Whose turn it is: the order in which the containers of a pod begin and end. Pure.
//!
//! | orders | init containers and main ones                    | sidecars                                       |
//! |--------|--------------------------------------------------|------------------------------------------------|
//! | Hold   | stay as they are                                 | stay as they are                               |
//! | Run    | an init container begins when all before it are through; the main ones begin together after the last | begin in their place; through when they run; stop as below when the main ones have ended or the pod cannot be initialized |
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

/// The events that are due, by place of the container. The places stand in the order of the spec, init containers first. When
/// all of them have been dealt with, asking again gives the next ones, and in the end none.
pub fn due(containers: &[(Role, &Machine)], orders: Orders) -> Vec<(usize, Event)> {
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
fn finished(containers: &[(Role, &Machine)]) -> bool {
    let cannot_begin =
        || containers.iter().any(|(role, machine)| *role == Role::Init && machine.ended() && !machine.succeeded());
    let mut mains = containers.iter().filter(|(role, _)| *role == Role::Main);
    mains.all(|(_, machine)| machine.ended()) || (!initialized(containers.iter().copied()) && cannot_begin())
}

fn begin(containers: &[(Role, &Machine)]) -> Vec<(usize, Event)> {
    let initialized = initialized(containers.iter().copied());
    let mut due = Vec::new();
    for (place, (role, machine)) in containers.iter().enumerate() {
        let through = match role {
            Role::Init => machine.succeeded(),
            Role::Sidecar => machine.running(),
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

fn retire(containers: &[(Role, &Machine)]) -> Vec<(usize, Event)> {
    if others_ended(containers) {
        return last_sidecar(containers);
    }
    let going = containers.iter().enumerate().filter(|(_, (_, machine))| !machine.ended() && !machine.retired());
    going.map(|(place, _)| (place, Event::Retire)).collect()
}

fn wind_down(containers: &[(Role, &Machine)]) -> Vec<(usize, Event)> {
    if others_ended(containers) {
        return last_sidecar(containers);
    }
    let others = containers
        .iter()
        .enumerate()
        .filter(|(_, (role, machine))| *role != Role::Sidecar && !machine.ended() && !machine.stopping());
    others.map(|(place, _)| (place, Event::Stop)).collect()
}

/// Whether all but the sidecars have ended.
fn others_ended(containers: &[(Role, &Machine)]) -> bool {
    containers.iter().all(|(role, machine)| *role == Role::Sidecar || machine.ended())
}

/// Stops the last sidecar that has not ended, unless it has been told already.
fn last_sidecar(containers: &[(Role, &Machine)]) -> Vec<(usize, Event)> {
    let last = containers.iter().enumerate().rfind(|(_, (_, machine))| !machine.ended());
    last.filter(|(_, (_, machine))| !machine.stopping()).map(|(place, _)| (place, Event::Stop)).into_iter().collect()
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
