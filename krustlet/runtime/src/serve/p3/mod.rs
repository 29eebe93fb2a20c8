//! Instances of servers of WASI 0.3: each answers many requests, several at once, and is ended when it has answered enough, has nothing to do,
//! or has lost one.
//!
//! What `wasi:http` does for a request is Wasmtime's own (`handler::Prepared`). Its workers are not used: nobody could count their time.
//!
//! A call that was begun cannot be taken back (<https://github.com/bytecodealliance/wasmtime/issues/11833>). So an instance whose client
//! went, or whose request took too long, gets no other ones, and ends when those that it has are over.

mod load;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, sleep_until};
use wasmtime::component::Accessor;
use wasmtime::{AsContextMut, Store, UpdateDeadline};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{Prepared, Proxy};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

pub(super) use self::load::Share;

use self::load::{Had, Load, UnderWay};
use super::Service;
use super::body::RequestBody;
use super::call::Failure;
use super::request::{Answers, Job};
use super::room::{self, Place};
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

/// Has an instance do it: one that would begin at once, else a new one, else the one that has the least to do. `None` if there is no room.
pub(super) fn begin(service: &Arc<Service>, program: &ServicePre<State>, job: Job) -> Option<()> {
    let permit = room::take(&service.requests)?;
    let mut all = service.workers.all();
    let least = |all: &[Worker], if_computes: bool| {
        let may = |load: &Load| load.requests() < AT_ONCE && (if_computes || !load.has_to_wait());
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
    let worker = &all[index];
    call.hold(Share::new(worker.load.clone(), permit));
    let under_way = UnderWay { call, id, sender: Mutex::new(Some(sender)), begun: Instant::now() };
    let uses = worker.load.add();
    // Whoever takes one off the list has what it was given before; an instance that has failed tells those.
    let _ = worker.jobs.send((request, Arc::new(under_way)));
    if uses >= USES {
        all.swap_remove(index);
    }
    Some(())
}

fn start(service: &Arc<Service>, program: &ServicePre<State>, place: Place) -> Worker {
    let ((jobs, given), load) = (mpsc::unbounded_channel(), Arc::new(Load::new()));
    tokio::spawn(instance(service.clone(), program.clone(), load.clone(), given, place));
    Worker { jobs, load }
}

/// An instance on the list; one whose task panics goes from there, too.
struct Listed<'a> {
    service: &'a Service,
    load: &'a Arc<Load>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.service.workers.retire(self.load, false);
    }
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
    let listed = Listed { service: &service, load: &load };
    let mut store = service.guests.store(None);
    let failure = live_through(&service, &program, &load, &mut store, &mut given, &mut had).await;
    // Before the store goes, and with it the bodies of responses: whoever sees one of these go is to know why.
    drop(listed);
    if let Some(failure) = failure {
        tell(&service, failure, given, had);
    }
    drop(store);
    drop(place);
}

/// Tells all that it has, or was still given, why it ends.
fn tell(service: &Service, failure: Failure, mut given: mpsc::UnboundedReceiver<Given>, mut had: Had) {
    had.settle();
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
        load.computes(ticked.load(Ordering::Relaxed));
        poll
    });
    let mut running = pin!(service.guests.meter.count(running));
    let mut closed = pin!(service.drain.clone().closed());
    let (mut is_closed, mut has_lost) = (false, false);
    let mut ending = pin!(service.ending());
    let timeout = service.limits.request_timeout;
    // Set anew where it would come too late, and looked at anew where it has come too soon: no request has to set a timer.
    let mut timer = pin!(sleep_until(load.since() + IDLE));
    loop {
        if had.settle() {
            has_lost = true;
            load.wait();
            service.workers.retire(load, false);
            // What was over before that tells nobody.
            had.settle();
        }
        if has_lost && had.live.is_empty() && requests.is_none() {
            return None;
        }
        let patience = if requests.is_some() { IDLE } else { timeout };
        let deadline = had.live.iter().map(|one| one.begun + timeout).min().unwrap_or_else(|| load.since() + patience);
        if timer.is_elapsed() {
            let now = Instant::now();
            if deadline <= now {
                if had.live.is_empty() && requests.is_none() {
                    // It goes on after its last response, and has had the time of a request for it.
                    return None;
                }
                if had.live.is_empty() {
                    service.workers.retire(load, true);
                }
                for one in had.live.iter().filter(|one| one.begun + timeout <= deadline) {
                    service.note(&one.id, &Failure::Timeout);
                    one.call.fail(Failure::Timeout);
                }
            }
            // What was due is done, and what comes of it sets the timer anew.
            timer.as_mut().reset(if deadline > now { deadline.min(now + IDLE) } else { now + IDLE });
        } else if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        tokio::select! {
            biased;
            () = ending.as_mut() => return Some(Failure::Stopped),
            () = load.noticed() => {}
            next = given.recv(), if requests.is_some() => match (next, &requests) {
                (Some((request, one)), Some(requests)) => {
                    had.last = Some(one.id.clone());
                    had.live.push(one.clone());
                    // It is there for as long as this one runs.
                    let _ = requests.send((request, one));
                }
                _ => requests = None,
            },
            result = running.as_mut() => {
                had.settle();
                return result.err().map(|error: wasmtime::Error| Failure::of(&error)).filter(|failure| *failure != Failure::Ended(0) || !had.live.is_empty());
            }
            _ = closed.as_mut(), if !is_closed => {
                is_closed = true;
                service.workers.retire(load, false);
            }
            () = timer.as_mut() => {}
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
    let mut calls = FuturesUnordered::new();
    std::future::poll_fn(|context| {
        loop {
            // This wakes nobody: who gives it one goes on with the instance at once.
            let next = requests.try_recv();
            let is_closed = matches!(next, Err(TryRecvError::Disconnected));
            if let Ok((request, one)) = next {
                calls.push(answer(store, instance, request, one, answers));
                continue;
            }
            match ready!(calls.poll_next_unpin(context)) {
                Some(called) => called?,
                None if is_closed => return Poll::Ready(wasmtime::error::Ok(())),
                None => return Poll::Pending,
            }
        }
    })
    .await?;
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
