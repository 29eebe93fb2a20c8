use std::fs;

use krustlet_api::objects::Objects;
use krustlet_api::objects::testing::{Fake, eventually};
use krustlet_core::env::Node;
use krustlet_volumes::{HostPaths, Own};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;

pub struct Site {
    pub fake: Fake,
    provision: Arc<Provision>,
    folder: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self::allowing(&["share"])
    }

    /// Where these folders of its own may be host paths.
    pub fn allowing(folders: &[&str]) -> Self {
        let fake = Fake::new();
        let folder = tempfile::tempdir().unwrap();
        let node = Node { host_ip: "10.0.0.1".into(), ..Node::default() };
        let allowed = folders.iter().map(|name| folder.path().join(name)).collect();
        let allowed: Vec<PathBuf> = allowed;
        let own = Own { data_dir: folder.path().join("data"), files: Vec::new() };
        let allowed = HostPaths::open(&allowed, own).unwrap();
        let provision = Arc::new(Provision::new(Objects::new(fake.client()), node, allowed));
        Self { fake, provision, folder }
    }

    /// A folder of its own.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn resources(&self, pod: Arc<Pod>) -> Arc<Resources> {
        let dir = self.folder.path().join(pod.metadata.name.as_deref().unwrap());
        Resources::with(self.provision.clone(), pod, &dir)
    }

    /// The folder that hostPath volumes may be in. Not made yet.
    pub fn share(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    fn pod(&self, name: &str, spec: Value) -> Arc<Resources> {
        self.resources(pod(name, spec, json!({})))
    }

    pub fn volume(&self, pod: &str, path: &str) -> PathBuf {
        self.folder.path().join(pod).join(".volumes").join(path)
    }

    fn read(&self, pod: &str, path: &str) -> String {
        fs::read_to_string(self.volume(pod, path)).unwrap_or_default()
    }
}

pub fn pod(name: &str, spec: Value, labels: Value) -> Arc<Pod> {
    let meta = json!({ "name": name, "namespace": "ns", "uid": format!("uid-{name}"), "labels": labels });
    Arc::new(serde_json::from_value(json!({ "metadata": meta, "spec": spec })).unwrap())
}

/// A pod with these volumes, each mounted under its name.
fn with(volumes: Value) -> Value {
    let mounts: Vec<Value> = volumes
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| json!({ "name": volume["name"], "mountPath": format!("/{}", volume["name"].as_str().unwrap()) }))
        .collect();
    json!({ "serviceAccountName": "sa", "containers": [{ "name": "c", "volumeMounts": mounts }], "volumes": volumes })
}

