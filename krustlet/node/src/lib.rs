//! The Node object: registered at the start, kept alive by its Lease, reported on when something changes.
//!
//! <https://kubernetes.io/docs/reference/node/node-status/#heartbeats>
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod conditions;
mod error;
mod host;
mod images;
mod lease;
mod object;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::jiff::Timestamp;
use krustlet_api::patience::persist;
use krustlet_core::errors::chain;
use krustlet_core::labels::{self, Labels};
use krustlet_core::node::{Host, Pressure, Reserve, Signals, Thresholds};
use krustlet_host::readings;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

pub use self::conditions::Readiness;
pub use self::error::NodeError;
pub use self::images::Inventory;
use self::lease::Lease;
pub use self::object::KUBELET_VERSION;
use self::object::Observed;

/// How often the Lease is renewed, and the machine looked at.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// An unchanged status is reported this often.
const STATUS_REPORT: Duration = Duration::from_secs(5 * 60);
/// Most agents have stopped after that: only one that goes on says so.
const FAREWELL: Duration = Duration::from_secs(1);
/// A heartbeat that hangs longer than this is given up and tried again.
const REQUEST_LIMIT: Duration = Duration::from_secs(8);

/// What the node is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the Node object; also its hostname.
    pub node_name: String,
    /// Address that the Node reports.
    pub node_ip: IpAddr,
    /// Port of the node's HTTPS API.
    pub port: u16,
    /// Most pods that the scheduler may bind here.
    pub max_pods: u16,
    /// Folder whose file system is the node's.
    pub data_dir: PathBuf,
    /// What it bears besides the labels of every Wasm node.
    pub labels: Labels,
    /// What is not for pods.
    pub system_reserved: Reserve,
    /// Below what pods go.
    pub eviction_hard: Thresholds,
}

/// Whether the machine can be the node that the flags ask for. The data folder must exist.
///
/// # Errors
/// One line for each fault.
pub fn check(config: &Config) -> Result<(), NodeError> {
    let host = host::look(&config.data_dir);
    let checks = [config.system_reserved.check(&host), config.eviction_hard.check(&host)];
    let mut faults: Vec<String> = checks.into_iter().filter_map(Result::err).flatten().collect();
    if faults.is_empty()
        && let Err(together) = object::not_for_pods(config, &host).check(&host)
    {
        faults.extend(together.into_iter().map(|fault| format!("with what --eviction-hard keeps free: {fault}")));
    }
    if faults.is_empty() { Ok(()) } else { Err(NodeError::Unfit(faults)) }
}

/// What programs may have together of this machine's memory, in bytes: all but what is reserved, and what must always be left.
pub fn memory_for_programs(config: &Config) -> u64 {
    let Some(memory) = readings::memory() else { return u64::MAX };
    let kept =
        config.system_reserved.memory_bytes.saturating_add(config.eviction_hard.memory.of(memory.capacity_bytes));
    memory.capacity_bytes.saturating_sub(kept)
}

/// This agent's Node at the API server.
pub struct Registration {
    config: Config,
    host: Host,
    nodes: Api<Node>,
    lease: Lease,
    uid: String,
    pressure: Pressure,
    images: Box<dyn Fn() -> Inventory + Send + Sync>,
    /// The status that the Node has, and when this agent reported it; a status of an earlier agent has no time.
    reported: Option<(NodeStatus, Option<Instant>)>,
}

impl Registration {
    /// Creates the Node, or adopts the one of that name, and takes its Lease; tries until the API server has answered. `images` says
    /// which modules are on the node; it is asked with each heartbeat. `pressure` is what others may find out, too.
    ///
    /// # Errors
    /// What the API server refused.
    pub async fn new(
        config: &Config,
        client: Client,
        pressure: Pressure,
        images: Box<dyn Fn() -> Inventory + Send + Sync>,
    ) -> Result<Self, NodeError> {
        let mut registration = Self {
            config: config.clone(),
            host: host::look(&config.data_dir),
            nodes: Api::all(client.clone()),
            lease: Lease::new(client, &config.node_name),
            uid: String::new(),
            pressure,
            images,
            reported: None,
        };
        persist("register the node", async || {
            registration.register().await?;
            registration.beat().await.map_err(|error| NodeError::Lease(error.into()))
        })
        .await?;
        Ok(registration)
    }

    async fn register(&mut self) -> Result<(), NodeError> {
        let wanted = object::node(&self.config, &self.host, Timestamp::now());
        let node = match self.nodes.create(&PostParams::default(), &wanted).await {
            Ok(node) => node,
            Err(kube::Error::Api(status)) if status.is_already_exists() => adopt(&self.config, &self.nodes).await?,
            Err(error) => return Err(NodeError::Register(error)),
        };
        warn_of_missing_taints(&node);
        tracing::info!(node = self.config.node_name, "node registered");
        self.uid = node.uid().unwrap_or_default();
        self.reported = node.status.map(|status| (status, None));
        Ok(())
    }

    /// What the pods of this node can use together, by resource.
    pub fn allocatable(&self) -> BTreeMap<String, Quantity> {
        object::resources(&self.config, &self.host, &object::not_for_pods(&self.config, &self.host))
    }

