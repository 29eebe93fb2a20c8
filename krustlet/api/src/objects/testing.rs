//! An API server for tests: objects that can be set and removed, watches on them, tokens, and refusals.
#![allow(clippy::unwrap_used, clippy::new_without_default)]

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures::{StreamExt, stream};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The server. Clones are the same.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

struct Inner {
    state: Mutex<Served>,
    /// Counts changes, so that watches look again.
    changes: watch::Sender<usize>,
    open: AtomicUsize,
}

#[derive(Default)]
struct Served {
    /// By collection, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    /// Every change: the version is its place, counted from one.
    history: Vec<(String, String, Value)>,
    refusals: usize,
    lists: usize,
    tokens: Vec<Value>,
    token_seconds: i64,
    /// Watches of an earlier time end.
    time: usize,
}

impl Fake {
    /// Without objects.
    pub fn new() -> Self {
        let state = Mutex::new(Served { token_seconds: 3600, ..Served::default() });
        Self(Arc::new(Inner { state, changes: watch::channel(0).0, open: AtomicUsize::new(0) }))
    }

    /// A client of it.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(Router::new().fallback(serve).with_state(self.clone()), "default")
    }

    fn with<T>(&self, work: impl FnOnce(&mut Served) -> T) -> T {
        let done = work(&mut self.0.state.lock().unwrap());
        self.0.changes.send_modify(|count| *count += 1);
        done
    }

    /// Creates or changes an object: `configmaps`, `secrets`, `services` or `endpointslices`. Of its metadata labels alone are looked at.
    pub fn set(&self, collection: &str, namespace: &str, name: &str, fields: Value) {
        self.with(|served| {
            let version = served.history.len() + 1;
            let mut object = fields;
            let labels = object["metadata"]["labels"].take();
            object["metadata"] = json!({
                "name": name, "namespace": namespace, "resourceVersion": version.to_string(), "labels": labels,
            });
            let key = (collection.to_string(), namespace.to_string(), name.to_string());
            let type_ = if served.objects.insert(key, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
            served.history.push((collection.into(), namespace.into(), json!({ "type": type_, "object": object })));
        });
    }

    /// Removes an object.
    pub fn remove(&self, collection: &str, namespace: &str, name: &str) {
        self.with(|served| {
            let key = (collection.to_string(), namespace.to_string(), name.to_string());
            let mut object = served.objects.remove(&key).unwrap();
            object["metadata"]["resourceVersion"] = (served.history.len() + 1).to_string().into();
            served.history.push((collection.into(), namespace.into(), json!({ "type": "DELETED", "object": object })));
        });
    }

    /// The next requests are forbidden.
    pub fn refuse(&self, requests: usize) {
        self.with(|served| served.refusals = requests);
    }

    /// How long tokens say that they live.
    pub fn token_seconds(&self, seconds: i64) {
        self.with(|served| served.token_seconds = seconds);
    }

    /// Ends all watches.
    pub fn interrupt(&self) {
        self.with(|served| served.time += 1);
    }

    /// Lists answered.
    pub fn lists(&self) -> usize {
        self.0.state.lock().unwrap().lists
    }

    /// Watches open now.
    pub fn watches(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    /// The requests for tokens.
    pub fn tokens(&self) -> Vec<Value> {
        self.0.state.lock().unwrap().tokens.clone()
    }
}

/// Waits until it holds; fails after five seconds.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within five seconds");
}

fn refused() -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no relationship found",
        "reason": "Forbidden", "code": 403 });
    (StatusCode::FORBIDDEN, Json(status)).into_response()
}

async fn serve(
    State(fake): State<Fake>,
    Query(query): Query<HashMap<String, String>>,
    request: Request<Body>,
) -> Response {
    let path = request.uri().path().to_string();
    let below = path.strip_prefix("/api/v1/").or_else(|| path.strip_prefix("/apis/discovery.k8s.io/v1/"));
    let parts: Vec<&str> = below.unwrap_or(&path).split('/').collect();
    let forbidden = fake.with(|served| {
        let forbidden = served.refusals > 0;
        served.refusals -= usize::from(forbidden);
        forbidden
    });
    if forbidden {
        return refused();
    }
    let (namespace, collection) = match parts[..] {
        [collection] => (String::new(), collection.to_string()),
        ["namespaces", namespace, collection] => (namespace.to_string(), collection.to_string()),
        ["namespaces", _, "serviceaccounts", account, "token"] if request.method() == Method::POST => {
            let account = account.to_string();
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            return token(&fake, &account, serde_json::from_slice(&body).unwrap());
        }
        _ => panic!("nobody should ask for {path}"),
    };
    let name = query.get("fieldSelector").map(|selector| selector.strip_prefix("metadata.name=").unwrap().to_string());
    if query.contains_key("watch") {
        return follow(fake, collection, namespace, name, query["resourceVersion"].parse().unwrap());
    }
    let label = query.get("labelSelector").map(|selector| selector.split_once('=').unwrap());
    fake.with(|served| {
        served.lists += 1;
        let wanted = |(of, ns, n): &(String, String, String), object: &Value| {
            *of == collection
                && (namespace.is_empty() || *ns == namespace)
                && name.as_ref().is_none_or(|name| name == n)
                && label.is_none_or(|(label, value)| object["metadata"]["labels"][label] == value)
        };
        let items: Vec<&Value> =
            served.objects.iter().filter(|(key, object)| wanted(key, object)).map(|(_, object)| object).collect();
        let version = served.history.len().to_string();
        Json(json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": version }, "items": items }))
            .into_response()
    })
}

fn token(fake: &Fake, account: &str, mut request: Value) -> Response {
    fake.with(|served| {
        served.tokens.push(request.clone());
        let expires = Timestamp::now() + SignedDuration::from_secs(served.token_seconds);
        request["spec"]["expirationSeconds"] = served.token_seconds.into();
        request["status"] =
            json!({ "token": format!("token-{}-of-{account}", served.tokens.len()), "expirationTimestamp": expires });
        Json(request).into_response()
    })
}

/// Counts an open watch while it lives.
struct Open(Fake);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn follow(fake: Fake, collection: String, namespace: String, name: Option<String>, from: usize) -> Response {
    fake.0.open.fetch_add(1, Ordering::SeqCst);
    let time = fake.0.state.lock().unwrap().time;
    let (changes, open) = (fake.0.changes.subscribe(), Open(fake.clone()));
    let lines = stream::unfold((from, changes, open), move |(mut at, mut changes, open)| {
        let (fake, collection, namespace, name) = (fake.clone(), collection.clone(), namespace.clone(), name.clone());
        async move {
            loop {
                changes.mark_unchanged();
                let (over, new) = {
                    let served = fake.0.state.lock().unwrap();
                    (served.time != time, served.history[at..].to_vec())
                };
                if over {
                    return None;
                }
                at += new.len();
                let wanted = |(of, ns, event): &(String, String, Value)| {
                    *of == collection
                        && (namespace.is_empty() || *ns == namespace)
                        && name.as_ref().is_none_or(|name| event["object"]["metadata"]["name"] == **name)
                };
                let text: String = new.iter().filter(|e| wanted(e)).map(|(_, _, event)| format!("{event}\n")).collect();
                if !text.is_empty() {
                    return Some((text, (at, changes, open)));
                }
                changes.changed().await.ok()?;
            }
        }
    });
    Body::from_stream(lines.map(Ok::<_, Infallible>)).into_response()
}
