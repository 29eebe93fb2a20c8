//! One connection: whose client it closes that is too slow.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::activity::Activity;
use super::call::{Call, Failure};
use super::telemetry::access::Access;
use super::telemetry::stats::Metrics;
use super::telemetry::trace::Traced;
use super::watched::Watched;
use super::{Service, request};

/// How long a client is waited for that was told to go.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// How long it may take to see that a client has gone which went ahead of its request.
const LOOK: Duration = Duration::from_secs(1);

/// nginx's code for a request whose client has gone.
const CLIENT_GONE: u16 = 499;

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, service: Arc<Service>) {
    let activity = Arc::new(Activity::new());
    let stream = Arc::new(stream);
    let io = TokioIo::new(Watched { stream: stream.clone(), activity: activity.clone() });
    let requests = service_fn(|incoming| {
        request::handle(service.clone(), Seen::new(service.metrics.clone(), activity.clone()), incoming)
    });
    let mut connection = pin!(service.http.serve_connection(io, requests));
    let mut closed = pin!(async {
        service.drain.clone().closed().await;
        // A client that has only just connected does not know better than to send its request.
        if activity.is_awaited() {
            sleep(FAREWELL).await;
        }
    });
    let mut left = pin!(left(&stream, &activity));
    let mut is_closed = false;
    loop {
        // Looked at from time to time, so that no request has to set a timer.
        let look = activity.next_look(&service.limits);
        tokio::select! {
            biased;
            // What clients do wrong is theirs to know.
            _ = connection.as_mut() => return,
            () = left.as_mut() => return,
            () = sleep_until(look) => if !activity.is_over(&service.limits) { continue },
            _ = closed.as_mut(), if !is_closed => is_closed = true,
        }
        if activity.tell() {
            // It ends after the requests that are under way; at once, where there is none.
            connection.as_mut().graceful_shutdown();
        } else if activity.is_over(&service.limits) {
            return;
        }
    }
}

/// Waits until the client has gone from a request that is under way. Whoever serves it sees that only where nothing is left to be read,
/// which by HTTP/1.1 waits for the program.
async fn left(stream: &TcpStream, activity: &Activity) {
    loop {
        // This is what tokio has for the other side's end, read or not.
        let is_closed = stream.ready(Interest::PRIORITY).await.is_ok_and(|ready| ready.is_read_closed());
        if is_closed && activity.is_busy() {
            return;
        }
        // Either the request is still to be read, or it is something else, which stays as it is.
        sleep(LOOK).await;
    }
}

/// A connection that is open. It counts even if its task is ended before the first step.
pub(super) struct Open(Arc<Metrics>);

impl Open {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connections.add();
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.take();
    }
}

/// A request that is under way, as long as one of its bodies is.
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    begun: Instant,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.activity.state().end(self.begun, Instant::now());
    }
}

/// A request until its response is sent or nobody waits for it any more.
pub(super) struct Seen {
    metrics: Arc<Metrics>,
    under_way: Arc<UnderWay>,
    code: u16,
    access: Option<Access>,
    traced: Option<Traced>,
}

impl Seen {
    fn new(metrics: Arc<Metrics>, activity: Arc<Activity>) -> Self {
        let begun = Instant::now();
        metrics.in_flight.add();
        activity.state().begin(begun);
        Self {
            metrics,
            under_way: Arc::new(UnderWay { activity, begun }),
            code: CLIENT_GONE,
            access: None,
            traced: None,
        }
    }

    pub(super) fn under_way(&self) -> &Arc<UnderWay> {
        &self.under_way
    }

    /// Its end is to be said.
    pub(super) fn log(&mut self, access: Option<Access>) {
        self.access = access;
    }

    /// Its span is recorded.
    pub(super) fn trace(&mut self, traced: Option<Traced>) {
        self.traced = traced;
    }

    /// It has no response of the program's, for this reason.
    pub(super) fn failed(&mut self, failure: Failure) {
        self.traced.iter_mut().for_each(|traced| traced.fail(failure.clone()));
    }

    /// It has one, whose end is not there yet.
    pub(super) fn follow(&mut self, call: Option<&Arc<Call>>) {
        self.traced.iter_mut().for_each(|traced| traced.follow(call));
    }

    pub(super) fn status(&mut self, status: StatusCode) {
        self.code = status.as_u16();
        self.traced.iter_mut().for_each(|traced| traced.status(status));
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        // Whoever sees that it has ended is to find its span.
        self.traced = None;
        self.metrics.in_flight.take();
        let took = self.under_way.begun.elapsed();
        self.metrics.ended(self.code, took);
        self.access.iter().for_each(|access| access.end(self.code, took));
    }
}
