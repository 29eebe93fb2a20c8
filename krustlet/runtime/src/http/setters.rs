//! What a component sets of a request that it may keep and never send. The stock functions take a method and an authority of any length,
//! and the host holds them for each of a thousand requests.

use krustlet_http::{MAX_METHOD_BYTES, MAX_URL_BYTES};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types as p2;
use wasmtime_wasi_http::p3::bindings::http::types as p3;

use self::p2::HostOutgoingRequest;
use self::p3::HostRequest;
use crate::run::State;

/// What such a setter answers.
type Set = wasmtime::Result<(Result<(), ()>,)>;

/// Sets what is no longer than that.
fn set(length: usize, most: usize, set: impl FnOnce() -> wasmtime::Result<Result<(), ()>>) -> Set {
    Ok((if length > most { Err(()) } else { set()? },))
}

/// In the place of the stock functions.
pub(super) fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:http/types@0.2.12")?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, State>, (request, method): (Resource<p2::OutgoingRequest>, p2::Method)| {
            let length = if let p2::Method::Other(name) = &method { name.len() } else { 0 };
            set(length, MAX_METHOD_BYTES, || {
                HostOutgoingRequest::set_method(&mut store.data_mut().http(), request, method)
            })
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, State>,
         (request, authority): (Resource<p2::OutgoingRequest>, Option<String>)| {
            let length = authority.as_ref().map_or(0, String::len);
            set(length, MAX_URL_BYTES, || {
                HostOutgoingRequest::set_authority(&mut store.data_mut().http(), request, authority)
            })
        },
    )?;
    let mut types = linker.instance("wasi:http/types@0.3.0")?;
    types.func_wrap(
        "[method]request.set-method",
        |mut store: StoreContextMut<'_, State>, (request, method): (Resource<p3::Request>, p3::Method)| {
            let length = if let p3::Method::Other(name) = &method { name.len() } else { 0 };
            set(length, MAX_METHOD_BYTES, || HostRequest::set_method(&mut store.data_mut().http(), request, method))
        },
    )?;
    types.func_wrap(
        "[method]request.set-authority",
        |mut store: StoreContextMut<'_, State>, (request, authority): (Resource<p3::Request>, Option<String>)| {
            let length = authority.as_ref().map_or(0, String::len);
            set(length, MAX_URL_BYTES, || HostRequest::set_authority(&mut store.data_mut().http(), request, authority))
        },
    )
}
