//! The places on this node: who has one, and who may have one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use krustlet_core::admission::admit::Refusal;
use krustlet_core::admission::fit::{self, Amounts, NodeFacts};
use krustlet_core::status::Resize;
use kube::api::Api;
use kube::{Client, ResourceExt};
use tokio::time::{Instant, sleep, timeout};

/// A request that hangs longer than this is given up.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// A pod that does not fit is looked at so many times again before it is refused: the scheduler may have given it the place of a pod
/// that is just about to end, or an administrator may have changed the node.
const MORE_LOOKS: u32 = 3;
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(400);

/// Gives places to pods.
#[derive(Clone)]
pub struct Places {
    nodes: Api<Node>,
    node_name: String,
    /// Held while the Node is looked at: the others of many pods that come at once wait for the same answer.
    looking: Arc<tokio::sync::Mutex<Option<Instant>>>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    node: Option<NodeFacts>,
    taken: HashMap<String, Amounts>,
}

/// A place, taken until this is dropped.
pub struct Place {
    places: Places,
    uid: String,
}

impl Places {
    /// Those of the node of this name.
    pub fn new(client: Client, node_name: &str) -> Self {
        let (looking, inner) = Default::default();
        Self { nodes: Api::all(client), node_name: node_name.into(), looking, inner }
    }

    /// Takes a place for a pod that has run here before, whether there is one or not: what can go on goes on.
    pub fn keep(&self, pod: &Pod) -> Place {
        let (uid, requests) = (pod.uid().unwrap_or_default(), requests(pod));
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).taken.insert(uid.clone(), requests);
        Place { places: self.clone(), uid }
    }

    /// Takes a place for a new pod. Where nothing can be known about the node, every pod is taken.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn take(&self, pod: &Pod) -> Result<Place, Refusal> {
        if self.inner.lock().unwrap_or_else(PoisonError::into_inner).node.is_none() {
            self.refresh().await;
        }
        let mut looks_left = MORE_LOOKS;
        loop {
            match self.try_take(pod) {
                Err(_) if looks_left > 0 => {
                    looks_left -= 1;
                    sleep(PAUSE).await;
                    self.refresh().await;
                }
                decided => return decided,
            }
        }
    }

    fn try_take(&self, pod: &Pod) -> Result<Place, Refusal> {
        let (uid, requests) = (pod.uid().unwrap_or_default(), requests(pod));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = &inner.node
            && let Some(refusal) = fit::misfit(pod, &requests, &inner.used(), node)
        {
            return Err(refusal);
        }
        inner.taken.insert(uid.clone(), requests);
        Ok(Place { places: self.clone(), uid })
    }

    /// Looks at the Node anew, unless that has just been done.
    async fn refresh(&self) {
        let mut looked = self.looking.lock().await;
        if looked.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *looked = Some(Instant::now());
        match timeout(REQUEST_LIMIT, self.nodes.get(&self.node_name)).await {
            Ok(Ok(node)) => {
                let facts = facts(node);
                self.inner.lock().unwrap_or_else(PoisonError::into_inner).node = Some(facts);
            }
            Ok(Err(error)) => tracing::warn!("cannot look at the Node: {error}"),
            Err(_) => tracing::warn!("cannot look at the Node: no answer in time"),
        }
    }
}

impl Inner {
    fn used(&self) -> Amounts {
        let mut used = Amounts::new();
        self.taken.values().for_each(|taken| fit::add(&mut used, taken));
        used
    }
}

impl Place {
    /// Takes what the pod wants by now instead.
    ///
    /// # Errors
    /// Why it cannot have that, and has what it had.
    pub fn resize(&self, pod: &Pod) -> Result<(), Resize> {
        let requests = requests(pod);
        let mut inner = self.places.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.taken.get(&self.uid) == Some(&requests) {
            return Ok(());
        }
        let Some(node) = &inner.node else {
            let places = self.places.clone();
            tokio::spawn(async move { places.refresh().await });
            return Err(Resize::Deferred("nothing is known of the Node yet".into()));
        };
        let mut others = Amounts::new();
        inner.taken.iter().filter(|(uid, _)| **uid != self.uid).for_each(|(_, taken)| fit::add(&mut others, taken));
        if let Some(message) = fit::shortage(&requests, &Amounts::new(), node) {
            return Err(Resize::Infeasible(message));
        }
        if let Some(message) = fit::shortage(&requests, &others, node) {
            return Err(Resize::Deferred(message));
        }
        inner.taken.insert(self.uid.clone(), requests);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.inner.lock().unwrap_or_else(PoisonError::into_inner).taken.remove(&self.uid);
    }
}

fn requests(pod: &Pod) -> Amounts {
    pod.spec.as_ref().map(fit::requests).unwrap_or_default()
}

fn facts(node: Node) -> NodeFacts {
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    NodeFacts {
        allocatable: fit::amounts(allocatable),
        name: node.metadata.name.unwrap_or_default(),
        labels: node.metadata.labels.unwrap_or_default(),
    }
}
