//! One request: through an instance, and back.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{CONNECTION, HOST};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::{Body, Incoming};
use krustlet_traces::Context;
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;

use super::Service;
use super::body::{Answer, RequestBody, ResponseBody, Wait};
use super::call::{Call, Failure};
use super::connection::{Seen, UnderWay};
use super::telemetry::access::Access;
use super::telemetry::id::{REQUEST_ID, RequestId};
use super::telemetry::trace::Traced;
use super::{p2, p3, room};
use crate::Stream;
use crate::program::Proxy;

/// As `wasi:http` gives it: the response, or the error code that the program has instead.
pub(super) type Outcome = Result<Response<WasiBody>, String>;

/// What an instance is to do.
pub(super) struct Job {
    pub(super) request: Request<RequestBody>,
    pub(super) sender: oneshot::Sender<Outcome>,
    pub(super) call: Arc<Call>,
    pub(super) id: RequestId,
    /// Where it stands in its trace, where that is looked after.
    pub(super) trace: Option<Context>,
}

/// What an instance has answered in its turn.
#[derive(Default)]
pub(super) struct Answers(Mutex<Vec<(oneshot::Sender<Outcome>, Outcome)>>);

impl Answers {
    fn all(&self) -> MutexGuard<'_, Vec<(oneshot::Sender<Outcome>, Outcome)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    pub(super) fn add(&self, to: Option<oneshot::Sender<Outcome>>, outcome: Outcome) {
        self.all().extend(to.map(|sender| (sender, outcome)));
    }

    pub(super) fn send(&self) {
        for (sender, outcome) in self.all().drain(..) {
            // Nobody may wait for it any more.
            let _ = sender.send(outcome);
        }
    }
}

/// Answers a request, whatever happens to it.
pub(super) async fn handle(
    service: Arc<Service>,
    mut seen: Seen,
    mut request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let id = service.ids.name(request.headers_mut());
    seen.log(Access::new(&service.guests.spec, &id, &request));
    let trace = service.guests.spec.traces.as_ref().map(|source| {
        let (context, traced) = Traced::begin(source, &id, &mut request);
        seen.trace(traced);
        context
    });
    let version = request.version();
    let answered = answer(&service, request, (&id, trace), seen.under_way()).await;
    let answer = match answered {
        Ok(answer) => answer,
        Err(failure) => {
            let response = failure.response(&id);
            seen.failed(failure);
            Answer::of_host(response)
        }
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
    (id, trace): (&RequestId, Option<Context>),
    under_way: &Arc<UnderWay>,
) -> Result<Answer, Failure> {
    let limits = &service.limits;
    check(&request, limits.max_body_bytes)?;
    let busy = || {
        service.metrics.refused_requests.add();
        Failure::Busy
    };
    let place = room::take(&service.places).ok_or_else(busy)?;
    let call = Arc::new(Call::default());
    let mut wait = Wait::new(call.clone());
    let to_head = request.method() == Method::HEAD;
    let request =
        request.map(|body| RequestBody::new(body, limits.max_body_bytes, limits.body_timeout, call.clone(), under_way));
    let (sender, receiver) = oneshot::channel();
    let job = Job { request, sender, call: call.clone(), id: id.clone(), trace };
    match &service.guests.program {
        Proxy::P2(program) => p2::begin(service, program, job),
        Proxy::P3(program) => p3::begin(service, program, job),
    }
    .ok_or_else(busy)?;
    let outcome = receiver.await;
    // It is said before the sender goes; and a program that makes a response of a body that is too large has not seen all of it.
    if let Some(failure) = call.failure() {
        return Err(failure.clone());
    }
    let failure = match outcome {
        Ok(Ok(response)) if response.status().is_informational() => Failure::Status(response.status().as_u16()),
        Ok(Ok(response)) => return Ok(Answer::of_instance(response, to_head, wait, place)),
        Ok(Err(code)) => Failure::Code(code),
        Err(_) => Failure::NoResponse,
    };
    // It is told so below: the instance need not end for it.
    wait.over();
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

impl Service {
    /// Counts what is not the client's fault, and says it in the program's log.
    pub(super) fn note(&self, id: &RequestId, failure: &Failure) {
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
