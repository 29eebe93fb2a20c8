//! The pods of this node: watched at the API server, each run by a worker of its own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod addresses;
mod checkpoint;
mod containers;
mod directory;
mod eviction;
mod listing;
pub mod origins;
mod places;
mod resources;
mod restore;
mod serving;
mod status_manager;
mod worker;

#[cfg(test)]
mod checkpoint_tests;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod shutdown_tests;
#[cfg(test)]
mod testing;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use krustlet_api::discovery::ServiceNames;
use krustlet_api::events::Events;
use krustlet_api::patience::Patience;
use krustlet_api::{WATCH_SECONDS, WATCH_SILENCE};
use krustlet_core::node::Pressure;
use krustlet_core::serving::ports::{PortLease, Ports};
use krustlet_host::files;
use krustlet_images::Images;
use krustlet_logs::Logs;
use krustlet_runtime::{ServerLimits, Tracer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

pub use self::addresses::{Addresses, KeepError, keep as keep_addresses};
pub use self::containers::http::most_requests;
pub use self::directory::{ContainerView, Directory, PodView};
pub use self::eviction::Evictions;
use self::eviction::Victim;
use self::listing::Listing;
pub use self::places::Places;
pub use self::resources::Provision;
pub use self::serving::{Answering, limits as server_limits};

/// How long all pods together may take to end and to be told of when the agent stops, after their grace.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(6);
/// How long nobody looks after what the node is short of when that has failed.
const EVICTION_PAUSE: Duration = Duration::from_secs(1);

/// What all workers share.
pub struct Shared {
    /// Who has a place on this node.
    pub places: Places,
    /// Which pod has which address.
    pub addresses: Addresses,
    /// Who has which port of an address.
    pub ports: Ports,
    /// The API server.
    pub client: Client,
    /// Modules.
    pub images: Images,
    /// What containers write.
    pub logs: Logs,
    /// Where events go.
    pub events: Events,
    /// Where the log port looks.
    pub directory: Directory,
    /// Folder of all pods' logs.
    pub pods_dir: PathBuf,
    /// What pods are given by their node: volumes, and what their specs refer to.
    pub provision: Arc<Provision>,
    /// Where programs find Services.
    pub service_names: ServiceNames,
    /// What the node is short of.
    pub pressure: Pressure,
    /// How many pods had to go for it.
    pub evictions: Evictions,
    /// What the clients of a pod that serves may take at most.
    pub server_limits: ServerLimits,
    /// Who records the requests that are answered, if somebody wants them.
    pub tracer: Option<Tracer>,
    /// How long a program that is to come to its end may go on when the agent stops, if its own grace period is as long.
    pub shutdown_grace: Duration,
}

/// What is wanted of a pod.
#[derive(Clone)]
struct Desired {
    /// As the API server has it.
    pod: Arc<Pod>,
    /// It has been removed from the API server.
    gone: bool,
    /// The agent is stopping: nothing may run any more by then.
    shutdown: Option<Instant>,
    /// It must go, so that the others and the node stay: why.
    evicted: Option<String>,
}

/// Runs the pods that are bound to this node until `stop` says so; then ends them, with their grace, and reports their end.
pub async fn run(shared: Arc<Shared>, node_name: &str, mut stop: watch::Receiver<bool>) {
    let api: Api<Pod> = Api::all(shared.client.clone());
    let selection = watcher::Config::default().fields(&format!("spec.nodeName={node_name}")).timeout(WATCH_SECONDS);
    let begin = || watcher(api.clone(), selection.clone()).backoff(Patience::default()).boxed();
    let mut news = begin();
    let (victims, mut evicted) = mpsc::channel(1);
    let mut evictor = JoinSet::new();
    evictor.spawn(eviction::run(shared.clone(), victims.clone()));
    let mut pods = Pods::new(shared.clone());
    loop {
        let stopping = pods.stopping;
        if stopping.is_some() && pods.tasks.is_empty() {
            return;
        }
        let limit = stopping.map(|ends| ends + SHUTDOWN_LIMIT);
        tokio::select! {
            _ = stop.wait_for(|stop| *stop), if stopping.is_none() => pods.stop(),
            () = sleep_until(limit.unwrap_or_else(Instant::now).into()), if stopping.is_some() => {
                tracing::warn!("some pods did not end in time");
                return;
            }
            Some(ended) = pods.tasks.join_next(), if !pods.tasks.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!("a pod is no longer looked after: {error}");
                }
            }
            Some(victim) = evicted.recv() => pods.evict(victim),
            Some(ended) = evictor.join_next() => {
                tracing::error!("nobody looks after what the node is short of, and begins anew: {ended:?}");
                let (shared, victims) = (shared.clone(), victims.clone());
                evictor.spawn(async move {
                    sleep(EVICTION_PAUSE).await;
                    eviction::run(shared, victims).await;
                });
            }
            // Also while they end: one that is deleted then need not wait for its grace.
            event = timeout(WATCH_SILENCE, news.next()) => match event {
                Ok(Some(Ok(event))) => pods.hear(event),
                Ok(Some(Err(error))) => tracing::warn!("the watch on pods was interrupted: {error}"),
                Ok(None) | Err(_) => news = begin(),
            }
        }
    }
}

