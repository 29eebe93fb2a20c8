//! Which pods are here, for those who ask from outside: the node's API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;
use krustlet_logs::Progress;
use krustlet_runtime::Container;
use tokio::sync::watch;

use crate::serving::Answering;

/// What can be known about a container from outside its worker.
#[derive(Clone, Debug)]
pub struct ContainerView {
    /// From the spec.
    pub name: String,
    /// Whether it is an init container.
    pub init: bool,
    /// The newest attempt and whether more will come; `None` when none was started.
    pub progress: Option<Progress>,
    /// Whether it has ended for good, though it may never have begun.
    pub ended: bool,
    /// Why it waits, if it does: the reason in its status.
    pub waiting: Option<String>,
    /// Since when it runs, if it does.
    pub started_at: Option<Timestamp>,
    /// The guest, while it runs.
    pub guest: Option<Container>,
    /// While it runs, if it listens.
    pub answering: Option<Answering>,
}

/// What can be known about a pod.
#[derive(Clone, Debug)]
pub struct PodView {
    /// Tells a pod from one of the same name before it.
    pub uid: String,
    /// Folder of its logs.
    pub dir: PathBuf,
    /// As the API server has it, with the status that was reported last.
    pub pod: Arc<Pod>,
    /// Init containers first, each kind in the order of the spec.
    pub containers: Vec<ContainerView>,
}

impl PodView {
    /// The container of that name.
    pub fn container(&self, name: &str) -> Option<&ContainerView> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// Folder of the logs of a container.
    pub fn container_dir(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether all its containers have ended for good.
    pub fn has_ended(&self) -> bool {
        !self.is_running() && self.containers.iter().all(|container| container.ended)
    }

    /// Whether any of its containers runs.
    pub fn is_running(&self) -> bool {
        self.containers.iter().any(|container| container.guest.is_some())
    }
}

/// A pod as the API server has it, but for the status, which is the one that this agent `published` last, if it did.
pub fn with_status(pod: &Arc<Pod>, published: Option<&PodStatus>) -> Arc<Pod> {
    match published {
        Some(status) if pod.status.as_ref() != Some(status) => {
            Arc::new(Pod { status: Some(status.clone()), ..Pod::clone(pod) })
        }
        _ => pod.clone(),
    }
}

/// The pods of this node, by namespace and name. Clones are the same directory.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pods: Arc<RwLock<BTreeMap<(String, String), PodView>>>,
    changes: watch::Sender<()>,
}

impl Directory {
    /// What is known about a pod now.
    pub fn get(&self, namespace: &str, name: &str) -> Option<PodView> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.get(&(namespace.to_string(), name.to_string())).cloned()
    }

    /// All pods, with their namespaces and names, in the order of these.
    pub fn all(&self) -> Vec<((String, String), PodView)> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.iter().map(|(key, view)| (key.clone(), view.clone())).collect()
    }

    /// Sets what is known.
    pub fn set(&self, namespace: &str, name: &str, view: PodView) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = pods.insert((namespace.to_string(), name.to_string()), view);
        self.changed(pods, replaced);
    }

    /// Forgets a pod, but not another that has taken its name.
    pub fn remove(&self, namespace: &str, name: &str, uid: &str) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_string(), name.to_string());
        if pods.get(&key).is_some_and(|view| view.uid == uid) {
            let removed = pods.remove(&key);
            self.changed(pods, removed);
        }
    }

    /// Becomes changed with each change of any pod.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Lets go of the lock before the old view, which may hold the last handle of a guest, and before anybody looks.
    fn changed<Guard>(&self, lock: Guard, old: Option<PodView>) {
        drop(lock);
        drop(old);
        self.changes.send_replace(());
    }
}

/// Folder of a pod's logs. None of the parts can hold a separator or begin with a dot: the API server sees to that.
pub fn pod_dir(pods_dir: &Path, namespace: &str, name: &str, uid: &str) -> PathBuf {
    pods_dir.join(format!("{namespace}_{name}_{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(uid: &str) -> PodView {
        PodView { uid: uid.into(), dir: "/d".into(), pod: Arc::default(), containers: vec![] }
    }

    #[test]
    fn a_successor_of_the_same_name_is_not_forgotten() {
        let directory = Directory::default();
        directory.set("n", "p", view("1"));
        directory.set("n", "p", view("2"));
        directory.remove("n", "p", "1");
        assert_eq!(directory.get("n", "p").unwrap().uid, "2");
        directory.remove("n", "p", "2");
        assert!(directory.get("n", "p").is_none());
    }

    #[test]
    fn changes_are_told_and_all_pods_come_in_order() {
        let directory = Directory::default();
        let mut changes = directory.clone().subscribe();
        assert!(!changes.has_changed().unwrap());
        directory.set("b", "p", view("1"));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        directory.set("a", "z", view("2"));
        directory.remove("b", "p", "another");
        assert_eq!(directory.all().into_iter().map(|(key, _)| key.0).collect::<Vec<_>>(), ["a", "b"]);
        changes.mark_unchanged();
        directory.remove("b", "p", "1");
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn the_status_is_the_one_that_was_reported_last() {
        let status = |phase: &str| PodStatus { phase: Some(phase.into()), ..PodStatus::default() };
        let pod = Arc::new(Pod { status: Some(status("Pending")), ..Pod::default() });
        assert!(Arc::ptr_eq(&with_status(&pod, None), &pod));
        assert!(Arc::ptr_eq(&with_status(&pod, Some(&status("Pending"))), &pod));
        assert_eq!(with_status(&pod, Some(&status("Running"))).status, Some(status("Running")));
    }
}
