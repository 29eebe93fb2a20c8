//! Room that all servers share, and of which each has a little of its own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much a server has of its own, whatever others take: so much is always there for those who ask whether it is well, too.
const OWN: usize = 4;

/// Of a server.
pub(super) struct Room {
    limit: usize,
    within: Arc<Semaphore>,
    own: Arc<Semaphore>,
    shared: Arc<Semaphore>,
}

/// One place in it, until this is dropped.
pub(super) struct Place {
    _within: OwnedSemaphorePermit,
    _of: OwnedSemaphorePermit,
}

impl Room {
    /// For so many, as far as there is room for them in what is [`shared`].
    pub(super) fn new(limit: usize, shared: Arc<Semaphore>) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self { limit, within: semaphore(limit), own: semaphore(OWN), shared }
    }

    /// A place, if there is one.
    pub(super) fn take(&self) -> Option<Place> {
        let within = take(&self.within)?;
        let of = take(&self.own).or_else(|| take(&self.shared))?;
        Some(Place { _within: within, _of: of })
    }

    /// Waits until all places are back.
    pub(super) async fn is_empty(&self) {
        // An error would mean that it is closed, which nobody does.
        let _ = self.within.acquire_many(u32::try_from(self.limit).unwrap_or(u32::MAX)).await;
    }
}

/// What servers share where there is room for so many in all: half of it. The other half is for what each has of its own.
pub(crate) fn shared(all: usize) -> Arc<Semaphore> {
    semaphore(all / 2)
}

pub(super) fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

pub(super) fn take(from: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    from.clone().try_acquire_owned().ok()
}
