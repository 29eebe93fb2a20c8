//! `wasi:sockets` under the rules that hold for HTTP: a guest gets a socket only if it is allowed to connect or to listen somewhere, looks
//! up only what it is allowed to connect to, connects only to what it was given for that, and listens only at its own ports.
//!
//! The sockets themselves are the stock ones. They ask [`allow`]'s check before each step, whatever the guest has called.

/// What a guest is told of our refusals, in the codes of its version of WASI, which are two types with the same words.
macro_rules! codes {
    ($socket:ident, $name:ident) => {
        /// Why a socket is not bound.
        fn bind_code(error: BindError) -> $socket {
            match error {
                BindError::NotAllowed => $socket::AccessDenied,
                BindError::InUse => $socket::AddressInUse,
            }
        }

        /// Why a name has no addresses.
        fn name_code(error: HttpError) -> $name {
            match error {
                HttpError::NotAllowed | HttpError::Address(_) | HttpError::Egress(_) => $name::AccessDenied,
                HttpError::Url(_) => $name::InvalidArgument,
                HttpError::Dns => $name::NameUnresolvable,
                _ => $name::TemporaryResolverFailure,
            }
        }
    };
}

mod p2;
mod p3;

use std::collections::HashMap;
use std::error::Error;
use std::future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use krustlet_http::{Lease, Listening, Scheme, Session, SocketPermit};
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::component::Linker;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{TrappableError, WasiCtxBuilder};

use crate::run::State;

/// The largest buffer of a socket. One of TCP has it from the start: the kernel would let it grow to megabytes of memory, which no limit
/// of the guest's counts.
const BUFFER_BYTES: u64 = 256 * 1024;

/// How many connections may wait until the guest accepts them. Linux would keep thousands.
const BACKLOG: u64 = 128;

/// How many datagrams of one socket may be being sent. Each is held until the system takes it, which is at once as a rule.
const SENDS: usize = 4;

/// The places of a guest's sockets.
#[derive(Default)]
pub(crate) struct Places {
    by_handle: HashMap<u32, Arc<Place>>,
    /// Of those that listen or have, with or without a handle.
    listeners: Vec<Weak<Place>>,
}

impl Places {
    fn keep(&mut self, socket: u32, place: Arc<Place>) {
        self.by_handle.insert(socket, place);
    }

    fn of(&self, socket: u32) -> Option<Arc<Place>> {
        self.by_handle.get(&socket).cloned()
    }

    fn leave(&mut self, socket: u32) {
        self.by_handle.remove(&socket);
    }

    fn listeners(&self) -> impl Iterator<Item = Arc<Place>> {
        self.listeners.iter().filter_map(Weak::upgrade)
    }

    /// One more listens. What has listened there does so no more, whoever keeps it still: no two can.
    fn listens(&mut self, place: &Arc<Place>, listening: Listening) {
        let at = listening.address();
        let mut accepted = Arc::default();
        for other in self.listeners().filter(|other| other.kept().at.is_some_and(|there| overlap(there, at))) {
            accepted = other.kept().accepted.clone();
            other.end();
        }
        let mut kept = place.kept();
        (kept.at, kept.listens, kept.accepted) = (Some(at), Some(listening), accepted);
        self.listeners.retain(|other| other.strong_count() > 0);
        self.listeners.push(Arc::downgrade(place));
    }

    /// The permit that was taken for a connection which has come in at this address.
    fn take_accepted(&self, at: SocketAddr) -> Option<SocketPermit> {
        self.listeners().find_map(|place| {
            let kept = place.kept();
            if kept.at.is_some_and(|there| overlap(there, at)) { accepted(&kept.accepted).pop() } else { None }
        })
    }
}

/// Whether what is at the one address may have come in at the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (any || one.ip() == other.ip())
}

fn accepted(kept: &Mutex<Vec<SocketPermit>>) -> MutexGuard<'_, Vec<SocketPermit>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the sockets that a guest may have open, and what may be under way on it.
struct Place {
    sends: Semaphore,
    /// Each that waits has room for the largest datagram.
    receives: Semaphore,
    kept: Mutex<Kept>,
}

