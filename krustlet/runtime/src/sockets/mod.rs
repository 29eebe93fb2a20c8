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
use std::sync::{Arc, OnceLock};

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

/// The places of a guest's sockets, by their handles.
#[derive(Default)]
pub(crate) struct Places {
    by_handle: HashMap<u32, Arc<Place>>,
    /// Of sockets without a handle that may listen still.
    listening: Vec<Arc<Place>>,
}

impl Places {
    fn keep(&mut self, socket: u32, place: Place) {
        self.by_handle.insert(socket, Arc::new(place));
    }

    fn of(&self, socket: u32) -> Option<Arc<Place>> {
        self.by_handle.get(&socket).cloned()
    }

    fn leave(&mut self, socket: u32) -> Option<Arc<Place>> {
        self.by_handle.remove(&socket)
    }

    /// As [`leave`](Self::leave); one that listens goes on, it may be, by its stream of connections, and keeps its place until the guest ends.
    fn leave_by_stream(&mut self, socket: u32) -> Option<Arc<Place>> {
        let place = self.leave(socket)?;
        if place.listens.get().is_some() {
            self.listening.push(place.clone());
        }
        Some(place)
    }
}

/// One of the sockets that a guest may have open, and what may be under way on it.
struct Place {
    sends: Semaphore,
    /// Each that waits has room for the largest datagram.
    receives: Semaphore,
    /// The port that it is bound to, if that is one of the guest's own.
    lease: OnceLock<Lease>,
    /// Others may connect to it from when it listens.
    listens: OnceLock<Listening>,
    /// The last to go: what listens is not to be taken for something else.
    _permit: SocketPermit,
}

impl Place {
    /// One more, if there is one.
    fn take(state: &State) -> Option<Self> {
        state.http.session().take_socket().map(Self::new)
    }

    fn new(permit: SocketPermit) -> Self {
        Self {
            sends: Semaphore::new(SENDS),
            receives: Semaphore::new(1),
            lease: OnceLock::new(),
            listens: OnceLock::new(),
            _permit: permit,
        }
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
    context
        .allow_tcp(session.has_sockets(Scheme::Tcp))
        .allow_udp(session.has_sockets(Scheme::Udp))
        // Names are looked up by functions of our own alone.
        .allow_ip_name_lookup(false);
    let session = session.clone();
    context.socket_addr_check(move |address, what| Box::pin(future::ready(allows(&session, address, what))));
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
        SocketAddrUse::TcpAccept => session.lets_accept(),
    }
}

/// Any address and port of the host's, as every socket gets that connects somewhere.
fn is_any(address: SocketAddr) -> bool {
    address.ip().is_unspecified() && address.port() == 0
}

impl State {
    /// A socket of the guest's is bound, to a port that it keeps as long as it is open.
    fn bound(&self, socket: u32, lease: Option<Lease>) {
        if let (Some(place), Some(lease)) = (self.places.of(socket), lease) {
            // It can be bound but once.
            let _ = place.lease.set(lease);
        }
    }

    /// Others may connect to a socket from now on, which listens there.
    fn listens(&self, socket: u32, at: Option<SocketAddr>) {
        if let (Some(place), Some(at)) = (self.places.of(socket), at) {
            let _ = place.listens.set(self.http.session().listens(at));
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
