//! An API server of a few paths over plain HTTP: certificate requests, their approval, and tokens of a ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures::StreamExt;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

use super::with;

/// What there is, and what is asked for.
#[derive(Default)]
pub struct Inner {
    pub csrs: BTreeMap<String, CertificateSigningRequest>,
    /// Method (or `WATCH`), last part of the path, and the name of the token it was asked with.
    pub calls: Vec<String>,
    /// What a TokenRequest answers; `None`: 503.
    pub next_token: Option<String>,
    pub refused_tokens: BTreeSet<String>,
    pub forbidden_signers: BTreeSet<String>,
    pub watching: usize,
}

/// The server.
pub struct Api {
    inner: Mutex<Inner>,
    /// A changed request for all watches; `None` ends them.
    changes: broadcast::Sender<Option<Value>>,
}

impl Api {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), changes: broadcast::channel(64).0 })
    }

    /// Serves on that address, port 0 for any, until the runtime is shut down, whose end breaks its connections off.
    pub fn serve(self: &Arc<Self>, address: SocketAddr) -> (Runtime, SocketAddr) {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
        let router = Router::new()
            .route(requests, get(list))
            .route(&format!("{requests}/{{name}}/approval"), put(approve))
            .route("/api/v1/namespaces/kube-system/serviceaccounts/krustlet-approver-krustlet/token", post(token_of))
            .layer(axum::middleware::from_fn_with_state(self.clone(), authenticate))
            .with_state(self.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move { axum::serve(TcpListener::from_std(listener).unwrap(), router).await });
        (runtime, address)
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Files a request, or changes it; `tell` the watchers or not.
    pub fn put(&self, csr: &CertificateSigningRequest, tell: bool) {
        self.inner().csrs.insert(csr.metadata.name.clone().unwrap(), csr.clone());
        if tell {
            self.tell(csr);
        }
    }

    pub fn tell(&self, csr: &CertificateSigningRequest) {
        let _ = self.changes.send(Some(json!({ "type": "MODIFIED", "object": csr })));
    }

    pub fn end_watches(&self) {
        let _ = self.changes.send(None);
        self.inner().watching = 0;
    }

    /// Type and reason of the conditions of a request.
    pub fn conditions(&self, name: &str) -> Vec<String> {
        let status = self.inner().csrs.get(name).and_then(|csr| csr.status.clone()).unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default().into_iter();
        conditions.map(|one| format!("{} {}", one.type_, one.reason.unwrap_or_default())).collect()
    }

    pub fn calls(&self, beginning: &str) -> usize {
        self.inner().calls.iter().filter(|call| call.starts_with(beginning)).count()
    }
}

fn refusal(code: StatusCode, reason: &str) -> Response {
    let status =
        json!({ "kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code.as_u16() });
    (code, Json(status)).into_response()
}

async fn authenticate(State(api): State<Arc<Api>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let by = headers["authorization"].to_str().unwrap().rsplit('.').next().unwrap().to_string();
    let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let method = if watch { "WATCH".to_string() } else { request.method().to_string() };
    let last = request.uri().path().rsplit('/').next().unwrap().to_string();
    let refused = {
        let mut inner = api.inner();
        inner.calls.push(format!("{method} {last} {by}"));
        inner.refused_tokens.contains(&by)
    };
    if refused { refusal(StatusCode::UNAUTHORIZED, "Unauthorized") } else { next.run(request).await }
}

async fn list(State(api): State<Arc<Api>>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    if !query.contains_key("watch") {
        let items: Vec<_> = api.inner().csrs.values().cloned().collect();
        return Json(json!({ "metadata": { "resourceVersion": "7" }, "items": items })).into_response();
    }
    assert_eq!(query["resourceVersion"], "7");
    let changes = api.changes.subscribe();
    api.inner().watching += 1;
    let lines = futures::stream::unfold(changes, |mut changes| async {
        let change = changes.recv().await.ok().flatten()?;
        Some((Ok::<_, std::io::Error>(format!("{change}\n")), changes))
    });
    Body::from_stream(lines.boxed()).into_response()
}

async fn approve(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Json(csr): Json<CertificateSigningRequest>,
) -> Response {
    let Some(stored) = api.inner().csrs.get(&name).cloned() else { return refusal(StatusCode::NOT_FOUND, "NotFound") };
    if api.inner().forbidden_signers.contains(&csr.spec.signer_name) {
        return refusal(StatusCode::FORBIDDEN, "Forbidden");
    }
    if stored.metadata.resource_version != csr.metadata.resource_version {
        return refusal(StatusCode::CONFLICT, "Conflict");
    }
    api.put(&with(&csr, json!({ "metadata": { "resourceVersion": "2" } })), true);
    Json(csr).into_response()
}

async fn token_of(State(api): State<Arc<Api>>, Json(body): Json<Value>) -> Response {
    assert_eq!(body["spec"]["expirationSeconds"], 600);
    match &api.inner().next_token {
        Some(token) => (StatusCode::CREATED, Json(json!({ "spec": {}, "status": { "token": token } }))).into_response(),
        None => refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    }
}
