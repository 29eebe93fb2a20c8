//! How much of the node's disk a pod takes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use krustlet_core::eviction::local_storage::{Limits, Usage};
use krustlet_core::pod::containers;
use krustlet_core::references::used_volumes;

use super::Resources;

/// Something of a pod that takes room, where it is, and from where on it is of no interest how much more it is.
type Part = (String, PathBuf, u64);

impl Resources {
    /// What the pod may take.
    pub(super) fn limits(&self) -> Limits {
        let pod = self.pod();
        pod.spec.as_ref().map(|spec| Limits::of(spec, &used_volumes(&pod))).unwrap_or_default()
    }

    /// Why the pod must go, if it takes more than it may. What cannot be known at the moment is no reason.
    pub(super) async fn exceeded(&self, limits: &Limits) -> Option<String> {
        let pod = self.pod();
        let volumes = used_volumes(&pod).into_iter().filter(|volume| volume.empty_dir.is_some()).filter_map(|volume| {
            let most = limits.most_of_volume(&volume.name)?;
            Some((volume.name.clone(), krustlet_volumes::folder_of_all(&self.dir).join(&volume.name), most))
        });
        let logs = containers(&pod).filter_map(|(_, container)| {
            let most = limits.most_of_logs(&container.name)?;
            Some((container.name.clone(), self.dir.join(&container.name), most))
        });
        let usage = self.measure(volumes.collect(), logs.collect()).await?;
        limits.exceeded(&usage)
    }

    async fn measure(&self, volumes: Vec<Part>, logs: Vec<Part>) -> Option<Usage> {
        // An error means that the semaphore is closed, which it never is. The disk is not locked: this may take long, and writes nothing.
        let _turn = self.provision.lookers.acquire().await;
        let look = move || {
            let all = |parts: Vec<Part>| -> Option<BTreeMap<String, u64>> {
                parts
                    .into_iter()
                    .map(|(name, folder, most)| Some((name, krustlet_volumes::used(&folder, most)?)))
                    .collect()
            };
            Some(Usage { volumes: all(volumes)?, logs: all(logs)? })
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }
}
