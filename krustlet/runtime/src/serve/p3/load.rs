//! What an instance has to do, and what it was given.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::super::call::Call;
use super::super::request::Outcome;
use super::super::telemetry::id::RequestId;

/// What an instance has to do.
#[derive(Debug)]
pub(super) struct Load {
    requests: AtomicUsize,
    uses: AtomicUsize,
    /// Whether it computes, as far as is known, so that others had to wait for it.
    computes: AtomicBool,
    /// When its last request was over.
    since: Mutex<Instant>,
    notice: Notify,
    /// Whether it waits for the ends of its requests.
    waits: AtomicBool,
}

impl Load {
    pub(super) fn new() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            uses: AtomicUsize::new(0),
            computes: AtomicBool::new(true),
            since: Mutex::new(Instant::now()),
            notice: Notify::new(),
            waits: AtomicBool::new(false),
        }
    }

    /// One more: which one of all that it has had.
    pub(super) fn add(&self) -> usize {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.computes(true);
        self.uses.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn has_to_wait(&self) -> bool {
        self.computes.load(Ordering::Relaxed)
    }

    pub(super) fn computes(&self, computes: bool) {
        self.computes.store(computes, Ordering::Relaxed);
    }

    /// When its last request was over, or it was made.
    pub(super) fn since(&self) -> Instant {
        *self.last()
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has failed; or, once it waits for that, is over.
    pub(super) async fn noticed(&self) {
        self.notice.notified().await;
    }

    /// From here on it is told of each end. Of those before it is not.
    pub(super) fn wait(&self) {
        self.waits.store(true, Ordering::SeqCst);
    }
}

/// What a request takes of an instance, until it is over. An instance has nothing to do at that, and is not woken for it.
#[derive(Debug)]
pub(in super::super) struct Share {
    load: Arc<Load>,
    _permit: OwnedSemaphorePermit,
}

impl Share {
    pub(super) fn new(load: Arc<Load>, permit: OwnedSemaphorePermit) -> Self {
        Self { load, _permit: permit }
    }

    /// The request has failed.
    pub(in super::super) fn fail(&self) {
        self.load.notice.notify_one();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *self.load.last() = Instant::now();
        self.load.requests.fetch_sub(1, Ordering::Relaxed);
        if self.load.waits.load(Ordering::SeqCst) {
            self.load.notice.notify_one();
        }
    }
}

/// A request that an instance has.
pub(super) struct UnderWay {
    pub(super) call: Arc<Call>,
    pub(super) id: RequestId,
    /// Not the call's own, which goes before anybody can say why.
    pub(super) sender: Mutex<Option<oneshot::Sender<Outcome>>>,
    pub(super) begun: Instant,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // One that has failed, and whose call has come to its end.
        self.call.release();
    }
}

/// What an instance was given.
#[derive(Default)]
pub(super) struct Had {
    /// What is not over, as far as was looked.
    pub(super) live: Vec<Arc<UnderWay>>,
    pub(super) last: Option<RequestId>,
}

impl Had {
    /// Looks what is over, or has failed; whether one has.
    pub(super) fn settle(&mut self) -> bool {
        let mut failed = false;
        self.live.retain(|one| {
            // In this order: one that fails meanwhile is looked at again, and never taken for one that has ended well.
            let settled = one.call.is_settled();
            failed |= one.call.has_failed();
            !settled
        });
        failed
    }
}