/// The volume that the API server adds to every pod.
fn api_access() -> Value {
    with(json!([{ "name": "access", "projected": { "defaultMode": 420, "sources": [
        { "serviceAccountToken": { "path": "token", "expirationSeconds": 3607 } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
        { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": { "fieldPath": "metadata.namespace" } }] } },
    ] } }]))
}

fn root_ca(fake: &Fake) {
    fake.set("configmaps", "ns", "kube-root-ca.crt", json!({ "data": { "ca.crt": "PEM" } }));
}

#[tokio::test]
async fn a_plain_pod_has_its_token_and_asks_for_it_once() {
    let site = Site::new();
    root_ca(&site.fake);
    let resources = site.pod("p", api_access());
    resources.mount().await.unwrap();
    let file = |path: &str| site.read("p", &format!("access/{path}"));
    assert_eq!((file("token"), file("ca.crt"), file("namespace")), ("token-1-of-sa".into(), "PEM".into(), "ns".into()));
    let state = fs::read_link(site.volume("p", "access/..data")).unwrap();
    resources.mount().await.unwrap();
    assert_eq!(site.fake.tokens().len(), 1);
    assert_eq!(fs::read_link(site.volume("p", "access/..data")).unwrap(), state);
    assert_eq!(site.fake.tokens()[0]["spec"]["boundObjectRef"]["uid"], "uid-p");
}

#[tokio::test]
async fn a_full_node_mounts_fast_and_watches_once() {
    let site = Site::new();
    root_ca(&site.fake);
    let pods: Vec<_> = (0..110).map(|at| site.pod(&format!("p{at}"), api_access())).collect();
    let started = std::time::Instant::now();
    let mounted = future::join_all(pods.iter().map(|pod| pod.mount())).await;
    assert!(mounted.into_iter().all(|result| result.is_ok()));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    eventually("the watch", || site.fake.watches() == 1).await;
    assert_eq!((site.fake.lists(), site.fake.tokens().len()), (1, 110));
    drop(pods);
    eventually("no watch", || site.fake.watches() == 0).await;
}

#[tokio::test]
async fn what_is_missing_is_named_and_its_coming_is_told() {
    let site = Site::new();
    let volumes = json!([
        { "name": "cm", "configMap": { "name": "late" } },
        { "name": "s", "secret": { "secretName": "never", "optional": true } },
    ]);
    let resources = site.pod("p", with(volumes));
    let said = resources.mount().await.unwrap_err().to_string();
    assert_eq!(said, r#"MountVolume.SetUp failed for volume "cm" : configmap "late" not found"#);
    let quiet = timeout(Duration::from_millis(100), resources.changed()).await;
    assert!(quiet.is_err());
    site.fake.set("configmaps", "ns", "late", json!({ "data": { "a": "1" } }));
    timeout(Duration::from_secs(5), resources.changed()).await.unwrap();
    resources.mount().await.unwrap();
    assert_eq!(site.read("p", "cm/a"), "1");
}

#[tokio::test]
async fn updates_reach_a_running_pod() {
    let site = Site::new();
    site.fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" } }));
    let volumes = json!([
        { "name": "cm", "configMap": { "name": "cm" } },
        { "name": "me", "downwardAPI": { "items": [{ "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } }] } },
    ]);
    let spec = with(volumes);
    let resources = site.pod("p", spec.clone());
    resources.mount().await.unwrap();
    let keeper = tokio::spawn({
        let resources = resources.clone();
        // Dropped and called again all the time, as its caller may.
        async move { while timeout(Duration::from_millis(20), resources.keep()).await.is_err() {} }
    });
    site.fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "2", "b": "3" } }));
    eventually("the new values", || (site.read("p", "cm/a"), site.read("p", "cm/b")) == ("2".into(), "3".into())).await;
    resources.update(pod("p", spec, json!({ "app": "x" })));
    eventually("the label", || site.read("p", "me/labels") == "app=\"x\"").await;
    site.fake.remove("configmaps", "ns", "cm");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(site.read("p", "cm/a"), "2", "what a pod has, it keeps");
    site.fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "4" } }));
    eventually("the newest value", || site.read("p", "cm/a") == "4").await;
    assert!(!site.volume("p", "cm/b").exists());
    keeper.abort();
}

#[tokio::test]
async fn tokens_are_replaced_before_they_end() {
    let site = Site::new();
    root_ca(&site.fake);
    site.fake.token_seconds(2);
    let resources = site.pod("p", api_access());
    resources.mount().await.unwrap();
    assert_eq!(site.read("p", "access/token"), "token-1-of-sa");
    let keeper = tokio::spawn({
        let resources = resources.clone();
        async move { resources.keep().await }
    });
    eventually("the second token", || site.read("p", "access/token") == "token-2-of-sa").await;
    keeper.abort();
}

#[tokio::test]
async fn a_token_that_grew_old_while_the_machine_slept_is_replaced() {
    let site = Site::new();
    root_ca(&site.fake);
    let resources = site.pod("p", api_access());
    resources.mount().await.unwrap();
    // A clock that stands still meanwhile knows nothing of it.
    for token in lock(&resources.tokens).values_mut() {
        token.sleep(Duration::from_secs(3500));
    }
    let keeper = tokio::spawn({
        let resources = resources.clone();
        async move { resources.keep().await }
    });
    eventually("the second token", || site.read("p", "access/token") == "token-2-of-sa").await;
    keeper.abort();
}

