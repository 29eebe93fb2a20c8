//! What is known of a pod, and whether it may run, before it has a worker.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use krustlet_core::admission::admit::{self, Refusal};
use krustlet_core::admission::pressure;
use krustlet_core::pod::{containers, is_terminal, was_started};
use kube::ResourceExt;
use tokio::time::sleep;

use crate::Shared;
use crate::checkpoint::Checkpoint;
use crate::directory::pod_dir;
use crate::places::Place;

/// How soon what a pod has done is read again when the disk did not give it.
const RECALL_PAUSE: Duration = Duration::from_secs(1);

/// What earlier agents have noted of the pod. Waits as long as that cannot be read: without it a program might run again.
pub async fn recall(shared: &Shared, pod: &Pod) -> Checkpoint {
    let dir = folder(shared, pod);
    let names: Vec<String> = containers(pod).map(|(_, container)| container.name.clone()).collect();
    loop {
        let (dir, names) = (dir.clone(), names.clone());
        match tokio::task::spawn_blocking(move || Checkpoint::read(&dir, &names)).await.map_err(io::Error::other) {
            Ok(Ok(checkpoint)) => return checkpoint,
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(pod = pod.name_any(), "what a pod has done cannot be read; trying again: {error}");
                sleep(RECALL_PAUSE).await;
            }
        }
    }
}

/// The folder of a pod.
pub fn folder(shared: &Shared, pod: &Pod) -> PathBuf {
    let (namespace, uid) = (pod.namespace().unwrap_or_default(), pod.uid().unwrap_or_default());
    pod_dir(&shared.pods_dir, &namespace, &pod.name_any(), &uid)
}

/// Finds a place for the pod, if it is to run.
pub async fn admission(shared: &Shared, pod: &Pod, checkpoint: &Checkpoint) -> Result<Option<Place>, Refusal> {
    let over = is_terminal(pod) || checkpoint.verdict.is_some();
    if over || pod.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    if let Some(refusal) = admit::refuse(pod) {
        return Err(refusal);
    }
    match was_started(pod) || checkpoint.begun() {
        true => Ok(Some(shared.places.keep(pod))),
        false => match pressure::refuse(pod, shared.pressure.known(Instant::now())) {
            Some(refusal) => Err(refusal),
            None => shared.places.take(pod).await.map(Some),
        },
    }
}
