//! One look at a container, by what its probe does.

use std::net::SocketAddr;
use std::time::Duration;

use krustlet_core::serving::probes::Action;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{ProbeError, grpc, http};

/// Where a container listens on a port, if it does.
pub trait Find: Fn(u16) -> Option<SocketAddr> + Send + Sync {}

impl<F: Fn(u16) -> Option<SocketAddr> + Send + Sync> Find for F {}

/// Who asks.
pub const USER_AGENT_OF_PROBES: &str = concat!("kube-probe/krustlet-wasi-", env!("CARGO_PKG_VERSION"));

/// Does it once, at the place that `find` has for its port.
///
/// # Errors
/// Why it is no success, in the kubelet's words.
pub async fn check(action: &Action, find: &impl Find, limit: Duration) -> Result<(), ProbeError> {
    let find = |port| find(port).ok_or(ProbeError::NotListening(port));
    let done = async {
        match action {
            Action::Tcp { port } => connect(find(*port)?).await.map(|_| ()),
            Action::Grpc { port, service } => grpc::check(connect(find(*port)?).await?, service).await,
            Action::Http { port, path, headers } => http::get(find(*port)?, path, headers).await,
        }
    };
    timeout(limit, done).await.unwrap_or(Err(ProbeError::TimedOut))
}

/// Connects.
///
/// # Errors
/// Why it cannot, in the kubelet's words.
pub async fn connect(address: SocketAddr) -> Result<TcpStream, ProbeError> {
    TcpStream::connect(address).await.map_err(|error| ProbeError::Connect { address, error })
}

/// Drives a client's connection for as long as what is returned is held, so that it ends with who asks, however that ends.
pub fn driven<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) -> JoinSet<()> {
    let mut task = JoinSet::new();
    task.spawn(async {
        let _ = connection.await;
    });
    task
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const LIMIT: Duration = Duration::from_secs(10);

    fn here(port: u16) -> Option<SocketAddr> {
        Some((HERE, port).into())
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_not_asked() {
        let fault = check(&Action::Tcp { port: 80 }, &|_| None, LIMIT).await.unwrap_err();
        assert_eq!(fault.to_string(), "dial tcp :80: the program does not listen there");
    }

    #[tokio::test]
    async fn a_connection_tells() {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        check(&Action::Tcp { port }, &here, LIMIT).await.unwrap();
        let http = Action::Http { port, path: "/".into(), headers: Vec::new() };
        let silent = check(&http, &here, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(silent.to_string(), "it did not answer in time");
        drop(listener);
        let closed = TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port();
        let fault = check(&Action::Tcp { port: closed }, &here, LIMIT).await.unwrap_err().to_string();
        assert!(fault.starts_with(&format!("dial tcp 127.0.0.1:{closed}: ")), "{fault}");
    }
}
