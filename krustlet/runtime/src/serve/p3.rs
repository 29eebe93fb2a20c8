//! Instances of servers of WASI 0.3: each answers many requests, several at once, and is ended when it has answered enough, has nothing to do,
//! or has lost one.
//!
//! What `wasi:http` does for a request is Wasmtime's own (`handler::Prepared`). Its workers are not used: nobody could count their time.
//!
//! A call that was begun cannot be taken back (<https://github.com/bytecodealliance/wasmtime/issues/11833>). So an instance whose client
//! went, or whose request took too long, gets no other ones, and ends when those that it has are over.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use wasmtime::component::Accessor;
use wasmtime::{AsContextMut, Store, UpdateDeadline};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{Prepared, Proxy};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

use super::Service;
use super::body::RequestBody;
use super::call::{Call, Failure};
use super::request::{Answers, Job, Outcome};
use super::room::{self, Place};
use super::telemetry::id::RequestId;
use crate::resources::usage::at_tick;
use crate::run::State;

/// How many requests an instance has at once, and how many it answers before it is ended, so that what it has left in memory goes.
const AT_ONCE: usize = 8;
const USES: usize = 128;

/// How long an instance is kept that has nothing to do.
const IDLE: Duration = Duration::from_secs(5);

/// A request on its way to an instance.
type Given = (Request<RequestBody>, Arc<UnderWay>);

/// The instances of a server that may be given requests.
#[derive(Default)]
pub(super) struct Workers(Mutex<Vec<Worker>>);

struct Worker {
    /// When this goes, the instance gets no more, and ends.
    jobs: mpsc::UnboundedSender<Given>,
    load: Arc<Load>,
}

/// What an instance has to do.
struct Load {
    requests: AtomicUsize,
    uses: AtomicUsize,
    /// Whether it computes, as far as is known, so that others had to wait for it.
    computes: AtomicBool,
}