/// What is kept for a socket until it is closed.
struct Kept {
    /// The port that it is bound to, if that is one of the guest's own.
    lease: Option<Lease>,
    /// Others may connect to it from when it listens.
    listens: Option<Listening>,
    /// Where that is, or was.
    at: Option<SocketAddr>,
    /// For connections that have come in there, and that the guest has not made use of yet: those of all that have listened there, for a
    /// connection's own address does not tell by which of them it came.
    accepted: Arc<Mutex<Vec<SocketPermit>>>,
    permit: Option<SocketPermit>,
}

impl Place {
    /// One more, if there is one.
    fn take(session: &Session) -> Option<Arc<Self>> {
        session.take_socket().map(Self::new)
    }

    fn new(permit: SocketPermit) -> Arc<Self> {
        let kept = Kept { lease: None, listens: None, at: None, accepted: Arc::default(), permit: Some(permit) };
        Arc::new(Self { sends: Semaphore::new(SENDS), receives: Semaphore::new(1), kept: Mutex::new(kept) })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection that comes in is for the guest, which has a place for it then.
    fn accepts(&self, session: &Session) -> bool {
        let permit = session.take_accepted();
        let taken = permit.is_some();
        accepted(&self.kept().accepted).extend(permit);
        taken
    }

    /// Its socket is closed.
    fn end(&self) {
        let mut kept = self.kept();
        (kept.lease, kept.listens, kept.permit) = (None, None, None);
    }

    fn sends(&self) -> Option<SemaphorePermit<'_>> {
        self.sends.try_acquire().ok()
    }

    async fn receives(&self) -> Option<SemaphorePermit<'_>> {
        self.receives.acquire().await.ok()
    }
}

/// What a guest may do with sockets, of the kinds that its session has.
pub(crate) fn allow(context: &mut WasiCtxBuilder, session: &Session) {
    // By 0.2 a place is taken when the guest accepts.
    allow_by(context, session, || true);
}

fn allow_by(context: &mut WasiCtxBuilder, session: &Session, accepts: impl Fn() -> bool + Send + Sync + 'static) {
    context
        .allow_tcp(session.has_sockets(Scheme::Tcp))
        .allow_udp(session.has_sockets(Scheme::Udp))
        // Names are looked up by functions of our own alone.
        .allow_ip_name_lookup(false);
    let session = session.clone();
    context.socket_addr_check(move |address, what| {
        let allowed = if let SocketAddrUse::TcpAccept = what { accepts() } else { allows(&session, address, what) };
        Box::pin(future::ready(allowed))
    });
}

fn allows(session: &Session, address: SocketAddr, what: SocketAddrUse) -> bool {
    match what {
        SocketAddrUse::UdpBind => is_any(address),
        // Nothing else is bound by those who ask: see `binds`.
        SocketAddrUse::TcpBind => is_any(address) || session.lets_listen(address),
        SocketAddrUse::TcpConnect => session.lets_connect(Scheme::Tcp, address),
        SocketAddrUse::UdpSend => session.lets_connect(Scheme::Udp, address),
        SocketAddrUse::UdpReceive => session.lets_receive(address),
        SocketAddrUse::TcpListen => session.lets_listen(address),
        SocketAddrUse::TcpAccept => false,
    }
}

/// Any address and port of the host's, as every socket gets that connects somewhere.
fn is_any(address: SocketAddr) -> bool {
    address.ip().is_unspecified() && address.port() == 0
}

impl State {
    /// A socket of the guest's is bound, to a port that it keeps as long as it is open.
    fn bound(&self, socket: u32, lease: Option<Lease>) {
        if let Some(place) = self.places.of(socket) {
            place.kept().lease = lease;
        }
    }

    /// Others may connect to a socket from now on, which listens there.
    fn listens(&mut self, socket: u32, at: Option<SocketAddr>) {
        if let (Some(place), Some(at)) = (self.places.of(socket), at) {
            self.places.listens(&place, self.http.session().listens(at));
        }
    }
}

/// What the guest is told of a result, unless it is an end of it.
fn told<T, C: Error + Send + Sync + 'static>(result: Result<T, TrappableError<C>>) -> wasmtime::Result<Result<T, C>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast().map(Err),
    }
}

/// In the place of the stock functions that make sockets, look names up and connect.
pub(crate) fn add_to_components(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    p2::add(linker)?;
    p3::add(linker)
}
