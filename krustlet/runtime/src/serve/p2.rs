//! Instances of servers of WASI 0.2: one for each request.

use std::sync::Arc;

use http::Request;
use tokio::sync::oneshot;
use tokio::time::sleep;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};

use super::Service;
use super::body::RequestBody;
use super::call::{Call, Failure};
use super::request::{Job, Outcome};
use super::room::Place;
use crate::run::State;

/// Has an instance do it; `None` if there is no room for one.
pub(super) fn begin(service: &Arc<Service>, program: &ProxyPre<State>, job: Job) -> Option<()> {
    let slot = service.instances.take()?;
    tokio::spawn(instance(service.clone(), program.clone(), job, slot));
    Some(())
}

/// An instance, from its making to its end.
async fn instance(service: Arc<Service>, program: ProxyPre<State>, job: Job, slot: Place) {
    let Job { request, sender, call, id, trace } = job;
    let failed = |failure: Failure| {
        service.note(&id, &failure);
        call.fail(failure);
    };
    let mut store = service.guests.store(trace);
    let failure = tokio::select! {
        biased;
        () = call.failed() => None,
        () = service.ending() => Some(Failure::Stopped),
        () = sleep(service.limits.request_timeout) => Some(Failure::Timeout),
        result = service.guests.meter.count(run(&service, &program, &mut store, request, sender, &call)) => {
            // One that exits well after its response might as well have returned.
            let failure = result.err().map(|error| Failure::of(&error));
            failure.filter(|failure| *failure != Failure::Ended(0) || !call.is_answered())
        }
    };
    if failure.is_none() && call.failure().is_none() && abort_bodies(&mut store) && call.is_answered() {
        service.note(&id, &Failure::Unfinished);
    }
    // Before the store goes, and with it the sender of the response and that of its body: whoever sees one of these go is to
    // know why.
    failure.into_iter().for_each(failed);
    drop(store);
    drop(slot);
}

/// Ends the bodies that an instance has begun and not finished, which would look as if they were through when it goes. Whether there was
/// one.
fn abort_bodies(store: &mut Store<State>) -> bool {
    let mut found = false;
    let resources = store.data_mut().http().table.iter_mut();
    for body in resources.filter_map(|resource| resource.downcast_mut::<HostOutgoingBody>()) {
        // It goes by its abortion, and another one has to stand for it in the table.
        let (nothing, _) = HostOutgoingBody::new(StreamContext::Response, None, 1, 1);
        std::mem::replace(body, nothing).abort();
        found = true;
    }
    found
}

async fn run(
    service: &Service,
    program: &ProxyPre<State>,
    store: &mut Store<State>,
    request: Request<RequestBody>,
    sender: oneshot::Sender<Outcome>,
    call: &Arc<Call>,
) -> wasmtime::Result<()> {
    let call = call.clone();
    let respond = move |outcome: Result<_, ErrorCode>| {
        call.answered();
        // Nobody may wait for it any more.
        let _ = sender.send(outcome.map_err(|code| format!("{code:?}")));
    };
    let (request, response) = {
        let mut http = store.data_mut().http();
        (http.new_incoming_request(Scheme::Http, request)?, http.new_response_outparam_from_callback(respond)?)
    };
    let proxy = program.instantiate_async(&mut *store).await?;
    service.metrics.instances.add();
    proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, response).await
}
