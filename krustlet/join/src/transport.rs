//! How the node's requests reach the API server: by HTTP/2, so that all that the node watches shares a few connections. Each object that a
//! pod refers to is watched by itself, and by HTTP/1.1 every watch is a connection, which costs both sides a TLS handshake and memory.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response, Uri};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::legacy::{Builder, Client as Pool};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::retry::RetryPolicy;
use kube::client::{Body as KubeBody, ConfigExt};
use kube::{Client, Config, Error};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tower::retry::RetryLayer;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// So many requests, watches among them, are under way on a connection. An API server takes 100 and more; one beyond its limit would wait until
/// some watch ends.
const STREAMS: usize = 100;
/// A connection on which nothing has come for so long is asked whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(20);
/// How long it may take to say so. Then all that is under way on it fails, and is asked anew.
const PING_LIMIT: Duration = Duration::from_secs(10);

type Legacy = Pool<HttpsConnector<HttpConnector>, KubeBody>;

/// A client as kube makes it, but for HTTP/2 where the server speaks it. For credentials that are certificates.
///
/// # Errors
/// What the configuration has that cannot be used.
pub fn client(config: &Config) -> Result<Client, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout);
    let mut https = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = config.tls_server_name.clone() {
        let name = name.try_into().map_err(|error| Error::Service(BoxError::from(error)))?;
        https = https.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let mut builder = Pool::builder(TokioExecutor::new());
    builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
    builder
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_LIMIT)
        .http2_keep_alive_while_idle(true);
    let connections = Arc::new(Connections {
        server: config.cluster_url.clone(),
        connector: https.enable_all_versions().wrap_connector(tcp),
        builder,
        speaks_http2: OnceCell::new(),
        open: Mutex::default(),
    });
    let service = service_fn(move |request| {
        let connections = connections.clone();
        async move { connections.send(request).await }
    });
    let service = RetryLayer::new(RetryPolicy::server_retry()).layer(service);
    Ok(Client::new(config.base_uri_layer().layer(service), &config.default_namespace))
}

struct Connections {
    server: Uri,
    connector: HttpsConnector<HttpConnector>,
    builder: Builder,
    /// Asked before the first request: many at once would else make a connection each, to find out.
    speaks_http2: OnceCell<bool>,
    /// A pool is one connection where HTTP/2 is spoken. With the places that it has left.
    open: Mutex<Vec<(Legacy, Arc<Semaphore>)>>,
}

impl Connections {
    async fn send(&self, request: Request<KubeBody>) -> Result<Response<Placed>, BoxError> {
        let speaks_http2 = self.speaks_http2.get_or_try_init(|| async {
            let stream = self.connector.clone().oneshot(self.server.clone()).await?;
            Ok::<_, BoxError>(stream.connected().is_negotiated_h2())
        });
        let (pool, place) = self.with_room(*speaks_http2.await?);
        Ok(pool.request(request).await?.map(|body| Placed { body, _place: place }))
    }

    /// The first that has room, so that no more are used than need be; a new one, if none has.
    fn with_room(&self, http2: bool) -> (Legacy, OwnedSemaphorePermit) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let free = |(pool, places): &(Legacy, Arc<Semaphore>)| {
                places.clone().try_acquire_owned().ok().map(|place| (pool.clone(), place))
            };
            if let Some(found) = open.iter().find_map(free) {
                return found;
            }
            let pool = self.builder.clone().http2_only(http2).build(self.connector.clone());
            let places = if http2 { STREAMS } else { Semaphore::MAX_PERMITS };
            open.push((pool, Arc::new(Semaphore::new(places))));
        }
    }
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
