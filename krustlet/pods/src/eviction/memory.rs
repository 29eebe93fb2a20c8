//! Memory: what programs wait for, and what the machine has left.
//!
//! Programs get memory from a budget, which each look at the machine sets to what that could still give. So none of them gets ahead of the
//! looks, however fast it grows: when the budget is used up, whoever wants more waits until the next look, which comes at once, and then
//! until another one has gone.

use std::time::{Duration, Instant};

use krustlet_core::eviction::rank::Candidate;
use krustlet_core::node::Memory;
use krustlet_core::node::{Resource, Shortage};
use krustlet_host::readings;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Evictor;
use crate::PodView;

/// How often the machine's own memory is looked at. What programs wait for is seen at once.
const LOOK: Duration = Duration::from_secs(2);
/// How long one that was asked to go may take before the next one is asked.
const LEAVING: Duration = Duration::from_secs(5);
/// The machine's memory is short for others' sake, too: what has gone must have shown before the next one is asked.
const SETTLING: Duration = Duration::from_secs(10);
/// The same while programs wait, which they do for some seconds only.
const SETTLING_SOON: Duration = Duration::from_secs(2);
/// Time between two looks while programs wait.
const PAUSE: Duration = Duration::from_millis(20);
/// For so many looks whoever waits may be unknown: it has just been started, and another one would go for it.
const UNKNOWN: u32 = 10;

/// What is known when memory is looked at: bytes.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// What programs wait for.
    wanted: u64,
    /// What all programs together may still have.
    budget: u64,
    /// What the machine has left, as far as that is known.
    available: Option<u64>,
    /// What it should have left.
    threshold: u64,
    /// What programs have got, and not touched yet.
    untouched: u64,
}

impl Look {
    /// What of the machine's memory programs can still get.
    fn headroom(&self) -> u64 {
        let Some(available) = self.available else { return u64::MAX };
        available.saturating_sub(self.untouched).saturating_sub(self.threshold)
    }

    /// Whether programs want more than they may have together, whatever the machine has.
    fn beyond_budget(&self) -> bool {
        self.wanted > self.budget
    }

    /// Whether the machine has less than it should.
    fn low(&self) -> bool {
        self.available.is_some_and(|available| available < self.threshold)
    }

    fn shortage(&self) -> Option<Shortage> {
        let short = |threshold, available| Some(Shortage { resource: Resource::Memory, threshold, available });
        match self.available {
            _ if self.beyond_budget() => short(self.wanted, self.budget),
            Some(available) if self.low() => short(self.threshold, available),
            Some(available) if self.wanted > self.headroom() => {
                short(self.threshold.saturating_add(self.wanted), available.saturating_sub(self.untouched))
            }
            _ => None,
        }
    }
}

/// Keeps the machine from running out of memory, for ever.
pub async fn run(mut evictor: Evictor) {
    let budget = evictor.shared.images.engine().memory().clone();
    let mut wanted = budget.wanted();
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unknown = 0;
    // What of this process's memory is no program's.
    let mut own = 0;
    let mut settled = Instant::now();
    loop {
        tokio::select! {
            // The sender is in the budget.
            _ = wanted.wait_for(|bytes| *bytes > 0) => {}
            _ = tick.tick() => {}
        }
        let measured = measure().await;
        if let Some((_, touched)) = measured.filter(|_| budget.used_bytes() == 0) {
            own = touched;
        }
        let look = Look {
            wanted: *wanted.borrow(),
            budget: budget.total_bytes().saturating_sub(budget.used_bytes()),
            available: measured.map(|(memory, _)| memory.available_bytes),
            threshold: measured
                .map_or(0, |(memory, _)| evictor.shared.pressure.thresholds().memory.of(memory.capacity_bytes)),
            untouched: measured
                .map_or(0, |(_, touched)| budget.used_bytes().saturating_sub(touched.saturating_sub(own))),
        };
        budget.set_headroom(look.headroom());
        unknown = if look.wanted > waited_for(&evictor) { unknown + 1 } else { 0 };
        if (1..=UNKNOWN).contains(&unknown) {
            sleep(PAUSE).await;
            continue;
        }
        let settles = !look.beyond_budget() && Instant::now() < settled;
        if let Some(shortage) = look.shortage().filter(|_| !settles) {
            if look.low() {
                evictor.shared.pressure.note(Resource::Memory, Instant::now());
            }
            let asking = asking(&evictor);
            let victim = evictor.evict(candidates(&evictor), &shortage, LEAVING, |view| !view.is_running()).await;
            // Who has gone for what others want would not have where there is enough; who asks for too much itself would.
            if victim.as_ref().is_some_and(|victim| !asking.contains(&victim.uid)) {
                evictor.shared.pressure.note(Resource::Memory, Instant::now());
            }
            if victim.is_some() && !look.beyond_budget() {
                settled = Instant::now() + if look.wanted > 0 { SETTLING_SOON } else { SETTLING };
            }
        }
        if look.wanted > 0 {
            sleep(PAUSE).await;
        }
    }
}

