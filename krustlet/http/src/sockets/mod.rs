//! Sockets for guests: which names they may look up, where they may connect to, and where they may listen.
//!
//! Other than with a request, a guest gets a name's addresses first and connects to one of them later. So what it was given is kept: a
//! socket goes to an address that a look-up has given for this very port, or that is named itself, and to no other, whatever the name
//! stands for by then.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use url::Host;

use crate::access::Lease;
use crate::client::Session;
use crate::connect::{Names, Place};
use crate::served::{Served, Serving};
use crate::{HttpError, Origin, Scheme};

/// How many ports of one name may be allowed and are looked up, those of TCP before those of UDP.
const PORTS: usize = 16;

/// How many addresses with a port are kept for a guest. The oldest makes room: it has to be looked up again.
const KNOWN: usize = 1024;

/// How many sockets a guest may have whatever others have.
const OWN: usize = 4;

/// How long a guest may connect to an address that whoever knows the name has vouched for: it may be somebody else's soon after.
const VOUCHED: Duration = Duration::from_mins(1);

/// The longest name that is looked at, in bytes: in other alphabets than ASCII it may be longer than the 253 of DNS.
const NAME_BYTES: usize = 1024;

/// What a refusal in the host's log is about.
const SOCKET: &str = "a socket";
const LISTENER: &str = "a listening socket";

/// Where the looked-up addresses of a guest lead, the newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(VecDeque<Way>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    scheme: Scheme,
    /// What the guest connects to: the port is that of the origin.
    asked: SocketAddr,
    /// What that is: an endpoint of a service may have another port.
    to: SocketAddr,
    /// Until when that holds, if not for good.
    until: Option<Instant>,
}

/// Why a socket cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// The guest may not listen there.
    NotAllowed,
    /// The port is somebody else's.
    InUse,
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    serving: Serving,
    session: Session,
}

impl Listening {
    /// Where it does.
    pub fn address(&self) -> SocketAddr {
        self.serving.address()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listening = self.session.listening();
        if let Some(index) = listening.iter().position(|at| *at == self.address()) {
            listening.swap_remove(index);
        }
    }
}

/// A place among the sockets of a guest, and of all guests.
#[derive(Debug)]
pub struct SocketPermit {
    _own: OwnedSemaphorePermit,
    _shared: Option<OwnedSemaphorePermit>,
    /// Counts it, if somebody else has opened it.
    _accepted: Option<Arc<()>>,
}

impl Known {
    fn keep(&mut self, way: Way) {
        self.0.retain(|known| (known.scheme, known.asked) != (way.scheme, way.asked));
        if self.0.len() == KNOWN {
            self.0.pop_front();
        }
        self.0.push_back(way);
    }

    /// The newest first.
    fn ways(&self) -> impl Iterator<Item = &Way> {
        let now = Instant::now();
        self.0.iter().rev().filter(move |way| way.until.is_none_or(|until| now < until))
    }
}

impl Session {
    /// Whether the guest may have any socket of this kind.
    pub fn has_sockets(&self, scheme: Scheme) -> bool {
        let access = &self.0.access;
        let listens = scheme == Scheme::Tcp && !access.listens.is_empty();
        listens || access.allowed.iter().any(|origin| origin.scheme() == scheme)
    }

    /// Whether the guest may have any socket.
    pub fn has_any_sockets(&self) -> bool {
        self.has_sockets(Scheme::Tcp) || self.has_sockets(Scheme::Udp)
    }

    /// A place for one more socket, which it keeps as long as it is open; `None` if the guest has as many as it may have requests, or all
    /// guests have as many as they may have together and this one a few.
    pub fn take_socket(&self) -> Option<SocketPermit> {
        let guest = &self.0;
        let own = guest.sockets.clone().try_acquire_owned().ok()?;
        let few = guest.sockets.available_permits() + OWN >= guest.most_sockets();
        let shared = if few { None } else { Some(guest.all_sockets.clone().try_acquire_owned().ok()?) };
        Some(SocketPermit { _own: own, _shared: shared, _accepted: None })
    }

    /// The same for a connection that somebody else has opened.
    pub fn take_accepted(&self) -> Option<SocketPermit> {
        let permit = self.take_socket()?;
        Some(SocketPermit { _accepted: Some(self.0.accepted.clone()), ..permit })
    }

