//! The addresses of pods that serve: of the node's pod range, where that is this network namespace's own, or else the node's.
//!
//! A pod keeps the one that it has until it has ended, also when its agent is started again: its status remembers it.

mod error;
mod keep;
mod range;
mod routes;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use krustlet_core::pod::address_before;
use krustlet_core::serving::ports::wants_host_port;
use kube::ResourceExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub use self::error::{KeepError, NoAddress};
pub use self::keep::keep;
use self::range::Range;

/// How long pods wait for the range, from the agent's start: a new Node has one within a second or two.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// Which pod has which address. Clones are the same.
#[derive(Clone)]
pub struct Addresses(Arc<Known>);

struct Known {
    /// The node's own.
    node: IpAddr,
    /// The range; or why there is none, which is nothing to tell of where none is wanted.
    range: watch::Sender<Result<Range, Option<NoAddress>>>,
    /// Until then it is waited for.
    wait: Instant,
    given: Mutex<Given>,
}

struct Given {
    /// By uid.
    by_pod: HashMap<String, Held>,
    /// The last one that was new: an address that was a pod's a moment ago is in the memory of others.
    last: Option<Ipv4Addr>,
}

struct Held {
    address: IpAddr,
    /// Whether one of its containers has listened there. Before that it may still get another one.
    listened: bool,
}

impl Addresses {
    /// All pods have the node's.
    pub fn of_node(node: IpAddr) -> Self {
        Self::new(node, None, Duration::ZERO)
    }

    /// Pods get those of the range that is told of later.
    pub fn of_range(node: IpAddr) -> Self {
        Self::new(node, Some(NoAddress::Unknown), FIRST_WAIT)
    }

    fn new(node: IpAddr, why: Option<NoAddress>, wait: Duration) -> Self {
        Self(Arc::new(Known {
            node,
            range: watch::Sender::new(Err(why)),
            wait: Instant::now() + wait,
            given: Mutex::new(Given { by_pod: HashMap::new(), last: None }),
        }))
    }

    /// The address of a pod that is about to serve, and why it is the node's, where it should not be and nobody has been told.
    pub async fn take(&self, pod: &Pod) -> (IpAddr, Option<NoAddress>) {
        let uid = pod.uid().unwrap_or_default();
        let known = if names_host_port(pod) {
            Err(None)
        } else {
            let mut range = self.0.range.subscribe();
            // Whether it has come or the time is over: what there is now counts.
            let _ = timeout_at(self.0.wait, range.wait_for(Result::is_ok)).await;
            range.borrow().clone()
        };
        let mut given = self.given();
        let before = given.by_pod.get(&uid).map(|held| (held.address, held.listened));
        let taken = match (before, known) {
            // What it was given by this agent it keeps, for its other containers have it.
            (Some((before, true)), _) if before == self.0.node => return (before, None),
            (_, Err(why)) => Err(why),
            (Some((IpAddr::V4(before), _)), Ok(range)) if range.has(before) => return (before.into(), None),
            (_, Ok(range)) => given.another(&range).map_err(Some),
        };
        let (address, why) = taken.map_or_else(|why| (self.0.node, why), |address| (address.into(), None));
        given.by_pod.insert(uid, Held { address, listened: false });
        (address, why.filter(|_| before.is_none_or(|(before, _)| before != address)))
    }

    /// A container of the pod listens, or may, at the address that it has taken.
    pub fn listened(&self, uid: &str) {
        if let Some(held) = self.given().by_pod.get_mut(uid) {
            held.listened = true;
        }
    }

    /// Whether a container of the pod listens, or has, at the address that it has taken.
    pub fn has_listened(&self, uid: &str) -> bool {
        self.given().by_pod.get(uid).is_some_and(|held| held.listened)
    }

    /// Keeps for a pod what it had under an earlier agent. Nobody may come before it.
    pub fn take_again(&self, pod: &Pod) {
        let (Some(uid), Some(address)) = (pod.uid(), address_before(pod).filter(|address| *address != self.0.node))
        else {
            return;
        };
        let mut given = self.given();
        if !given.has(address) {
            given.by_pod.insert(uid, Held { address, listened: true });
        }
    }

    /// The address of a pod that has one.
    pub fn of(&self, uid: &str) -> IpAddr {
        self.given().by_pod.get(uid).map_or(self.0.node, |held| held.address)
    }

    /// Takes it back from a pod that has ended.
    pub fn free(&self, uid: &str) {
        self.given().by_pod.remove(uid);
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.0.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Given {
    fn has(&self, address: IpAddr) -> bool {
        self.by_pod.values().any(|held| held.address == address)
    }

    fn another(&mut self, range: &Range) -> Result<Ipv4Addr, NoAddress> {
        let last = self.last.unwrap_or_else(|| range.somewhere());
        let free = range.after(last).find(|address| !self.has((*address).into()));
        self.last = free.or(self.last);
        free.ok_or(NoAddress::AllTaken(*range))
    }
}

/// Whether it is to be reached at its host, which a module can be at one address alone.
fn names_host_port(pod: &Pod) -> bool {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers)).any(wants_host_port)
}

#[cfg(test)]
impl Addresses {
    /// Of a range that is known.
    pub fn told(node: IpAddr, range: &str) -> Self {
        let addresses = Self::of_range(node);
        addresses.tell(range.parse().unwrap());
        addresses
    }
}

#[cfg(test)]
mod tests;
