//! What of a pod can be seen from outside, and how it goes.

use std::io;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use krustlet_core::lifecycle::policy::Role;
use krustlet_core::pod::containers;
use krustlet_core::status::container_status::Shown;
use krustlet_core::status::{Facts, pod_status};
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::Desired;
use super::super::directory::{PodView, with_status};
use super::Worker;
use crate::checkpoint;

/// How long the last statuses may take when the agent stops.
const LAST_REPORT: Duration = Duration::from_secs(4);

impl Worker {
    /// Gives back what a pod that has ended needs no longer.
    pub(super) fn settle(&mut self) {
        self.settled = true;
        self.place = None;
        self.ports_before.clear();
        self.slots.iter_mut().for_each(|slot| drop(slot.port.take()));
        self.shared.addresses.free(&self.uid);
        if let Some(tending) = self.tending.take() {
            tending.abort();
        }
        let (pod, resources) = (self.to_string(), self.resources.clone());
        // Nobody waits for it: a guest may have made millions of files.
        tokio::spawn(async move {
            if let Err(error) = resources.unmount().await {
                tracing::warn!(pod, "volumes of a pod could not be removed: {error}");
            }
        });
    }

    /// Writes down why the pod fails, before the API server hears of it. A refusal is found again by whoever takes the pod up again.
    pub(super) async fn note_verdict(&mut self) {
        let Some(verdict) = self.course.verdict().filter(|_| !self.noted && self.refusal.is_none()).cloned() else {
            return;
        };
        self.noted = true;
        let dir = self.dir.clone();
        let written =
            tokio::task::spawn_blocking(move || checkpoint::note(&dir, &verdict)).await.map_err(io::Error::other);
        if let Err(error) | Ok(Err(error)) = written {
            tracing::warn!(pod = %self, "why a pod fails could not be noted: {error}");
        }
    }

    /// Tells the log port and the API server how things are.
    pub(super) fn publish(&mut self) {
        let has_inits = self.slots.iter().any(|slot| slot.role != Role::Main);
        let view = PodView {
            uid: self.uid.clone(),
            dir: self.dir.clone(),
            pod: with_status(&self.pod, self.reporter.published()),
            containers: self.slots.iter().map(|slot| slot.view(has_inits)).collect(),
        };
        self.shared.directory.set(&self.namespace, &self.name, view);
        if self.course.over || self.course.gone {
            return;
        }
        let shown = self.slots.iter().map(|slot| {
            let found = containers(&self.pod).find(|(_, container)| container.name == slot.name);
            let container = found.map(|(_, container)| container);
            Shown {
                resources: container.and_then(|container| container.resources.as_ref()),
                mounts: container.and_then(|container| container.volume_mounts.as_deref()),
                ..slot.shown()
            }
        });
        let shown: Vec<Shown<'_>> = shown.collect();
        let status = pod_status(&Facts {
            pod: &self.pod,
            before: self.reporter.published().or(self.pod.status.as_ref()),
            containers: &shown,
            refusal: self.refusal.as_ref(),
            verdict: self.course.verdict(),
            resize: self.unmet.as_ref().map(|unmet| &unmet.why),
            mounted: self.course.mounted,
            mount_error: self.mount_error.as_deref(),
            listens: !self.ports_before.is_empty() || self.shared.addresses.has_listened(&self.uid),
            terminal: self.course.deleting() || self.course.verdict().is_some(),
            pod_ip: self.shared.addresses.of(&self.uid),
            host_ip: &self.shared.provision.node.host_ip,
            start_time: self.start_time,
            now: Timestamp::now(),
        });
        self.reporter.offer(status);
    }

    /// All containers have ended, and the pod is to go or the agent to stop.
    pub(super) async fn end(mut self, mut desired: watch::Receiver<Desired>) {
        if self.course.shutting_down() && !self.course.gone {
            self.reporter.drain(LAST_REPORT).await;
            if self.course.deleting() && timeout(LAST_REPORT, self.reporter.delete()).await.is_ok() {
                self.remove();
            }
            return;
        }
        if !self.course.gone {
            let leave = desired.wait_for(|now| now.gone || now.shutdown.is_some());
            let remove = async {
                self.reporter.drain(LAST_REPORT).await;
                self.reporter.delete().await;
            };
            tokio::select! {
                () = remove => {}
                _ = leave => {}
            }
        }
        self.remove();
    }

    /// Removes what is left of a pod that is gone.
    fn remove(&mut self) {
        if !self.settled {
            self.settle();
        }
        self.shared.directory.remove(&self.namespace, &self.name, &self.uid);
        // A container that was about to start when it ended may have taken one after that.
        self.shared.addresses.free(&self.uid);
        let (pod, resources) = (self.to_string(), self.resources.clone());
        tokio::spawn(async move {
            if let Err(error) = resources.remove().await {
                tracing::warn!(pod, "files of a pod could not be removed: {error}");
            }
        });
        tracing::info!(pod = %self, "pod gone");
    }
}
