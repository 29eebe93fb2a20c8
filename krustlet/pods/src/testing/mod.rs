//! A cluster for tests: an API server as far as pods need one, a registry, and agents that can be killed.

mod guests;
mod registry;
mod server;
pub mod serving;

use std::sync::Arc;
use std::time::{Duration, Instant};

use krustlet_api::discovery::ServiceNames;
use krustlet_api::events::Events;
use krustlet_api::objects::Objects;
use krustlet_core::env::Node;
use krustlet_core::node::{Pressure, Thresholds};
use krustlet_core::serving::ports::Ports;
use krustlet_images::Images;
use krustlet_images::compile::Compiler;
use krustlet_logs::Logs;
use krustlet_runtime::{Egress, Engine, EngineConfig, ServerLimits, Tracer};
use krustlet_volumes::{HostPaths, Own};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use self::server::State;
use super::{Addresses, Directory, Evictions, Places, Provision, Shared};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(30);

/// API server, registry, and a node's disk.
pub struct World {
    state: Arc<State>,
    disk: tempfile::TempDir,
    _runtime: Runtime,
}

/// A node agent's pods, in a runtime of their own.
pub struct Agent {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    run: Option<tokio::task::JoinHandle<()>>,
    /// As the node's API sees them.
    pub directory: Directory,
    /// As its metrics show them.
    pub evictions: Evictions,
    /// What its Node would say.
    pub pressure: Pressure,
}

/// What an agent may be told.
pub struct Options {
    /// See [`Shared`].
    pub shutdown_grace: Duration,
    /// What all guests may have together.
    pub memory_bytes: u64,
    /// Below what pods go.
    pub thresholds: Thresholds,
    /// What the clients of pods may take.
    pub server_limits: ServerLimits,
    /// Of which pods that serve have theirs.
    pub addresses: Addresses,
    /// Where programs may connect to.
    pub egress: Egress,
    /// Who records the requests that are answered.
    pub tracer: Option<Tracer>,
}

impl Default for Options {
    fn default() -> Self {
        // A machine that runs tests may be full.
        let thresholds = Thresholds::parse("nodefs.available<0,nodefs.inodesFree<0").unwrap();
        Self {
            shutdown_grace: Duration::ZERO,
            memory_bytes: u64::MAX,
            thresholds,
            server_limits: ServerLimits::default(),
            addresses: Addresses::of_node([127, 0, 0, 1].into()),
            egress: Egress::default(),
            tracer: None,
        }
    }
}

impl World {
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let state = runtime.block_on(server::start());
        Self { state, disk: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    /// A node agent begins: one that gives no grace when it stops.
    pub fn agent(&self) -> Agent {
        self.agent_with(Options::default())
    }

    /// A node agent begins that gives so much grace when it stops.
    pub fn agent_with_grace(&self, shutdown_grace: Duration) -> Agent {
        self.agent_with(Options { shutdown_grace, ..Options::default() })
    }

    /// A node agent begins that is as the options say.
    pub fn agent_with(&self, options: Options) -> Agent {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let guard = runtime.enter();
        let address = self.state.address;
        let client = kube::Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap();
        let registry = krustlet_oci::Client::new(krustlet_oci::ClientConfig {
            insecure_registries: vec![address.to_string()],
            ..krustlet_oci::ClientConfig::default()
        });
        let directory = Directory::default();
        let memory_budget_bytes = options.memory_bytes;
        let egress = options.egress;
        let engine = Engine::new(EngineConfig { memory_budget_bytes, egress, ..EngineConfig::default() }).unwrap();
        let evictions = Evictions::default();
        let pressure = Pressure::new(options.thresholds);
        let objects = Objects::new(client.clone());
        let shared = Shared {
            places: Places::new(client.clone(), "wasm"),
            addresses: options.addresses,
            ports: Ports::default(),
            images: Images::new(
                registry.unwrap(),
                engine.clone(),
                Compiler::here(engine, self.disk.path()),
                self.disk.path(),
                krustlet_images::Limits { max_age: LIMIT, max_bytes: 1 << 30 },
            ),
            logs: Logs::new(krustlet_logs::Limits::DEFAULT),
            provision: Arc::new(Provision::new(
                objects.clone(),
                Node { host_ip: "127.0.0.1".into(), allocatable: std::collections::BTreeMap::new() },
                HostPaths::open(&[], Own::default()).unwrap(),
            )),
            events: Events::new(client.clone(), "wasm"),
            directory: directory.clone(),
            pods_dir: self.disk.path().join("pods"),
            service_names: ServiceNames::new(objects, client.clone()),
            pressure: pressure.clone(),
            evictions: evictions.clone(),
            server_limits: options.server_limits,
            tracer: options.tracer,
            shutdown_grace: options.shutdown_grace,
            client,
        };
        let (stop, stopped) = watch::channel(false);
        let run = runtime.spawn(async move { super::run(Arc::new(shared), "wasm", stopped).await });
        drop(guard);
        Agent { runtime, stop, run: Some(run), directory, evictions, pressure }
    }

    /// The image of a guest, see [`guests::guest`].
    pub fn image(&self, guest: &str) -> String {
        format!("{}/guests/{guest}:v1", self.state.address)
    }

    /// A container.
    pub fn container(&self, name: &str, guest: &str) -> Value {
        json!({ "name": name, "image": self.image(guest) })
    }

    /// Applies a pod that is bound to the node; returns its uid.
    pub fn create(&self, name: &str, spec: Value) -> String {
        self.state.create(name, spec, json!({}))
    }

    /// The same, with annotations.
    pub fn create_annotated(&self, name: &str, spec: Value, annotations: Value) -> String {
        self.state.create(name, spec, annotations)
    }

    /// A pod of one container, `main`.
    pub fn create_simple(&self, name: &str, policy: &str, guest: &str) -> String {
        self.create(name, json!({ "restartPolicy": policy, "containers": [self.container("main", guest)] }))
    }

    /// Changes a pod, as somebody else would.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.state.edit(name, change);
    }

