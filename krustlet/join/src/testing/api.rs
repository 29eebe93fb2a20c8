//! An API server that takes certificate signing requests, over TLS, and knows who asks.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::extract::{Path as Name, Request, State as Held};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::AddExtension;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use futures::future::BoxFuture;
use futures::{FutureExt, stream};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::Layer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Authority;
use crate::certificate::Certificate;

/// The bootstrap token, and the name of who has it.
const TOKEN: &str = "abcdef.0123456789abcdef";
pub const BOOTSTRAPPER: &str = "system:bootstrap:abcdef";

/// A request that was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// By whom.
    pub user: String,
    /// With which certificate, DER; none for the token.
    pub certificate: Option<Vec<u8>>,
    /// `client` or `serving`.
    pub purpose: String,
    /// PEM.
    pub csr_pem: String,
    pub expiration_seconds: Value,
    /// Whether the key in the file that was handed over was the request's when it was posted.
    pub handed_over: bool,
}

/// Who is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denied {
    #[default]
    Nobody,
    Nodes,
    Everybody,
}

#[derive(Default)]
struct Inner {
    posted: Vec<Posted>,
    objects: BTreeMap<String, Value>,
    denied: Denied,
}

pub struct ApiServer {
    pub ca: Authority,
    pub address: SocketAddr,
    /// Life of the certificates that it signs.
    seconds: u64,
    keys: std::path::PathBuf,
    inner: Mutex<Inner>,
    ticks: watch::Sender<u32>,
    accepted: Arc<AtomicUsize>,
}

impl ApiServer {
    /// Signs for so many seconds. `root` is that of the node's [`super::config`], and gets its bootstrap file.
    pub async fn start(root: &Path, seconds: u64) -> Arc<Self> {
        Self::speaking(&["h2", "http/1.1"], 100, root, seconds).await
    }

    /// As above, by these protocols, and so many streams on a connection.
    pub async fn speaking(protocols: &[&str], streams: u32, root: &Path, seconds: u64) -> Arc<Self> {
        let ca = Authority::new();
        let pair = ca.pair();
        let clients = WebPkiClientVerifier::builder(ca.trust()).allow_unauthenticated().build().unwrap();
        let mut tls = ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.pair)));
        tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let api = Arc::new(Self {
            ca,
            address,
            seconds,
            keys: root.join("data/keys"),
            inner: Mutex::default(),
            ticks: watch::Sender::new(0),
            accepted: Arc::default(),
        });
        std::fs::write(root.join("bootstrap"), api.kubeconfig(&json!({ "token": TOKEN }))).unwrap();
        let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
        let router = Router::new()
            .route(requests, post(create))
            .route(&format!("{requests}/{{name}}"), get(read))
            .route("/who", get(|Extension(user): Extension<User>| async move { user.name }))
            .route("/ticks", get(follow))
            .layer(axum::middleware::from_fn(authenticate))
            .with_state(api.clone());
        let tls = RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(tls)));
        let mut server = axum_server::from_tcp(listener).unwrap();
        server.http_builder().http2().max_concurrent_streams(streams);
        let server = server.acceptor(PeerAcceptor(tls, api.accepted.clone()));
        tokio::spawn(async move { server.serve(router.into_make_service()).await.unwrap() });
        api
    }

    /// A kubeconfig for this server with that user.
    pub fn kubeconfig(&self, user: &Value) -> String {
        let ca = serde_json::to_value(k8s_openapi::ByteString(self.ca.pem.clone().into_bytes())).unwrap();
        json!({
            "clusters": [{ "name": "c", "cluster": {
                "server": format!("https://{}", self.address), "certificate-authority-data": ca,
            } }],
            "users": [{ "name": "u", "user": user }],
            "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
            "current-context": "x",
        })
        .to_string()
    }

    pub fn deny(&self, denied: Denied) {
        self.inner().denied = denied;
    }

    /// The requests for one of the certificates.
    pub fn posted(&self, purpose: &str) -> Vec<Posted> {
        self.inner().posted.iter().filter(|posted| posted.purpose == purpose).cloned().collect()
    }

    /// Whoever follows `/ticks` gets another line.
    pub fn tick(&self) {
        self.ticks.send_modify(|tick| *tick += 1);
    }

    /// So many connections there have been.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

/// Lets every request know the certificate of its connection's client, if it has shown one.
#[derive(Clone)]
struct PeerAcceptor(RustlsAcceptor, Arc<AtomicUsize>);

