//! How the node's requests reach the API server: by HTTP/2, so that all that the node watches shares a few connections. Each object that a
//! pod refers to is watched by itself, and by HTTP/1.1 every watch is a connection, which costs both sides a TLS handshake and memory.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response, Uri};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::legacy::{Builder, Client as Legacy, Error as LegacyError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::retry::RetryPolicy;
use kube::client::{Body as KubeBody, ConfigExt};
use kube::{Client, Config, Error};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tower::retry::RetryLayer;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// So many requests, watches among them, are under way on a connection. An API server takes 100 and more.
const STREAMS: usize = 90;
/// How long a connection may take to be made, its TLS handshake too.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A request that has waited for its answer for so long may wait for a stream that a server which takes fewer will not give it: the next ones go
/// over another connection.
const STREAM_LIMIT: Duration = Duration::from_secs(10);
/// A connection on which nothing has come for so long is asked whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long it may take to say so. Then all that is under way on it fails, and is asked anew.
const PING_LIMIT: Duration = Duration::from_secs(15);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connector = BoxCloneSyncService<Uri, Stream, BoxError>;
type Pool = Legacy<Connector, KubeBody>;

/// A client as kube makes it, but for HTTP/2 where the server speaks it. For credentials that are certificates.
///
/// # Errors
/// What the configuration has that cannot be used.
pub fn client(config: Config) -> Result<Client, Error> {
    if config.proxy_url.is_some() {
        // Which kube has its own words for.
        return Client::try_from(config);
    }
    let connections = Arc::new(Connections {
        server: config.cluster_url.clone(),
        connector: connector(&config)?,
        speaks_http2: Mutex::default(),
        open: Mutex::default(),
    });
    let service = service_fn(move |request| {
        let connections = connections.clone();
        async move { connections.send(request).await }
    });
    let service = RetryLayer::new(RetryPolicy::server_retry()).layer(service);
    Ok(Client::new(config.base_uri_layer().layer(service), config.default_namespace))
}

fn connector(config: &Config) -> Result<Connector, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut https = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = config.tls_server_name.clone() {
        let name = name.try_into().map_err(|error| Error::Service(BoxError::from(error)))?;
        https = https.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let https = https.enable_all_versions().wrap_connector(tcp);
    Ok(BoxCloneSyncService::new(service_fn(move |server: Uri| {
        let https = https.clone();
        async move { timeout(CONNECT_LIMIT, https.oneshot(server)).await? }
    })))
}

struct Connections {
    server: Uri,
    connector: Connector,
    /// Asked before the first request: many at once would else make a connection each, to find out.
    speaks_http2: Mutex<Arc<OnceCell<bool>>>,
    /// A pool is one connection where HTTP/2 is spoken. With the places that it has left.
    open: Mutex<Vec<(Pool, Arc<Semaphore>)>>,
}

impl Connections {
    async fn send(&self, request: Request<KubeBody>) -> Result<Response<Placed>, BoxError> {
        let again = copy_of(&request);
        match (self.attempt(request).await, again) {
            // It may be that somebody else was making the connection, and was given up.
            (Err(error), Some(again)) if error.downcast_ref().is_some_and(LegacyError::is_connect) => {
                self.attempt(again).await
            }
            (answered, _) => answered,
        }
    }

    async fn attempt(&self, request: Request<KubeBody>) -> Result<Response<Placed>, BoxError> {
        let known = lock(&self.speaks_http2).clone();
        let ask = || async {
            let stream = self.connector.clone().oneshot(self.server.clone()).await?;
            Ok::<_, BoxError>(stream.connected().is_negotiated_h2())
        };
        let (pool, place) = self.with_room(*known.get_or_try_init(ask).await?);
        let places = place.semaphore().clone();
        // Also when this is given up.
        let mut doubt = Doubt { connections: self, places, since: Instant::now(), has_failed: false };
        match pool.request(request).await {
            Ok(answer) => Ok(answer.map(|body| Placed { body, _place: place })),
            Err(error) => {
                doubt.has_failed = true;
                Err(error.into())
            }
        }
    }

    /// The first that has room, so that no more are used than need be; a new one, if none has.
    fn with_room(&self, http2: bool) -> (Pool, OwnedSemaphorePermit) {
        let mut open = lock(&self.open);
        loop {
            let free = |(pool, places): &(Pool, Arc<Semaphore>)| {
                places.clone().try_acquire_owned().ok().map(|place| (pool.clone(), place))
            };
            if let Some(found) = open.iter().find_map(free) {
                return found;
            }
            let places = if http2 { STREAMS } else { Semaphore::MAX_PERMITS };
            open.push((pool(http2).build(self.connector.clone()), Arc::new(Semaphore::new(places))));
        }
    }

    /// No more requests go over that connection, and what is spoken is asked anew: it may be another server by now. What is under way goes on.
    fn leave(&self, places: &Arc<Semaphore>) {
        lock(&self.open).retain(|(_, others)| !Arc::ptr_eq(places, others));
        *lock(&self.speaks_http2) = Arc::default();
    }
}

/// How a pool of connections is made. One of HTTP/2 is never idle: what is watched counts from its beginning.
fn pool(http2: bool) -> Builder {
    let mut builder = Legacy::builder(TokioExecutor::new());
    builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).http2_only(http2);
    builder
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_LIMIT)
        .http2_keep_alive_while_idle(true);
    if http2 {
        builder.pool_idle_timeout(None);
    }
    builder
}

/// A request of the same, where its body can be had twice.
fn copy_of(request: &Request<KubeBody>) -> Option<Request<KubeBody>> {
    let body = request.body().try_clone()?;
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// A request that has no answer yet. If it fails, or ends without one too late, its connection is left.
struct Doubt<'a> {
    connections: &'a Connections,
    places: Arc<Semaphore>,
    since: Instant,
    has_failed: bool,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.has_failed || self.since.elapsed() > STREAM_LIMIT {
            self.connections.leave(&self.places);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer, which has its place on the connection until it has been read.
struct Placed {
    body: Incoming,
    _place: OwnedSemaphorePermit,
}

impl Body for Placed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
