//! The Lease of a Node: its heartbeat. <https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats>

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

/// How long the Lease holds, in seconds.
const HOLDS_SECONDS: i32 = 40;

/// The Lease of one Node at the API server.
pub struct Lease {
    leases: Api<LeaseObject>,
    node: String,
}

impl Lease {
    /// Of the Node of that name.
    pub fn new(client: Client, node: &str) -> Self {
        Self { leases: Api::namespaced(client, "kube-node-lease"), node: node.into() }
    }

    /// Says that the node lives; `false` when there is no Lease.
    ///
    /// # Errors
    /// What the API server said.
    pub async fn renew(&self) -> kube::Result<bool> {
        let patch = Patch::Merge(json!({ "spec": {
            "holderIdentity": self.node, "leaseDurationSeconds": HOLDS_SECONDS, "renewTime": MicroTime(Timestamp::now()),
        }}));
        match self.leases.patch(&self.node, &PatchParams::default(), &patch).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the Lease, so that it goes with the Node of that uid.
    ///
    /// # Errors
    /// What the API server said.
    pub async fn create(&self, uid: &str) -> kube::Result<()> {
        let owner = OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.node.clone(),
            uid: uid.into(),
            ..OwnerReference::default()
        };
        let lease = LeaseObject {
            metadata: ObjectMeta {
                name: Some(self.node.clone()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.node.clone()),
                lease_duration_seconds: Some(HOLDS_SECONDS),
                renew_time: Some(MicroTime(Timestamp::now())),
                ..LeaseSpec::default()
            }),
        };
        self.leases.create(&PostParams::default(), &lease).await.map(drop)
    }
}
