//! What a pod as a whole is to do, from what is wished of it and what time it is. Pure.
//!
//! | what is so, the first that holds          | orders |
//! |-------------------------------------------|--------|
//! | it had ended before this agent took it up | Stop   |
//! | it is gone, or the agent stops            | Stop   |
//! | it has failed: refused, evicted, too long active | Stop |
//! | it is being deleted                       | Retire, and Stop when the grace period is over |
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
    /// The agent is stopping.
    pub shutdown: bool,
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
            shutdown: false,
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
            let grace = grace.or(spec.and_then(|spec| spec.termination_grace_period_seconds)).unwrap_or(GRACE_SECONDS);
            let ends = now + seconds(grace);
            self.grace_ends = Some(self.grace_ends.map_or(ends, |before| before.min(ends)));
        }
        self.active_until = spec.and_then(|spec| spec.active_deadline_seconds).map(|limit| {
            let active = Duration::try_from(time.duration_since(start_time)).unwrap_or_default();
            now + seconds(limit).saturating_sub(active)
        });
    }

    /// Fails the pod, unless it is at its end for another reason. Returns whether that is news.
    pub fn fail(&mut self, reason: &str, message: &str) -> bool {
        let news = self.verdict.is_none() && !self.ending();
        if news {
            self.verdict = Some(Verdict { reason: reason.into(), message: message.into() });
        }
        news
    }

    /// Looks at the clock. Returns whether the pod has failed by it.
    pub fn look(&mut self, now: Instant) -> bool {
        self.active_until.is_some_and(|until| now >= until)
            && !self.held
            && self.fail("DeadlineExceeded", DEADLINE_MESSAGE)
    }

    /// Why it fails, if it does.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// What is left of its grace period, if that runs.
    pub fn grace_left(&self, now: Instant) -> Option<Duration> {
        self.grace_ends.map(|ends| ends.saturating_duration_since(now))
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
        self.gone || self.shutdown || self.deleting()
    }

    /// By the table above.
    pub fn orders(&self, now: Instant) -> Orders {
        match self.grace_ends {
            _ if self.over || self.gone || self.shutdown || self.verdict.is_some() => Orders::Stop,
            Some(ends) if now < ends => Orders::Retire,
            Some(_) => Orders::Stop,
            None if self.held || !self.mounted => Orders::Hold,
            None => Orders::Run,
        }
    }

    /// When the time alone changes something next, if it does.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.over || self.gone || self.shutdown || self.verdict.is_some() {
            return None;
        }
        match self.grace_ends {
            Some(ends) => (ends > now).then_some(ends),
            None => self.active_until.filter(|_| !self.held),
        }
    }
}

/// As a span that can be added to any time: a limit of many years is none.
fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(metadata: Value, spec: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
    }

    fn deleted(grace: i64) -> Pod {
        pod(
            json!({ "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace }),
            json!({ "containers": [] }),
        )
    }

    fn running() -> Course {
        Course { mounted: true, ..Course::new(false) }
    }

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn the_table() {
        let now = Instant::now();
        let verdict = Some(Verdict { reason: "Evicted".into(), message: String::new() });
        let (soon, past) = (Some(now + seconds(1)), Some(now));
        let table = [
            (Course::new(false), Orders::Hold),
            (running(), Orders::Run),
            (Course { held: true, ..running() }, Orders::Hold),
            (Course { over: true, ..running() }, Orders::Stop),
            (Course { gone: true, ..running() }, Orders::Stop),
            (Course { shutdown: true, ..running() }, Orders::Stop),
            (Course { verdict: verdict.clone(), ..running() }, Orders::Stop),
            (Course { grace_ends: soon, ..running() }, Orders::Retire),
            (Course { grace_ends: soon, mounted: false, ..running() }, Orders::Retire),
            (Course { grace_ends: soon, held: true, ..running() }, Orders::Retire),
            (Course { grace_ends: past, ..running() }, Orders::Stop),
            (Course { grace_ends: soon, gone: true, ..running() }, Orders::Stop),
            (Course { grace_ends: soon, shutdown: true, ..running() }, Orders::Stop),
            (Course { grace_ends: soon, verdict, ..running() }, Orders::Stop),
        ];
        for (course, wanted) in table {
            assert_eq!(course.orders(now), wanted, "{course:?}");
        }
    }

    #[test]
    fn the_grace_period_counts_from_the_first_news_and_only_gets_shorter() {
        let (mut course, now) = (running(), Instant::now());
        course.set_deadlines(&deleted(30), START, now, START);
        assert_eq!(course.next_deadline(now), Some(now + seconds(30)));
        course.set_deadlines(&deleted(30), START, now + seconds(10), START);
        assert_eq!(course.next_deadline(now), Some(now + seconds(30)), "an unchanged pod changes nothing");
        course.set_deadlines(&deleted(5), START, now + seconds(11), START);
        assert_eq!(course.next_deadline(now), Some(now + seconds(16)));
        assert_eq!(course.orders(now + seconds(16)), Orders::Stop);
        assert_eq!(course.next_deadline(now + seconds(16)), None);
    }

    #[test]
    fn endless_limits_are_limits_too() {
        let (mut course, now) = (running(), Instant::now());
        course.set_deadlines(&deleted(i64::MAX), START, now, START);
        assert_eq!(course.orders(now), Orders::Retire);
        let limit = pod(json!({}), json!({ "containers": [], "activeDeadlineSeconds": i64::MAX }));
        let mut course = running();
        course.set_deadlines(&limit, START, now, START);
        assert!(course.next_deadline(now).is_some());
    }

    #[test]
    fn no_grace_means_at_once() {
        let (mut course, now) = (running(), Instant::now());
        course.set_deadlines(&deleted(0), START, now, START);
        assert_eq!(course.orders(now), Orders::Stop);
    }

    #[test]
    fn the_active_deadline_counts_from_the_start_time_and_may_be_shortened() {
        let limited = |limit: i64| pod(json!({}), json!({ "containers": [], "activeDeadlineSeconds": limit }));
        let (mut course, now) = (running(), Instant::now());
        let time = Timestamp::from_second(20).unwrap();
        course.set_deadlines(&limited(60), START, now, time);
        assert_eq!(course.next_deadline(now), Some(now + seconds(40)));
        course.set_deadlines(&limited(30), START, now, time);
        assert_eq!(course.next_deadline(now), Some(now + seconds(10)));
        assert!(!course.look(now + seconds(9)));
        assert!(course.look(now + seconds(10)));
        assert!(!course.look(now + seconds(10)), "it is news once");
        assert_eq!(course.verdict().unwrap().reason, "DeadlineExceeded");
        assert_eq!((course.orders(now), course.next_deadline(now)), (Orders::Stop, None));

        let mut late = running();
        late.set_deadlines(&limited(5), START, now, time);
        assert!(late.look(now), "it was over while no agent ran");
    }

    #[test]
    fn what_ends_already_does_not_fail_besides() {
        for mut course in [
            Course::new(true),
            Course { gone: true, ..running() },
            Course { shutdown: true, ..running() },
            Course { grace_ends: Some(Instant::now()), ..running() },
        ] {
            assert!(!course.fail("Evicted", "too big"), "{course:?}");
            assert_eq!(course.verdict(), None);
        }
    }
}
