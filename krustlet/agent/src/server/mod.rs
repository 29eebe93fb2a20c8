//! The node's own HTTPS port, the kubelet's API as far as a WebAssembly node has it: logs, pods, metrics.
//!
//! Only clients with a certificate of the cluster's CA get through the handshake. Which of them may do what is not asked
//! yet: a SubjectAccessReview belongs into [`access`].

mod access;
mod exposition;
mod logs;
mod metrics;
mod pods;
mod process;
mod rates;
mod routes;
mod stats;
mod usage;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::task::AbortHandle;

use self::usage::Usages;
use crate::join::Serving;
use crate::logs::Logs;
use crate::pods::Directory;

/// How long open connections may go on when the agent stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Takes the port, so that a conflict shows before anything is asked of the cluster. Connections are answered from
/// [`start`] on.
///
/// # Errors
/// When the address is not this machine's or the port is taken; the message says which, and what to do.
pub fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| match address.ip().is_unspecified() {
        true => format!("cannot listen on port {}", address.port()),
        false => format!("cannot listen on {address}"),
    });
    let listener = listener.map_err(|error| match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::AddrInUse) => {
            error.context("the port is taken by another process: choose another with --port")
        }
        Some(io::ErrorKind::AddrNotAvailable) => {
            error.context("the address is not this machine's: see --addr and --node-ip")
        }
        _ => error,
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What the server tells about.
#[derive(Clone, Debug)]
pub struct Site {
    /// The pods.
    pub directory: Directory,
    /// What their containers wrote.
    pub logs: Logs,
    /// Name of the Node.
    pub node_name: String,
    /// Folder whose file system is the node's; it must exist.
    pub data_dir: PathBuf,
}

/// The running server.
pub struct Server {
    handle: Handle<SocketAddr>,
    sampler: AbortHandle,
}

impl Server {
    /// Ends it: no new connection from now on, open ones within half a second.
    pub fn stop(&self) {
        self.sampler.abort();
        self.handle.graceful_shutdown(Some(FAREWELL));
    }
}

/// Serves on a port that was taken with [`bind`].
///
/// # Errors
/// When certificate and key do not belong together.
pub fn start(listener: TcpListener, serving: &Serving, ca: Arc<RootCertStore>, site: Site) -> Result<Server> {
    // A renewed certificate is to be put in with `reload_from_config`: open connections go on, new ones get it.
    let tls = RustlsConfig::from_config(tls(serving, ca)?);
    let handle = Handle::new();
    let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
    let usages = Usages::new(site.directory.clone(), site.data_dir.clone());
    let sampler = tokio::spawn(usages.clone().sample_for_ever()).abort_handle();
    tokio::spawn(async move {
        if let Err(error) = server.serve(routes::router(site, usages).into_make_service()).await {
            tracing::error!("the log port has failed: {error}");
        }
    });
    Ok(Server { handle, sampler })
}

fn tls(serving: &Serving, ca: Arc<RootCertStore>) -> Result<Arc<ServerConfig>> {
    let clients = WebPkiClientVerifier::builder(ca).build().context("the cluster's CA is unusable")?;
    let key = PrivateKeyDer::from_pem_slice(&serving.key_pem)
        .map_err(|_| anyhow::anyhow!("the key of the serving certificate is unreadable"))?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(serving.certificate.chain.clone(), key)
        .context("the serving certificate and its key")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let message = format!("{:#}", bind(first.local_addr().unwrap()).unwrap_err());
        assert!(message.contains("--port") && message.contains("127.0.0.1"), "{message}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let message = format!("{:#}", bind("192.0.2.1:3000".parse().unwrap()).unwrap_err());
        assert!(message.contains("--addr"), "{message}");
    }
}
