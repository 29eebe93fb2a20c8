//! For components of WASI 0.2.

use std::future::poll_fn;
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};
use std::vec;

use futures::FutureExt;
use krustlet_http::{BindError, HttpError, Scheme};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::HostUdpSocket;
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{Network, Pollable, TcpSocket, UdpSocket, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi::sockets::WasiSocketsView;
use wasmtime_wasi::{WasiView, async_trait};

use super::{BACKLOG, BUFFER_BYTES, Place, told};
use crate::run::State;

type Store<'a> = StoreContextMut<'a, State>;

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
    let mut create = linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?;
    create.func_wrap("create-tcp-socket", |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
        let state = store.data_mut();
        let Some(place) = Place::take(state.http.session()) else { return Ok((Err(ErrorCode::NewSocketLimit),)) };
        let socket = told(tcp_create_socket::Host::create_tcp_socket(&mut state.sockets(), family))?;
        if let Ok(socket) = &socket {
            let (rep, mut sockets) = (socket.rep(), state.sockets());
            told(HostTcpSocket::set_receive_buffer_size(&mut sockets, Resource::new_borrow(rep), BUFFER_BYTES))?.ok();
            told(HostTcpSocket::set_send_buffer_size(&mut sockets, Resource::new_borrow(rep), BUFFER_BYTES))?.ok();
            state.places.keep(rep, place);
        }
        Ok((socket,))
    })?;
    let mut create = linker.instance("wasi:sockets/udp-create-socket@0.2.12")?;
    create.func_wrap_async("create-udp-socket", |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
        Box::new(async move {
            let state = store.data_mut();
            let Some(place) = Place::take(state.http.session()) else { return Ok((Err(ErrorCode::NewSocketLimit),)) };
            let socket = told(udp_create_socket::Host::create_udp_socket(&mut state.sockets(), family).await)?;
            Ok((socket.inspect(|socket| state.places.keep(socket.rep(), place)),))
        })
    })?;
    let mut tcp = linker.instance("wasi:sockets/tcp@0.2.12")?;
    tcp.func_wrap(
        "[method]tcp-socket.start-connect",
        |mut store: Store<'_>,
         (socket, network, address): (Resource<TcpSocket>, Resource<Network>, IpSocketAddress)| {
            let state = store.data_mut();
            // Where it leads nowhere else it is the check's to say whether it may go there.
            let address = state.http.session().leads_to(Scheme::Tcp, address.into()).map_or(address, Into::into);
            Ok((told(HostTcpSocket::start_connect(&mut state.sockets(), socket, network, address))?,))
        },
    )?;
    add_listening(&mut tcp)?;
    add_sizes! { tcp,
        "[method]tcp-socket.set-receive-buffer-size": TcpSocket HostTcpSocket set_receive_buffer_size BUFFER_BYTES;
        "[method]tcp-socket.set-send-buffer-size": TcpSocket HostTcpSocket set_send_buffer_size BUFFER_BYTES;
        "[method]tcp-socket.set-listen-backlog-size": TcpSocket HostTcpSocket set_listen_backlog_size BACKLOG;
    }
    tcp.resource("tcp-socket", ResourceType::host::<TcpSocket>(), |mut store, handle| {
        let state = store.data_mut();
        HostTcpSocket::drop(&mut state.sockets(), Resource::new_own(handle))?;
        state.places.leave(handle);
        Ok(())
    })?;
    let mut udp = linker.instance("wasi:sockets/udp@0.2.12")?;
    add_sizes! { udp,
        "[method]udp-socket.set-receive-buffer-size": UdpSocket HostUdpSocket set_receive_buffer_size BUFFER_BYTES;
        "[method]udp-socket.set-send-buffer-size": UdpSocket HostUdpSocket set_send_buffer_size BUFFER_BYTES;
    }
    udp.resource("udp-socket", ResourceType::host::<UdpSocket>(), |mut store, handle| {
        let state = store.data_mut();
        HostUdpSocket::drop(&mut state.sockets(), Resource::new_own(handle))?;
        state.places.leave(handle);
        Ok(())
    })?;
    add_names(linker)
}

