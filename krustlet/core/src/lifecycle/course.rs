//! What a pod as a whole is to do, from what is wished of it and what time it is. Pure.
//!
//! | what is so, the first that holds          | orders |
//! |-------------------------------------------|--------|
//! | it had ended before this agent took it up | Stop   |
//! | it is gone                                | Stop   |
//! | it has failed: refused, evicted, too long active | Stop |
//! | it is being deleted, or the agent stops   | Retire, and Stop when the grace period is over |
//! | it is held back                           | Hold   |
//! | its volumes are not ready                 | Hold   |
//! | otherwise                                 | Run    |

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::turns::Orders;

/// The kubelet's words for a pod that was active for too long.
const DEADLINE_MESSAGE: &str = "Pod was active on the node longer than the specified deadline";
/// The kubelet's reason and words for a pod that ends because its node does.
const SHUTDOWN: (&str, &str) = ("Terminated", "Pod was terminated in response to imminent node shutdown.");
/// Kubernetes' default for `terminationGracePeriodSeconds`.
const GRACE_SECONDS: i64 = 30;

/// Longer than any pod.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Why a pod fails, whatever its containers do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `DeadlineExceeded`, `Evicted`, …
    pub reason: String,
    /// For people.
    pub message: String,
    /// The node ends it for a reason of the node's own, which another try elsewhere would not meet: the condition `DisruptionTarget`.
    #[serde(default)]
    pub disruption: bool,
}

impl Verdict {
    /// A pod that fails by what it is or does itself.
    pub fn new(reason: &str, message: &str) -> Self {
        Self { reason: reason.into(), message: message.into(), disruption: false }
    }

    /// A pod that takes more than its own limits allow. It would do so again, so that this is no disruption.
    pub fn over_limit(message: &str) -> Self {
        Self::new("Evicted", message)
    }

    /// A pod that goes because the node is short of something.
    pub fn evicted(message: &str) -> Self {
        Self { disruption: true, ..Self::over_limit(message) }
    }

    fn shutdown() -> Self {
        let (reason, message) = SHUTDOWN;
        Self { disruption: true, ..Self::new(reason, message) }
    }
}

/// The course of a pod.
#[derive(Clone, Debug)]
pub struct Course {
    /// It had ended before this agent took it up.
    pub over: bool,
    /// It will not run, but does not fail either.
    pub held: bool,
    /// Its volumes are ready.
    pub mounted: bool,
    /// It is no longer at the API server.
    pub gone: bool,
    /// The agent is stopping, and this is how long the pod may go on.
    shutdown: Option<Instant>,
    verdict: Option<Verdict>,
    /// When its grace period is over: set by its deletion.
    grace_ends: Option<Instant>,
    /// When it has been active for too long.
    active_until: Option<Instant>,
}

impl Course {
    /// Of a pod that is taken up.
    pub fn new(over: bool) -> Self {
        Self {
            over,
            held: false,
            mounted: false,
            gone: false,
            shutdown: None,
            verdict: None,
            grace_ends: None,
            active_until: None,
        }
    }

    /// Of a pod for which an earlier agent had found why it fails.
    pub fn failed(self, verdict: Option<Verdict>) -> Self {
        Self { verdict: verdict.filter(|_| !self.over), ..self }
    }

    /// Takes the deadlines of the pod as it is now: that of its grace period, counted from the first news of its deletion, which a
    /// later deletion may shorten, and that of `activeDeadlineSeconds`, counted from `start_time`.
    pub fn set_deadlines(&mut self, pod: &Pod, start_time: Timestamp, now: Instant, time: Timestamp) {
        let spec = pod.spec.as_ref();
        if pod.metadata.deletion_timestamp.is_some() {
            let grace = pod.metadata.deletion_grace_period_seconds;
            let ends = now + grace.map_or_else(|| grace_period(pod), seconds);
            self.grace_ends = Some(self.grace_ends.map_or(ends, |before| before.min(ends)));
        }
        self.active_until = spec.and_then(|spec| spec.active_deadline_seconds).map(|limit| {
            let active = Duration::try_from(time.duration_since(start_time)).unwrap_or_default();
            now + seconds(limit).saturating_sub(active)
        });
    }

