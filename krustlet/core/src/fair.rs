//! A few places for the work of many tenants, none of whom can take them all.
//!
//! A tenant has all places but one at most, whatever it wants, so that another one's work begins at once or soon. Of those who wait the
//! one is next whose tenant has the fewest places; of several the one whose tenant has got one least recently; then who came first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The places. Clones are the same.
#[derive(Clone)]
pub struct Fair(Arc<Mutex<State>>);

struct State {
    places: usize,
    free: usize,
    tenants: HashMap<String, Tenant>,
    waiting: VecDeque<(String, oneshot::Sender<Turn>)>,
    /// Counts the turns that were given.
    given: u64,
}

/// A tenant that has places, or waits for one.
#[derive(Default)]
struct Tenant {
    has: usize,
    /// When it got one last, by the count of turns.
    last: u64,
}

/// A place, as long as it is kept.
pub struct Turn {
    fair: Fair,
    tenant: String,
}

impl Fair {
    /// So many places, at least one.
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        let waiting = VecDeque::new();
        Self(Arc::new(Mutex::new(State { places, free: places, tenants: HashMap::new(), waiting, given: 0 })))
    }

    /// Waits for a place. May be dropped.
    pub async fn turn(&self, tenant: &str) -> Turn {
        self.turn_or(tenant, || {}).await
    }

    /// The same; tells when there is none at once.
    pub async fn turn_or(&self, tenant: &str, waits: impl FnOnce()) -> Turn {
        let mut waits = Some(waits);
        loop {
            let (sender, mut receiver) = oneshot::channel();
            self.lock().waiting.push_back((tenant.to_string(), sender));
            self.give();
            if let Ok(turn) = receiver.try_recv() {
                return turn;
            }
            if let Some(waits) = waits.take() {
                waits();
            }
            // Nobody drops a sender without an answer.
            if let Ok(turn) = receiver.await {
                return turn;
            }
        }
    }

    /// Whether somebody waits who would get the place of this tenant.
    pub fn is_wanted_of(&self, tenant: &str) -> bool {
        let state = self.lock();
        let mut waiting = state.waiting.iter().filter(|(_, sender)| !sender.is_closed());
        waiting.any(|(name, _)| name == tenant || state.free == 0 && state.has(name) < state.most())
    }

    /// How many places are taken, and how many wait for one.
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        let waiting = state.waiting.iter().filter(|(_, sender)| !sender.is_closed()).count();
        (state.places - state.free, waiting)
    }

    /// Gives free places to those who wait.
    fn give(&self) {
        loop {
            let Some((tenant, sender)) = self.lock().next() else { return };
            // Who has gone meanwhile gives it back by this.
            drop(sender.send(Turn { fair: self.clone(), tenant }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many places a tenant may have.
    fn most(&self) -> usize {
        self.places.saturating_sub(1).max(1)
    }

    fn has(&self, tenant: &str) -> usize {
        self.tenants.get(tenant).map_or(0, |tenant| tenant.has)
    }

    fn next(&mut self) -> Option<(String, oneshot::Sender<Turn>)> {
        self.waiting.retain(|(_, sender)| !sender.is_closed());
        let known = |name: &str| self.tenants.get(name).map_or((0, 0), |tenant| (tenant.has, tenant.last));
        let waiting = self.waiting.iter().enumerate().map(|(index, (name, _))| (known(name), index));
        let ((has, _), index) = waiting.min().filter(|_| self.free > 0)?;
        if has >= self.most() {
            return None;
        }
        let next = self.waiting.remove(index)?;
        self.free -= 1;
        self.given += 1;
        let tenant = self.tenants.entry(next.0.clone()).or_default();
        (tenant.has, tenant.last) = (has + 1, self.given);
        Some(next)
    }

    fn give_back(&mut self, name: &str) {
        self.free += 1;
        if let Some(tenant) = self.tenants.get_mut(name) {
            tenant.has = tenant.has.saturating_sub(1);
        }
        let waiting = &self.waiting;
        self.tenants.retain(|name, tenant| tenant.has > 0 || waiting.iter().any(|(waits, _)| waits == name));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.fair.lock().give_back(&self.tenant);
        self.fair.give();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    async fn soon(turn: impl Future<Output = Turn>) -> Option<Turn> {
        timeout(Duration::from_millis(50), turn).await.ok()
    }

    /// Asks from a task of its own, and is in the row when this returns.
    async fn ask(fair: &Fair, tenant: &'static str) -> JoinHandle<Turn> {
        let (asking, before) = (fair.clone(), fair.load().1);
        let task = tokio::spawn(async move { asking.turn(tenant).await });
        while fair.load().1 == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn a_tenant_never_has_them_all() {
        let fair = Fair::new(3);
        let mine = [fair.turn("a").await, fair.turn("a").await];
        assert!(soon(fair.turn("a")).await.is_none());
        let other = soon(fair.turn("b")).await.unwrap();
        assert_eq!(fair.load(), (3, 0));
        drop(other);
        assert!(soon(fair.turn("a")).await.is_none());
        drop(mine);
        assert!(soon(fair.turn("a")).await.is_some());
        assert_eq!(fair.load(), (0, 0));
    }

    #[tokio::test]
    async fn a_single_place_goes_round() {
        let fair = Fair::new(1);
        let mut turn = fair.turn("a").await;
        let mut tasks = Vec::new();
        for tenant in ["a", "a", "a", "b", "c", "b"] {
            tasks.push((tenant, ask(&fair, tenant).await));
        }
        let mut order = Vec::new();
        while !tasks.is_empty() {
            drop(turn);
            let next = loop {
                match tasks.iter().position(|(_, task)| task.is_finished()) {
                    Some(index) => break index,
                    None => tokio::task::yield_now().await,
                }
            };
            let (tenant, task) = tasks.remove(next);
            order.push(tenant);
            turn = task.await.unwrap();
        }
        assert_eq!(order, ["b", "c", "a", "b", "a", "a"]);
    }

    #[tokio::test]
    async fn who_gives_up_takes_nothing() {
        let fair = Fair::new(1);
        let turn = fair.turn("a").await;
        assert!(soon(fair.turn("b")).await.is_none());
        let waits = ask(&fair, "c").await;
        waits.abort();
        let _ = waits.await;
        drop(turn);
        assert!(soon(fair.turn("a")).await.is_some());
        assert_eq!((fair.load(), fair.lock().tenants.len()), ((0, 0), 0));
    }
}
