//! For components of WASI 0.3.
//!
//! What a socket is outlives its handle in the streams that were made of it, so its place goes with the last of these. And a program
//! may have thousands of its calls under way: what each brings, or waits for, is bounded for each socket.

mod listening;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use krustlet_http::{BindError, HttpError, Scheme, Session};
use tokio::sync::oneshot;
use wasmtime::component::{
    Access, Accessor, FutureConsumer, FutureReader, Linker, Resource, ResourceType, Source, StreamReader,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::ErrorCode as NameError;
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode, HostTcpSocket, HostTcpSocketWithStore, HostUdpSocket, HostUdpSocketWithStore, IpAddress,
    IpAddressFamily, IpSocketAddress,
};
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSockets, WasiSocketsCtxView, WasiSocketsView};

use super::{BACKLOG, BUFFER_BYTES, Place, allow_by, told};
use crate::run::State;

type Store<'a> = StoreContextMut<'a, State>;

/// The most that a datagram can hold, and a little more.
const DATAGRAM_BYTES: usize = u16::MAX as usize;

/// How a connection has ended, in one of its directions.
type End = FutureReader<Result<(), ErrorCode>>;
type Told = oneshot::Sender<Result<(), ErrorCode>>;

/// The stock functions of these names, with no larger a size than a guest may have.
macro_rules! add_sizes {
    ($interface:ident, $($name:literal: $socket:ident $host:ident $function:ident $most:ident;)*) => {$(
        $interface.func_wrap($name, |mut store: Store<'_>, (socket, size): (Resource<$socket>, u64)| {
            let mut sockets = store.data_mut().sockets();
            Ok((told($host::$function(&mut sockets, socket, size.min($most)))?,))
        })?;
    )*};
}

