//! Node-pressure eviction: when memory is short a pod goes, so that the others and the node stay.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>

mod rank;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use krustlet_runtime::MemoryBudget;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use self::rank::Candidate;
use super::directory::Directory;
use crate::node::{self, readings};

/// How often the machine's own memory is looked at, as by a kubelet. What programs wait for is seen at once.
const LOOK: Duration = Duration::from_secs(10);
/// How long one that was asked to go may take before the next one is asked.
const LEAVING: Duration = Duration::from_secs(5);
/// Time between two looks while memory is short.
const PAUSE: Duration = Duration::from_millis(50);

/// What is known of evictions from outside. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Evictions(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    memory: AtomicU64,
    short_of_memory: Mutex<Option<Instant>>,
}

impl Evictions {
    /// How many pods had to go for want of memory.
    pub fn for_memory(&self) -> u64 {
        self.0.memory.load(Ordering::Relaxed)
    }

    /// When memory was short last, if it was.
    pub fn short_of_memory(&self) -> Option<Instant> {
        *self.0.short_of_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_shortage(&self) {
        *self.0.short_of_memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// A pod that must go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Of the pod.
    pub uid: String,
    /// Why, in a kubelet's words.
    pub message: String,
}

/// Looks for pods that must go.
pub struct Evictor {
    budget: MemoryBudget,
    directory: Directory,
    evictions: Evictions,
    tick: Interval,
    /// The one that was asked to go last, and when.
    leaving: Option<(String, Instant)>,
}

impl Evictor {
    /// For the pods in `directory`, whose programs share `budget`.
    pub fn new(budget: MemoryBudget, directory: Directory, evictions: Evictions) -> Self {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { budget, directory, evictions, tick, leaving: None }
    }

    /// The next pod that must go; waits until there is one. May be dropped and called again.
    pub async fn next(&mut self) -> Victim {
        loop {
            let mut wanted = self.budget.wanted();
            let measured = tokio::select! {
                biased;
                // The sender is in the budget.
                _ = wanted.wait_for(|bytes| *bytes > 0) => None,
                _ = self.tick.tick() => Some(measure().await),
            };
            let short = match measured {
                None => Some(format!(
                    "Programs have {} of {} bytes, and more are asked for. ",
                    self.budget.used_bytes(),
                    self.budget.total_bytes()
                )),
                Some(available) => available.filter(|bytes| *bytes < node::LEAST_MEMORY_BYTES).map(|bytes| {
                    format!("Threshold quantity: {}, available: {bytes}. ", node::LEAST_MEMORY_BYTES)
                }),
            };
            if let Some(short) = short {
                self.evictions.note_shortage();
                if !self.leaves()
                    && let Some(victim) = self.choose(&short)
                {
                    return victim;
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether the one that was asked last is still to go.
    fn leaves(&self) -> bool {
        self.leaving.as_ref().is_some_and(|(uid, since)| {
            let runs = self.directory.all().iter().any(|(_, pod)| pod.uid == *uid && pod.is_running());
            runs && since.elapsed() < LEAVING
        })
    }

    fn choose(&mut self, short: &str) -> Option<Victim> {
        let candidates = self.directory.all().into_iter().filter_map(|(_, view)| {
            let used = view.containers.iter().filter_map(|container| {
                let usage = container.guest.as_ref()?.usage();
                Some((container.name.clone(), usage.memory_bytes.saturating_add(usage.wanted_memory_bytes)))
            });
            Candidate::of(&view.pod, "memory", used)
        });
        // One that does not go in time is not asked again.
        let asked = self.leaving.take().map(|(uid, _)| uid);
        let first = rank::first(candidates.filter(|candidate| Some(&candidate.uid) != asked.as_ref()))?;
        let (container, usage) = &first.largest;
        let message = format!(
            "The node was low on resource: memory. {short}Container {container} was using {usage}, request is {}, has larger \
             consumption of memory. ",
            first.request
        );
        self.evictions.0.memory.fetch_add(1, Ordering::Relaxed);
        self.leaving = Some((first.uid.clone(), Instant::now()));
        Some(Victim { uid: first.uid, message })
    }
}

/// Bytes of memory that this process and its neighbours could still have.
async fn measure() -> Option<u64> {
    let read = tokio::task::spawn_blocking(readings::memory).await;
    read.ok().flatten().map(|memory| memory.available_bytes)
}

#[cfg(test)]
mod tests;
