//! The memory of all guests together.
//!
//! Each guest has a limit of its own, but nobody adds these up: a node takes more pods than it has memory for, as few use all that they may.
//! What is there is given to who asks first. When it is all taken, who asks for more waits a moment, in which the embedder may end
//! another guest; if that does not help it is ended itself, as the kernel ends a process when a control group is full.
//!
//! How much there is has two bounds: what guests may have at all, and what the host has left, as the embedder has measured it last. Between
//! two measurements each grant is taken off the second one, so that no burst of growth gets ahead of them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long a guest waits for memory that others have.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all guests of an [`Engine`](crate::Engine) may have together: linear memories and tables. Clones are the same.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Inner>);

struct Inner {
    total: u64,
    patience: Duration,
    taken: Mutex<Taken>,
    /// Changed whenever there may be more.
    released: watch::Sender<()>,
    /// What waits for memory, in bytes.
    wanted: watch::Sender<u64>,
}

#[derive(Clone, Copy)]
struct Taken {
    used: u64,
    /// What may still be given before the host is measured again.
    headroom: u64,
}

/// There is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this host has no more memory for programs: {used} of {total} bytes are taken, and the program asked for {asked} more"
)]
pub(crate) struct Full {
    total: u64,
    used: u64,
    asked: u64,
}

/// What one guest has of it. It is given back when this goes.
pub(crate) struct Share {
    budget: MemoryBudget,
    bytes: u64,
}

/// Bytes that are waited for, as long as they are.
struct Want<'a>(&'a watch::Sender<u64>, u64);

impl<'a> Want<'a> {
    fn new(wanted: &'a watch::Sender<u64>, bytes: u64) -> Self {
        wanted.send_modify(|wanted| *wanted = wanted.saturating_add(bytes));
        Self(wanted, bytes)
    }
}

impl Drop for Want<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|wanted| *wanted = wanted.saturating_sub(self.1));
    }
}

impl MemoryBudget {
    pub(crate) fn new(total: u64) -> Self {
        Self::with(total, PATIENCE)
    }

    fn with(total: u64, patience: Duration) -> Self {
        let (released, wanted) = (watch::Sender::new(()), watch::Sender::new(0));
        let taken = Mutex::new(Taken { used: 0, headroom: u64::MAX });
        Self(Arc::new(Inner { total, patience, taken, released, wanted }))
    }

    /// All of it, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.0.total
    }

    /// What guests have, in bytes: all that they have asked for, touched or not.
    pub fn used_bytes(&self) -> u64 {
        self.taken().used
    }

    /// What may be given to guests now, in bytes.
    pub fn free_bytes(&self) -> u64 {
        self.free(*self.taken())
    }

    /// Says what the host has left for guests, in bytes, until it is said again. Never said, there is no such bound.
    pub fn set_headroom(&self, bytes: u64) {
        self.taken().headroom = bytes;
        self.0.released.send_replace(());
    }

    /// How many bytes guests wait for that are not there: 0 most of the time. Who ends a guest now lets another one go on.
    pub fn wanted(&self) -> watch::Receiver<u64> {
        self.0.wanted.subscribe()
    }

    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self, taken: Taken) -> u64 {
        self.0.total.saturating_sub(taken.used).min(taken.headroom)
    }

    fn try_take(&self, bytes: u64) -> Result<(), Full> {
        let mut taken = self.taken();
        if bytes > self.free(*taken) {
            return Err(Full { total: self.0.total, used: taken.used, asked: bytes });
        }
        taken.used += bytes;
        if taken.headroom < u64::MAX {
            taken.headroom -= bytes;
        }
        Ok(())
    }

    /// Of what the host has left it is none until that is measured again.
    fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            let mut taken = self.taken();
            taken.used = taken.used.saturating_sub(bytes);
            drop(taken);
            self.0.released.send_replace(());
        }
    }

    async fn take(&self, bytes: u64) -> Result<(), Full> {
        let mut released = self.0.released.subscribe();
        let Err(full) = self.try_take(bytes) else { return Ok(()) };
        if bytes > self.0.total {
            return Err(full);
        }
        let _want = Want::new(&self.0.wanted, bytes);
        let freed = async {
            // The sender is in `self`.
            while released.changed().await.is_ok() && self.try_take(bytes).is_err() {}
        };
        timeout(self.0.patience, freed).await.map_err(|_| Full { used: self.used_bytes(), ..full })
    }
}

impl Share {
    /// Of the same, with nothing in it.
    pub(crate) fn another(&self) -> Self {
        self.budget.share()
    }

    /// Takes more; waits for it if there is none at the moment.
    pub(crate) async fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        self.budget.take(bytes).await?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Gives some back.
    pub(crate) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.give_back(bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, total) = (self.used_bytes(), self.0.total);
        f.debug_struct("MemoryBudget").field("used", &used).field("total", &total).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_given_and_comes_back() {
        let budget = MemoryBudget::with(100, Duration::from_millis(20));
        let (mut one, mut two) = (budget.share(), budget.share());
        one.grow(60).await.unwrap();
        two.grow(40).await.unwrap();
        let error = two.grow(1).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "this host has no more memory for programs: 100 of 100 bytes are taken, and the program asked for 1 more"
        );
        drop(one);
        two.grow(60).await.unwrap();
        drop(two);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[tokio::test]
    async fn who_waits_is_seen_and_goes_on_when_another_one_ends() {
        let budget = MemoryBudget::new(100);
        let mut one = budget.share();
        one.grow(90).await.unwrap();
        let mut wanted = budget.wanted();
        let waits = tokio::spawn({
            let mut two = budget.share();
            async move { two.grow(20).await.map(|()| two) }
        });
        assert_eq!(*wanted.wait_for(|bytes| *bytes > 0).await.unwrap(), 20);
        drop(one);
        let two = waits.await.unwrap().unwrap();
        assert_eq!((*wanted.borrow(), budget.used_bytes()), (0, 20));
        drop(two);
    }

    #[tokio::test]
    async fn what_the_host_has_left_bounds_it_too() {
        let budget = MemoryBudget::new(100);
        budget.set_headroom(50);
        let mut one = budget.share();
        one.grow(30).await.unwrap();
        assert_eq!((budget.used_bytes(), budget.free_bytes()), (30, 20));
        let waits = tokio::spawn({
            let mut two = budget.share();
            async move { two.grow(40).await.map(|()| two) }
        });
        budget.wanted().wait_for(|bytes| *bytes == 40).await.unwrap();
        // What goes is there when the host says so.
        drop(one);
        assert_eq!((budget.used_bytes(), budget.free_bytes()), (0, 20));
        budget.set_headroom(45);
        let two = waits.await.unwrap().unwrap();
        assert_eq!((budget.used_bytes(), budget.free_bytes()), (40, 5));
        budget.set_headroom(u64::MAX);
        assert_eq!(budget.free_bytes(), 60);
        drop(two);
    }

    #[tokio::test]
    async fn what_can_never_be_had_is_not_waited_for() {
        let budget = MemoryBudget::with(100, Duration::MAX);
        budget.share().grow(101).await.unwrap_err();
    }
}
