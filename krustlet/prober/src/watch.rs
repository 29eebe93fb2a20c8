//! Probes a container for as long as it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use krustlet_core::serving::health::{Kind, Verdict};
use krustlet_core::serving::probes::Plan;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::check::{Find, check};

/// What a probe has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub kind: Kind,
    /// Why it is no success, if it is none.
    pub fault: Option<String>,
    /// What it comes to.
    pub verdict: Verdict,
    /// How long the container has to end, if it is to be killed for it and the probe says so.
    pub grace: Option<Duration>,
}

/// Probes where `find` says, and tells what is news: failures, and what they come to. Once its pod is `leaving`, only whether it is ready is
/// asked, as by a kubelet. Never ends, but after a verdict of death, or where nothing is asked any more.
pub async fn watch(plans: Vec<Plan>, leaving: Arc<AtomicBool>, find: impl Find, tell: impl Fn(Found)) {
    let begun = Instant::now();
    let (first, others): (Vec<_>, Vec<_>) = plans.into_iter().partition(|plan| plan.kind == Kind::Startup);
    for plan in first {
        if one(&plan, begun, &leaving, &find, &tell).await != Verdict::Started {
            return;
        }
    }
    join_all(others.iter().map(|plan| one(plan, begun, &leaving, &find, &tell))).await;
}

/// Makes one probe until it has its last verdict, or is not asked any more. Its delay is counted from when the container `begun`, also
/// after a startup probe.
async fn one(plan: &Plan, begun: Instant, leaving: &AtomicBool, find: &impl Find, tell: &impl Fn(Found)) -> Verdict {
    sleep_until(begun + plan.delay).await;
    let mut tally = plan.tally();
    let mut period = interval(plan.period);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        if plan.kind != Kind::Readiness && leaving.load(Ordering::Relaxed) {
            return Verdict::Same;
        }
        let fault = check(&plan.action, find, plan.timeout).await.err().map(|error| error.to_string());
        let verdict = tally.count(fault.is_none());
        if fault.is_some() || verdict != Verdict::Same {
            tell(Found { kind: plan.kind, fault, verdict, grace: plan.grace });
        }
        if matches!(verdict, Verdict::Started | Verdict::Kill) {
            return verdict;
        }
    }
}
