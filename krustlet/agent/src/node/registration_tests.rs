use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::config::{Flags, Surroundings};

/// An API server that knows Nodes and Leases.
#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<Objects>>);

#[derive(Default)]
struct Objects {
    node: Option<Value>,
    lease: Option<Value>,
    /// Status patches of the Node.
    reports: Vec<Value>,
    /// How many Leases were made.
    leases: usize,
    nodes: usize,
}

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn found(object: Option<&Value>) -> Answer {
    let missing =
        json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "message": "gone", "code": 404 });
    object.cloned().map(Json).ok_or((StatusCode::NOT_FOUND, Json(missing)))
}

impl Cluster {
    async fn client(&self) -> Client {
        crate::install_crypto();
        let node = get(async |State(cluster): State<Self>| found(cluster.0.lock().unwrap().node.as_ref()));
        let router = Router::new()
            .route("/api/v1/nodes", post(Self::create_node))
            .route("/api/v1/nodes/{name}", node)
            .route("/api/v1/nodes/{name}/status", axum::routing::patch(Self::patch_status))
            .route("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", post(Self::create_lease))
            .route(
                "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}",
                axum::routing::patch(async |State(cluster): State<Self>| {
                    found(cluster.0.lock().unwrap().lease.as_ref())
                }),
            )
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
    }

    async fn create_node(State(cluster): State<Self>, Json(mut node): Json<Value>) -> Answer {
        let mut objects = cluster.0.lock().unwrap();
        objects.nodes += 1;
        node["metadata"]["uid"] = json!("first");
        objects.node = Some(node);
        found(objects.node.as_ref())
    }

    async fn create_lease(State(cluster): State<Self>, Json(lease): Json<Value>) -> Answer {
        let mut objects = cluster.0.lock().unwrap();
        objects.leases += 1;
        objects.lease = Some(lease);
        found(objects.lease.as_ref())
    }

    async fn patch_status(State(cluster): State<Self>, Path(_): Path<String>, Json(patch): Json<Value>) -> Answer {
        let mut objects = cluster.0.lock().unwrap();
        if objects.node.is_some() {
            objects.reports.push(patch);
        }
        found(objects.node.as_ref())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Objects) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn owner(&self) -> Value {
        self.with(|objects| objects.lease.as_ref().unwrap()["metadata"]["ownerReferences"][0]["uid"].clone())
    }
}

async fn registered(cluster: &Cluster, data_dir: &std::path::Path, inventory: Arc<Mutex<Inventory>>) -> Registration {
    let data_dir = format!("--data-dir={}", data_dir.display());
    let flags = Flags::parse_from(["krustlet-wasi", "--node-ip=10.0.0.1", "--node-name=wasm", &data_dir]);
    let config = Config::resolve(flags, &Surroundings::default()).unwrap();
    let images = Box::new(move || inventory.lock().unwrap().clone());
    Registration::new(&config, cluster.client().await, images).await.unwrap()
}

#[tokio::test]
async fn what_changes_is_reported_and_nothing_else() {
    let (cluster, root, inventory) =
        (Cluster::default(), tempfile::tempdir().unwrap(), Arc::<Mutex<Inventory>>::default());
    let mut registration = registered(&cluster, root.path(), inventory.clone()).await;
    assert_eq!(cluster.owner(), "first");
    let reports = || cluster.with(|objects| objects.reports.len());
    for _ in 0..3 {
        registration.beat().await.unwrap();
        registration.report(&Readiness::Ready).await.unwrap();
    }
    assert_eq!(reports(), 1);
    inventory.lock().unwrap().push((vec!["cats".into()], 7));
    registration.report(&Readiness::Ready).await.unwrap();
    registration.report(&Readiness::Ready).await.unwrap();
    assert_eq!(reports(), 2);
    let images = cluster.with(|objects| objects.reports[1]["status"]["images"].clone());
    assert_eq!(images, json!([{ "names": ["cats"], "sizeBytes": 7 }]));
    registration.sign_off().await.unwrap();
    let conditions = cluster.with(|objects| objects.reports[2]["status"]["conditions"].clone());
    let ready = conditions.as_array().unwrap().iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["message"]), (&json!("False"), &json!("agent stopped")));
}

#[tokio::test]
async fn a_node_that_was_deleted_is_left_alone_until_it_is_there_again() {
    let (cluster, root) = (Cluster::default(), tempfile::tempdir().unwrap());
    let mut registration = registered(&cluster, root.path(), Arc::default()).await;
    registration.report(&Readiness::Ready).await.unwrap();
    let node = cluster.with(|objects| {
        objects.lease = None;
        objects.node.take()
    });
    for _ in 0..3 {
        registration.beat().await.unwrap();
        registration.report(&Readiness::NotReady("changed".into())).await.unwrap();
        assert!(registration.gone);
    }
    assert_eq!(cluster.with(|objects| (objects.nodes, objects.leases, objects.reports.len())), (1, 1, 1));

    cluster.with(|objects| {
        objects.node = node;
        objects.node.as_mut().unwrap()["metadata"]["uid"] = json!("second");
    });
    registration.beat().await.unwrap();
    registration.report(&Readiness::Ready).await.unwrap();
    assert_eq!(cluster.with(|objects| (objects.nodes, objects.leases, objects.reports.len())), (1, 2, 2));
    assert_eq!(cluster.owner(), "second");
}

#[tokio::test]
async fn a_report_may_be_the_first_to_see_that_the_node_has_gone() {
    let (cluster, root) = (Cluster::default(), tempfile::tempdir().unwrap());
    let mut registration = registered(&cluster, root.path(), Arc::default()).await;
    cluster.with(|objects| objects.node = None);
    registration.report(&Readiness::Ready).await.unwrap();
    assert!(registration.gone);
}
