//! The Node object: registered at the start, kept alive by its Lease, reported on when something changes.
//!
//! <https://kubernetes.io/docs/reference/node/node-status/#heartbeats>

mod host;
mod object;

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use self::host::Host;
pub use self::object::Readiness;
use crate::config::Config;
use crate::labels;

/// How often the Lease is renewed.
const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// How long the Lease holds, in seconds.
const LEASE_SECONDS: i32 = 40;
/// An unchanged status is reported this often.
const STATUS_REPORT: Duration = Duration::from_secs(5 * 60);
/// A heartbeat that hangs longer than this is given up and tried again.
const REQUEST_LIMIT: Duration = Duration::from_secs(8);

/// This agent's Node at the API server.
pub struct Registration {
    config: Config,
    host: Host,
    nodes: Api<Node>,
    leases: Api<Lease>,
    uid: String,
    /// The status that the Node has, and when this agent reported it; a status of an earlier agent has no time.
    reported: Option<(NodeStatus, Option<Instant>)>,
}

impl Registration {
    /// Creates the Node, or adopts the one of that name, and takes its Lease.
    ///
    /// # Errors
    /// What the API server said.
    pub async fn new(config: &Config, client: Client) -> Result<Self> {
        let nodes: Api<Node> = Api::all(client.clone());
        let host = Host::look(&config.data_dir);
        let wanted = object::node(config, &host, Timestamp::now());
        let node = match nodes.create(&PostParams::default(), &wanted).await {
            Ok(node) => node,
            Err(kube::Error::Api(status)) if status.is_already_exists() => adopt(config, &nodes).await?,
            Err(error) => return Err(error).context("cannot register the node"),
        };
        for taint in object::missing_taints(&node) {
            tracing::warn!(
                "the Node lacks its taint {}={}:{}, which only an administrator may add; without it, pods that are no WebAssembly may \
                 be scheduled here. Delete the Node and start the agent again to have it made anew",
                taint.key,
                taint.value.as_deref().unwrap_or_default(),
                taint.effect
            );
        }
        tracing::info!(node = config.node_name, "node registered");
        let mut registration = Self {
            config: config.clone(),
            host,
            nodes,
            leases: Api::namespaced(client, "kube-node-lease"),
            uid: node.uid().unwrap_or_default(),
            reported: node.status.map(|status| (status, None)),
        };
        registration.renew_lease().await.context("cannot take the node's Lease")?;
        Ok(registration)
    }

    /// Renews the Lease every ten seconds and reports the status when it changes. Never ends by itself.
    pub async fn keep_alive(&mut self, mut readiness: watch::Receiver<Readiness>) {
        let mut tick = tokio::time::interval(LEASE_RENEWAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if let Err(error) = limited(self.renew_lease()).await {
                        tracing::warn!("cannot renew the node's Lease: {error:#}");
                    }
                }
                Ok(()) = readiness.changed() => {}
            }
            let now = readiness.borrow_and_update().clone();
            if let Err(error) = limited(self.report(&now)).await {
                tracing::warn!("cannot report the node's status: {error:#}");
            }
        }
    }

    /// Says for the last time how the node is.
    ///
    /// # Errors
    /// What the API server said, or that it did not answer in time.
    pub async fn sign_off(&mut self) -> Result<()> {
        limited(self.report(&Readiness::NotReady("agent stopped".into()))).await
    }

    async fn report(&mut self, readiness: &Readiness) -> Result<()> {
        let before = self.reported.as_ref().map(|(status, _)| status);
        let status = object::status(&self.config, &self.host, readiness, before, Timestamp::now());
        let unchanged = before.is_some_and(|before| object::essence(before) == object::essence(&status));
        let at = self.reported.as_ref().and_then(|(_, at)| *at);
        if unchanged && at.is_some_and(|at| at.elapsed() < STATUS_REPORT) {
            return Ok(());
        }
        // Conditions merge by type: those that others set stay.
        let patch = Patch::Strategic(json!({ "status": status }));
        self.nodes.patch_status(&self.config.node_name, &PatchParams::default(), &patch).await.map_err(|error| {
            match error {
                kube::Error::Api(status) if status.code == 404 => {
                    anyhow::anyhow!(
                        "the Node was deleted from the cluster; start the agent again if it is to come back"
                    )
                }
                error => error.into(),
            }
        })?;
        self.reported = Some((status, Some(Instant::now())));
        Ok(())
    }

    async fn renew_lease(&mut self) -> Result<()> {
        let name = &self.config.node_name;
        let now = MicroTime(Timestamp::now());
        let patch = Patch::Merge(json!({ "spec": {
            "holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now,
        }}));
        match self.leases.patch(name, &PatchParams::default(), &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(name.clone()),
                        owner_references: Some(vec![self.owner()]),
                        ..ObjectMeta::default()
                    },
                    spec: Some(LeaseSpec {
                        holder_identity: Some(name.clone()),
                        lease_duration_seconds: Some(LEASE_SECONDS),
                        renew_time: Some(now),
                        ..LeaseSpec::default()
                    }),
                };
                self.leases.create(&PostParams::default(), &lease).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// So that the Lease goes with the Node.
    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.config.node_name.clone(),
            uid: self.uid.clone(),
            ..OwnerReference::default()
        }
    }
}

/// Takes over a Node that is there already, from an earlier run: the labels are set anew, taints are left alone.
async fn adopt(config: &Config, nodes: &Api<Node>) -> Result<Node> {
    let mut wanted = labels::own(&config.node_name);
    wanted.extend(config.node_labels.clone());
    let patch = Patch::Strategic(json!({ "metadata": { "labels": wanted } }));
    let patched = nodes.patch(&config.node_name, &PatchParams::default(), &patch).await;
    patched.context("cannot take over the Node that exists already")
}

async fn limited<T>(request: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(REQUEST_LIMIT, request).await.context("the API server did not answer in time")?
}
