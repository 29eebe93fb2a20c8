//! The life of one container, as a table.
//!
//! | state     | event        | next state                     | to do   |
//! |-----------|--------------|--------------------------------|---------|
//! | Preparing | started      | Running                        |         |
//! | Preparing | pull failed  | Waiting (ErrImagePull)         |         |
//! | Preparing | bad config   | Waiting (CreateContainerConfigError) |   |
//! | Preparing | ended¹       | as Running                     |         |
//! | Running   | ended        | Ended, if the policy says so   |         |
//! |           |              | Preparing, the first time      | prepare |
//! |           |              | Waiting (CrashLoopBackOff)     |         |
//! | Waiting   | time is up   | Waiting (ImagePullBackOff), after ErrImagePull | |
//! |           |              | Preparing, after all others    | prepare |
//! | any       | spec changed | Running until it has stopped   | stop    |
//! |           |              | Preparing, if not Running      | prepare |
//! | any       | stop         | Running until it has stopped   | stop    |
//! |           |              | Ended, if not Running          | abort   |
//!
//! ¹ A module that cannot be started counts as a container that ended at once, with the kubelet's code 128.
//!
//! Nothing here does anything: the worker does, and tells what came of it.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::backoff::Backoff;

/// `restartPolicy` of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Also after success. The default.
    Always,
    /// After an exit code that is not 0.
    OnFailure,
    /// Not at all.
    Never,
}

impl RestartPolicy {
    /// As written in the pod's spec; Kubernetes' default is `Always`.
    pub fn of(declared: Option<&str>) -> Self {
        match declared {
            Some("OnFailure") => Self::OnFailure,
            Some("Never") => Self::Never,
            _ => Self::Always,
        }
    }

    /// Whether a container that ended with this code is started again.
    pub fn restarts(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// The program's own, or 128 and more when it did not end by itself.
    pub exit_code: i32,
    /// One word: `Completed`, `Error`, `StartError` …
    pub reason: String,
    /// A sentence, if there is more to say.
    pub message: Option<String>,
    /// When it was started, if it was.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// `wasmtime://…`
    pub container_id: Option<String>,
}

impl Termination {
    fn ran_for(&self) -> Duration {
        let started = self.started_at.unwrap_or(self.finished_at);
        Duration::try_from(self.finished_at.duration_since(started)).unwrap_or_default()
    }
}

/// Why a container waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// One word, the kubelet's.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// When something happens next.
    pub until: Instant,
    /// When the next attempt is made; not before `until`.
    retry_at: Instant,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its module is being made ready, or is being started.
    Preparing,
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
    /// The guest was started.
    Started {
        /// When.
        at: Timestamp,
        /// `registry/repository@sha256:…`
        image_id: String,
        /// `wasmtime://…`
        container_id: String,
    },
    /// There is no module; reason and message for the status.
    PullFailed(&'static str, String),
    /// The spec names something that is not there or cannot be had.
    ConfigInvalid(String),
    /// The guest has ended, or could not be started.
    Exited(Termination),
    /// [`Machine::next_deadline`] is past.
    Timer,
    /// The container's image in the spec is another now.
    SpecChanged,
    /// The pod is to end.
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
const CONFIG_RETRY: Duration = Duration::from_secs(60);

/// The container.
#[derive(Clone, Debug)]
pub struct Machine {
    policy: RestartPolicy,
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
    stopping: bool,
    replacing: bool,
}

impl Machine {
    /// A container that was never started.
    pub fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            state: State::Preparing,
            last: None,
            before_last: None,
            attempts: 0,
            image_id: String::new(),
            container_id: None,
            pulls: Backoff::default(),
            crashes: Backoff::default(),
            stopping: false,
            replacing: false,
        }
    }

    /// Kubernetes' count: attempts after the first.
    pub fn restart_count(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// Whether nothing will happen any more.
    pub fn ended(&self) -> bool {
        self.state == State::Ended
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
            (State::Preparing, Event::Started { at, image_id, container_id }) => {
                self.attempts += 1;
                self.image_id = image_id;
                self.container_id = Some(container_id);
                self.pulls.reset();
                self.state = State::Running { started_at: at };
                Action::None
            }
            (State::Preparing, Event::PullFailed(reason, message)) => {
                let retry_at = now + self.pulls.pause();
                self.wait(reason, message, now + ERROR_SHOWN, retry_at)
            }
            (State::Preparing, Event::ConfigInvalid(message)) => {
                let retry_at = now + CONFIG_RETRY;
                self.wait("CreateContainerConfigError", message, retry_at, retry_at)
            }
            (State::Preparing, Event::Exited(termination)) => {
                self.attempts += 1;
                self.exited(termination, now)
            }
            (State::Running { .. }, Event::Exited(termination)) => self.exited(termination, now),
            (State::Waiting(waiting), Event::Timer) if now >= waiting.until => {
                let waiting = waiting.clone();
                if now >= waiting.retry_at {
                    return self.prepare();
                }
                let reason = if waiting.reason == "ErrImagePull" { "ImagePullBackOff" } else { waiting.reason };
                self.wait(reason, waiting.message, waiting.retry_at, waiting.retry_at)
            }
            (State::Running { .. }, Event::SpecChanged) => {
                self.replacing = true;
                Action::Stop
            }
            (State::Preparing | State::Waiting(_), Event::SpecChanged) => {
                self.pulls.reset();
                self.prepare()
            }
            (State::Running { .. }, Event::Stop) => {
                self.stopping = true;
                Action::Stop
            }
            (State::Preparing | State::Waiting(_), Event::Stop) => {
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
        if self.stopping {
            self.state = State::Ended;
            return Action::None;
        }
        if std::mem::take(&mut self.replacing) {
            return self.prepare();
        }
        if !self.policy.restarts(code) {
            self.state = State::Ended;
            return Action::None;
        }
        let pause = self.crashes.restart_pause(ran_for);
        if pause.is_zero() {
            return self.prepare();
        }
        let message = format!("back-off {}s restarting failed container", pause.as_secs());
        self.wait("CrashLoopBackOff", message, now + pause, now + pause)
    }

    fn prepare(&mut self) -> Action {
        self.state = State::Preparing;
        Action::Prepare
    }

    fn wait(&mut self, reason: &'static str, message: String, until: Instant, retry_at: Instant) -> Action {
        self.state = State::Waiting(Waiting { reason, message, until, retry_at: retry_at.max(until) });
        Action::None
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
