//! From an origin to a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::address;
use crate::discovery::{Discovery, Endpoint, Found};
use crate::network::Network;
use crate::origin::{LOCALHOST, Origin, Scheme, literal};
use crate::served::Served;
use crate::tls::Trust;
use crate::{Egress, HttpError};

/// How many addresses of a name are tried.
const ADDRESSES: usize = 8;

/// What carries the bytes of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where connections come from.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) egress: Egress,
    pub(crate) served: Served,
    pub(crate) trust: Trust,
}

/// How names are looked up for one guest.
pub(crate) struct Names {
    pub(crate) discovery: Option<Arc<dyn Discovery>>,
    /// Bounds its look-ups.
    pub(crate) lookups: Arc<Semaphore>,
}

impl Connector {
    /// A connection to an allowed origin, until `deadline`.
    pub(crate) async fn connect(
        &self,
        origin: &Origin,
        names: Names,
        deadline: Instant,
    ) -> Result<Box<dyn Stream>, HttpError> {
        let late = |_| HttpError::ConnectTimeout;
        let addresses = timeout_at(deadline, self.addresses(origin, names)).await.map_err(late)??;
        let addresses = self.open(addresses)?;
        let stream = self.dial(&addresses, deadline).await?;
        match origin.scheme {
            Scheme::Http => Ok(Box::new(stream)),
            Scheme::Https => timeout_at(deadline, self.secure(origin, stream)).await.map_err(late)?,
        }
    }

    /// The addresses that may be connected to. An origin that is an address names that very address; `localhost` is this
    /// machine, and nobody is asked; any other name must stand for nothing special, not even among others, unless whoever knows it
    /// vouches for that.
    async fn addresses(&self, origin: &Origin, names: Names) -> Result<Vec<SocketAddr>, HttpError> {
        let port = origin.port;
        if let Some(address) = literal(&origin.host) {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let name = origin.host();
        if name == "localhost" {
            return Ok(LOCALHOST.map(|address| SocketAddr::new(address, port)).into());
        }
        let permit = names.lookups.acquire_owned().await.map_err(|_| HttpError::Dns)?;
        let network = self.network.clone();
        // In a task of its own, so that a guest which loses patience still has a look-up under way.
        let lookup = tokio::spawn(async move {
            let _permit = permit;
            let found = match names.discovery.map(|discovery| discovery.find(&name, port)) {
                Some(found) => found.await,
                None => Found::Unknown,
            };
            match found {
                Found::At(endpoints) if endpoints.is_empty() => {
                    Err(HttpError::Connect(io::ErrorKind::ConnectionRefused))
                }
                Found::At(endpoints) => Ok(endpoints),
                Found::Nowhere => Err(HttpError::Dns),
                Found::Unknown => {
                    let addresses = network.resolve(name).await.map_err(|_| HttpError::Dns)?;
                    let endpoint = |address| Endpoint { address: SocketAddr::new(address, port), private: false };
                    Ok(addresses.into_iter().map(endpoint).collect())
                }
            }
        });
        let endpoints = lookup.await.map_err(|_| HttpError::Dns)??;
        let mut anybodys = endpoints.iter().filter(|endpoint| !endpoint.private);
        if let Some(what) = anybodys.find_map(|endpoint| address::special(endpoint.address.ip())) {
            return Err(HttpError::Address(what));
        }
        let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint.address).collect();
        if addresses.is_empty() { Err(HttpError::Dns) } else { Ok(addresses) }
    }

    /// Those that the host lets guests connect to.
    fn open(&self, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, HttpError> {
        let mut refused = None;
        addresses.retain(|address| {
            let what = self.egress.refuses(*address, &self.served);
            refused = refused.or(what);
            what.is_none()
        });
        match refused {
            Some(what) if addresses.is_empty() => Err(HttpError::Egress(what)),
            _ => {
                addresses.truncate(ADDRESSES);
                Ok(addresses)
            }
        }
    }

    /// The first address that answers; each gets its share of the time that is left.
    async fn dial(&self, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, HttpError> {
        let mut failure = HttpError::Dns;
        for (index, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            // Another one may have taken some time, in which a port of this host's has become somebody else's.
            if let Some(what) = self.egress.refuses(*address, &self.served) {
                failure = HttpError::Egress(what);
                continue;
            }
            let turn = now + deadline.saturating_duration_since(now) / left;
            failure = match timeout_at(turn, self.network.connect(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => HttpError::Connect(error.kind()),
                Err(_) => HttpError::ConnectTimeout,
            };
        }
        Err(failure)
    }

    async fn secure(&self, origin: &Origin, stream: TcpStream) -> Result<Box<dyn Stream>, HttpError> {
        let name = match literal(&origin.host) {
            Some(address) => ServerName::IpAddress(address.into()),
            None => ServerName::try_from(origin.host()).map_err(|error| HttpError::Tls(error.to_string()))?,
        };
        let connector = TlsConnector::from(self.trust.config().await?);
        let stream: io::Result<_> = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| HttpError::of_tls(&error))?))
    }
}
