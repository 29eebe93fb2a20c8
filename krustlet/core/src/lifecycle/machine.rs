//! The life of one container, as a table.
//!
//! | state     | event        | next state                     | to do   |
//! |-----------|--------------|--------------------------------|---------|
//! | Queued    | begin        | Preparing                      | prepare |
//! | Preparing | started      | Running                        |         |
//! | Preparing | not started  | Waiting (ErrImagePull, CreateContainerError …) | |
//! |           |              | as Running that ended (StartError)¹ |    |
//! | Running   | ended        | Ended, if the policy says so   |         |
//! |           |              | Preparing, the first time      | prepare |
//! |           |              | Waiting (CrashLoopBackOff)     |         |
//! | Waiting   | time is up   | Waiting (ImagePullBackOff), after ErrImagePull | |
//! |           |              | Preparing, after all others    | prepare |
//! | Waiting   | config changed | Preparing, after CreateContainerConfigError, CreateContainerError | prepare |
//! | any       | spec changed | Running until it has stopped   | stop    |
//! |           |              | Preparing, if not Running      | prepare |
//! |           |              | Queued, if Queued              |         |
//! | any       | retire       | Running until it ends by itself |        |
//! |           |              | Ended, if not Running          | abort   |
//! | any       | stop         | Running until it has stopped   | stop    |
//! |           |              | Ended, if not Running          | abort   |
//!
//! ¹ A module that cannot be started counts as a container that ended at once, with the kubelet's code 128.
//!
//! Nothing here does anything: the worker does, and tells what came of it.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::backoff::Backoff;
use super::not_started::{NotStarted, Reason, Retry};
use super::policy::Policy;
use super::termination::{STOPPED_CODE, Termination};

/// What a container waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It could not be started.
    NotStarted(NotStarted),
    /// Its module could not be had some time ago: what was said then.
    PullBackOff(String),
    /// It has ended too often: the whole pause.
    CrashLoop(Duration),
}

impl Cause {
    /// For the status.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotStarted(why) => why.reason.word(),
            Self::PullBackOff(_) => "ImagePullBackOff",
            Self::CrashLoop(_) => "CrashLoopBackOff",
        }
    }
}

/// Waiting for something to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Why.
    pub cause: Cause,
    /// When something happens next.
    pub until: Instant,
    /// When the next attempt is made; not before `until`.
    retry_at: Instant,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its turn has not come.
    Queued,
    /// Its module is being made ready, or is being started. What it waited for before is still to be shown.
    Preparing(Option<Cause>),
    /// Something failed and will be tried again.
    Waiting(Waiting),
    /// It runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// It has ended, or never ran, and will not be started any more.
    Ended,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Its turn has come.
    Begin,
    /// The guest was started.
    Started {
        /// When.
        at: Timestamp,
        /// `registry/repository@sha256:…`
        image_id: String,
        /// `wasmtime://…`
        container_id: String,
    },
    /// The guest was not started, at that time.
    NotStarted(NotStarted, Timestamp),
    /// The guest has ended.
    Exited(Termination),
    /// [`Machine::next_deadline`] is past.
    Timer,
    /// Something that its spec names has changed.
    ConfigChanged,
    /// The container's image in the spec is another now.
    SpecChanged,
    /// It may go on until it ends, but is not started again.
    Retire,
    /// It is to end.
    Stop,
}

/// What the worker is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Make the module ready and start it; give up an earlier preparation.
    Prepare,
    /// Stop the guest.
    Stop,
    /// Give up the preparation, if there is one.
    Abort,
}

/// How long the words of a failed pull are shown before the wait for the next one is.
const ERROR_SHOWN: Duration = Duration::from_secs(2);
/// How long a container waits before its configuration is looked at again.
const CONFIG_RETRY: Duration = Duration::from_secs(10);

/// The container.
#[derive(Clone, Debug)]
pub struct Machine {
    policy: Policy,
    /// Where it is.
    pub state: State,
    /// How the newest ended attempt ended.
    pub last: Option<Termination>,
    /// How the one before that ended.
    pub before_last: Option<Termination>,
    /// Attempts that were started, the current one included.
    pub attempts: u32,
    /// Of the newest attempt.
    pub image_id: String,
    /// Of the newest attempt.
    pub container_id: Option<String>,
    pulls: Backoff,
    crashes: Backoff,
    retired: bool,
    stopping: bool,
    replacing: bool,
}

impl Machine {
    /// A container that was never started.
    pub fn new(policy: impl Into<Policy>) -> Self {
        Self {
            policy: policy.into(),
            state: State::Queued,
            last: None,
            before_last: None,
            attempts: 0,
            image_id: String::new(),
            container_id: None,
            pulls: Backoff::default(),
            crashes: Backoff::default(),
            retired: false,
            stopping: false,
            replacing: false,
        }
    }

