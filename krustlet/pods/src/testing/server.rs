//! The API server and the registry, on one port of this machine.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State as Held};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures::stream;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::registry;

pub struct State {
    pub address: SocketAddr,
    inner: Mutex<Inner>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    pods: BTreeMap<String, Value>,
    events: BTreeMap<String, Value>,
    services: Vec<Value>,
    slices: Vec<Value>,
    /// With the version at which each happened.
    history: Vec<(u64, Value)>,
    version: u64,
    uids: u64,
    /// Watches that began under an earlier number end.
    cuts: u64,
    /// What happened before this version is no longer known.
    expired: u64,
    down: bool,
    mute: bool,
    requests: Vec<String>,
}

pub async fn start() -> Arc<State> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(State {
        address,
        inner: Mutex::new(Inner { version: 1, ..Inner::default() }),
        changes: watch::Sender::new(()),
    });
    let router = Router::new().fallback(answer).with_state(state.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    state
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn create(&self, name: &str, mut spec: Value, annotations: Value) -> String {
        let mut inner = self.lock();
        inner.uids += 1;
        let uid = format!("uid-{}", inner.uids);
        spec["nodeName"] = json!("wasm");
        let pod = json!({
            "metadata": {
                "name": name, "namespace": "default", "uid": uid, "generation": 1, "creationTimestamp": now(),
                "annotations": annotations,
            },
            "spec": spec,
            "status": { "phase": "Pending", "qosClass": "BestEffort" },
        });
        self.put(inner, "ADDED", name, pod);
        uid
    }

    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let inner = self.lock();
        let mut pod = inner.pods[name].clone();
        change(&mut pod);
        self.put(inner, "MODIFIED", name, pod);
    }

    pub fn delete(&self, name: &str, grace_seconds: i64) {
        if grace_seconds == 0 {
            return self.remove(self.lock(), name);
        }
        self.edit(name, |pod| {
            pod["metadata"]["deletionTimestamp"] = json!(now());
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace_seconds);
        });
    }

    pub fn pod(&self, name: &str) -> Option<Value> {
        self.lock().pods.get(name).cloned()
    }

    pub fn versions(&self, name: &str) -> Vec<Value> {
        let inner = self.lock();
        let objects = inner.history.iter().map(|(_, event)| &event["object"]);
        objects.filter(|pod| pod["metadata"]["name"] == name).cloned().collect()
    }

    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        let inner = self.lock();
        let about = inner.events.values().filter(|event| event["involvedObject"]["name"] == name);
        let container = |event: &Value| {
            let path = event["involvedObject"]["fieldPath"].as_str().unwrap_or_default().to_string();
            path.split(['{', '}']).nth(1).unwrap_or_default().to_string()
        };
        about.map(|event| (event["reason"].as_str().unwrap().to_string(), container(event))).collect()
    }

    pub fn messages(&self, name: &str) -> Vec<String> {
        let inner = self.lock();
        let about = inner.events.values().filter(|event| event["involvedObject"]["name"] == name);
        about.map(|event| event["message"].as_str().unwrap().to_string()).collect()
    }

    pub fn set_services(&self, services: Vec<Value>, slices: Vec<Value>) {
        let mut inner = self.lock();
        (inner.services, inner.slices) = (services, slices);
    }

    pub fn requests(&self, text: &str) -> usize {
        self.lock().requests.iter().filter(|request| request.contains(text)).count()
    }

    pub fn cut(&self, expired: bool) {
        let mut inner = self.lock();
        inner.cuts += 1;
        if expired {
            inner.version += 10;
            inner.expired = inner.version;
        }
        drop(inner);
        self.changes.send_replace(());
    }

    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
        self.cut(false);
    }

    pub fn refuse_statuses(&self, refuse: bool) {
        self.lock().mute = refuse;
    }

    fn put(&self, mut inner: MutexGuard<'_, Inner>, kind: &str, name: &str, mut pod: Value) {
        inner.version += 1;
        let version = inner.version;
        pod["metadata"]["resourceVersion"] = json!(version.to_string());
        inner.history.push((version, json!({ "type": kind, "object": kinded(pod.clone()) })));
        inner.pods.insert(name.into(), pod);
        drop(inner);
        self.changes.send_replace(());
    }

    fn remove(&self, mut inner: MutexGuard<'_, Inner>, name: &str) {
        let Some(mut pod) = inner.pods.remove(name) else { return };
        inner.version += 1;
        let version = inner.version;
        pod["metadata"]["resourceVersion"] = json!(version.to_string());
        inner.history.push((version, json!({ "type": "DELETED", "object": kinded(pod) })));
        drop(inner);
        self.changes.send_replace(());
    }

    fn patch_status(&self, name: &str, patch: &Value) -> Response {
        let inner = self.lock();
        let Some(mut pod) = inner.pods.get(name).cloned() else { return missing(name) };
        if patch["metadata"]["uid"] != pod["metadata"]["uid"] {
            return failure(StatusCode::CONFLICT, "Precondition failed: UID in precondition: a, UID in object meta: b");
        }
        for (field, value) in patch["status"].as_object().unwrap() {
            if field == "conditions" {
                value.as_array().unwrap().iter().for_each(|condition| merge_condition(&mut pod, condition));
            } else {
                pod["status"][field] = value.clone();
            }
        }
        if pod["status"] != inner.pods[name]["status"] {
            self.put(inner, "MODIFIED", name, pod);
        } else {
            drop(inner);
        }
        Json(kinded(self.pod(name).unwrap())).into_response()
    }

    fn list(&self) -> Response {
        let inner = self.lock();
        let items: Vec<Value> = inner.pods.values().cloned().collect();
        let metadata = json!({ "resourceVersion": inner.version.to_string() });
        Json(json!({ "kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items })).into_response()
    }

    fn watch(self: Arc<Self>, from: u64) -> Response {
        let changes = self.changes.subscribe();
        let cuts = self.lock().cuts;
        let lines = stream::unfold((self, changes, from), move |(state, mut changes, from)| async move {
            loop {
                changes.borrow_and_update();
                let (cut, expired, news) = {
                    let inner = state.lock();
                    let news: Vec<_> = inner.history.iter().filter(|(at, _)| *at > from).cloned().collect();
                    (inner.cuts != cuts, from < inner.expired, news)
                };
                if cut {
                    return None;
                }
                if expired {
                    let status = json!({ "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
                    let line = format!("{}\n", json!({ "type": "ERROR", "object": status }));
                    return Some((Ok::<_, Infallible>(line), (state, changes, u64::MAX)));
                }
                if let Some((at, _)) = news.last() {
                    let lines: String = news.iter().map(|(_, event)| format!("{event}\n")).collect();
                    let at = *at;
                    return Some((Ok(lines), (state, changes, at)));
                }
                changes.changed().await.ok()?;
            }
        });
        Body::from_stream(lines).into_response()
    }
}

async fn answer(
    Held(state): Held<Arc<State>>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_string());
    let body: Bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if parts[0] == "v2" {
        return registry::answer(&method, &parts);
    }
    state.lock().requests.push(format!("{method} {path}"));
    if state.lock().down {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "down");
    }
    let json = || serde_json::from_slice::<Value>(&body).unwrap();
    match (method.as_str(), &parts[2..]) {
        ("GET", ["pods"]) if query.contains_key("watch") => state.watch(query["resourceVersion"].parse().unwrap()),
        ("GET", ["pods"]) => state.list(),
        // Services are there from the start, or not at all.
        ("GET", ["services"]) if query.contains_key("watch") => {
            Body::from_stream(stream::pending::<Result<String, Infallible>>()).into_response()
        }
        ("GET", ["services"]) => {
            let (metadata, items) = (json!({ "resourceVersion": "1" }), state.lock().services.clone());
            Json(json!({ "kind": "ServiceList", "apiVersion": "v1", "metadata": metadata, "items": items }))
                .into_response()
        }
        ("GET", ["v1", "namespaces", namespace, "endpointslices"]) => {
            let name = query["labelSelector"].strip_prefix("kubernetes.io/service-name=").unwrap();
            let slices = state.lock().slices.clone().into_iter();
            let of = |slice: &Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == *name;
            let items: Vec<_> =
                slices.filter(|slice| slice["metadata"]["namespace"] == *namespace && of(slice)).collect();
            Json(json!({ "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {}, "items": items }))
                .into_response()
        }
        ("GET", ["nodes", "wasm"]) => Json(node()).into_response(),
        ("PATCH", [_, _, "pods", _, "status"]) if state.lock().mute => {
            failure(StatusCode::SERVICE_UNAVAILABLE, "no statuses")
        }
        ("PATCH", [_, _, "pods", name, "status"]) => state.patch_status(name, &json()),
        ("DELETE", [_, _, "pods", name]) => {
            let kept = state.pod(name).is_some_and(|pod| pod["metadata"]["finalizers"].is_array());
            if !kept {
                state.remove(state.lock(), name);
            }
            Json(json!({ "kind": "Status", "status": "Success", "metadata": {} })).into_response()
        }
        ("POST", [_, _, "events"]) => {
            let event = json();
            let name = event["metadata"]["name"].as_str().unwrap().to_string();
            state.lock().events.insert(name, event.clone());
            Json(event).into_response()
        }
        ("PATCH", [_, _, "events", name]) => {
            let mut inner = state.lock();
            let Some(event) = inner.events.get_mut(*name) else { return missing(name) };
            event["count"] = json()["count"].clone();
            Json(event.clone()).into_response()
        }
        _ => failure(StatusCode::NOT_IMPLEMENTED, &format!("{method} {path}")),
    }
}

fn merge_condition(pod: &mut Value, condition: &Value) {
    if pod["status"]["conditions"].is_null() {
        pod["status"]["conditions"] = json!([]);
    }
    if condition["$patch"] == "delete" {
        pod["status"]["conditions"].as_array_mut().unwrap().retain(|known| known["type"] != condition["type"]);
        return;
    }
    let mut clean = condition.clone();
    clean.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let all = pod["status"]["conditions"].as_array_mut().unwrap();
    match all.iter_mut().find(|known| known["type"] == condition["type"]) {
        Some(known) => *known = clean,
        None => all.push(clean),
    }
}

fn node() -> Value {
    json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": { "name": "wasm", "labels": { "kubernetes.io/arch": "wasm32-wasi" } },
        "status": { "allocatable": { "cpu": "2", "memory": "4Gi", "pods": "110" } },
    })
}

fn kinded(mut pod: Value) -> Value {
    pod["kind"] = json!("Pod");
    pod["apiVersion"] = json!("v1");
    pod
}

fn missing(name: &str) -> Response {
    failure(StatusCode::NOT_FOUND, &format!("{name:?} not found"))
}

pub fn failure(code: StatusCode, message: &str) -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code.as_u16(), "message": message, "reason": "" });
    (code, Json(status)).into_response()
}

fn now() -> String {
    k8s_openapi::jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", Timestamp::now()).unwrap()
}