    /// The agent stops, and what runs here must have ended `by` then. A pod that `finishes`, of which something runs that is to come to
    /// its end or has requests to end, has its own grace period for that. Any other has none: it goes on with the next agent, and has been told nothing.
    pub fn shut_down(&mut self, by: Instant, finishes: bool, pod: &Pod, now: Instant) {
        if self.shutdown.is_none() {
            self.shutdown = Some(if finishes { by.min(now + grace_period(pod)) } else { now });
        }
    }

    /// Fails the pod, unless it is at its end for another reason; that the agent stops is none yet for one that has some time left for
    /// it. Returns whether that is news.
    pub fn fail(&mut self, verdict: Verdict, now: Instant) -> bool {
        let stopped = self.shutdown.is_some_and(|ends| now >= ends);
        let news = !(self.over || self.gone || self.deleting() || stopped || self.verdict.is_some());
        if news {
            self.verdict = Some(verdict);
        }
        news
    }

    /// Has a pod that is being deleted end now: its node needs what it takes.
    pub fn hasten(&mut self, now: Instant) {
        self.grace_ends = self.grace_ends.map(|ends| ends.min(now));
    }

    /// Fails a pod that ends now because the agent does, and that no other agent would go on with.
    pub fn end_with_node(&mut self, now: Instant) {
        let over = self.shutdown.is_some_and(|ends| now >= ends);
        if over && self.verdict.is_none() && !(self.over || self.gone || self.deleting()) {
            self.verdict = Some(Verdict::shutdown());
        }
    }

    /// Looks at the clock. Returns whether the pod has failed by it.
    pub fn look(&mut self, now: Instant) -> bool {
        self.active_until.is_some_and(|until| now >= until)
            && !self.held
            && self.fail(Verdict::new("DeadlineExceeded", DEADLINE_MESSAGE), now)
    }

    /// Why it fails, if it does.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Whether the agent is stopping.
    pub fn shutting_down(&self) -> bool {
        self.shutdown.is_some()
    }

    /// What is left of the time in which it is to come to its end, if that runs.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.stops().map(|ends| ends.saturating_duration_since(now))
    }

    /// Whether it is being deleted.
    pub fn deleting(&self) -> bool {
        self.grace_ends.is_some()
    }

    /// Whether it is to end, by a wish from outside or because it has failed.
    pub fn ending(&self) -> bool {
        self.over || self.leaving() || self.verdict.is_some()
    }

    /// Whether the worker has nothing more to do once the containers have ended.
    pub fn leaving(&self) -> bool {
        self.gone || self.shutting_down() || self.deleting()
    }

    /// When what still runs is stopped.
    fn stops(&self) -> Option<Instant> {
        self.grace_ends.into_iter().chain(self.shutdown).min()
    }

    /// By the table above.
    pub fn orders(&self, now: Instant) -> Orders {
        match self.stops() {
            _ if self.over || self.gone || self.verdict.is_some() => Orders::Stop,
            Some(ends) if now < ends => Orders::Retire,
            Some(_) => Orders::Stop,
            None if self.held || !self.mounted => Orders::Hold,
            None => Orders::Run,
        }
    }

    /// When the time alone changes something next, if it does.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.over || self.gone || self.verdict.is_some() {
            return None;
        }
        match self.stops() {
            Some(ends) => (ends > now).then_some(ends),
            None => self.active_until.filter(|_| !self.held),
        }
    }
}

/// What the pod's author gives it to come to its end.
pub fn grace_period(pod: &Pod) -> Duration {
    let grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    seconds(grace.unwrap_or(GRACE_SECONDS))
}

/// As a span that can be added to any time: a limit of many years is none.
pub fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0)).min(LONGEST)
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
