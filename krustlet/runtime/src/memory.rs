//! The memory of all guests together.
//!
//! Each guest has a limit of its own, but nobody adds these up: a node takes more pods than it has memory for, as few use all that they may.
//! What is there is given to who asks first. When it is all taken, who asks for more waits a moment, in which the embedder may end
//! another guest; if that does not help it is ended itself, as the kernel ends a process when a control group is full.

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
    used: Mutex<u64>,
    /// Changed with each release.
    released: watch::Sender<()>,
    /// What waits for memory, in bytes.
    wanted: watch::Sender<u64>,
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
        Self(Arc::new(Inner { total, patience, used: Mutex::new(0), released, wanted }))
    }

    /// All of it, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.0.total
    }

    /// What guests have, in bytes.
    pub fn used_bytes(&self) -> u64 {
        *self.used()
    }

    /// How many bytes guests wait for that are not there: 0 most of the time. Who ends a guest now lets another one go on.
    pub fn wanted(&self) -> watch::Receiver<u64> {
        self.0.wanted.subscribe()
    }

    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(&self, bytes: u64) -> Result<(), Full> {
        let mut used = self.used();
        match used.checked_add(bytes).filter(|sum| *sum <= self.0.total) {
            Some(sum) => {
                *used = sum;
                Ok(())
            }
            None => Err(Full { total: self.0.total, used: *used, asked: bytes }),
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
    /// Takes more; waits for it if there is none at the moment.
    pub(crate) async fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        self.budget.take(bytes).await?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Whether growing by so much would wait.
    pub(crate) fn would_wait(&self, bytes: u64) -> bool {
        self.budget.used_bytes().saturating_add(bytes) > self.budget.0.total
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        {
            let mut used = self.budget.used();
            *used = used.saturating_sub(self.bytes);
        }
        if self.bytes > 0 {
            self.budget.0.released.send_replace(());
        }
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
        assert!(two.would_wait(1));
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
    async fn what_can_never_be_had_is_not_waited_for() {
        let budget = MemoryBudget::with(100, Duration::MAX);
        budget.share().grow(101).await.unwrap_err();
    }
}
