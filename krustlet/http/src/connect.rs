//! From an origin to a connection.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::Host;

use crate::discovery::{Discovery, Endpoint, Found};
use crate::policy::address;
use crate::policy::network::Network;
use crate::policy::origin::{LOCALHOST, Origin, Scheme, literal};
use crate::served::Served;
use crate::tls::Trust;
use crate::{Egress, HttpError};

/// How many addresses of a name are tried.
const ADDRESSES: usize = 8;

/// How many of those that a resolver has given are looked at: whoever has the name chooses how many it has.
const ANSWERS: usize = 64;

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

/// Where a port of a host leads.
pub(crate) struct Place {
    pub(crate) port: (Scheme, u16),
    /// What is connected to.
    pub(crate) address: SocketAddr,
    /// Whether it is one that is vouched for, see [`Endpoint::private`].
    pub(crate) private: bool,
}

/// Where these ports of a name lead. The host's resolver is asked once for all of them.
async fn look_up(
    name: String,
    ports: Vec<(Scheme, u16)>,
    discovery: Option<Arc<dyn Discovery>>,
    network: Arc<dyn Network>,
) -> Result<Vec<((Scheme, u16), Endpoint)>, HttpError> {
    let (mut places, mut resolved, mut failure) = (Vec::new(), None, HttpError::Dns);
    for port in ports {
        let found = match &discovery {
            Some(discovery) => discovery.find(port.0, &name, port.1).await,
            None => Found::Unknown,
        };
        match found {
            Found::At(endpoints) if endpoints.is_empty() => {
                failure = HttpError::Connect(io::ErrorKind::ConnectionRefused);
            }
            Found::At(endpoints) => places.extend(endpoints.into_iter().map(|endpoint| (port, endpoint))),
            Found::Nowhere => {}
            Found::Unknown => {
                let addresses: Vec<_> = match resolved.take() {
                    Some(addresses) => addresses,
                    None => {
                        let given = network.resolve(name.clone()).await.map_err(|_| HttpError::Dns)?;
                        let mut seen = HashSet::new();
                        given.into_iter().filter(|address| seen.insert(*address)).take(ANSWERS).collect()
                    }
                };
                let endpoint =
                    |address: &IpAddr| Endpoint { address: SocketAddr::new(*address, port.1), private: false };
                places.extend(addresses.iter().map(|address| (port, endpoint(address))));
                resolved = Some(addresses);
            }
        }
    }
    if places.is_empty() { Err(failure) } else { Ok(places) }
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
        let ports = vec![(origin.scheme, origin.port)];
        let places = timeout_at(deadline, self.places(&origin.host, ports, names)).await.map_err(late)??;
        let addresses: Vec<_> = self.open(places.iter())?.into_iter().map(|place| place.address).collect();
        let stream = self.dial(&addresses, deadline).await?;
        match origin.scheme {
            Scheme::Https => timeout_at(deadline, self.secure(origin, stream)).await.map_err(late)?,
            _ => Ok(Box::new(stream)),
        }
    }

    /// The places that may be connected to at these ports of a host. One that is an address names that very address; `localhost` is this
    /// machine, and nobody is asked; any other name must stand for nothing special, not even among others, unless whoever knows it
    /// vouches for that.
    pub(crate) async fn places(
        &self,
        host: &Host<String>,
        ports: Vec<(Scheme, u16)>,
        names: Names,
    ) -> Result<Vec<Place>, HttpError> {
        let at = |addresses: &[IpAddr]| {
            let pairs = addresses.iter().flat_map(|address| ports.iter().map(move |port| (*address, *port)));
            let place = |(address, port): (_, (_, _))| Place {
                port,
                address: SocketAddr::new(address, port.1),
                private: false,
            };
            pairs.map(place).collect()
        };
        if let Some(address) = literal(host) {
            return Ok(at(&[address]));
        }
        let name = host.to_string();
        if name == "localhost" {
            return Ok(at(&LOCALHOST));
        }
        let permit = names.lookups.acquire_owned().await.map_err(|_| HttpError::Dns)?;
        let network = self.network.clone();
        // In a task of its own, so that a guest which loses patience still has a look-up under way.
        let lookup = tokio::spawn(async move {
            let _permit = permit;
            look_up(name, ports, names.discovery, network).await
        });
        let found = lookup.await.map_err(|_| HttpError::Dns)??;
        let mut anybodys = found.iter().filter(|(_, endpoint)| !endpoint.private);
        if let Some(what) = anybodys.find_map(|(_, endpoint)| address::special(endpoint.address.ip())) {
            return Err(HttpError::Address(what));
        }
        let place = |(port, Endpoint { address, private })| Place { port, address, private };
        Ok(found.into_iter().map(place).collect())
    }

    /// The first of those that the host lets guests connect to.
    pub(crate) fn open<'a>(&self, places: impl Iterator<Item = &'a Place>) -> Result<Vec<&'a Place>, HttpError> {
        let mut refused = None;
        let open = places.filter(|place| {
            let what = self.egress.refuses(place.address, &self.served);
            refused = refused.or(what);
            what.is_none()
        });
        let open: Vec<_> = open.take(ADDRESSES).collect();
        match refused {
            Some(what) if open.is_empty() => Err(HttpError::Egress(what)),
            _ => Ok(open),
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
