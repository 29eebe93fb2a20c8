//! What the containers of a pod share: its volumes, and the objects that its spec refers to.

#[cfg(test)]
mod guest_tests;
#[cfg(test)]
mod host_path_tests;
mod provision;
mod set_up;
mod storage;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future;
use k8s_openapi::api::core::v1::{Container, Pod};
use krustlet_api::objects::{Key, Reference, Seen, Token, Unread, any_change};
use krustlet_core::command::Environment;
use krustlet_core::content::{Kind, Known};
use krustlet_core::env::{self, Built, Facts};
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::references::{all_references, pull_secret_names};
use krustlet_core::volumes::TokenKey;
use krustlet_host::files;
use krustlet_images::PullSecret;
use krustlet_volumes::{Disk, Mounted};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

pub use self::provision::Provision;
use super::Shared;

/// How often it is looked at how much of the disk a pod takes that may not take all; less often where that takes long.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often the wall clock is looked at: while a machine sleeps, no timer goes on.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);
/// When an update of a running pod's volumes that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What the containers of a pod share: volumes and the objects that its spec refers to.
pub struct Resources {
    provision: Arc<Provision>,
    /// The folder of the pod.
    dir: PathBuf,
    pod: watch::Sender<Arc<Pod>>,
    disk: Arc<Mutex<Disk>>,
    references: Mutex<HashMap<(Kind, String), Reference>>,
    tokens: Mutex<HashMap<TokenKey, Token>>,
    /// One at a time brings the volumes up to date, so that no token is asked for twice.
    turn: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
    /// Changes since the last mount or launch looked at the objects.
    since: Mutex<Vec<watch::Receiver<Seen>>>,
}

/// Where [`Resources::keep`] is, so that it may be dropped and called again.
struct Kept {
    /// Changes since the volumes were last brought up to date.
    objects: Vec<watch::Receiver<Seen>>,
    pod: watch::Receiver<Arc<Pod>>,
    /// When to bring them up to date, whatever changes.
    due: Option<Instant>,
    next_look: Instant,
    complaints: Vec<String>,
}

/// Volumes that are not ready: a sentence for each, in the kubelet's words.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct NotMounted(Vec<String>);

impl Resources {
    /// Those of a pod whose folder is `dir`. Nothing is asked or written yet.
    pub fn new(shared: &Arc<Shared>, pod: Arc<Pod>, dir: &Path) -> Arc<Self> {
        Self::with(shared.provision.clone(), pod, dir)
    }

    fn with(provision: Arc<Provision>, pod: Arc<Pod>, dir: &Path) -> Arc<Self> {
        let (pod, seen) = watch::channel(pod);
        let next_look = Instant::now() + LOOK_INTERVAL;
        let kept = Kept { objects: Vec::new(), pod: seen, due: None, next_look, complaints: Vec::new() };
        Arc::new(Self {
            provision,
            dir: dir.into(),
            pod,
            disk: Arc::new(Mutex::new(Disk::new(dir))),
            references: Mutex::default(),
            tokens: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            kept: Mutex::new(kept),
            since: Mutex::default(),
        })
    }

    /// Makes the volumes ready. Idempotent. The caller shows an error as event FailedMount and tries again with back-off, or
    /// when [`changed`](Self::changed) says so.
    ///
    /// # Errors
    /// Which volumes are not ready, and why, in the kubelet's words.
    pub async fn mount(&self) -> Result<(), NotMounted> {
        let pod = self.pod();
        // All of them now, so that the answers come while the volumes are made.
        pod.spec.iter().flat_map(all_references).for_each(|wanted| drop(self.refer(&pod, wanted)));
        let wrong = self.set_up().await;
        *lock(&self.since) = lock(&self.kept).objects.clone();
        if wrong.is_empty() { Ok(()) } else { Err(NotMounted(wrong)) }
    }

    /// Keeps volumes up to date while the pod runs; returns only when the pod must be evicted, as it takes more of the disk than it may:
    /// the message, as the kubelet's. May be dropped and called again.
    pub async fn keep(&self) -> String {
        loop {
            let limits = self.limits();
            let (objects, mut pod, due, next_look) = {
                let kept = lock(&self.kept);
                (kept.objects.clone(), kept.pod.clone(), kept.due, kept.next_look)
            };
            tokio::select! {
                () = any_change(objects) => {}
                _ = pod.changed() => {}
                () = self.due(due) => {}
                () = at((!limits.is_empty()).then_some(next_look)) => {
                    let begun = Instant::now();
                    if let Some(message) = Box::pin(self.exceeded(&limits)).await {
                        return message;
                    }
                    lock(&self.kept).next_look = Instant::now() + LOOK_INTERVAL.max(begun.elapsed() * 4);
                    continue;
                }
            }
            // Boxed, so that its memory goes with it: this loop takes as long as the pod.
            let wrong = Box::pin(self.set_up()).await;
            let mut kept = lock(&self.kept);
            if kept.complaints != wrong {
                wrong.iter().for_each(|wrong| tracing::warn!(pod = %self, "{wrong}"));
                kept.complaints = wrong;
            }
        }
    }

    /// Waits until the volumes are to be brought up to date whatever changes: after a failure at its time, as a token that is due may be
    /// what could not be had, else when a token is.
    async fn due(&self, retry: Option<Instant>) {
        if retry.is_some() {
            return at(retry).await;
        }
        loop {
            let left = lock(&self.tokens).values().map(|token| token.due.left()).min();
            match left {
                Some(Duration::ZERO) => return,
                Some(left) => sleep(left.min(CLOCK_INTERVAL)).await,
                None => future::pending().await,
            }
        }
    }