struct Pods {
    shared: Arc<Shared>,
    /// By uid. A worker that has ended stays here until the API server says that its pod is gone: late news of it must not
    /// start it again.
    workers: HashMap<String, watch::Sender<Desired>>,
    tasks: JoinSet<()>,
    listing: Listing,
    /// By uid: the ports that pods of a list had under an earlier agent, until they are taken up.
    ports_before: HashMap<String, Vec<PortLease>>,
    /// When the grace of all of them is over: the agent is stopping.
    stopping: Option<Instant>,
}

impl Pods {
    fn new(shared: Arc<Shared>) -> Self {
        let (workers, tasks, listing, ports_before) = Default::default();
        Self { shared, workers, tasks, listing, ports_before, stopping: None }
    }

    fn hear(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.listing.begin(),
            watcher::Event::InitApply(pod) => self.listing.add(pod),
            watcher::Event::InitDone => {
                let (first, pods) = self.listing.end();
                let listed: HashSet<String> = pods.iter().filter_map(ResourceExt::uid).collect();
                let gone: Vec<String> = self.workers.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| self.gone(uid));
                if first {
                    // Found now, before a pod of this run has a folder.
                    let folders = leftovers(&self.shared.pods_dir, &listed);
                    tokio::spawn(remove_leftovers(self.shared.provision.clone(), folders));
                }
                // Before any of them begins: what a pod had before is still its own.
                let is_new = |pod: &&Pod| pod.uid().is_some_and(|uid| !self.workers.contains_key(&uid));
                let new: Vec<&Pod> = pods.iter().filter(is_new).collect();
                new.iter().for_each(|pod| self.shared.addresses.take_again(pod));
                self.ports_before = self.shared.ports.take_again(&new);
                pods.into_iter().for_each(|pod| self.apply(pod));
                self.ports_before.clear();
            }
            watcher::Event::Apply(pod) => self.apply(pod),
            watcher::Event::Delete(pod) => self.gone(&pod.uid().unwrap_or_default()),
        }
    }

    fn apply(&mut self, mut pod: Pod) {
        pod.managed_fields_mut().clear();
        let Some(uid) = pod.uid() else { return };
        let pod = Arc::new(pod);
        if let Some(worker) = self.workers.get(&uid) {
            worker.send_modify(|desired| desired.pod = pod);
            return;
        }
        if self.stopping.is_some() {
            // The next agent takes it up.
            return;
        }
        let (sender, receiver) = watch::channel(Desired { pod, gone: false, shutdown: None, evicted: None });
        let ports_before = self.ports_before.remove(&uid).unwrap_or_default();
        self.workers.insert(uid, sender);
        self.tasks.spawn(worker::run(self.shared.clone(), receiver, ports_before));
    }

    fn gone(&mut self, uid: &str) {
        if let Some(worker) = self.workers.remove(uid) {
            worker.send_modify(|desired| desired.gone = true);
        }
    }

    fn evict(&mut self, victim: Victim) {
        if let Some(worker) = self.workers.get(&victim.uid) {
            worker.send_modify(|desired| desired.evicted = Some(victim.message));
        }
    }

    fn stop(&mut self) {
        let ends = Instant::now() + self.shared.shutdown_grace;
        self.stopping = Some(ends);
        for worker in self.workers.values() {
            worker.send_modify(|desired| desired.shutdown = Some(ends));
        }
    }
}

/// Folders of pods that went while no agent ran.
fn leftovers(pods_dir: &Path, known: &HashSet<String>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(pods_dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_known = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        known.contains(name.rsplit('_').next().unwrap_or_default())
    };
    entries.filter(|path| !is_known(path)).collect()
}

async fn remove_leftovers(provision: Arc<Provision>, folders: Vec<PathBuf>) {
    for folder in folders {
        tracing::info!(folder = %folder.display(), "removing what a pod left behind");
        if let Err(error) = provision.remove(move || files::remove_tree(&folder)).await {
            tracing::warn!("files of a pod could not be removed: {error}");
        }
    }
}
