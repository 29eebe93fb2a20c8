//! Listening sockets.

use wasmtime::AsContextMut;
use wasmtime::component::{Access, LinkerInstance, Resource};
use wasmtime_wasi::p3::bindings::sockets::types::{HostTcpSocket, HostTcpSocketWithStore, IpSocketAddress};
use wasmtime_wasi::sockets::{TcpSocket, WasiSockets, WasiSocketsView};

use super::{Store, bind_code, told};
use crate::run::State;

type Socket = Resource<TcpSocket>;

pub(super) fn add(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    // No client needs another port than one of its own, and what is bound keeps its port from everybody for a minute after it was closed.
    types.func_wrap_async(
        "[method]tcp-socket.bind",
        |mut store: Store<'_>, (socket, address): (Socket, IpSocketAddress)| {
            Box::new(async move {
                let state = store.data_mut();
                let (at, lease) = match state.http.session().bind(address.into()) {
                    Ok(bound) => bound,
                    Err(error) => return Ok((Err(bind_code(error)),)),
                };
                let rep = socket.rep();
                let bound = told(HostTcpSocket::bind(&mut state.sockets(), socket, at.into()).await)?;
                if bound.is_ok() {
                    state.bound(rep, lease);
                }
                Ok((bound,))
            })
        },
    )?;
    types.func_wrap_async("[method]tcp-socket.listen", |mut store: Store<'_>, (socket,): (Socket,)| {
        Box::new(async move {
            let rep = socket.rep();
            // What it accepts comes by a stream, and is seen here when the guest makes use of it.
            let access = Access::<State, WasiSockets>::new(store.as_context_mut(), WasiSocketsView::sockets);
            let accepted = told(<WasiSockets as HostTcpSocketWithStore<State>>::listen(access, socket).await)?;
            if accepted.is_ok() {
                let state = store.data_mut();
                let at = told(HostTcpSocket::get_local_address(&mut state.sockets(), Resource::new_borrow(rep)))?;
                state.listens(rep, at.ok().map(Into::into));
            }
            Ok((accepted,))
        })
    })
}
