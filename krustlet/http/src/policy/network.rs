//! Names and connections.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// How many names may be looked up at once in the name of all guests. The operating system's resolver keeps a thread until it has
/// an answer or gives up.
const LOOKUPS: usize = 16;

/// How names are looked up, and how connections are made. What a name may stand for is not decided here: a connection is asked
/// for with one of the very addresses that the look-up gave.
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// All addresses of a name, which is no address itself. An empty list means that it has none.
    ///
    /// # Errors
    ///
    /// In the words of the resolver, when it gave no answer.
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

    /// A connection to this address.
    ///
    /// # Errors
    ///
    /// In the words of the operating system.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>>;
}

/// The host's own resolver and network, without proxies: no variable of the environment changes where a request goes.
#[derive(Clone, Debug)]
pub struct HostNetwork {
    lookups: Arc<Semaphore>,
}

impl Default for HostNetwork {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Network for HostNetwork {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let lookups = self.lookups.clone();
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            // The permit stays with the thread, which nothing can call back, and not with who waits for it.
            let answer = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let addresses = (name.as_str(), 0).to_socket_addrs()?;
                Ok(addresses.map(|address| address.ip()).collect())
            });
            answer.await.map_err(io::Error::other)?
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}