#[tokio::test]
async fn an_empty_dir_outlives_its_agent_and_not_its_pod() {
    let site = Site::new();
    let spec = with(json!([{ "name": "e", "emptyDir": {} }, { "name": "m", "emptyDir": { "mode": 0o750 } }]));
    let first = site.pod("p", spec.clone());
    first.mount().await.unwrap();
    fs::write(site.volume("p", "e/file"), "kept").unwrap();
    drop(first);
    let second = site.pod("p", spec);
    second.mount().await.unwrap();
    assert_eq!(site.read("p", "e/file"), "kept");
    use std::os::unix::fs::PermissionsExt;
    let mode = |path| fs::metadata(site.volume("p", path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("e"), mode("m")), (0o700, 0o750));
    second.unmount().await.unwrap();
    assert!(!site.volume("p", "").exists());
    assert!(second.mount().await.unwrap_err().to_string().contains("the pod is over"));
    assert!(!site.volume("p", "").exists());
}

#[tokio::test]
async fn nobody_waits_for_files_that_go() {
    let site = Site::new();
    let resources = site.pod("p", with(json!([{ "name": "e", "emptyDir": {} }])));
    resources.mount().await.unwrap();
    for at in 0..20_000 {
        fs::write(site.volume("p", &format!("e/{at}")), "").unwrap();
    }
    // On this thread everything else runs, too.
    let removal = tokio::spawn(async move { resources.unmount().await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!removal.is_finished());
    removal.await.unwrap().unwrap();
    assert!(!site.volume("p", "").exists());
}

#[tokio::test]
async fn secrets_go_before_the_turn_of_large_folders() {
    let site = Site::new();
    site.fake.set("secrets", "ns", "s", json!({ "data": { "key": "aHVudGVyMg==" } }));
    let volumes = json!([{ "name": "e", "emptyDir": {} }, { "name": "s", "secret": { "secretName": "s" } }]);
    let resources = site.pod("p", with(volumes));
    resources.mount().await.unwrap();
    assert_eq!(site.read("p", "s/key"), "hunter2");
    // Others are at it.
    let turns = site.provision.removers.clone().acquire_many_owned(2).await.unwrap();
    let unmounted = tokio::spawn(async move { resources.unmount().await });
    eventually("the secret to be gone", || !site.volume("p", "s").exists()).await;
    assert!(site.volume("p", "e").exists());
    drop(turns);
    unmounted.await.unwrap().unwrap();
    assert!(!site.volume("p", "").exists());
}

#[tokio::test]
async fn an_empty_dir_over_its_limit_ends_the_pod() {
    let site = Site::new();
    let resources = site.pod("p", with(json!([{ "name": "e", "emptyDir": { "sizeLimit": "64Ki" } }])));
    resources.mount().await.unwrap();
    lock(&resources.kept).next_look = Instant::now();
    fs::write(site.volume("p", "e/small"), vec![1; 1000]).unwrap();
    assert!(timeout(Duration::from_millis(300), resources.keep()).await.is_err());
    assert!(lock(&resources.kept).next_look > Instant::now() + Duration::from_secs(4));
    fs::write(site.volume("p", "e/large"), vec![1; 100_000]).unwrap();
    lock(&resources.kept).next_look = Instant::now();
    let message = timeout(Duration::from_secs(5), resources.keep()).await.unwrap();
    assert_eq!(message, "Usage of EmptyDir volume \"e\" exceeds the limit \"64Ki\". ");
}

#[tokio::test]
async fn logs_and_empty_dirs_together_are_what_a_pod_may_take() {
    let site = Site::new();
    let mut spec = with(json!([{ "name": "e", "emptyDir": {} }]));
    spec["containers"][0]["resources"] = json!({ "limits": { "ephemeral-storage": "128Ki" } });
    let resources = site.pod("p", spec);
    resources.mount().await.unwrap();
    let look = async || {
        lock(&resources.kept).next_look = Instant::now();
        timeout(Duration::from_millis(300), resources.keep()).await.ok()
    };
    let logs = site.volume("p", "../c");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("0.log"), vec![1; 60_000]).unwrap();
    fs::write(site.volume("p", "e/file"), vec![1; 60_000]).unwrap();
    assert_eq!(look().await, None);
    fs::write(logs.join("0.log.1"), vec![1; 10_000]).unwrap();
    let message = "Pod ephemeral local storage usage exceeds the total limit of containers 128Ki. ";
    assert_eq!(look().await.as_deref(), Some(message));
    // Files without bytes are none for nothing.
    fs::remove_dir_all(&logs).unwrap();
    assert_eq!(look().await, None);
    for number in 0..400 {
        fs::write(site.volume("p", &format!("e/{number}")), "").unwrap();
    }
    assert_eq!(look().await.as_deref(), Some(message));
}