    /// Newer object of the same pod (labels and annotations may have changed).
    pub fn update(&self, pod: Arc<Pod>) {
        self.pod.send_if_modified(|known| {
            let changed =
                known.metadata.labels != pod.metadata.labels || known.metadata.annotations != pod.metadata.annotations;
            *known = pod;
            changed
        });
    }

    /// Removes what the volumes hold on disk (tokens, secrets). Called when the pod is over.
    ///
    /// # Errors
    /// Any I/O error.
    pub async fn unmount(&self) -> io::Result<()> {
        lock(&self.references).clear();
        lock(&self.since).clear();
        lock(&self.kept).objects.clear();
        lock(&self.tokens).clear();
        let disk = self.disk.clone();
        // Secrets do not wait until another pod's millions of files are gone.
        let filled = self.on_disk(|disk| Ok(disk.remove_filled()?)).await;
        let rest = self.provision.remove(move || lock(&disk).remove()).await;
        rest.and(filled.map_err(io::Error::other))
    }

    /// Removes the folder of the pod with all that is in it. Called when the pod is gone.
    ///
    /// # Errors
    /// Any I/O error.
    pub async fn remove(&self) -> io::Result<()> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let remove = move || {
            let mut disk = lock(&disk);
            disk.remove().and(files::remove_tree(&dir))
        };
        self.provision.remove(remove).await
    }

    /// Returns when an object that the pod refers to has changed since [`mount`](Self::mount) or a launch last looked: what failed
    /// for want of it may be tried again at once. May be dropped and called again.
    pub async fn changed(&self) {
        let since = lock(&self.since).clone();
        any_change(since).await;
    }

    /// The pod as it was last heard of.
    pub fn pod(&self) -> Arc<Pod> {
        self.pod.borrow().clone()
    }

    /// The environment of a container, which answers requests at that address, or none.
    ///
    /// # Errors
    /// What is missing, for people.
    pub async fn environment(&self, container: &Container, address: Option<IpAddr>) -> Result<Built, NotStarted> {
        let pod = self.pod();
        let wanted: Vec<(Kind, &str)> = env::references(container).collect();
        let (objects, changes) = self.known(&pod, &wanted).await;
        *lock(&self.since) = changes;
        let objects = objects?;
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        let services = self.provision.objects.services(namespace, links).await?;
        let facts = Facts { pod: &pod, node: &self.provision.node, objects: &objects, services: &services, address };
        env::environment(container, &facts)
    }

    /// The credentials that the pod brings for its registries, and the names of those that could not be had.
    pub async fn pull_secrets(&self) -> (Vec<PullSecret>, Vec<String>) {
        let pod = self.pod();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in pod.spec.iter().flat_map(pull_secret_names) {
            let content = self.refer(&pod, (Kind::Secret, name)).get().await.ok().flatten();
            let bytes = |key: &str| content.as_ref().and_then(|content| content.values.get(key)).cloned();
            let secret = match content.as_ref().map(|content| content.type_.as_str()) {
                Some("kubernetes.io/dockerconfigjson") => bytes(".dockerconfigjson").map(PullSecret::DockerConfigJson),
                Some("kubernetes.io/dockercfg") => bytes(".dockercfg").map(PullSecret::DockerCfg),
                _ => None,
            };
            match secret {
                Some(secret) => found.push(secret),
                None => missing.push(name.to_string()),
            }
        }
        (found, missing)
    }

    /// The mounts of a container, for a new attempt.
    ///
    /// # Errors
    /// What cannot be, for people.
    pub async fn mounts(&self, container: &Container, environment: &Environment) -> Result<Mounted, NotStarted> {
        let pod = self.pod();
        let all = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let wanted = krustlet_volumes::wanted(container, all, environment)?;
        if wanted.is_empty() {
            return Ok(Mounted::default());
        }
        let (container, provision) = (container.clone(), self.provision.clone());
        self.on_disk(move |disk| disk.lay_out(&container, &wanted, &provision.allowed_host_paths)).await
    }

    /// Objects as they are, once the API server has answered, and what tells of their changes from then on.
    async fn known(&self, pod: &Pod, wanted: &[(Kind, &str)]) -> (Result<Known, Unread>, Vec<watch::Receiver<Seen>>) {
        let references: Vec<Reference> = wanted.iter().map(|wanted| self.refer(pod, *wanted)).collect();
        future::join_all(references.iter().map(Reference::answered)).await;
        // In this order: what changes in between is told.
        let changes = references.iter().map(Reference::changes).collect();
        let each = wanted.iter().zip(&references);
        let known = each.map(|((kind, name), reference)| Ok(((*kind, (*name).to_string()), reference.now()?)));
        (known.collect(), changes)
    }

    fn refer(&self, pod: &Pod, (kind, name): (Kind, &str)) -> Reference {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let new = || self.provision.objects.refer(Key { kind, namespace, name: name.to_string() });
        lock(&self.references).entry((kind, name.to_string())).or_insert_with(new).clone()
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Disk) -> Result<T, NotStarted> + Send + 'static,
    ) -> Result<T, NotStarted> {
        let _turn = self.provision.writers.acquire().await;
        let disk = self.disk.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut lock(&disk))).await;
        done.unwrap_or_else(|error| Err(NotStarted::host(format!("the work was cut short: {error}"))))
    }
}

impl std::fmt::Display for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pod = self.pod();
        let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
        write!(f, "{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default())
    }
}

/// Waits until then; for ever without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => future::pending().await,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "resources_tests.rs"]
pub mod tests;
