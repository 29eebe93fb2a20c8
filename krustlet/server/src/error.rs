//! What keeps the node's own port from being opened.

use std::io;
use std::net::SocketAddr;

use rustls::server::VerifierBuilderError;

/// Why nobody is served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another process has the port.
    #[error("the port is taken by another process: choose another with --port: cannot listen on {}", place(.0))]
    Taken(SocketAddr, #[source] io::Error),
    /// The address is none of this machine's.
    #[error("the address is not this machine's: see --addr and --node-ip: cannot listen on {}", place(.0))]
    NotOurs(SocketAddr, #[source] io::Error),
    /// Anything else that the host says of them.
    #[error("cannot listen on {}", place(.0))]
    Listen(SocketAddr, #[source] io::Error),
    /// Clients cannot be told apart.
    #[error("the cluster's CA is unusable")]
    Ca(#[source] VerifierBuilderError),
    /// The host does not serve a port that it has given.
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl ServerError {
    pub(crate) fn listen(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address, error),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(address, error),
            _ => Self::Listen(address, error),
        }
    }
}

fn place(address: &SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("port {}", address.port()),
        false => address.to_string(),
    }
}
