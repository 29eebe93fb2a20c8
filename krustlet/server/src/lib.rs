//! The node's own HTTPS port, the kubelet's API as far as a WebAssembly node has it: logs, forwarded ports, pods,
//! metrics.
//!
//! TLS 1.2 and 1.3. A client certificate that the cluster's CA did not sign ends the handshake; without one, every answer is
//! 401. HTTP/1.1 alone, within the [`Limits`]. What a client may do the API server is asked for each request (`access`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod accept;
mod access;
mod connections;
mod error;
mod forward;
mod logs;
mod metrics;
mod peer;
mod pods;
mod review;
mod routes;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use krustlet_images::compile::Compiler;
use krustlet_join::Serving;
use krustlet_logs::Logs;
use krustlet_pods::{Directory, Evictions};
use krustlet_runtime::{MemoryBudget, Tracer};
use kube::Client;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use self::accept::Port;
use self::connections::Connections;
pub use self::connections::Limits;
pub use self::error::ServerError;
use self::metrics::usage::Usages;
use self::peer::PeerAcceptor;
use self::review::{Reviewer, Times};

/// Takes the port, so that a conflict shows before anything is asked of the cluster. Connections are answered from
/// [`start`] on.
///
/// # Errors
/// When the address is not this machine's or the port is taken; the message says which, and what to do.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let listener = TcpListener::bind(address).map_err(|error| ServerError::listen(address, error))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What the server tells about.
#[derive(Clone)]
pub struct Site {
    /// The pods.
    pub directory: Directory,
    /// What their containers wrote.
    pub logs: Logs,
    /// What compiles modules.
    pub compiler: Compiler,
    /// What programs have of the machine's memory.
    pub memory: MemoryBudget,
    /// Pods that had to go.
    pub evictions: Evictions,
    /// Who records the requests that pods answer, if somebody wants them.
    pub tracer: Option<Tracer>,
    /// Name of the Node.
    pub node_name: String,
    /// Folder whose file system is the node's; it must exist.
    pub data_dir: PathBuf,
}

#[cfg(test)]
impl Site {
    /// Of a node without pods.
    pub fn empty(node_name: &str, data_dir: &std::path::Path) -> Self {
        let engine = krustlet_runtime::Engine::new(krustlet_runtime::EngineConfig::default()).unwrap();
        Self {
            directory: Directory::default(),
            logs: Logs::default(),
            memory: engine.memory().clone(),
            compiler: Compiler::here(engine, data_dir),
            evictions: Evictions::default(),
            tracer: None,
            node_name: node_name.into(),
            data_dir: data_dir.into(),
        }
    }
}

/// Whom the server lets in.
pub struct Door {
    /// Signs the certificates of clients.
    pub ca: Arc<RootCertStore>,
    /// Asks the API server what they may do.
    pub client: Client,
    /// How many there may be, and how long they may take.
    pub limits: Limits,
}

/// The running server.
pub struct Server {
    tls: RustlsConfig,
    ca: Arc<RootCertStore>,
    stop: CancellationToken,
    sampler: AbortHandle,
}

impl Server {
    /// New connections get this certificate from now on; open ones go on as they are.
    ///
    /// # Errors
    /// When the CA cannot be used.
    pub fn renew(&self, serving: &Serving) -> Result<(), ServerError> {
        self.tls.reload_from_config(tls(serving, self.ca.clone())?);
        Ok(())
    }

    /// Ends it: no new connection from now on, open ones within half a second.
    pub fn stop(&self) {
        self.sampler.abort();
        self.stop.cancel();
    }
}

/// Serves on a port that was taken with [`bind`].
///
/// # Errors
/// When the CA cannot be used.
pub fn start(listener: TcpListener, serving: &Serving, door: Door, site: Site) -> Result<Server, ServerError> {
    let tls = RustlsConfig::from_config(tls(serving, door.ca.clone())?);
    let stop = CancellationToken::new();
    let acceptor = PeerAcceptor { tls: RustlsAcceptor::new(tls.clone()), connections: Connections::new(door.limits) };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let reviewer = Arc::new(Reviewer::new(door.client, &site.node_name, Times::DEFAULT));
    let usages = Usages::new(site.directory.clone(), site.data_dir.clone());
    let sampler = tokio::spawn(usages.clone().sample_for_ever()).abort_handle();
    let router = routes::router(site, usages).layer(from_fn_with_state(reviewer, access::authorize));
    let port = Port { acceptor, router, idle: door.limits.idle, stop: stop.clone() };
    tokio::spawn(port.serve(listener));
    Ok(Server { tls, ca: door.ca, stop, sampler })
}

fn tls(serving: &Serving, ca: Arc<RootCertStore>) -> Result<Arc<ServerConfig>, ServerError> {
    // Who shows no certificate is told so in HTTP.
    let clients = WebPkiClientVerifier::builder(ca).allow_unauthenticated().build();
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(clients.map_err(ServerError::Ca)?)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(serving.pair.clone())));
    // A session that is taken up again would bring a client in whose certificate is not looked at.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod door_tests;
#[cfg(test)]
mod limits_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let message = bind(first.local_addr().unwrap()).unwrap_err().to_string();
        assert!(message.contains("--port") && message.contains("127.0.0.1"), "{message}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let message = bind("192.0.2.1:3000".parse().unwrap()).unwrap_err().to_string();
        assert!(message.contains("--addr"), "{message}");
    }
}
