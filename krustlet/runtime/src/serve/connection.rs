//! One connection: whose client it closes that is too slow.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::stats::Metrics;
use super::{ServerLimits, Service, request};

/// How long a client is waited for that was told to go.
const FAREWELL: Duration = Duration::from_secs(1);

/// nginx's code for a request whose client has gone.
const CLIENT_GONE: u16 = 499;

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, service: Arc<Service>) {
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Watched { stream, activity: activity.clone() });
    let requests = service_fn(|incoming| {
        request::handle(service.clone(), Seen::new(service.metrics.clone(), activity.clone()), incoming)
    });
    let mut connection = pin!(service.http.serve_connection(io, requests));
    let mut closed = pin!(service.drain.clone().closed());
    let mut told = false;
    loop {
        // Looked at from time to time, so that no request has to set a timer.
        let look = activity.next_look(&service.limits, told);
        tokio::select! {
            // What clients do wrong is theirs to know.
            _ = connection.as_mut() => return,
            () = sleep_until(look) => match activity.is_over(&service.limits) {
                false => continue,
                true if told => return,
                true => {}
            },
            _ = closed.as_mut(), if !told => {}
        }
        // It ends after the requests that are under way; at once, where there is none.
        connection.as_mut().graceful_shutdown();
        told = true;
    }
}

/// What happens on a connection.
pub(super) struct Activity(Mutex<State>);

struct State {
    /// When those began that are under way.
    begun: Vec<Instant>,
    /// When the last request ended, or the first byte of the next one came, or the connection began.
    since: Instant,
    /// Whether a request has begun to come.
    reading: bool,
    /// By its first bytes. Such a client says more than requests, and what it says is none that has begun.
    http2: Option<bool>,
    /// Since when the client takes nothing of what is there for it.
    stuck: Option<Instant>,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(State::new(Instant::now())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_look(&self, limits: &ServerLimits, told: bool) -> Instant {
        let now = Instant::now();
        if told {
            return now + FAREWELL;
        }
        // A deadline may come nearer by what happens until then, but not nearer than this.
        let soon = now + limits.header_timeout.min(limits.body_timeout);
        self.state().deadline(limits).map_or(soon, |deadline| deadline.min(soon))
    }

    fn is_over(&self, limits: &ServerLimits) -> bool {
        self.state().deadline(limits).is_some_and(|deadline| deadline <= Instant::now())
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self { begun: Vec::new(), since: now, reading: true, http2: None, stuck: None }
    }

    fn begin(&mut self, now: Instant) {
        self.begun.push(now);
        self.reading = false;
    }

    fn end(&mut self, begun: Instant, now: Instant) {
        if let Some(index) = self.begun.iter().position(|one| *one == begun) {
            self.begun.swap_remove(index);
        }
        if self.begun.is_empty() {
            self.since = now;
        }
    }

    fn heard(&mut self, bytes: &[u8], now: Instant) {
        let http2 = *self.http2.get_or_insert_with(|| bytes.starts_with(b"PRI "));
        if self.begun.is_empty() && !self.reading && !http2 {
            (self.reading, self.since) = (true, now);
        }
    }

    fn wrote(&mut self, ready: bool, now: Instant) {
        self.stuck = if ready { None } else { self.stuck.or(Some(now)) };
    }

    /// When it is to be closed, if nothing happens.
    fn deadline(&self, limits: &ServerLimits) -> Option<Instant> {
        let quiet = if self.reading { limits.header_timeout } else { limits.idle_timeout };
        let quiet = self.begun.is_empty().then(|| self.since + quiet);
        let stuck = self.stuck.map(|since| since + limits.body_timeout);
        // Nothing is stuck where an HTTP/2 client leaves no room for a response: its instance has ended by then, and what is left is the
        // client's to take.
        let oldest = self.begun.iter().min().map(|begun| *begun + limits.request_timeout + limits.body_timeout);
        quiet.into_iter().chain(stuck).chain(oldest).min()
    }
}

/// Notes what comes and goes.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Watched {
    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        self.activity.state().wrote(written.is_ready(), Instant::now());
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if let Some(new) = into.filled().get(before..).filter(|new| !new.is_empty()) {
            self.activity.state().heard(new, Instant::now());
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A request that is under way, until its response is sent or nobody waits for it any more.
pub(super) struct Seen {
    metrics: Arc<Metrics>,
    activity: Arc<Activity>,
    begun: Instant,
    code: u16,
}

impl Seen {
    fn new(metrics: Arc<Metrics>, activity: Arc<Activity>) -> Self {
        let begun = Instant::now();
        metrics.in_flight.add();
        activity.state().begin(begun);
        Self { metrics, activity, begun, code: CLIENT_GONE }
    }

    pub(super) fn status(&mut self, status: StatusCode) {
        self.code = status.as_u16();
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.metrics.in_flight.take();
        self.metrics.ended(self.code, self.begun.elapsed());
        self.activity.state().end(self.begun, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second at which it is closed, from `start` on.
    fn closed(state: &State, start: Instant) -> u64 {
        (state.deadline(&ServerLimits::default()).unwrap() - start).as_secs()
    }

    #[test]
    fn a_connection_is_closed_by_what_it_waits_for() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut state = State::new(start);
        assert_eq!(closed(&state, start), 10, "the first headers");
        state.heard(b"GET", at(4));
        assert_eq!(closed(&state, start), 10, "a byte at a time gains nothing");

        state.begin(at(4));
        state.begin(at(10));
        state.heard(b"body", at(20));
        assert_eq!(
            closed(&state, start),
            334,
            "requests have limits of their own, and the client some time to take the response"
        );
        state.end(at(4), at(25));
        assert_eq!(closed(&state, start), 340);
        state.end(at(10), at(30));
        assert_eq!(closed(&state, start), 105, "idle");
        state.heard(b"G", at(100));
        assert_eq!(closed(&state, start), 110, "the next headers");
        state.heard(b"E", at(105));
        assert_eq!(closed(&state, start), 110);
    }

    #[test]
    fn an_http2_client_may_say_something_while_it_is_idle() {
        let start = Instant::now();
        let mut state = State::new(start);
        state.heard(b"PRI * HTTP/2.0", start);
        assert_eq!(closed(&state, start), 10, "the first headers");
        state.begin(start);
        state.end(start, start);
        state.heard(b"GET", start + Duration::from_secs(5));
        assert_eq!(closed(&state, start), 75);
    }

    #[test]
    fn a_client_that_takes_nothing_is_not_waited_for_for_ever() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut state = State::new(start);
        state.begin(start);
        state.wrote(false, at(5));
        state.wrote(false, at(20));
        assert_eq!(closed(&state, start), 35);
        state.wrote(true, at(25));
        assert_eq!(closed(&state, start), 330);
        state.wrote(false, at(40));
        assert_eq!(closed(&state, start), 70);
    }
}