fn add_listening(tcp: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    // No client needs another port than one of its own, and what is bound keeps its port from everybody for a minute after it was closed.
    tcp.func_wrap_async(
        "[method]tcp-socket.start-bind",
        |mut store: Store<'_>,
         (socket, network, address): (Resource<TcpSocket>, Resource<Network>, IpSocketAddress)| {
            Box::new(async move {
                let state = store.data_mut();
                let (at, lease) = match state.http.session().bind(address.into()) {
                    Ok(bound) => bound,
                    Err(error) => return Ok((Err(bind_code(error)),)),
                };
                let rep = socket.rep();
                let bound = told(HostTcpSocket::start_bind(&mut state.sockets(), socket, network, at.into()).await)?;
                if bound.is_ok() {
                    state.bound(rep, lease);
                }
                Ok((bound,))
            })
        },
    )?;
    tcp.func_wrap_async(
        "[method]tcp-socket.start-listen",
        |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| {
            Box::new(async move {
                let (rep, state) = (socket.rep(), store.data_mut());
                let begun = told(HostTcpSocket::start_listen(&mut state.sockets(), socket).await)?;
                if begun.is_ok() {
                    let at = told(HostTcpSocket::local_address(&mut state.sockets(), Resource::new_borrow(rep)))?;
                    state.listens(rep, at.ok().map(Into::into));
                }
                Ok((begun,))
            })
        },
    )?;
    tcp.func_wrap("[method]tcp-socket.accept", |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| {
        let state = store.data_mut();
        let accepted = told(HostTcpSocket::accept(&mut state.sockets(), socket))?;
        let Ok((socket, input, output)) = accepted else { return Ok((accepted,)) };
        let Some(permit) = state.http.session().take_accepted() else {
            // It is closed, so that those that wait come to an end and the guest is not asked again at once for the same one.
            let mut sockets = state.sockets();
            sockets.table.delete(input)?;
            sockets.table.delete(output)?;
            HostTcpSocket::drop(&mut sockets, socket)?;
            return Ok((Err(ErrorCode::WouldBlock),));
        };
        state.places.keep(socket.rep(), Place::new(permit));
        Ok((Ok((socket, input, output)),))
    })
}

fn add_names(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut names = linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?;
    names.func_wrap("resolve-addresses", |mut store: Store<'_>, (network, name): (Resource<Network>, String)| {
        let state = store.data_mut();
        let session = state.http.session();
        if !session.has_any_sockets() {
            return Ok((Err(ErrorCode::PermanentResolverFailure),));
        }
        // In a task of its own: it has its turn, and comes to its end, whether the guest asks for the answer or not.
        let answer = Answer::Awaited(spawn(session.look_up(&name)));
        let table = state.ctx().table;
        table.get(&network)?;
        Ok((Ok(table.push(answer)?),))
    })?;
    names.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: Store<'_>, (answer,): (Resource<Answer>,)| {
            let answer = store.data_mut().ctx().table.get_mut(&answer)?;
            let next = match answer.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(addresses)) => Ok(addresses.next().map(IpAddress::from)),
                Poll::Ready(Err(code)) => Err(*code),
                Poll::Pending => Err(ErrorCode::WouldBlock),
            };
            Ok((next,))
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: Store<'_>, (answer,): (Resource<Answer>,)| Ok((subscribe(store.data_mut().ctx().table, answer)?,)),
    )?;
    names.resource("resolve-address-stream", ResourceType::host::<Answer>(), |mut store, handle| {
        store.data_mut().ctx().table.delete(Resource::<Answer>::new_own(handle))?;
        Ok(())
    })
}

/// The addresses of a name, from when it is asked for.
enum Answer {
    Awaited(AbortOnDropJoinHandle<Result<Vec<IpAddr>, HttpError>>),
    Given(Result<vec::IntoIter<IpAddr>, ErrorCode>),
}

impl Answer {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<&mut Result<vec::IntoIter<IpAddr>, ErrorCode>> {
        if let Self::Awaited(answer) = self {
            let Poll::Ready(answer) = answer.poll_unpin(context) else { return Poll::Pending };
            *self = Self::Given(answer.map(Vec::into_iter).map_err(name_code));
        }
        match self {
            Self::Awaited(_) => Poll::Pending,
            Self::Given(answer) => Poll::Ready(answer),
        }
    }
}

#[async_trait]
impl Pollable for Answer {
    async fn ready(&mut self) {
        poll_fn(|context| self.poll(context).map(|_| ())).await;
    }
}

codes!(ErrorCode, ErrorCode);
