//! Which pods are here, for those who ask from outside: the log port.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::logs::Progress;

/// What can be known about a container from outside its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerView {
    /// From the spec.
    pub name: String,
    /// The newest attempt and whether more will come; `None` when none was started.
    pub progress: Option<Progress>,
    /// Why it waits, if it does.
    pub waiting: Option<String>,
}

/// What can be known about a pod.
#[derive(Clone, Debug)]
pub struct PodView {
    /// Tells a pod from one of the same name before it.
    pub uid: String,
    /// Folder of its logs.
    pub dir: PathBuf,
    /// In the order of the spec.
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
}

/// The pods of this node, by namespace and name. Clones are the same directory.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pods: Arc<RwLock<HashMap<(String, String), PodView>>>,
}

impl Directory {
    /// What is known about a pod now.
    pub fn get(&self, namespace: &str, name: &str) -> Option<PodView> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.get(&(namespace.to_string(), name.to_string())).cloned()
    }

    /// Sets what is known.
    pub fn set(&self, namespace: &str, name: &str, view: PodView) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        pods.insert((namespace.to_string(), name.to_string()), view);
    }

    /// Forgets a pod, but not another that has taken its name.
    pub fn remove(&self, namespace: &str, name: &str, uid: &str) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_string(), name.to_string());
        if pods.get(&key).is_some_and(|view| view.uid == uid) {
            pods.remove(&key);
        }
    }
}

/// Folder of a pod's logs. None of the parts can hold a separator or begin with a dot: the API server sees to that.
pub fn pod_dir(pods_dir: &Path, namespace: &str, name: &str, uid: &str) -> PathBuf {
    pods_dir.join(format!("{namespace}_{name}_{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_of_the_same_name_is_not_forgotten() {
        let directory = Directory::default();
        let view = |uid: &str| PodView { uid: uid.into(), dir: "/d".into(), containers: vec![] };
        directory.set("n", "p", view("1"));
        directory.set("n", "p", view("2"));
        directory.remove("n", "p", "1");
        assert_eq!(directory.get("n", "p").unwrap().uid, "2");
        directory.remove("n", "p", "2");
        assert!(directory.get("n", "p").is_none());
    }
}
