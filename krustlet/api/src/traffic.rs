//! The way to the API server, which statuses and events share: statuses go first, and only so many at once, for its processors are all nodes'.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

/// So many statuses may be under way at once.
const STATUSES: usize = 8;

/// Who may go.
#[derive(Debug)]
pub struct Traffic {
    statuses: Arc<Semaphore>,
    /// Statuses that wait or are under way.
    busy: watch::Sender<usize>,
}

/// A status may go while this lives.
#[derive(Debug)]
pub struct Pass {
    _permit: Option<OwnedSemaphorePermit>,
    _busy: Busy,
}

#[derive(Debug)]
struct Busy(Arc<Traffic>);

impl Default for Traffic {
    fn default() -> Self {
        Self { statuses: Arc::new(Semaphore::new(STATUSES)), busy: watch::Sender::new(0) }
    }
}

impl Traffic {
    /// Waits until a status may go.
    pub async fn status(self: Arc<Self>) -> Pass {
        let busy = Busy::new(self.clone());
        // It is never closed; if it were, nothing would have to wait.
        Pass { _permit: self.statuses.clone().acquire_owned().await.ok(), _busy: busy }
    }

    /// Waits until no status wants to go, but not beyond `limit`.
    pub async fn give_way(&self, limit: Instant) {
        let mut busy = self.busy.subscribe();
        // Either way the event may go now.
        let _ = timeout_at(limit, busy.wait_for(|busy| *busy == 0)).await;
    }
}

impl Busy {
    fn new(traffic: Arc<Traffic>) -> Self {
        traffic.busy.send_modify(|busy| *busy += 1);
        Self(traffic)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|busy| *busy = busy.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SHORT: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn events_give_way_to_statuses_but_not_for_ever() {
        let traffic = Arc::new(Traffic::default());
        let start = Instant::now();
        traffic.give_way(start + Duration::from_secs(60)).await;
        let pass = traffic.clone().status().await;
        let limit = Instant::now() + SHORT;
        traffic.give_way(limit).await;
        assert!(Instant::now() >= limit);
        drop(pass);
        traffic.give_way(start + Duration::from_secs(60)).await;
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn only_so_many_statuses_go_at_once() {
        let traffic = Arc::new(Traffic::default());
        let mut passes = Vec::new();
        for _ in 0..STATUSES {
            passes.push(traffic.clone().status().await);
        }
        assert!(tokio::time::timeout(SHORT, traffic.clone().status()).await.is_err());
        assert_eq!(*traffic.busy.borrow(), STATUSES, "one that was given up is counted no more");
        passes.pop();
        passes.push(traffic.clone().status().await);
        drop(passes);
        assert_eq!(*traffic.busy.borrow(), 0);
    }
}