    /// Renews the Lease every ten seconds and reports the status when it changes. Never ends by itself.
    pub async fn keep_alive(&mut self, mut readiness: watch::Receiver<Readiness>) {
        let mut pressure = self.pressure.subscribe();
        let mut tick = tokio::time::interval(HEARTBEAT);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if let Err(error) = limited(self.beat()).await {
                        tracing::warn!("cannot renew the node's Lease: {}", chain(&error));
                    }
                }
                Ok(()) = readiness.changed() => {}
                // At once, so that no pods come to a node that has just sent one away.
                Ok(()) = pressure.changed() => {}
            }
            let now = readiness.borrow_and_update().clone();
            if let Err(error) = limited(self.report(&now)).await {
                tracing::warn!("cannot report the node's status: {}", chain(&error));
            }
        }
    }

    /// Renews the Lease while pods have their grace, and says that the node goes. Never ends by itself. A Node that is gone stays so.
    pub async fn wind_down(&mut self) {
        let leaving = Readiness::NotReady("node is shutting down".into());
        let mut tick = tokio::time::interval_at(Instant::now() + FAREWELL, HEARTBEAT);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = limited(self.lease.renew()).await {
                tracing::warn!("cannot renew the node's Lease: {}", chain(&error));
            }
            if let Err(error) = limited(self.try_report(&leaving)).await {
                tracing::warn!("cannot report the node's status: {}", chain(&error));
            }
        }
    }

    /// Says for the last time how the node is.
    ///
    /// # Errors
    /// What the API server said, or that it did not answer in time.
    pub async fn sign_off(&mut self) -> Result<(), NodeError> {
        // One that is gone may stay so.
        limited(self.try_report(&Readiness::NotReady("agent stopped".into()))).await.map(drop)
    }

    async fn beat(&mut self) -> Result<(), NodeError> {
        // The Lease goes with the Node, so that its absence may be the first sign of the Node's.
        if !self.lease.renew().await? {
            self.return_if_gone().await?;
            self.lease.create(&self.uid).await?;
        }
        Ok(())
    }

    async fn report(&mut self, readiness: &Readiness) -> Result<(), NodeError> {
        if !self.try_report(readiness).await? {
            self.return_if_gone().await?;
            self.try_report(readiness).await?;
        }
        Ok(())
    }

    /// `false` when there is no Node.
    async fn try_report(&mut self, readiness: &Readiness) -> kube::Result<bool> {
        // A node that the cluster has not heard of for a while it takes for lost, and leaves it to the node to say otherwise.
        let Some(node) = self.nodes.get_opt(&self.config.node_name).await? else { return Ok(false) };
        let reported = self.reported.as_ref().map(|(status, _)| status);
        let before = reported.filter(|ours| object::stands(ours, &node)).or(node.status.as_ref());
        let disk = readings::file_system(&self.config.data_dir).ok();
        let signals = Signals { memory: readings::memory(), disk };
        let pressed = self.pressure.observe(&signals, std::time::Instant::now());
        let observed = Observed { readiness, pressed, images: (self.images)() };
        let status = object::status(&self.config, &self.host, observed, before, Timestamp::now());
        let unchanged = before.is_some_and(|before| object::essence(before) == object::essence(&status));
        let at = self.reported.as_ref().and_then(|(_, at)| *at);
        if unchanged && at.is_some_and(|at| at.elapsed() < STATUS_REPORT) {
            return Ok(true);
        }
        // Conditions merge by type: those that others set stay.
        let patch = Patch::Strategic(json!({ "status": status }));
        match self.nodes.patch_status(&self.config.node_name, &PatchParams::default(), &patch).await {
            Ok(_) => self.reported = Some((status, Some(Instant::now()))),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Registers anew if the Node was deleted. Who wants a node gone for good ends its agent: one that runs and that nobody sees would
    /// go on running its pods.
    async fn return_if_gone(&mut self) -> Result<(), NodeError> {
        match self.nodes.get_opt(&self.config.node_name).await? {
            Some(node) => {
                self.uid = node.uid().unwrap_or_default();
                Ok(())
            }
            None => {
                tracing::warn!(
                    node = self.config.node_name,
                    "the Node was deleted while its agent runs: registering again"
                );
                self.register().await
            }
        }
    }
}

fn warn_of_missing_taints(node: &Node) {
    for taint in object::missing_taints(node) {
        tracing::warn!(
            "the Node lacks its taint {}={}:{}, which only an administrator may add; without it, pods that are no WebAssembly may \
             be scheduled here. Delete the Node to have it made anew",
            taint.key,
            taint.value.as_deref().unwrap_or_default(),
            taint.effect
        );
    }
}

/// Takes over a Node that is there already, from an earlier run: the labels are set anew, taints are left alone.
async fn adopt(config: &Config, nodes: &Api<Node>) -> Result<Node, NodeError> {
    let mut wanted = labels::own(&config.node_name);
    wanted.extend(config.labels.clone());
    let patch = Patch::Strategic(json!({ "metadata": { "labels": wanted } }));
    let patched = nodes.patch(&config.node_name, &PatchParams::default(), &patch).await;
    patched.map_err(NodeError::TakeOver)
}

async fn limited<T, E: Into<NodeError>>(request: impl Future<Output = Result<T, E>>) -> Result<T, NodeError> {
    timeout(REQUEST_LIMIT, request).await.map_err(|_| NodeError::Silent)?.map_err(Into::into)
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