    /// The addresses of a host that a guest may connect sockets to, which from then on it may.
    ///
    /// # Errors
    ///
    /// [`Url`](HttpError::Url) for what is no host, [`NotAllowed`](HttpError::NotAllowed), and whatever keeps a request from being
    /// connected.
    pub fn look_up(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, HttpError>> + Send + use<> {
        let (session, asked) = (self.clone(), host(name).map(|host| (self.ports(&host), host)));
        async move {
            let (ports, host) = asked?;
            let found = session.find(&host, ports).await;
            found.inspect_err(|error| session.0.refusals.note(SOCKET, &host, error))
        }
    }

    async fn find(&self, host: &Host<String>, ports: Vec<(Scheme, u16)>) -> Result<Vec<IpAddr>, HttpError> {
        let guest = &self.0;
        if ports.is_empty() {
            return Err(HttpError::NotAllowed);
        }
        let names = Names { discovery: guest.access.discovery.clone(), lookups: guest.lookups.clone() };
        let deadline = Instant::now() + guest.access.limits.connect_timeout;
        let places = timeout_at(deadline, guest.connector.places(host, ports.clone(), names)).await;
        let places = places.map_err(|_| HttpError::ConnectTimeout)??;
        let (mut ways, mut failure) = (Vec::new(), HttpError::Dns);
        let vouched = Some(Instant::now() + VOUCHED);
        for (scheme, port) in ports {
            let at_port = places.iter().filter(|place| place.port == (scheme, port));
            match guest.connector.open(at_port) {
                Ok(open) => ways.extend(open.into_iter().map(|Place { address: to, private, .. }| {
                    let until = if *private { vouched } else { None };
                    Way { scheme, asked: SocketAddr::new(to.ip(), port), to: *to, until }
                })),
                Err(error) => failure = error,
            }
        }
        let mut addresses = Vec::new();
        let mut known = self.known();
        for way in ways {
            if !addresses.contains(&way.to.ip()) {
                addresses.push(way.to.ip());
            }
            known.keep(way);
        }
        if addresses.is_empty() { Err(failure) } else { Ok(addresses) }
    }

    /// Where a connection to what the guest has looked up leads, which may be another port of it. What is named itself leads to itself.
    pub fn leads_to(&self, scheme: Scheme, asked: SocketAddr) -> Option<SocketAddr> {
        let asked = plain(asked);
        if self.0.access.allowed.allows(&Origin::at(scheme, asked)) {
            return None;
        }
        self.known().ways().find(|way| (way.scheme, way.asked) == (scheme, asked)).map(|way| way.to)
    }

    /// Whether a socket may be connected to this address, or send to it: it was looked up, or is named itself, and the host lets its
    /// guests connect there.
    pub fn lets_connect(&self, scheme: Scheme, to: SocketAddr) -> bool {
        let allowed = self.check(scheme, plain(to));
        allowed.inspect_err(|error| self.0.refusals.note(SOCKET, &Origin::at(scheme, to), error)).is_ok()
    }

    /// Whether a datagram from this address is the guest's to see: it could send one there.
    pub fn lets_receive(&self, from: SocketAddr) -> bool {
        self.check(Scheme::Udp, plain(from)).is_ok()
    }

    /// Where a TCP socket gets to be that the guest wants to listen at this address: any one, or its very own, at a port where it may. It is
    /// the guest's as long as the lease is kept.
    ///
    /// # Errors
    ///
    /// It may not listen there, or the port is somebody else's.
    pub fn bind(&self, asked: SocketAddr) -> Result<(SocketAddr, Option<Lease>), BindError> {
        let is_meant = |own: &&SocketAddr| {
            let anywhere = asked.ip().is_unspecified() && asked.is_ipv4() == own.is_ipv4();
            own.port() == asked.port() && (anywhere || own.ip() == asked.ip())
        };
        let access = &self.0.access;
        let Some(at) = access.listens.iter().find(is_meant).copied() else {
            let why = HttpError::Port("it is none of the ports that the program was given".into());
            self.0.refusals.note(LISTENER, &Origin::at(Scheme::Tcp, plain(asked)), &why);
            return Err(BindError::NotAllowed);
        };
        match &access.leases {
            None => Ok((at, None)),
            Some(leases) => match leases.take(at) {
                Ok(lease) => Ok((at, Some(lease))),
                Err(why) => {
                    self.0.refusals.note(LISTENER, &Origin::at(Scheme::Tcp, at), &HttpError::Port(why));
                    Err(BindError::InUse)
                }
            },
        }
    }

    /// Whether a socket may listen there.
    pub fn lets_listen(&self, at: SocketAddr) -> bool {
        self.0.access.listens.contains(&plain(at))
    }

    /// A socket of the guest's listens there, so that other guests may connect to it, as long as the result is kept.
    pub fn listens(&self, at: SocketAddr) -> Listening {
        self.listening().push(at);
        Listening { serving: self.0.connector.served.begin(at), session: self.clone() }
    }

    /// Whether a socket of this very guest listens there.
    pub fn is_listening(&self, at: SocketAddr) -> bool {
        self.listening().contains(&at)
    }

    /// How many connections the guest has that others have opened.
    pub fn under_way(&self) -> usize {
        Arc::strong_count(&self.0.accepted) - 1
    }

    fn listening(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.0.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, scheme: Scheme, to: SocketAddr) -> Result<(), HttpError> {
        let guest = &self.0;
        let looked_up = self.known().ways().any(|way| (way.scheme, way.to) == (scheme, to));
        if !looked_up && !guest.access.allowed.allows(&Origin::at(scheme, to)) {
            return Err(HttpError::NotAllowed);
        }
        // Guests of the host listen for TCP alone.
        let (nobody, connector) = (Served::default(), &guest.connector);
        let served = if scheme == Scheme::Tcp { &connector.served } else { &nobody };
        connector.egress.refuses(to, served).map_or(Ok(()), |what| Err(HttpError::Egress(what)))
    }

    fn ports(&self, host: &Host<String>) -> Vec<(Scheme, u16)> {
        let of_host = self.0.access.allowed.iter().filter(|origin| !origin.scheme.is_http() && origin.host == *host);
        of_host.map(|origin| (origin.scheme, origin.port)).take(PORTS).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A host as a guest names it to have it looked up: an IPv6 address without brackets.
fn host(name: &str) -> Result<Host<String>, HttpError> {
    if name.len() > NAME_BYTES {
        return Err(HttpError::Url("its host is no valid name".into()));
    }
    let bare_v6 = name.contains(':') && !name.starts_with('[');
    let text = if bare_v6 { format!("tcp://[{name}]:1") } else { format!("tcp://{name}:1") };
    // Read as what is allowed is read.
    let origin: Origin = text.parse().map_err(|_| HttpError::Url("its host is no valid name".into()))?;
    Ok(origin.host)
}

/// Without what is of no address: a guest may set flow and scope of an IPv6 one.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

#[cfg(test)]
mod tests;