    /// Kubernetes' count: attempts after the first.
    pub fn restart_count(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// Whether it runs.
    pub fn running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether nothing will happen any more.
    pub fn ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether it has ended well.
    pub fn succeeded(&self) -> bool {
        self.ended() && self.last.as_ref().is_some_and(|last| last.exit_code == 0)
    }

    /// Whether its newest attempt has ended in a way after which its policy starts it again.
    pub fn would_restart(&self) -> bool {
        !self.running() && self.last.as_ref().is_some_and(|last| self.policy.restarts(last.exit_code))
    }

    /// Whether it runs, and is done when it ends well.
    pub fn finishes(&self) -> bool {
        self.running() && !self.policy.restarts(0)
    }

    /// Whether it runs, and is not started again by anybody when it is stopped.
    pub fn lost_when_stopped(&self) -> bool {
        self.running() && !self.policy.restarts(STOPPED_CODE)
    }

    /// Whether [`Event::Retire`] or [`Event::Stop`] has come.
    pub fn retired(&self) -> bool {
        self.retired || self.stopping
    }

    /// Whether [`Event::Stop`] has come.
    pub fn stopping(&self) -> bool {
        self.stopping
    }

    /// What it waits for, if it does.
    pub fn cause(&self) -> Option<&Cause> {
        match &self.state {
            State::Waiting(waiting) => Some(&waiting.cause),
            State::Preparing(cause) => cause.as_ref(),
            _ => None,
        }
    }

    /// Whether [`Event::ConfigChanged`] would change something.
    pub fn waits_for_config(&self) -> bool {
        let State::Waiting(Waiting { cause: Cause::NotStarted(why), .. }) = &self.state else { return false };
        why.reason.retry() == Retry::Soon
    }

    /// When to send [`Event::Timer`].
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting(waiting) => Some(waiting.until),
            _ => None,
        }
    }

    /// One row of the table. An event that does not belong to the state changes nothing.
    pub fn on(&mut self, event: Event, now: Instant) -> Action {
        match (&self.state, event) {
            (State::Queued, Event::Begin) => self.prepare(None),
            (State::Preparing(_), Event::Started { at, image_id, container_id }) => {
                self.attempts += 1;
                self.image_id = image_id;
                self.container_id = Some(container_id);
                self.pulls.reset();
                self.state = State::Running { started_at: at };
                Action::None
            }
            (State::Preparing(_), Event::NotStarted(why, at)) => match why.reason.retry() {
                Retry::BackOff => {
                    let retry_at = now + self.pulls.pause();
                    self.wait(Cause::NotStarted(why), now + ERROR_SHOWN, retry_at)
                }
                Retry::Soon => self.wait(Cause::NotStarted(why), now + CONFIG_RETRY, now + CONFIG_RETRY),
                Retry::Restart => {
                    self.attempts += 1;
                    self.exited(Termination::not_started(why, at), now)
                }
            },
            (State::Running { .. }, Event::Exited(termination)) => self.exited(termination, now),
            (State::Waiting(waiting), Event::Timer) if now >= waiting.until => {
                let Waiting { cause, retry_at, .. } = waiting.clone();
                if now >= retry_at {
                    return self.prepare(Some(cause));
                }
                let cause = match cause {
                    Cause::NotStarted(why) if why.reason == Reason::ErrImagePull => Cause::PullBackOff(why.message),
                    other => other,
                };
                self.wait(cause, retry_at, retry_at)
            }
            (State::Waiting(waiting), Event::ConfigChanged) if self.waits_for_config() => {
                let cause = waiting.cause.clone();
                self.prepare(Some(cause))
            }
            (State::Running { .. }, Event::SpecChanged) => {
                self.replacing = true;
                Action::Stop
            }
            (State::Preparing(_) | State::Waiting(_), Event::SpecChanged) => {
                self.pulls.reset();
                self.prepare(None)
            }
            (State::Running { .. }, Event::Retire) => {
                self.retired = true;
                Action::None
            }
            (State::Running { .. }, Event::Stop) if !self.stopping => {
                self.stopping = true;
                Action::Stop
            }
            (State::Queued | State::Preparing(_) | State::Waiting(_), Event::Retire | Event::Stop) => {
                self.stopping = true;
                self.state = State::Ended;
                Action::Abort
            }
            _ => Action::None,
        }
    }

    fn exited(&mut self, termination: Termination, now: Instant) -> Action {
        let (code, ran_for) = (termination.exit_code, termination.ran_for());
        self.before_last = self.last.replace(termination);
        let replacing = std::mem::take(&mut self.replacing);
        if self.retired() || !(replacing || self.policy.restarts(code)) {
            self.state = State::Ended;
            return Action::None;
        }
        if replacing {
            return self.prepare(None);
        }
        let pause = self.crashes.restart_pause(ran_for);
        if pause.is_zero() {
            return self.prepare(None);
        }
        self.wait(Cause::CrashLoop(pause), now + pause, now + pause)
    }

    fn prepare(&mut self, shown: Option<Cause>) -> Action {
        self.state = State::Preparing(shown);
        Action::Prepare
    }

    fn wait(&mut self, cause: Cause, until: Instant, retry_at: Instant) -> Action {
        self.state = State::Waiting(Waiting { cause, until, retry_at: retry_at.max(until) });
        Action::None
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
