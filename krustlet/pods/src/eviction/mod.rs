//! When the node is short of something, as many pods go as it takes to keep the others and the node.
//!
//! | file   | what it knows                                                            |
//! |--------|--------------------------------------------------------------------------|
//! | memory | when memory is short, by measurement and by what programs wait for       |
//! | disk   | when disk or inodes are: modules first, then logs of the dead, then pods |
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>

mod disk;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use krustlet_core::eviction::rank::{self, Candidate};
use krustlet_core::node::{Resource, Shortage};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{PodView, Shared};

/// Time between two looks at one that is to go.
const PAUSE: Duration = Duration::from_millis(20);

/// How many pods had to go. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Evictions(Arc<[AtomicU64; 3]>);

impl Evictions {
    /// By the kubelet's name for what was short.
    pub fn by_signal(&self) -> [(&'static str, u64); 3] {
        let signals = [Resource::Memory, Resource::Storage, Resource::Inodes];
        let names = ["memory.available", "nodefs.available", "nodefs.inodesFree"];
        std::array::from_fn(|at| (names[at], self.count(signals[at]).load(Ordering::Relaxed)))
    }

    fn count(&self, resource: Resource) -> &AtomicU64 {
        &self.0[match resource {
            Resource::Memory => 0,
            Resource::Storage => 1,
            Resource::Inodes => 2,
        }]
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

/// Looks after what the node has too little of, for ever, and tells which pods must go for it.
pub async fn run(shared: Arc<Shared>, victims: mpsc::Sender<Victim>) {
    let evictor = || Evictor { shared: shared.clone(), victims: victims.clone(), last: None, helpless: false };
    tokio::join!(memory::run(evictor()), disk::run(evictor()));
}

/// Sends pods away, one at a time.
struct Evictor {
    shared: Arc<Shared>,
    victims: mpsc::Sender<Victim>,
    /// The one that was asked last.
    last: Option<String>,
    /// Whether it was said that no pod's end would help.
    helpless: bool,
}

impl Evictor {
    /// Asks the first of these to go, and waits until it `has_gone`, for at most `limit`. `None` if there is none whose end would help.
    async fn evict(
        &mut self,
        candidates: impl IntoIterator<Item = Candidate>,
        shortage: &Shortage,
        limit: Duration,
        has_gone: impl Fn(&PodView) -> bool,
    ) -> Option<PodView> {
        // One that has not gone in time is not asked again.
        let asked = self.last.take();
        let others = candidates.into_iter().filter(|candidate| Some(&candidate.uid) != asked.as_ref());
        let first = rank::first(others, shortage)?;
        let view =
            |uid: &str| self.shared.directory.all().into_iter().map(|(_, view)| view).find(|view| view.uid == uid);
        let asked = view(&first.uid)?;
        let message = first.message(shortage);
        tracing::warn!(uid = first.uid, "a pod must go: {message}");
        self.shared.evictions.count(shortage.resource).fetch_add(1, Ordering::Relaxed);
        let (uid, since) = (first.uid, Instant::now());
        self.last = Some(uid.clone());
        // Nobody hears it when the agent stops.
        let _ = self.victims.send(Victim { uid: uid.clone(), message }).await;
        while since.elapsed() < limit && view(&uid).is_some_and(|view| !has_gone(&view)) {
            sleep(PAUSE).await;
        }
        Some(asked)
    }
}

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod local_storage_tests;
#[cfg(test)]
mod memory_tests;
