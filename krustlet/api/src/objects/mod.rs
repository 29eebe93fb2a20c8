//! The objects that pods refer to: ConfigMaps and Secrets by name, the services, and tokens of service accounts.
//!
//! One watch for each object, however many pods refer to it; it ends with the last of them. A watch on a single name is what the
//! Node authorizer allows a node, and only for objects that its pods refer to:
//! <https://kubernetes.io/docs/reference/access-authn-authz/node/>

mod error;
mod follow;
mod services;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures::future;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use krustlet_core::content::{Content, Kind};
use krustlet_core::env::Service;
use kube::{Api, Client};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

pub use self::error::{TokenError, Unread};
use self::services::Feed;
pub use self::tokens::{Due, Token, TokenRequestOf};

/// How long a pod waits for the first answer about an object before it says that there is none.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The API server has not answered yet; what it, or the network, said last.
    Unknown(Option<String>),
    /// There is none of that name.
    Absent,
    /// It is there.
    Present(Arc<Content>),
}

/// The store. Clones are the same.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    client: Client,
    watched: Mutex<HashMap<Key, Weak<Watched>>>,
    services: OnceLock<Feed>,
    /// Requests for tokens that may be under way at once: enough to be fast, and few enough to share connections.
    turns: Semaphore,
    patience: Duration,
}

struct Watched {
    key: Key,
    patience: Duration,
    seen: watch::Receiver<Seen>,
    task: AbortHandle,
    store: Weak<Inner>,
}

/// Keeps an object watched while it lives.
#[derive(Clone)]
pub struct Reference(Arc<Watched>);

impl Objects {
    /// An empty store. Must be called inside a Tokio runtime; nothing is asked before somebody refers to something.
    pub fn new(client: Client) -> Self {
        Self::with_patience(client, FIRST_ANSWER)
    }

    fn with_patience(client: Client, patience: Duration) -> Self {
        Self(Arc::new(Inner {
            client,
            watched: Mutex::default(),
            services: OnceLock::new(),
            turns: Semaphore::new(tokens::AT_ONCE),
            patience,
        }))
    }

    /// Refers to an object, and begins to watch it if nobody did so far.
    pub fn refer(&self, key: Key) -> Reference {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = watched.get(&key).and_then(Weak::upgrade) {
            return Reference(known);
        }
        let (sender, seen) = watch::channel(Seen::Unknown(None));
        let client = self.0.client.clone();
        let task = match key.kind {
            Kind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(client, &key.namespace);
                tokio::spawn(follow::follow(api, key.name.clone(), sender))
            }
            Kind::Secret => {
                let api: Api<Secret> = Api::namespaced(client, &key.namespace);
                tokio::spawn(follow::follow(api, key.name.clone(), sender))
            }
        };
        let (task, store) = (task.abort_handle(), Arc::downgrade(&self.0));
        let new = Arc::new(Watched { key: key.clone(), patience: self.0.patience, seen, task, store });
        watched.insert(key, Arc::downgrade(&new));
        Reference(new)
    }

    /// The services that a pod of this namespace hears of, by namespace and name. The first call begins to watch them, and waits
    /// for the first answer.
    ///
    /// # Errors
    /// There is no answer. A node that may not read services has none, and that is no error.
    pub async fn services(&self, namespace: &str, links: bool) -> Result<Vec<Service>, Unread> {
        self.feed().of(namespace, links, self.0.patience).await
    }

    /// The service of this name, if there is one, as [`services`](Self::services).
    ///
    /// # Errors
    /// There is no answer.
    pub async fn service(&self, namespace: &str, name: &str) -> Result<Option<Service>, Unread> {
        self.feed().named(namespace, name, self.0.patience).await
    }

    fn feed(&self) -> &Feed {
        self.0.services.get_or_init(|| Feed::new(self.0.client.clone()))
    }

    /// A new token for a pod.
    ///
    /// # Errors
    /// What the API server said.
    pub async fn token(&self, wanted: &TokenRequestOf<'_>) -> Result<Token, TokenError> {
        tokens::request(&self.0.client, &self.0.turns, wanted).await
    }

    /// How many objects are watched.
    #[cfg(test)]
    pub fn watched(&self) -> usize {
        self.0.watched.lock().unwrap().len()
    }
}

impl Reference {
    /// Waits for the first answer, but not for ever.
    pub async fn answered(&self) {
        let mut seen = self.0.seen.clone();
        // What came of it is for `now` to say.
        let _ = timeout(self.0.patience, seen.wait_for(|seen| !matches!(seen, Seen::Unknown(_)))).await;
    }

    /// The object, or `None` if there is none of that name.
    ///
    /// # Errors
    /// The API server has not answered yet.
    pub fn now(&self) -> Result<Option<Arc<Content>>, Unread> {
        match &*self.0.seen.borrow() {
            Seen::Present(content) => Ok(Some(content.clone())),
            Seen::Absent => Ok(None),
            Seen::Unknown(last) => {
                let (Key { kind, name, .. }, last) = (self.0.key.clone(), last.clone());
                Err(Unread::Object { kind, name, patience: self.0.patience, last })
            }
        }
    }

    /// The object as [`now`](Self::now), once the API server has answered.
    ///
    /// # Errors
    /// It has not, within ten seconds.
    pub async fn get(&self) -> Result<Option<Arc<Content>>, Unread> {
        self.answered().await;
        self.now()
    }

    /// Tells of changes after the present state.
    pub fn changes(&self) -> watch::Receiver<Seen> {
        let mut seen = self.0.seen.clone();
        seen.mark_unchanged();
        seen
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
        let Some(store) = self.store.upgrade() else { return };
        let mut watched = store.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may have begun to watch it since the last reference went.
        if watched.get(&self.key).is_some_and(|entry| entry.strong_count() == 0) {
            watched.remove(&self.key);
        }
    }
}

/// Waits until one of them has changed; for ever, if there are none.
pub async fn any_change(changes: Vec<watch::Receiver<Seen>>) {
    let each = changes.into_iter().map(|mut change| {
        Box::pin(async move {
            if change.changed().await.is_err() {
                // Its watch has ended, so there will be no news of it.
                future::pending::<()>().await;
            }
        })
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        future::pending::<()>().await;
    }
    future::select_all(each).await;
}
