//! The pods of this node: watched at the API server, each run by a worker of its own.

mod admit;
mod backoff;
mod command;
mod directory;
mod events;
mod launch;
mod machine;
mod report;
mod restore;
mod slot;
mod status;
mod worker;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::directory::Directory;
pub use self::events::Events;
use crate::files;
use crate::images::Images;

/// How long all pods together may take to end when the agent stops.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(6);

/// What all workers share.
pub struct Shared {
    /// The API server.
    pub client: Client,
    /// Modules.
    pub images: Images,
    /// Where events go.
    pub events: Events,
    /// Where the log port looks.
    pub directory: Directory,
    /// The node's address, as text.
    pub host_ip: String,
    /// Folder of all pods' logs.
    pub pods_dir: PathBuf,
}

/// What is wanted of a pod.
#[derive(Clone)]
pub struct Desired {
    /// As the API server has it.
    pub pod: Arc<Pod>,
    /// It has been removed from the API server.
    pub gone: bool,
    /// The agent is stopping.
    pub shutdown: bool,
}

/// Runs the pods that are bound to this node until `stop` says so; then ends them and reports their end.
pub async fn run(shared: Arc<Shared>, node_name: &str, mut stop: watch::Receiver<bool>) {
    let api: Api<Pod> = Api::all(shared.client.clone());
    let selection = watcher::Config::default().fields(&format!("spec.nodeName={node_name}"));
    let mut news = std::pin::pin!(watcher(api, selection).default_backoff());
    let mut pods =
        Pods { shared, workers: HashMap::new(), tasks: JoinSet::new(), listed: HashSet::new(), cleaned: false };
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = pods.tasks.join_next(), if !pods.tasks.is_empty() => {}
            event = news.next() => match event {
                Some(Ok(event)) => pods.hear(event),
                Some(Err(error)) => tracing::warn!("the watch on pods was interrupted: {error}"),
                None => break,
            }
        }
    }
    pods.shutdown().await;
}

struct Pods {
    shared: Arc<Shared>,
    /// By uid. A worker that has ended stays here until the API server says that its pod is gone: late news of it must not
    /// start it again.
    workers: HashMap<String, watch::Sender<Desired>>,
    tasks: JoinSet<()>,
    /// Uids that the current listing has shown so far.
    listed: HashSet<String>,
    cleaned: bool,
}

impl Pods {
    fn hear(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(pod) => {
                self.listed.extend(pod.uid());
                self.apply(pod);
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<String> = self.workers.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| self.gone(uid));
                if !std::mem::replace(&mut self.cleaned, true) {
                    remove_leftovers(&self.shared.pods_dir, &listed);
                }
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
        let (sender, receiver) = watch::channel(Desired { pod, gone: false, shutdown: false });
        self.workers.insert(uid, sender);
        self.tasks.spawn(worker::run(self.shared.clone(), receiver));
    }

    fn gone(&mut self, uid: &str) {
        if let Some(worker) = self.workers.remove(uid) {
            worker.send_modify(|desired| desired.gone = true);
        }
    }

    async fn shutdown(mut self) {
        for worker in self.workers.values() {
            worker.send_modify(|desired| desired.shutdown = true);
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(SHUTDOWN_LIMIT, all).await.is_err() {
            tracing::warn!("some pods did not end in time");
        }
    }
}

/// Removes the files of pods that went while no agent ran.
fn remove_leftovers(pods_dir: &Path, known: &HashSet<String>) {
    let Ok(entries) = std::fs::read_dir(pods_dir) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let uid = name.rsplit('_').next().unwrap_or_default();
        if !known.contains(uid) {
            tracing::info!(pod = name, "removing what a pod left behind");
            if let Err(error) = files::remove_tree(&path) {
                tracing::warn!("files of a pod could not be removed: {error}");
            }
        }
    }
}