/// A request that an instance has.
struct UnderWay {
    call: Arc<Call>,
    id: RequestId,
    /// Not the call's own, which goes before anybody can say why.
    sender: Mutex<Option<oneshot::Sender<Outcome>>>,
    begun: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Workers {
    fn all(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance gets no more than it was given, and nothing at all if `if_idle` and it has something to do.
    fn retire(&self, load: &Arc<Load>, if_idle: bool) {
        let mut all = self.all();
        if !if_idle || load.requests() == 0 {
            all.retain(|worker| !Arc::ptr_eq(&worker.load, load));
        }
    }
}

impl Load {
    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    fn computes(&self) -> bool {
        self.computes.load(Ordering::Relaxed)
    }
}

/// Has an instance do it: one that would begin at once, else a new one, else the one that has the least to do. `None` if there is no room.
pub(super) fn begin(service: &Arc<Service>, program: &ServicePre<State>, job: Job) -> Option<()> {
    let permit = room::take(&service.requests)?;
    let mut all = service.workers.all();
    let least = |all: &[Worker], if_computes: bool| {
        let may = |load: &Load| load.requests() < AT_ONCE && (if_computes || !load.computes());
        let fitting = all.iter().enumerate().filter(|(_, worker)| may(&worker.load));
        fitting.min_by_key(|(_, worker)| worker.load.requests()).map(|(index, _)| index)
    };
    let index = match least(&all, false) {
        Some(index) => index,
        None => match service.instances.take() {
            Some(place) => {
                all.push(start(service, program, place));
                all.len() - 1
            }
            None => least(&all, true)?,
        },
    };
    let Job { request, sender, call, id, .. } = job;
    let under_way = UnderWay { call, id, sender: Mutex::new(Some(sender)), begun: Instant::now(), _permit: permit };
    let worker = &all[index];
    worker.load.requests.fetch_add(1, Ordering::Relaxed);
    worker.load.computes.store(true, Ordering::Relaxed);
    // Whoever takes one off the list has what it was given before; an instance that has failed tells those.
    let _ = worker.jobs.send((request, Arc::new(under_way)));
    if worker.load.uses.fetch_add(1, Ordering::Relaxed) + 1 >= USES {
        all.swap_remove(index);
    }
    Some(())
}

fn start(service: &Arc<Service>, program: &ServicePre<State>, place: Place) -> Worker {
    let load = Load { requests: AtomicUsize::new(0), uses: AtomicUsize::new(0), computes: AtomicBool::new(true) };
    let ((jobs, given), load) = (mpsc::unbounded_channel(), Arc::new(load));
    tokio::spawn(instance(service.clone(), program.clone(), load.clone(), given, place));
    Worker { jobs, load }
}

/// An instance, from its making to its end.
async fn instance(
    service: Arc<Service>,
    program: ServicePre<State>,
    load: Arc<Load>,
    mut given: mpsc::UnboundedReceiver<Given>,
    place: Place,
) {
    let mut had = Had::default();
    let mut store = service.guests.store(None);
    let failure = live_through(&service, &program, &load, &mut store, &mut given, &mut had).await;
    // Before the store goes, and with it the bodies of responses: whoever sees one of these go is to know why.
    match failure {
        Some(failure) => tell(&service, &load, failure, given, had),
        None => service.workers.retire(&load, false),
    }
    drop(store);
    drop(place);
}

/// What an instance was given.
#[derive(Default)]
struct Had {
    /// What is not over.
    live: Vec<Arc<UnderWay>>,
    last: Option<RequestId>,
}

/// Tells all that it has, or is still to be given, why it ends.
fn tell(service: &Service, load: &Arc<Load>, failure: Failure, mut given: mpsc::UnboundedReceiver<Given>, had: Had) {
    service.workers.retire(load, false);
    let given: Vec<_> = std::iter::from_fn(|| given.try_recv().ok()).map(|(_, under_way)| under_way).collect();
    if had.live.is_empty() && given.is_empty() && failure != Failure::Stopped {
        // Of what it did after its last response. A request of which nobody is to hear any more stands for it.
        had.last.iter().for_each(|id| service.note(id, &failure));
    }
    for under_way in had.live.into_iter().chain(given) {
        service.note(&under_way.id, &failure);
        under_way.call.fail(failure.clone());
    }
}

/// Has the instance answer what it is given, until it is to end: why, if it is not by itself.
async fn live_through(
    service: &Service,
    program: &ServicePre<State>,
    load: &Arc<Load>,
    store: &mut Store<State>,
    given: &mut mpsc::UnboundedReceiver<Given>,
    had: &mut Had,
) -> Option<Failure> {
    let Had { live, last } = had;
    let ticked = Arc::new(AtomicBool::new(false));
    store.epoch_deadline_callback({
        let ticked = ticked.clone();
        move |_| {
            let next = at_tick();
            ticked.store(!matches!(next, UpdateDeadline::Continue(_)), Ordering::Relaxed);
            Ok(next)
        }
    });
    let (requests, mut more) = mpsc::unbounded_channel();
    let mut requests = Some(requests);
    let answers = Answers::default();
    let mut running = pin!(async {
        let instance = Proxy::P3(program.instantiate_async(&mut *store).await?);
        service.metrics.instances.add();
        store
            .run_concurrent(async |store: &Accessor<State>| answer_all(store, &instance, &mut more, &answers).await)
            .await?
    });
    let running = std::future::poll_fn(|context| {
        ticked.store(false, Ordering::Relaxed);
        let mut poll = running.as_mut().poll(context);
        if poll.is_pending() && !ticked.load(Ordering::Relaxed) && !answers.is_empty() {
            // A program writes a body after it has returned, when it is called again; so that the client gets both at once.
            poll = running.as_mut().poll(context);
        }
        answers.send();
        // At the end of its turn it had not come to where it waits.
        load.computes.store(ticked.load(Ordering::Relaxed), Ordering::Relaxed);
        poll
    });
    let mut running = pin!(service.guests.meter.count(running));
    let mut closed = pin!(service.drain.clone().closed());
    let (mut is_closed, mut has_lost, mut since) = (false, false, Instant::now());
    let mut settled = FuturesUnordered::new();
    let mut ending = pin!(service.ending());
    // Set anew where it would come too late, and looked at anew where it has come too soon: no request has to set a timer.
    let mut timer = pin!(sleep_until(since + IDLE));
    loop {
        let timeout = service.limits.request_timeout;
        let patience = if requests.is_some() { IDLE } else { timeout };
        let deadline = live.iter().map(|one| one.begun + timeout).min().unwrap_or(since + patience);
        if deadline < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        tokio::select! {
            biased;
            () = ending.as_mut() => return Some(Failure::Stopped),
            Some((one, failed)) = settled.next(), if !settled.is_empty() => {
                let one: Arc<UnderWay> = one;
                live.retain(|other| !Arc::ptr_eq(other, &one));
                load.requests.fetch_sub(1, Ordering::Relaxed);
                since = Instant::now();
                if failed {
                    has_lost = true;
                    service.workers.retire(load, false);
                }
            }
            next = given.recv(), if requests.is_some() => match (next, &requests) {
                (Some((request, one)), Some(requests)) => {
                    *last = Some(one.id.clone());
                    live.push(one.clone());
                    settled.push({
                        let one = one.clone();
                        async move {
                            let failed = one.call.settled().await.is_some();
                            (one, failed)
                        }
                    });
                    // It is there for as long as this one runs.
                    let _ = requests.send((request, one));
                }
                _ => requests = None,
            },
            result = running.as_mut() => {
                return result.err().map(|error: wasmtime::Error| Failure::of(&error)).filter(|failure| *failure != Failure::Ended(0) || !live.is_empty());
            }
            _ = closed.as_mut(), if !is_closed => {
                is_closed = true;
                service.workers.retire(load, false);
            }
            () = timer.as_mut() => {
                if Instant::now() < deadline {
                    continue;
                }
                if live.is_empty() && requests.is_none() {
                    // It goes on after its last response, and has had the time of a request for it.
                    return None;
                }
                if live.is_empty() {
                    service.workers.retire(load, true);
                }
                for one in live.iter().filter(|one| one.begun + timeout <= deadline) {
                    service.note(&one.id, &Failure::Timeout);
                    one.call.fail(Failure::Timeout);
                }
            }
        }
        if has_lost && live.is_empty() && requests.is_none() {
            return None;
        }
    }
}

/// Inside the instance: answers requests until there will be no more, and all that it has begun for them has ended.
async fn answer_all(
    store: &Accessor<State>,
    instance: &Proxy,
    requests: &mut mpsc::UnboundedReceiver<Given>,
    answers: &Answers,
) -> wasmtime::Result<()> {
    let (mut calls, mut is_open) = (FuturesUnordered::new(), true);
    while is_open || !calls.is_empty() {
        tokio::select! {
            biased;
            Some(called) = calls.next(), if !calls.is_empty() => { let called: wasmtime::Result<()> = called; called? },
            next = requests.recv(), if is_open => match next {
                Some((request, one)) => calls.push(answer(store, instance, request, one, answers)),
                None => is_open = false,
            },
        }
    }
    std::future::poll_fn(|context| store.poll_no_interesting_tasks(context)).await;
    Ok(())
}

async fn answer(
    store: &Accessor<State>,
    instance: &Proxy,
    request: Request<RequestBody>,
    one: Arc<UnderWay>,
    answers: &Answers,
) -> wasmtime::Result<()> {
    let (sender, receiver) = futures::channel::oneshot::channel();
    let request = named(request).map(BodyExt::boxed_unsync);
    let prepared =
        store.with(|mut store| Prepared::new(store.as_context_mut(), instance, request, State::http, sender))?;
    // How long it may take is not looked at here, where nothing is done while the program computes.
    prepared.run(store, std::future::pending()).await?;
    let outcome = match receiver.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(format!("{:?}", error.downcast::<ErrorCode>()?)),
        Err(_) => return Ok(()),
    };
    one.call.answered();
    answers.add(one.sender.lock().unwrap_or_else(PoisonError::into_inner).take(), outcome);
    Ok(())
}

/// With its authority in the URI, as it has it by HTTP/2: a program sees no header `host`.
fn named<B>(mut request: Request<B>) -> Request<B> {
    let host = request.headers().get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = parts.authority.or(host);
    parts.path_and_query = parts.path_and_query.or_else(|| Some(PathAndQuery::from_static("/")));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}
