//! Spans that have ended and wait to be sent. Whoever ends one never waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::span::Record;

/// How many may wait, and how many are sent at once: OpenTelemetry's own numbers
/// (<https://opentelemetry.io/docs/specs/otel/trace/sdk/#batching-processor>).
pub(crate) const QUEUE: usize = 2048;
pub(crate) const BATCH: usize = 512;

/// How many of them may be of one namespace's programs, so that those whose clients take all that they can get leave the others something.
pub(crate) const SHARE: usize = QUEUE / 2;

/// What has become of spans since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// A collector has them.
    pub exported: u64,
    /// There was no room for them.
    pub queue_full: u64,
    /// No collector took them in time, or it took none of them.
    pub failed: u64,
    /// A collector said that it would not have them, though it took others that were sent with them.
    pub rejected: u64,
    /// They wait. Goes up and down.
    pub queued: u64,
}

impl Counts {
    /// Those that no collector has, nor will have.
    pub fn dropped(&self) -> u64 {
        self.queue_full + self.failed + self.rejected
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    spans: Mutex<VecDeque<Record>>,
    full: Notify,
    exported: AtomicU64,
    queue_full: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one into it, or drops it. `share` counts those that are of its namespace.
    pub(crate) fn push(&self, record: Record, share: &AtomicUsize) {
        let mut spans = self.lock();
        // Only whoever holds the lock changes it.
        let own = share.load(Ordering::Relaxed);
        if spans.len() >= QUEUE || own >= SHARE {
            drop(spans);
            self.queue_full.fetch_add(1, Ordering::Relaxed);
            return;
        }
        share.store(own + 1, Ordering::Relaxed);
        spans.push_back(record);
        let is_full = spans.len() == BATCH;
        drop(spans);
        if is_full {
            self.full.notify_one();
        }
    }

    /// Those that wait longest, a batch at most.
    pub(crate) fn take(&self) -> Vec<Record> {
        let mut spans = self.lock();
        let count = spans.len().min(BATCH);
        let taken: Vec<_> = spans.drain(..count).collect();
        for record in &taken {
            record.origin.queued().fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits until there is a batch, or there was one since it was last waited for.
    pub(crate) async fn filled(&self) {
        self.full.notified().await;
    }

    /// So many were sent, of which the collector would not have some.
    pub(crate) fn sent(&self, count: usize, rejected: u64) {
        let rejected = rejected.min(count as u64);
        self.exported.fetch_add(count as u64 - rejected, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, count: usize) {
        self.failed.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            exported: get(&self.exported),
            queue_full: get(&self.queue_full),
            failed: get(&self.failed),
            rejected: get(&self.rejected),
            queued: self.len() as u64,
        }
    }
}