/// What those wait for who are known: bytes.
fn waited_for(evictor: &Evictor) -> u64 {
    let views = evictor.shared.directory.all();
    views.iter().fold(0, |sum, (_, view)| sum.saturating_add(wanted_by(view)))
}

/// Pods that wait for memory.
fn asking(evictor: &Evictor) -> Vec<String> {
    let views = evictor.shared.directory.all().into_iter().map(|(_, view)| view);
    views.filter(|view| wanted_by(view) > 0).map(|view| view.uid).collect()
}

fn wanted_by(view: &PodView) -> u64 {
    let guests = view.containers.iter().filter_map(|container| container.guest.as_ref());
    guests.fold(0, |sum, guest| sum.saturating_add(guest.usage().wanted_memory_bytes))
}

fn candidates(evictor: &Evictor) -> Vec<Candidate> {
    let candidate = |view: PodView| {
        let used = view.containers.iter().filter_map(|container| {
            let usage = container.guest.as_ref()?.usage();
            // Who asks for more than all others have goes itself.
            Some((container.name.clone(), usage.memory_bytes.saturating_add(usage.wanted_memory_bytes)))
        });
        Candidate::of(&view.pod, Resource::Memory, used, 0)
    };
    evictor.shared.directory.all().into_iter().filter_map(|(_, view)| candidate(view)).collect()
}

/// The machine's memory, and what of it this process has touched.
async fn measure() -> Option<(Memory, u64)> {
    let read =
        tokio::task::spawn_blocking(|| Some((readings::memory()?, readings::anonymous_bytes().unwrap_or(0)))).await;
    read.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_memory_is_short() {
        let look = |wanted, budget, available, untouched| Look { wanted, budget, available, threshold: 100, untouched };
        let table = [
            (look(0, 500, Some(1000), 0), 900, None),
            (look(0, 0, Some(100), 0), 0, None),
            // Below the threshold, whoever took it.
            (look(0, 500, Some(99), 0), 0, Some((100, 99))),
            (look(50, 500, Some(99), 0), 0, Some((100, 99))),
            // More than all programs may have together.
            (look(501, 500, Some(1000), 0), 900, Some((501, 500))),
            (look(500, 500, Some(1000), 0), 900, None),
            // More than the machine has left above the threshold.
            (look(150, 500, Some(220), 0), 120, Some((250, 220))),
            (look(120, 500, Some(220), 0), 120, None),
            // What programs have got and will touch is as good as gone, but no pressure yet.
            (look(100, 500, Some(220), 30), 90, Some((200, 190))),
            (look(0, 500, Some(120), 90), 0, None),
            // A machine that does not say what it has.
            (look(500, 500, None, 0), u64::MAX, None),
            (look(501, 500, None, 0), u64::MAX, Some((501, 500))),
        ];
        for (look, headroom, wanted) in table {
            let short = look.shortage().map(|short| (short.threshold, short.available));
            assert_eq!((look.headroom(), short), (headroom, wanted), "{look:?}");
        }
    }
}