#[tokio::test]
async fn host_folders_are_checked_and_made() {
    let site = Site::new();
    let share = site.share();
    fs::create_dir(&share).unwrap();
    let host = |path: PathBuf, type_: &str| with(json!([{ "name": "h", "hostPath": { "path": path, "type": type_ } }]));
    let new = site.pod("a", host(share.join("new"), "DirectoryOrCreate"));
    new.mount().await.unwrap();
    assert!(share.join("new").is_dir());
    let mounts = new.mounts(&new.pod().spec.as_ref().unwrap().containers[0], &vec![]).await.unwrap();
    assert_eq!((mounts.mounts.len(), mounts.held.len()), (1, 1));
    let absent = site.pod("b", host(share.join("none"), "Directory"));
    assert!(absent.mount().await.unwrap_err().to_string().contains("hostPath type check failed"));
    let outside = site.pod("c", host(site.folder.path().to_path_buf(), ""));
    assert!(outside.mount().await.unwrap_err().to_string().contains("--allowed-host-paths"));
    new.unmount().await.unwrap();
    assert!(share.join("new").is_dir());
}

#[tokio::test]
async fn unsupported_volumes_are_refused() {
    let site = Site::new();
    let resources = site.pod("p", with(json!([{ "name": "n", "nfs": { "server": "s", "path": "/" } }])));
    let said = resources.mount().await.unwrap_err().to_string();
    assert_eq!(
        said,
        "MountVolume.SetUp failed for volume \"n\" : this WebAssembly node does not support: volume n (nfs)"
    );
}

#[tokio::test]
async fn the_environment_waits_for_what_it_needs() {
    let site = Site::new();
    site.fake.set(
        "services",
        "default",
        "kubernetes",
        json!({ "spec": { "clusterIP": "10.96.0.1", "ports": [{ "port": 443 }] } }),
    );
    let env = json!([{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "cm", "key": "a" } } },
        { "name": "API", "value": "$(KUBERNETES_SERVICE_HOST)" }]);
    let resources = site.pod("p", json!({ "containers": [{ "name": "c", "env": env }] }));
    let container = resources.pod().spec.as_ref().unwrap().containers[0].clone();
    assert_eq!(
        resources.environment(&container, None).await.unwrap_err(),
        NotStarted::config(r#"configmap "cm" not found"#)
    );
    site.fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" } }));
    timeout(Duration::from_secs(5), resources.changed()).await.unwrap();
    let built = resources.environment(&container, None).await.unwrap();
    assert_eq!(built.environment[..2], [("A".into(), "1".into()), ("API".into(), "10.96.0.1".into())]);
    assert_eq!(built.environment.len(), 2 + 7);
}

#[tokio::test]
async fn pull_secrets_are_found_by_type() {
    let site = Site::new();
    let secret = |name: &str, type_: &str, key: &str| {
        site.fake.set("secrets", "ns", name, json!({ "type": type_, "data": { key: "e30=" } }));
    };
    secret("new", "kubernetes.io/dockerconfigjson", ".dockerconfigjson");
    secret("old", "kubernetes.io/dockercfg", ".dockercfg");
    secret("other", "Opaque", ".dockerconfigjson");
    let names = ["new", "old", "other", "none"].map(|name| json!({ "name": name }));
    let resources = site.pod("p", json!({ "containers": [], "imagePullSecrets": names }));
    let (found, missing) = resources.pull_secrets().await;
    assert!(
        matches!(&found[..], [PullSecret::DockerConfigJson(a), PullSecret::DockerCfg(b)] if a == b"{}" && b == b"{}")
    );
    assert_eq!(missing, ["other", "none"]);
}
