//! `/portForward`: what `kubectl port-forward` reaches, as a kubelet serves it: SPDY/3.1 on a connection that is upgraded. A port is one at
//! which a container of the pod listens, and nothing else is ever connected to.

mod frames;
mod headers;
mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use krustlet_pods::{Answering, Directory, PodView};
use tokio::sync::Semaphore;

use super::Site;
use super::routes::refuse;

/// Clients that forward ports at once. Each has one of the connections to the node's port, for as long as it likes.
const MOST_CLIENTS: usize = 64;
/// Connections to all pods of the node, for all clients: each takes a file of those that the agent may open.
const MOST: usize = 128;

const PROTOCOL: &str = "SPDY/3.1";
const STREAMS: &str = "portforward.k8s.io";
const STREAM_PROTOCOLS: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

/// Who forwards ports, and how much of it there may be. Clones are the same.
#[derive(Clone)]
pub struct Forwarder {
    clients: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Default for Forwarder {
    fn default() -> Self {
        let of = |most| Arc::new(Semaphore::new(most));
        Self { clients: of(MOST_CLIENTS), connections: of(MOST) }
    }
}

/// Answers who would forward ports of a pod: `path` is its namespace, its name and, if the client knows it, its UID.
pub fn port_forward(site: &Site, path: &str, forwarder: Forwarder, mut request: Request) -> Response {
    let parts: Vec<_> = path.split('/').collect();
    let (namespace, pod, uid) = match *parts {
        [namespace, pod] => (namespace, pod, None),
        [namespace, pod, uid] => (namespace, pod, Some(uid)),
        _ => return refuse(StatusCode::NOT_FOUND, "port-forward wants a namespace and a pod"),
    };
    let view = site.directory.get(namespace, pod).filter(|view| uid.is_none_or(|uid| *uid == view.uid));
    let Some(view) = view else {
        return refuse(StatusCode::NOT_FOUND, format_args!("pod {namespace}/{pod} is not on this node"));
    };
    if listens(&view).next().is_none() {
        return refuse(
            StatusCode::BAD_REQUEST,
            format_args!(
                "port-forward: no container of pod {pod:?} listens, so there is no port to forward to: a server has one once it runs, \
                 and a program with sockets of its own those that its container names"
            ),
        );
    }
    let streams = match agreed(request.headers()) {
        Ok(streams) => streams,
        Err(refusal) => return *refusal,
    };
    let Ok(client) = forwarder.clients.try_acquire_owned() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "port-forward: too many clients forward ports of this node");
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let find = find(site.directory.clone(), namespace.into(), pod.into(), view.uid);
    tokio::spawn(async move {
        let served = match upgrade.await {
            Ok(connection) => session::serve(TokioIo::new(connection), forwarder.connections, find).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = served {
            tracing::debug!("port forwarding has ended: {error}");
        }
        drop(client);
    });
    let upgraded = [(CONNECTION, "Upgrade"), (UPGRADE, PROTOCOL)];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, upgraded).into_response();
    if streams {
        response.headers_mut().insert(STREAM_PROTOCOLS, HeaderValue::from_static(STREAMS));
    }
    response
}

/// Whether the client names what its streams mean, which is then said again.
fn agreed(headers: &HeaderMap) -> Result<bool, Box<Response>> {
    let words = |name: HeaderName| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|word| word.trim().to_lowercase()).collect::<Vec<_>>()
    };
    if !words(CONNECTION).contains(&"upgrade".into()) || !words(UPGRADE).contains(&PROTOCOL.to_lowercase()) {
        let message = format_args!("port-forward wants a connection that is upgraded to {PROTOCOL}");
        return Err(refuse(StatusCode::BAD_REQUEST, message).into());
    }
    let named = words(STREAM_PROTOCOLS);
    if named.is_empty() || named.contains(&STREAMS.into()) {
        return Ok(!named.is_empty());
    }
    let message = format_args!("port-forward speaks {STREAMS}, not {}", named.join(", "));
    let mut refusal = refuse(StatusCode::FORBIDDEN, message);
    refusal.headers_mut().insert(ACCEPTED_PROTOCOLS, HeaderValue::from_static(STREAMS));
    Err(refusal.into())
}

/// Where containers of a pod listen now.
fn listens(view: &PodView) -> impl Iterator<Item = SocketAddr> {
    view.containers.iter().filter_map(|container| container.answering.as_ref()).flat_map(Answering::listens)
}

/// Finds ports of this pod, and of none that comes after it under its name.
fn find(directory: Directory, namespace: String, pod: String, uid: String) -> session::Find {
    Box::new(move |port| {
        let view = directory.get(&namespace, &pod).filter(|view| view.uid == uid);
        let view = view.ok_or_else(|| format!("pod {pod:?} is not on this node any more"))?;
        let ports: Vec<_> = listens(&view).map(|address| address.port().to_string()).collect();
        let meant = listens(&view).find(|address| address.port() == port);
        meant.ok_or_else(|| match ports.as_slice() {
            [] => format!("no container of pod {pod:?} listens now"),
            _ => format!("pod {pod:?} listens on {} alone", ports.join(", ")),
        })
    })
}
