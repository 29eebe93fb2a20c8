//! Room that all servers share, and of which a little is set aside for each.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much is set aside for each server, so that one whose clients take all that they can get leaves the others something.
const OWN: usize = 4;

/// Of a server.
pub(super) struct Room {
    limit: usize,
    within: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    own: Arc<Semaphore>,
    /// What `own` is made of.
    set_aside: Mutex<Vec<OwnedSemaphorePermit>>,
}

/// One place in it, until this is dropped.
pub(super) struct Place {
    _within: OwnedSemaphorePermit,
    _of: OwnedSemaphorePermit,
}

impl Room {
    /// For so many, as far as there is room in what all share.
    pub(super) fn new(limit: usize, shared: Arc<Semaphore>) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let room = Self { limit, within: semaphore(limit), shared, own: semaphore(0), set_aside: Mutex::default() };
        room.set_aside();
        room
    }

    /// A place, if there is one.
    pub(super) fn take(&self) -> Option<Place> {
        let within = take(&self.within)?;
        self.set_aside();
        // Its own last: it is for when nothing else is left.
        let of = take(&self.shared).or_else(|| take(&self.own))?;
        Some(Place { _within: within, _of: of })
    }

    /// Where others had taken all when the server began, it gets its own as they give it back.
    fn set_aside(&self) {
        let mut set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner);
        while set_aside.len() < OWN
            && let Some(permit) = take(&self.shared)
        {
            set_aside.push(permit);
            self.own.add_permits(1);
        }
    }

    /// Waits until all places are back.
    pub(super) async fn is_empty(&self) {
        // An error would mean that it is closed, which nobody does.
        let _ = self.within.acquire_many(u32::try_from(self.limit).unwrap_or(u32::MAX)).await;
    }
}

pub(crate) fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

pub(super) fn take(from: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    from.clone().try_acquire_owned().ok()
}