pub(super) fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:sockets/types@0.3.0")?;
    types.func_wrap("[static]tcp-socket.create", |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
        let state = store.data_mut();
        let session = state.http.session();
        let Some(place) = Place::take(session) else { return Ok((Err(too_many()),)) };
        let mut context = context_of(session, &place);
        let mut sockets = WasiSocketsCtxView { ctx: context.sockets(), ..state.sockets() };
        let socket = told(HostTcpSocket::create(&mut sockets, family))?;
        if let Ok(socket) = &socket {
            let (rep, mut sockets) = (socket.rep(), state.sockets());
            told(HostTcpSocket::set_receive_buffer_size(&mut sockets, Resource::new_borrow(rep), BUFFER_BYTES))?.ok();
            told(HostTcpSocket::set_send_buffer_size(&mut sockets, Resource::new_borrow(rep), BUFFER_BYTES))?.ok();
            state.places.keep(rep, place);
        }
        Ok((socket,))
    })?;
    types.func_wrap_async("[static]udp-socket.create", |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
        Box::new(async move {
            let state = store.data_mut();
            let Some(place) = Place::take(state.http.session()) else { return Ok((Err(too_many()),)) };
            let socket = told(HostUdpSocket::create(&mut state.sockets(), family).await)?;
            Ok((socket.inspect(|socket| state.places.keep(socket.rep(), place)),))
        })
    })?;
    types.resource("tcp-socket", ResourceType::host::<TcpSocket>(), |mut store, handle| {
        let state = store.data_mut();
        // Also what the guest has made no use of has one.
        let place = state.place_of(handle);
        HostTcpSocket::drop(&mut state.sockets(), Resource::new_own(handle))?;
        state.places.leave(handle);
        drop(place);
        Ok(())
    })?;
    types.resource("udp-socket", ResourceType::host::<UdpSocket>(), |mut store, handle| {
        let state = store.data_mut();
        HostUdpSocket::drop(&mut state.sockets(), Resource::new_own(handle))?;
        state.places.leave(handle);
        Ok(())
    })?;
    add_sizes! { types,
        "[method]tcp-socket.set-receive-buffer-size": TcpSocket HostTcpSocket set_receive_buffer_size BUFFER_BYTES;
        "[method]tcp-socket.set-send-buffer-size": TcpSocket HostTcpSocket set_send_buffer_size BUFFER_BYTES;
        "[method]tcp-socket.set-listen-backlog-size": TcpSocket HostTcpSocket set_listen_backlog_size BACKLOG;
        "[method]udp-socket.set-receive-buffer-size": UdpSocket HostUdpSocket set_receive_buffer_size BUFFER_BYTES;
        "[method]udp-socket.set-send-buffer-size": UdpSocket HostUdpSocket set_send_buffer_size BUFFER_BYTES;
    }
    listening::add(&mut types)?;
    types.func_wrap_concurrent(
        "[method]tcp-socket.connect",
        |store: &Accessor<State>, (socket, address): (Resource<TcpSocket>, IpSocketAddress)| {
            Box::pin(async move {
                let to = store.with(|mut store| store.get().http.session().leads_to(Scheme::Tcp, address.into()));
                let address = to.map_or(address, Into::into);
                Ok((told(WasiSockets::connect(&sockets(store), socket, address).await)?,))
            })
        },
    )?;
    types.func_wrap(
        "[method]tcp-socket.send",
        |mut store: Store<'_>, (socket, data): (Resource<TcpSocket>, StreamReader<u8>)| {
            let place = store.data_mut().place_of(socket.rep());
            let access = Access::<State, WasiSockets>::new(store.as_context_mut(), WasiSocketsView::sockets);
            let end = <WasiSockets as HostTcpSocketWithStore<State>>::send(access, socket, data)?;
            Ok((keep_until(&mut store, end, place)?,))
        },
    )?;
    types.func_wrap("[method]tcp-socket.receive", |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| {
        let place = store.data_mut().place_of(socket.rep());
        let access = Access::<State, WasiSockets>::new(store.as_context_mut(), WasiSocketsView::sockets);
        let (data, end) = <WasiSockets as HostTcpSocketWithStore<State>>::receive(access, socket)?;
        Ok(((data, keep_until(&mut store, end, place)?),))
    })?;
    types.func_wrap_concurrent(
        "[method]udp-socket.send",
        |store: &Accessor<State>, (socket, data, to): (Resource<UdpSocket>, Vec<u8>, Option<IpSocketAddress>)| {
            Box::pin(async move {
                if data.len() > DATAGRAM_BYTES {
                    return Ok((Err(ErrorCode::DatagramTooLarge),));
                }
                let place = store.with(|mut store| store.get().places.of(socket.rep()));
                let Some(_turn) = place.as_deref().and_then(Place::sends) else {
                    return Ok((Err(ErrorCode::OutOfMemory),));
                };
                Ok((told(
                    <WasiSockets as HostUdpSocketWithStore<State>>::send(&sockets(store), socket, data, to).await,
                )?,))
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]udp-socket.receive",
        |store: &Accessor<State>, (socket,): (Resource<UdpSocket>,)| {
            Box::pin(async move {
                let place = store.with(|mut store| store.get().places.of(socket.rep()));
                let _turn = match &place {
                    Some(place) => place.receives().await,
                    None => None,
                };
                Ok((told(<WasiSockets as HostUdpSocketWithStore<State>>::receive(&sockets(store), socket).await)?,))
            })
        },
    )?;
    linker.instance("wasi:sockets/ip-name-lookup@0.3.0")?.func_wrap_concurrent(
        "resolve-addresses",
        |store: &Accessor<State>, (name,): (String,)| {
            Box::pin(async move {
                let look_up = store.with(|mut store| {
                    let session = store.get().http.session();
                    session.has_any_sockets().then(|| session.look_up(&name))
                });
                // However long it is, it is not kept while the call waits.
                drop(name);
                let Some(look_up) = look_up else { return Ok((Err(NameError::PermanentResolverFailure),)) };
                let found = look_up.await.map_err(name_code);
                Ok((found.map(|found| found.into_iter().map(IpAddress::from).collect::<Vec<_>>()),))
            })
        },
    )
}

/// What a TCP socket is made with, of its own, so that it is known when what listens is closed: its place is kept by the socket, by the stream of
/// its connections, and by the handles of these.
fn context_of(session: &Session, place: &Arc<Place>) -> WasiCtx {
    let mut context = WasiCtx::builder();
    let (of, place) = (session.clone(), place.clone());
    allow_by(&mut context, session, move || place.accepts(&of));
    context.build()
}

impl State {
    /// The place of a TCP socket. One that was accepted gets that which was taken for it; one that could not be has none.
    fn place_of(&mut self, socket: u32) -> Option<Arc<Place>> {
        if self.places.of(socket).is_none() {
            let at = HostTcpSocket::get_local_address(&mut self.sockets(), Resource::new_borrow(socket)).ok()?;
            let permit = self.places.take_accepted(at.into())?;
            self.places.keep(socket, Place::new(permit));
        }
        self.places.of(socket)
    }
}

/// The store as the stock functions want it.
fn sockets(store: &Accessor<State>) -> Accessor<State, WasiSockets> {
    store.with_getter::<WasiSockets>(WasiSocketsView::sockets)
}

/// Keeps a socket's place until a direction of its connection has ended, which the guest is told as ever.
fn keep_until(store: &mut Store<'_>, end: End, place: Option<Arc<Place>>) -> wasmtime::Result<End> {
    let (told, ended) = oneshot::channel();
    end.pipe(store.as_context_mut(), Keeper(Some((told, place))))?;
    FutureReader::new(store.as_context_mut(), ended)
}

struct Keeper(Option<(Told, Option<Arc<Place>>)>);

impl<D: 'static> FutureConsumer<D> for Keeper {
    type Item = Result<(), ErrorCode>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut end = None;
        source.read(store, &mut end)?;
        if let (Some((told, _)), Some(end)) = (self.0.take(), end) {
            let _ = told.send(end);
        }
        Poll::Ready(Ok(()))
    }
}

/// Why there is no further socket.
fn too_many() -> ErrorCode {
    ErrorCode::Other(Some("it has as many sockets as it may have".into()))
}

codes!(ErrorCode, NameError);
