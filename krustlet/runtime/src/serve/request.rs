//! One request: through an instance of its own, and back.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONNECTION, HOST};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::{Body, Incoming};
use tokio::sync::oneshot;
use tokio::time::sleep;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use super::Service;
use super::body::{Answer, RequestBody, ResponseBody, Wait};
use super::call::{Call, Failure};
use super::connection::{Seen, UnderWay};
use super::id::{REQUEST_ID, RequestId};
use super::room::{self, Place};
use crate::Stream;
use crate::run::State;

/// As `wasi:http` gives it: the response, or the error code that the program has instead.
type Outcome = Result<Response<WasiBody>, ErrorCode>;

/// Answers a request, whatever happens to it.
pub(super) async fn handle(
    service: Arc<Service>,
    mut seen: Seen,
    mut request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let id = service.ids.name(request.headers_mut());
    let version = request.version();
    let answer = match answer(&service, request, &id, seen.under_way()).await {
        Ok(answer) => answer,
        Err(failure) => Answer::of_host(failure.response(&id)),
    };
    seen.status(answer.status());
    let mut response = answer.into_response(seen);
    if !response.headers().contains_key(REQUEST_ID) {
        // There may be no room for it, where a program sends thousands of its own.
        let _ = response.headers_mut().try_insert(REQUEST_ID, id.header());
    }
    if service.drain.is_near() && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn answer(
    service: &Arc<Service>,
    request: Request<Incoming>,
    id: &RequestId,
    under_way: &Arc<UnderWay>,
) -> Result<Answer, Failure> {
    let limits = &service.limits;
    check(&request, limits.max_body_bytes)?;
    let Some((place, slot)) = room::take(&service.places).zip(service.instances.take()) else {
        service.metrics.refused_requests.add();
        return Err(Failure::Busy);
    };
    let call = Arc::new(Call::default());
    let wait = Wait::new(call.clone());
    let to_head = request.method() == Method::HEAD;
    let request =
        request.map(|body| RequestBody::new(body, limits.max_body_bytes, limits.body_timeout, call.clone(), under_way));
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(instance(service.clone(), request, sender, call.clone(), slot, id.clone()));
    let outcome = receiver.await;
    // It is said before the sender goes; and a program that makes a response of a body that is too large has not seen all of it.
    if let Some(failure) = call.failure() {
        return Err(failure.clone());
    }
    let failure = match outcome {
        Ok(Ok(response)) if response.status().is_informational() => Failure::Status(response.status().as_u16()),
        Ok(Ok(response)) => return Ok(Answer::of_instance(response, to_head, wait, place)),
        Ok(Err(code)) => Failure::Code(format!("{code:?}")),
        Err(_) => Failure::NoResponse,
    };
    service.note(id, &failure);
    Err(failure)
}

/// What HTTP wants of a request, and hyper leaves to whoever uses it.
fn check(request: &Request<Incoming>, max_body_bytes: u64) -> Result<(), Failure> {
    // HTTP/2 has it in the URI.
    let mut hosts = request.headers().get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let named = first.map(|host| Authority::try_from(host.as_bytes()));
    let in_uri = request.uri().authority();
    let is_plain = |authority: &Authority| !authority.as_str().contains('@');
    let is_good = match &named {
        None => in_uri.is_some_and(is_plain),
        Some(Ok(host)) => second.is_none() && is_plain(host) && in_uri.is_none_or(is_plain),
        Some(Err(_)) => false,
    };
    if !is_good {
        return Err(Failure::Host);
    }
    if request.method() == Method::CONNECT {
        return Err(Failure::Tunnel);
    }
    if request.body().size_hint().lower() > max_body_bytes {
        return Err(Failure::TooLarge);
    }
    Ok(())
}

/// An instance, from its making to its end.
async fn instance(
    service: Arc<Service>,
    request: Request<RequestBody>,
    sender: oneshot::Sender<Outcome>,
    call: Arc<Call>,
    slot: Place,
    id: RequestId,
) {
    let failed = |failure: Failure| {
        service.note(&id, &failure);
        call.fail(failure);
    };
    match service.guests.store() {
        Err(error) => failed(Failure::Start(error.to_string())),
        Ok(mut store) => {
            let failure = tokio::select! {
                biased;
                () = call.failed() => None,
                () = service.ending() => Some(Failure::Stopped),
                () = sleep(service.limits.request_timeout) => Some(Failure::Timeout),
                result = service.guests.meter.count(run(&service, &mut store, request, sender, call.clone())) => {
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
        }
    }
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
    store: &mut Store<State>,
    request: Request<RequestBody>,
    sender: oneshot::Sender<Outcome>,
    call: Arc<Call>,
) -> wasmtime::Result<()> {
    let respond = move |outcome| {
        call.answered();
        // Nobody may wait for it any more.
        let _ = sender.send(outcome);
    };
    let (request, response) = {
        let mut http = store.data_mut().http();
        (http.new_incoming_request(Scheme::Http, request)?, http.new_response_outparam_from_callback(respond)?)
    };
    let proxy = service.guests.program.instantiate_async(&mut *store).await?;
    service.metrics.instances.add();
    proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, response).await
}

impl Service {
    /// Counts what is not the client's fault, and says it in the program's log.
    fn note(&self, id: &RequestId, failure: &Failure) {
        match failure {
            Failure::Trapped(_) | Failure::Ended(_) | Failure::NoResponse | Failure::Unfinished => {
                self.metrics.traps.add()
            }
            Failure::OutOfMemory(_) => self.metrics.out_of_memory.add(),
            Failure::Busy => self.metrics.refused_requests.add(),
            _ => {}
        }
        if let Some(message) = failure.for_log() {
            tracing::debug!(request = %id, "{message}");
            // A log that takes nothing is no reason to fail more.
            let _ = self.guests.spec.output.write(Stream::Stderr, format!("request {id}: {message}\n").as_bytes());
        }
    }
}