#[derive(Clone)]
struct Peer(Option<Vec<u8>>);

impl<S: Send + 'static> Accept<TcpStream, S> for PeerAcceptor {
    type Stream = <RustlsAcceptor as Accept<TcpStream, S>>::Stream;
    type Service = AddExtension<S, Peer>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let (accepted, count) = (self.0.accept(stream, service), self.1.clone());
        async move {
            let (stream, service) = accepted.await?;
            count.fetch_add(1, Ordering::Relaxed);
            let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let peer = Peer(leaf.map(|leaf| leaf.to_vec()));
            Ok((stream, Extension(peer).layer(service)))
        }
        .boxed()
    }
}

/// Whose the certificate is; nobody's when it has ended: a connection may outlive it.
fn holder(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    let name = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap().to_string();
    certificate.validity().is_valid().then_some(name)
}

#[derive(Clone)]
struct User {
    name: String,
    certificate: Option<Vec<u8>>,
}

async fn authenticate(headers: HeaderMap, mut request: Request, next: axum::middleware::Next) -> Response {
    let Peer(certificate) = request.extensions().get::<Peer>().unwrap().clone();
    let token = headers.get("authorization").is_some_and(|value| *value == format!("Bearer {TOKEN}"));
    let user = match certificate.as_deref().and_then(holder) {
        Some(name) => User { name, certificate },
        None if token => User { name: BOOTSTRAPPER.into(), certificate: None },
        None => return failure(StatusCode::UNAUTHORIZED, "Unauthorized"),
    };
    request.extensions_mut().insert(user);
    next.run(request).await
}

async fn create(
    Held(api): Held<Arc<ApiServer>>,
    Extension(user): Extension<User>,
    Json(mut object): Json<Value>,
) -> Response {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(object["spec"]["request"].clone()).unwrap();
    let csr_pem = String::from_utf8(bytes.0).unwrap();
    let prefix = object["metadata"]["generateName"].as_str().unwrap().to_string();
    let purpose = prefix.trim_end_matches('-').rsplit('-').next().unwrap().to_string();
    let signed = api.ca.sign_request(&csr_pem, api.seconds);
    let public_key = std::fs::read_to_string(api.keys.join(format!("{purpose}.pub"))).unwrap_or_default();
    let (_, public_key) = x509_parser::pem::parse_x509_pem(public_key.as_bytes()).unwrap();
    let mut inner = api.inner();
    inner.posted.push(Posted {
        handed_over: Certificate::from_pem(signed.as_bytes()).unwrap().public_key_der == public_key.contents,
        expiration_seconds: object["spec"]["expirationSeconds"].clone(),
        certificate: user.certificate,
        user: user.name.clone(),
        csr_pem,
        purpose,
    });
    let denied = match inner.denied {
        Denied::Nobody => false,
        Denied::Nodes => user.name != BOOTSTRAPPER,
        Denied::Everybody => true,
    };
    let name = format!("{prefix}{}", inner.objects.len());
    object["metadata"] = json!({ "name": name });
    object["status"] = match denied {
        true => json!({ "conditions": [{ "type": "Denied", "status": "True", "reason": "NotOurs" }] }),
        false => json!({ "certificate": k8s_openapi::ByteString(signed.into_bytes()) }),
    };
    inner.objects.insert(name, object.clone());
    (StatusCode::CREATED, Json(object)).into_response()
}

async fn read(Held(api): Held<Arc<ApiServer>>, Name(name): Name<String>) -> Response {
    match api.inner().objects.get(&name) {
        Some(object) => Json(object.clone()).into_response(),
        None => failure(StatusCode::NOT_FOUND, "not found"),
    }
}

/// A line with the user's name now, and another with each tick.
async fn follow(Held(api): Held<Arc<ApiServer>>, Extension(user): Extension<User>) -> Response {
    let mut ticks = api.ticks.subscribe();
    ticks.mark_changed();
    let lines = stream::unfold((ticks, user.name), |(mut ticks, name)| async move {
        ticks.changed().await.ok()?;
        let line = format!("{name} {}\n", *ticks.borrow_and_update());
        Some((Ok::<_, std::convert::Infallible>(line), (ticks, name)))
    });
    Body::from_stream(lines).into_response()
}

fn failure(code: StatusCode, message: &str) -> Response {
    let status =
        json!({ "kind": "Status", "status": "Failure", "code": code.as_u16(), "message": message, "reason": "" });
    (code, Json(status)).into_response()
}
