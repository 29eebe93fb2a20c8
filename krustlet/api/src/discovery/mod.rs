//! Where the requests of programs go that name a Service. No kube-proxy runs here, and the host's resolver knows nothing of the cluster.
//!
//! Which Services there are is known by the watch that pods' variables are made of. Their endpoints are asked for when a program wants
//! them: `docs/decisions/0019-service-names.md`.

mod choose;
mod name;
mod slices;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use k8s_openapi::api::core::v1::Pod;
use krustlet_http::{Discovery, Found, Scheme};
use kube::Client;

use self::choose::Nothing;
use self::name::Named;
use self::slices::{Question, Slices, Unanswered};
use crate::events::{Events, Subject};
use crate::objects::{Objects, Unread};

/// The reason of the events.
const REASON: &str = "ServiceNotReached";

/// The Services of the cluster by name. Clones are the same.
#[derive(Clone)]
pub struct ServiceNames(Arc<Node>);

struct Node {
    objects: Objects,
    slices: Slices,
    /// Whether it has been said what this node lacks.
    told: AtomicBool,
}

/// Why a Service is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("there is no such Service")]
    Absent,
    #[error(transparent)]
    Nothing(#[from] Nothing),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error(transparent)]
    NoServices(#[from] Unread),
    #[error("programs reach a Service by TCP alone")]
    Udp,
}

impl ServiceNames {
    /// Nothing is asked before a program wants something.
    pub fn new(objects: Objects, client: Client) -> Self {
        Self(Arc::new(Node { objects, slices: Slices::new(client), told: AtomicBool::new(false) }))
    }

    /// The names for the programs of a pod; `None` for one that wants no names of the cluster (`dnsPolicy`).
    pub fn of(&self, pod: &Pod, events: &Events, subject: &Subject) -> Option<Arc<dyn Discovery>> {
        let policy = pod.spec.as_ref().and_then(|spec| spec.dns_policy.as_deref());
        if matches!(policy, Some("Default" | "None")) {
            return None;
        }
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let (names, events, subject) = (self.clone(), events.clone(), subject.clone());
        Some(Arc::new(Finder(Arc::new(Guest { names, namespace, events, subject, said: Mutex::default() }))))
    }

    /// Where a Service is reached; `None` where there is none of that name, which may be somebody else's.
    async fn find(&self, named: &Named, tenant: &str, scheme: Scheme, port: u16) -> Result<Option<Found>, Fault> {
        let Named { namespace, name, or_other } = named;
        let service = self.0.objects.service(namespace, name).await?;
        let Some(service) = service else { return if *or_other { Ok(None) } else { Err(Fault::Absent) } };
        if scheme == Scheme::Udp {
            return Err(Fault::Udp);
        }
        let question = Question { tenant: tenant.into(), namespace: namespace.clone(), name: name.clone() };
        let (slices, turn) = self.0.slices.of(question, port).await?;
        let mut endpoints = choose::endpoints(&service, &slices, port)?;
        // Each in its turn is the first, and the others are there should it not answer.
        let first = turn % endpoints.len();
        endpoints.rotate_left(first);
        Ok(Some(Found::At(endpoints)))
    }
}

/// The names for the node itself, which is of no namespace: `name.namespace.svc`, and the same with the cluster's domain. A shorter one is
/// somebody else's, as `collector.lan` is, which whoever has the namespace `lan` is not to take.
impl Discovery for ServiceNames {
    fn find(&self, scheme: Scheme, host: &str, port: u16) -> BoxFuture<'static, Found> {
        let named = name::read(host, "").filter(|named| !named.or_other);
        let Some(named) = named else { return future::ready(Found::Unknown).boxed() };
        let (names, host) = (self.clone(), host.to_owned());
        async move {
            names.find(&named, "", scheme, port).await.map_or_else(
                |fault| {
                    tracing::debug!("{host}:{port} is not reached as a Service: {fault}");
                    Found::Nowhere
                },
                |found| found.unwrap_or(Found::Unknown),
            )
        }
        .boxed()
    }
}

impl fmt::Debug for ServiceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceNames")
    }
}

/// The names for one container.
struct Finder(Arc<Guest>);

struct Guest {
    names: ServiceNames,
    namespace: String,
    events: Events,
    subject: Subject,
    /// What was wrong with each name last. There are no more than the pod's origins.
    said: Mutex<HashMap<(Scheme, String, u16), Fault>>,
}

impl Discovery for Finder {
    fn find(&self, scheme: Scheme, host: &str, port: u16) -> BoxFuture<'static, Found> {
        let Some(named) = name::read(host, &self.0.namespace) else { return future::ready(Found::Unknown).boxed() };
        let (guest, host) = (self.0.clone(), host.to_owned());
        async move { guest.find(&host, &named, scheme, port).await }.boxed()
    }
}

impl Guest {
    async fn find(&self, host: &str, named: &Named, scheme: Scheme, port: u16) -> Found {
        let found = self.names.find(named, &self.namespace, scheme, port).await;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = match found {
            Ok(found) => {
                said.remove(&(scheme, host.to_owned(), port));
                return found.unwrap_or(Found::Unknown);
            }
            Err(fault) => fault,
        };
        if said.insert((scheme, host.to_owned(), port), fault.clone()).as_ref() != Some(&fault) {
            self.say(host, named, port, &fault);
        }
        match fault {
            Fault::Nothing(Nothing::NoPort(_) | Nothing::NoneReady) => Found::At(Vec::new()),
            _ => Found::Nowhere,
        }
    }

    fn say(&self, host: &str, Named { namespace, name, .. }: &Named, port: u16, fault: &Fault) {
        let note = format!("{host}:{port} is Service {namespace}/{name}, which is not reached: {fault}");
        self.events.warning(&self.subject, REASON, note);
        if *fault == Fault::Unanswered(Unanswered::Forbidden) && !self.names.0.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "this node may not list EndpointSlices, so that programs reach no Service by its name; give its user a ClusterRole with the \
                 verb list for endpointslices of discovery.k8s.io"
            );
        }
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finder").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}
