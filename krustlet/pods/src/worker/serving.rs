//! What a worker does with containers that listen: it probes them, and lets them end what is under way.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use krustlet_core::lifecycle::course::grace_period;
use krustlet_core::lifecycle::policy::Role;
use krustlet_core::serving::health::{Kind, Verdict};
use krustlet_core::serving::ports::PortLease;
use krustlet_core::serving::probes;
use krustlet_prober::{Found, watch};
use krustlet_runtime::Container;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Worker;
use crate::containers::begin::Begun;
use crate::containers::slot::{News, What};
use crate::serving::{Answering, Serving};

/// How long a container of a pod that is deleted still takes new requests: so long may it take until all have heard of it.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// How long a program that has begun has to listen again where it may have listened under an earlier agent.
const FIRST_BIND: Duration = Duration::from_secs(10);

/// Between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(50);

impl Worker {
    /// Looks after one that has been started.
    pub(super) fn serve(&mut self, index: usize, begun: Begun) {
        let slot = &mut self.slots[index];
        let Begun { answering, plans, pre_stop, lease } = begun;
        slot.port = lease;
        let (news, epoch, asked) = (self.news.clone(), slot.epoch, answering.clone());
        let tell = move |found| {
            let _ = news.send(News::Container { slot: index, epoch, what: What::Probed(found) });
        };
        let health = probes::at_first(&plans);
        let serving = slot.serving.insert(Serving {
            answering,
            health,
            pre_stop,
            ends: false,
            unwell: Arc::default(),
            tasks: JoinSet::new(),
        });
        if let Answering::Sockets { container, at } = &serving.answering {
            let is_own = |lease: &PortLease| at.contains(&lease.address());
            let (own, others) = mem::take(&mut self.ports_before).into_iter().partition(is_own);
            self.ports_before = others;
            serving.tasks.spawn(keep(own, container.clone()));
        }
        serving.tasks.spawn(watch(plans, self.leaving.clone(), move |port| asked.at(port), tell));
    }

    /// Lets one end that may go on until the grace period is over. A sidecar goes on as long as the others. One that is not started again
    /// after success goes on as well when the agent stops, as that is no success of its own.
    pub(super) fn wind_down(&mut self, index: usize) {
        let slot = &self.slots[index];
        let deleting = self.course.deleting();
        let Some(left) = self.course.left(Instant::now()) else { return };
        if slot.role == Role::Sidecar || !deleting && slot.machine.finishes() {
            return;
        }
        self.end_gracefully(index, LAST_REQUESTS.min(left / 3), left);
    }

    /// Lets a sidecar end whose turn has come, if there is time for it. Returns whether it does.
    pub(super) fn sidecar_ends(&mut self, index: usize) -> bool {
        if self.slots[index].role != Role::Sidecar || self.course.gone || self.course.verdict().is_some() {
            return false;
        }
        let left = self.course.left(Instant::now()).unwrap_or_else(|| grace_period(&self.pod));
        let ends = !left.is_zero() && self.end_gracefully(index, Duration::ZERO, left);
        let slot = &mut self.slots[index];
        if let (true, Some(serving), Some(guest)) = (ends, &mut slot.serving, slot.guest.clone()) {
            // It may be about to end with more time, for another reason.
            serving.tasks.spawn(async move {
                sleep(left).await;
                guest.stop();
            });
        }
        ends
    }

    /// Ends by force what was given time to end, and has none any more.
    pub(super) fn end_late(&self) {
        let late = self.slots.iter().filter(|slot| slot.machine.stopping() && slot.serving.is_some());
        late.filter_map(|slot| slot.guest.as_ref()).for_each(|guest| guest.stop());
    }

    /// Lets one end: after its hook, and after the time of `linger`, in which it takes new requests. All of it has `left`; what is under way
    /// then is ended by force. Returns whether it answers requests.
    pub(super) fn end_gracefully(&mut self, index: usize, linger: Duration, left: Duration) -> bool {
        let deleting = self.course.deleting();
        let slot = &mut self.slots[index];
        let subject = slot.subject(&self.subject);
        let Some(serving) = &mut slot.serving else { return false };
        if mem::replace(&mut serving.ends, true) {
            return true;
        }
        // Of a pod that is deleted all know that nothing new is to be sent there; of any other one they know by this.
        serving.health.ready &= deleting;
        // A program that is to come to its end may have more to do than what its clients see: it has all of the time.
        let goes_on = deleting && !linger.is_zero() && slot.machine.finishes() && serving.answering.server().is_none();
        let (answering, hook, shared) = (serving.answering.clone(), serving.pre_stop.take(), self.shared.clone());
        let ends = Instant::now() + left;
        serving.tasks.spawn(async move {
            if let Some(hook) = hook
                && let Err(fault) = hook.run(|port| answering.at(port), left).await
            {
                shared.events.warning(&subject, "FailedPreStopHook", format!("PreStopHook failed: {fault}"));
            }
            if goes_on {
                return;
            }
            let left = ends.saturating_duration_since(Instant::now());
            answering.drain(linger.min(left), left.saturating_sub(linger), deleting).await;
        });
        true
    }

    /// Tells what a probe has found, and does what comes of it.
    pub(super) fn probed(&mut self, index: usize, found: &Found) {
        let slot = &mut self.slots[index];
        let subject = slot.subject(&self.subject);
        let Some(serving) = &mut slot.serving else { return };
        if serving.ends {
            // It may become unready, and nothing else.
            serving.health.ready &= found.verdict != Verdict::Ready(false);
            return;
        }
        // Nobody asks any more whether it has started or is to go on; this was asked before.
        if found.kind != Kind::Readiness && self.course.leaving() {
            return;
        }
        if let Some(fault) = &found.fault {
            let note = format!("{} probe failed: {fault}", found.kind.word());
            self.shared.events.warning(&subject, "Unhealthy", note);
        }
        match found.verdict {
            Verdict::Same => {}
            Verdict::Started => serving.health.started = true,
            Verdict::Ready(ready) => serving.health.ready = ready,
            Verdict::Kill => {
                serving.unwell.store(true, Ordering::Relaxed);
                let word = found.kind.word().to_lowercase();
                let note = format!("Container {} failed {word} probe, will be restarted", slot.name);
                self.tell_killing(index, note);
                let grace = found.grace.unwrap_or_else(|| grace_period(&self.pod));
                self.end_gracefully(index, Duration::ZERO, grace);
            }
        }
    }
}

/// Keeps ports for a program until it listens there, or has had its time for that.
async fn keep(mut ports: Vec<PortLease>, container: Container) {
    let listens = async {
        while !ports.is_empty() {
            sleep(LOOK).await;
            ports.retain(|port| !container.listens(port.address()));
        }
    };
    let _ = timeout(FIRST_BIND, listens).await;
}
