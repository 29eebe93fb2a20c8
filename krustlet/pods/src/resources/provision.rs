//! What the node has for all its pods, and how many of them use its disk at a time.

use std::io;
use std::sync::Arc;

use krustlet_api::objects::Objects;
use krustlet_core::env::Node;
use krustlet_volumes::HostPaths;
use tokio::sync::Semaphore;

/// So many pods' volumes are written, and so many measured, at the same time.
const AT_ONCE: usize = 4;
/// So many pods' files are removed at the same time: a guest may have made millions, and the disk is for those that run, too.
const REMOVALS: usize = 2;

/// What the node provides to all its pods.
pub struct Provision {
    /// ConfigMaps, Secrets, services and tokens.
    pub objects: Objects,
    /// What a pod may learn of the node.
    pub node: Node,
    /// Folders below which hostPath volumes may be. None: there are no such volumes.
    pub allowed_host_paths: HostPaths,
    /// Whoever writes volumes, and whoever measures them, takes one: else a hundred pods at once are a hundred threads.
    pub(super) writers: Semaphore,
    pub(super) lookers: Semaphore,
    pub(super) removers: Arc<Semaphore>,
}

impl Provision {
    /// See the fields. `allocatable` of the node is what limits are by default.
    pub fn new(objects: Objects, node: Node, allowed_host_paths: HostPaths) -> Self {
        let turns = || Semaphore::new(AT_ONCE);
        let removers = Arc::new(Semaphore::new(REMOVALS));
        Self { objects, node, allowed_host_paths, writers: turns(), lookers: turns(), removers }
    }

    /// Removes files of pods: on a thread of its own, in its turn.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn remove(&self, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let turn = self.removers.clone().acquire_owned().await;
        let removed = tokio::task::spawn_blocking(move || {
            // It lasts as long as the thread, and not as whoever waits for it.
            let _turn = turn;
            work()
        });
        removed.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
