//! When the routes are asked for, and what comes of it.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::stream;
use serde_json::{Value, json};

use super::*;

/// Of this machine, as a node's range is made.
const HERE: &str = "127.66.8.0/24";
const LIMIT: Duration = Duration::from_secs(20);

fn node(name: &str, range: &str, address: &str) -> Value {
    let addresses = json!([{ "type": "InternalIP", "address": address }]);
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "resourceVersion": "1" },
        "spec": { "podCIDR": range }, "status": { "addresses": addresses },
    })
}

/// Lists one node, and tells of each that comes after it; none at all: whoever asks may not.
async fn cluster(nodes: watch::Receiver<Option<Value>>) -> Client {
    async fn answer(
        State(mut nodes): State<watch::Receiver<Option<Value>>>,
        Query(query): Query<Vec<(String, String)>>,
    ) -> Response {
        let now = nodes.borrow_and_update().clone();
        let Some(now) = now else {
            let status =
                json!({ "kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403 });
            return (StatusCode::FORBIDDEN, Json(status)).into_response();
        };
        if !query.iter().any(|(name, _)| name == "watch") {
            let metadata = json!({ "resourceVersion": "1" });
            return Json(json!({ "kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": [now] }))
                .into_response();
        }
        let events = stream::unfold(nodes, |mut nodes| async move {
            nodes.changed().await.ok()?;
            let object = nodes.borrow_and_update().clone();
            Some((Ok::<_, Infallible>(format!("{}\n", json!({ "type": "MODIFIED", "object": object }))), nodes))
        });
        Body::from_stream(events).into_response()
    }
    krustlet_api::install_crypto();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/api/v1/nodes", get(answer)).with_state(nodes);
    tokio::spawn(axum::serve(listener, router).into_future());
    Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
}

struct World {
    folder: tempfile::TempDir,
    nodes: watch::Sender<Option<Value>>,
    addresses: Addresses,
}

impl World {
    fn new(node: Option<Value>, asked: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("routes"), asked).unwrap();
        let host: IpAddr = [127, 0, 0, 1].into();
        Self { folder, nodes: watch::Sender::new(node), addresses: Addresses::of_range(host) }
    }

    /// Runs until it ends, or until this is so.
    async fn until(&self, so: impl Fn(&Addresses, &str) -> bool) -> Option<String> {
        let client = cluster(self.nodes.subscribe()).await;
        let file = self.folder.path().join("routes");
        let seen = async {
            while !so(&self.addresses, &std::fs::read_to_string(&file).unwrap()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let kept = timeout(LIMIT, async {
            tokio::select! {
                ended = keep(&self.addresses, client, "wasm", &file) => Some(ended.unwrap_err().to_string()),
                () = seen => None,
            }
        });
        kept.await.unwrap()
    }
}

#[tokio::test]
async fn the_nodes_range_is_asked_for_and_told_of_when_it_is_there() {
    let world = World::new(Some(node("wasm", HERE, "10.0.0.2")), "");
    let asked = |_: &Addresses, text: &str| text == format!("range {HERE}\n");
    assert_eq!(world.until(asked).await, None);
    assert_eq!(world.until(|addresses, _| addresses.range().is_some()).await, None);
    world.nodes.send_replace(Some(node("wasm", "127.66.9.0/24", "10.0.0.2")));
    let ended = world.until(|_, _| false).await.unwrap();
    assert_eq!(ended, "the range of this node's pods has become 127.66.9.0/24: the agent begins anew");
    assert_eq!(world.until(|_, text| text == "range 127.66.9.0/24\n").await, None, "by what is asked for then");
}

#[tokio::test]
async fn what_an_earlier_agent_has_asked_for_is_had_before_the_api_server_answers() {
    let world = World::new(None, &format!("range {HERE}\n"));
    assert_eq!(world.until(|addresses, _| addresses.range().is_some()).await, None);
}

#[tokio::test]
async fn what_cannot_be_written_is_told_of_and_tried_again() {
    let World { folder, nodes, addresses } = World::new(Some(node("wasm", HERE, "10.0.0.2")), "");
    let elsewhere = folder.path().join("elsewhere");
    std::os::unix::fs::symlink("/nowhere/at/all", &elsewhere).unwrap();
    let file = elsewhere.join("routes");
    let mended = async {
        let why = || addresses.0.range.borrow().clone().unwrap_err().unwrap().to_string();
        while !why().starts_with("the routes of the pods cannot be asked for: ") {
            sleep(Duration::from_millis(10)).await;
        }
        std::fs::remove_file(&elsewhere).unwrap();
        while addresses.range().is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let client = cluster(nodes.subscribe()).await;
    tokio::select! {
        ended = keep(&addresses, client, "wasm", &file) => panic!("{}", ended.unwrap_err()),
        mended = timeout(LIMIT, mended) => mended.unwrap(),
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), format!("range {HERE}\n"));
}

#[tokio::test]
async fn why_there_is_no_range_is_known() {
    let why = |addresses: &Addresses| addresses.0.range.borrow().clone().unwrap_err().unwrap().to_string();
    let table = [
        (None, "the nodes of the cluster cannot be listed: "),
        (Some(node("other", HERE, "10.0.0.2")), "the API server has no Node of this name"),
        // Nobody makes that one this machine's.
        (
            Some(node("wasm", "198.51.100.0/24", "10.0.0.2")),
            "nobody has made the addresses of the node's pod range 198.51.100.0/24 ",
        ),
    ];
    for (node, wanted) in table {
        let world = World::new(node, "");
        assert_eq!(world.until(|addresses, _| why(addresses).starts_with(wanted)).await, None);
    }
}
