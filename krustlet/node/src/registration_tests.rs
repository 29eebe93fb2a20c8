use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use krustlet_core::node::Resource;
use serde_json::{Value, json};

use super::*;

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
    /// So many requests for a Node are answered with an error of the server.
    faults: usize,
}

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn found(object: Option<&Value>) -> Answer {
    let missing =
        json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "message": "gone", "code": 404 });
    object.cloned().map(Json).ok_or((StatusCode::NOT_FOUND, Json(missing)))
}

impl Cluster {
    async fn client(&self) -> Client {
        krustlet_api::install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, self.router()).into_future());
        Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
    }

    fn router(&self) -> Router {
        let node = get(async |State(cluster): State<Self>| found(cluster.0.lock().unwrap().node.as_ref()));
        Router::new()
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
            .with_state(self.clone())
    }

    async fn create_node(State(cluster): State<Self>, Json(mut node): Json<Value>) -> Answer {
        let mut objects = cluster.0.lock().unwrap();
        if objects.faults > 0 {
            objects.faults -= 1;
            let fault =
                json!({ "kind": "Status", "status": "Failure", "reason": "", "message": "etcd is away", "code": 500 });
            return Err((StatusCode::INTERNAL_SERVER_ERROR, Json(fault)));
        }
        objects.nodes += 1;
        node["metadata"]["uid"] = json!(format!("uid-{}", objects.nodes));
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
        if let Some(node) = &mut objects.node {
            node["status"] = patch["status"].clone();
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

/// As by the flags' defaults.
pub fn config(data_dir: &std::path::Path) -> Config {
    Config {
        node_name: "wasm".into(),
        node_ip: [10, 0, 0, 1].into(),
        port: 3000,
        max_pods: 110,
        data_dir: data_dir.into(),
        labels: [("team".to_string(), "a".to_string())].into(),
        system_reserved: Reserve::parse(Reserve::DEFAULT).unwrap(),
        eviction_hard: Thresholds::default(),
    }
}

async fn registered(cluster: &Cluster, data_dir: &std::path::Path, inventory: Arc<Mutex<Inventory>>) -> Registration {
    let config = config(data_dir);
    let images = Box::new(move || inventory.lock().unwrap().clone());
    Registration::new(&config, cluster.client().await, Pressure::new(config.eviction_hard), images).await.unwrap()
}

#[tokio::test]
async fn what_changes_is_reported_and_nothing_else() {
    let (cluster, root, inventory) =
        (Cluster::default(), tempfile::tempdir().unwrap(), Arc::<Mutex<Inventory>>::default());
    let mut registration = registered(&cluster, root.path(), inventory.clone()).await;
    assert_eq!(cluster.owner(), "uid-1");
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
async fn a_node_that_was_taken_for_lost_says_at_once_that_it_is_not() {
    let (cluster, root) = (Cluster::default(), tempfile::tempdir().unwrap());
    let mut registration = registered(&cluster, root.path(), Arc::default()).await;
    registration.report(&Readiness::Ready).await.unwrap();
    // As the node lifecycle controller does it, once the Lease has not been renewed for too long.
    cluster.with(|objects| {
        for condition in objects.node.as_mut().unwrap()["status"]["conditions"].as_array_mut().unwrap() {
            condition["status"] = json!("Unknown");
            condition["lastTransitionTime"] = json!("2026-01-01T00:00:00Z");
        }
    });
    for _ in 0..2 {
        registration.report(&Readiness::Ready).await.unwrap();
    }
    assert_eq!(cluster.with(|objects| objects.reports.len()), 2);
    let conditions = cluster.with(|objects| objects.node.as_ref().unwrap()["status"]["conditions"].clone());
    for condition in conditions.as_array().unwrap() {
        assert_eq!(condition["status"], if condition["type"] == "Ready" { "True" } else { "False" });
        assert_ne!(condition["lastTransitionTime"], "2026-01-01T00:00:00Z");
    }
}

#[tokio::test]
async fn a_node_that_was_deleted_is_registered_again() {
    let (cluster, root) = (Cluster::default(), tempfile::tempdir().unwrap());
    let mut registration = registered(&cluster, root.path(), Arc::default()).await;
    registration.report(&Readiness::Ready).await.unwrap();
    let made = || cluster.with(|objects| (objects.nodes, objects.leases, objects.reports.len()));
    let (first, _) = cluster.with(|objects| (objects.node.take().unwrap(), objects.lease.take()));
    registration.beat().await.unwrap();
    registration.report(&Readiness::Ready).await.unwrap();
    assert_eq!((made(), cluster.owner()), ((2, 2, 2), json!("uid-2")));
    let second = cluster.with(|objects| objects.node.clone().unwrap());
    assert_eq!(second["metadata"]["labels"], first["metadata"]["labels"]);
    assert_eq!(second["metadata"]["labels"]["team"], "a");
    assert_eq!(second["spec"]["taints"].as_array().unwrap().len(), 2);

    // The status may be the first to notice: at once, and with the new Node's.
    cluster.with(|objects| objects.node = None);
    registration.report(&Readiness::NotReady("changed".into())).await.unwrap();
    assert_eq!(made(), (3, 2, 3));
    // Another one made it.
    cluster.with(|objects| {
        objects.lease = None;
        objects.node.as_mut().unwrap()["metadata"]["uid"] = json!("other");
    });
    registration.beat().await.unwrap();
    assert_eq!((made(), cluster.owner()), ((3, 3, 3), json!("other")));
    // Who stops does not come back for that.
    cluster.with(|objects| objects.node = None);
    registration.sign_off().await.unwrap();
    assert_eq!(made(), (3, 3, 3));
}

#[tokio::test]
async fn what_the_node_comes_to_be_short_of_is_told_before_the_next_heartbeat() {
    let (cluster, root) = (Cluster::default(), tempfile::tempdir().unwrap());
    let mut registration = registered(&cluster, root.path(), Arc::default()).await;
    let pressure = registration.pressure.clone();
    let (_ready, readiness) = watch::channel(Readiness::Ready);
    let alive = timeout(Duration::from_secs(5), registration.keep_alive(readiness));
    let told = async {
        let memory = || {
            cluster.with(|objects| {
                let conditions = objects.reports.last()?["status"]["conditions"].as_array()?.clone();
                conditions.into_iter().find(|condition| condition["type"] == "MemoryPressure")
            })
        };
        while memory().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(memory().unwrap()["status"], "False");
        pressure.note(Resource::Memory, std::time::Instant::now());
        while memory().is_none_or(|memory| memory["status"] == "False") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = alive => panic!("not told"),
        () = told => {}
    }
}

#[tokio::test]
async fn while_pods_have_their_grace_the_node_says_that_it_goes() {
    let (cluster, root) = (Cluster::default(), tempfile::tempdir().unwrap());
    let mut registration = registered(&cluster, root.path(), Arc::default()).await;
    registration.report(&Readiness::Ready).await.unwrap();
    let wound_down = async |registration: &mut Registration| {
        timeout(FAREWELL + Duration::from_millis(500), registration.wind_down()).await.unwrap_err();
    };
    wound_down(&mut registration).await;
    let conditions = cluster.with(|objects| objects.reports[1]["status"]["conditions"].clone());
    let ready = conditions.as_array().unwrap().iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["message"]), (&json!("False"), &json!("node is shutting down")));
    // One that is gone stays so.
    cluster.with(|objects| (objects.node, objects.lease) = (None, None));
    wound_down(&mut registration).await;
    assert_eq!(cluster.with(|objects| (objects.nodes, objects.leases, objects.reports.len())), (1, 1, 2));
}

#[tokio::test]
async fn an_api_server_that_is_silent_or_away_is_waited_for() {
    krustlet_api::install_crypto();
    // Its port is closed, then it has faults; only then it serves. Silence is tested with the patience itself.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let client = Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap();
    let cluster = Cluster::default();
    cluster.with(|objects| objects.faults = 2);
    let begin = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        tokio::spawn(axum::serve(listener, cluster.router()).into_future());
    };
    let (registered, ()) = tokio::join!(
        Registration::new(&config, client, Pressure::new(config.eviction_hard), Box::new(Vec::new)),
        begin
    );
    registered.unwrap();
    assert_eq!(cluster.with(|objects| (objects.faults, objects.nodes, objects.leases)), (0, 1, 1));
}