    /// As `kubectl delete` does: with no grace the object goes at once.
    pub fn delete(&self, name: &str, grace_seconds: i64) {
        self.state.delete(name, grace_seconds);
    }

    /// As the API server has it.
    pub fn pod(&self, name: &str) -> Option<Value> {
        self.state.pod(name)
    }

    /// As the API server has had it, one after the other.
    pub fn versions(&self, name: &str) -> Vec<Value> {
        self.state.versions(name)
    }

    /// Waits until the pod is so.
    pub fn until(&self, name: &str, so: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let pod = self.pod(name);
            if let Some(pod) = pod.as_ref().filter(|pod| so(pod)) {
                return pod.clone();
            }
            assert!(start.elapsed() < LIMIT, "{name} never came to be so: {pod:#?} {:?}", self.events(name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn until_phase(&self, name: &str, phase: &str) -> Value {
        self.until(name, |pod| pod["status"]["phase"] == phase)
    }

    pub fn until_gone(&self, name: &str) {
        let start = Instant::now();
        while self.pod(name).is_some() {
            assert!(start.elapsed() < LIMIT, "{name} never goes: {:#?}", self.pod(name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The events about a pod: reason, and the container's name. A repeated one stands once.
    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        self.state.events(name)
    }

    /// What the events about a pod say.
    pub fn messages(&self, name: &str) -> Vec<String> {
        self.state.messages(name)
    }

    /// The Services of the cluster, which an agent hears of when it begins, and their EndpointSlices.
    pub fn set_services(&self, services: Vec<Value>, slices: Vec<Value>) {
        self.state.set_services(services, slices);
    }

    /// Waits for an event of that reason.
    pub fn until_event(&self, name: &str, reason: &str) {
        let start = Instant::now();
        while !self.events(name).iter().any(|(known, _)| known == reason) {
            assert!(start.elapsed() < LIMIT, "no {reason}: {:?}", self.events(name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for an event of that reason about that container.
    pub fn until_event_of(&self, name: &str, reason: &str, container: &str) {
        self.until_event(name, reason);
        let wanted = (reason.to_string(), container.to_string());
        assert!(self.events(name).contains(&wanted), "{:?}", self.events(name));
    }

    /// From now on the agent's own deletion of the pod does nothing, as with a finalizer.
    pub fn keep(&self, name: &str) {
        self.edit(name, |pod| pod["metadata"]["finalizers"] = json!(["example.com/keep"]));
    }

    /// Requests so far that hold this text, as `METHOD path`.
    pub fn requests(&self, text: &str) -> usize {
        self.state.requests(text)
    }

    /// Ends all watches; with `expired`, what they had heard is no longer known (410).
    pub fn cut(&self, expired: bool) {
        self.state.cut(expired);
    }

    /// Answers nothing but errors, or as before.
    pub fn set_down(&self, down: bool) {
        self.state.set_down(down);
    }

    /// Refuses all statuses of pods, or takes them again.
    pub fn refuse_statuses(&self, refuse: bool) {
        self.state.refuse_statuses(refuse);
    }

    /// Waits until there are so many folders of pods on the node's disk.
    pub fn until_folders(&self, wanted: usize) {
        let start = Instant::now();
        let count = || std::fs::read_dir(self.disk.path().join("pods")).map_or(0, Iterator::count);
        while count() != wanted {
            assert!(start.elapsed() < LIMIT, "{} folders are there", count());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The folder of a pod.
    pub fn folder(&self, pod: &str, uid: &str) -> std::path::PathBuf {
        self.disk.path().join(format!("pods/default_{pod}_{uid}"))
    }

    /// Where the agent's data is.
    pub fn data_dir(&self) -> &std::path::Path {
        self.disk.path()
    }

    /// The folder of an emptyDir.
    pub fn volume(&self, pod: &str, volume: &str) -> std::path::PathBuf {
        let pod_of = self.pod(pod).unwrap();
        self.folder(pod, pod_of["metadata"]["uid"].as_str().unwrap()).join(".volumes").join(volume)
    }

    /// Attempts of a container that have a log.
    pub fn logs(&self, name: &str, container: &str) -> Vec<String> {
        let pod = self.pod(name).unwrap();
        let dir = self.folder(name, pod["metadata"]["uid"].as_str().unwrap()).join(container);
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".log")).collect();
        names.sort();
        names
    }
}

impl Agent {
    /// As SIGKILL does.
    pub fn kill(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }

    /// As SIGTERM does; returns how long it took.
    pub fn stop(mut self) -> Duration {
        let start = Instant::now();
        self.stop.send_replace(true);
        let run = self.run.take().unwrap();
        self.runtime.block_on(run).unwrap();
        let took = start.elapsed();
        self.kill();
        took
    }
}

/// The status of a container of the pod.
pub fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let lists = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];
    let all = lists.iter().flat_map(|list| pod["status"][*list].as_array().into_iter().flatten());
    all.into_iter().find(|status| status["name"] == name).unwrap_or(&Value::Null)
}

/// `True` or `False`.
pub fn condition<'a>(pod: &'a Value, type_: &str) -> &'a Value {
    let conditions = pod["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == type_);
    found.map_or(&Value::Null, |condition| &condition["status"])
}
