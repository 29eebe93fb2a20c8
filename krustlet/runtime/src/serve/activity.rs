//! What happens on a connection, and when it is to be closed for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::ServerLimits;
use super::connection::FAREWELL;

/// What happens on a connection.
pub(super) struct Activity(Mutex<State>);

pub(super) struct State {
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
    /// When the client was told to go.
    told: Option<Instant>,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::new(Instant::now())))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.state().begun.is_empty()
    }

    /// Whether the headers of a request are on their way, or those of the first one may be.
    pub(super) fn is_awaited(&self) -> bool {
        let state = self.state();
        state.reading && state.begun.is_empty()
    }

    pub(super) fn next_look(&self, limits: &ServerLimits) -> Instant {
        let (now, state) = (Instant::now(), self.state());
        if state.told.is_some() {
            return now + FAREWELL;
        }
        // A deadline may come nearer by what happens until then, but not nearer than this.
        let soon = now + limits.header_timeout.min(limits.body_timeout);
        state.deadline(limits).map_or(soon, |deadline| deadline.min(soon))
    }

    /// The client is told to go: whether for the first time.
    pub(super) fn tell(&self) -> bool {
        let mut state = self.state();
        let first = state.told.is_none();
        state.told.get_or_insert_with(Instant::now);
        first
    }

    pub(super) fn is_over(&self, limits: &ServerLimits) -> bool {
        let (now, state) = (Instant::now(), self.state());
        state.deadline(limits).is_some_and(|deadline| deadline <= now) || state.is_left(now)
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self { begun: Vec::new(), since: now, reading: true, http2: None, stuck: None, told: None }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.reading = false;
        // One that comes later was not on its way any more when the client was told. It is answered, but not waited for.
        if self.told.is_none_or(|told| now <= told + FAREWELL) {
            self.begun.push(now);
        }
    }

    pub(super) fn end(&mut self, begun: Instant, now: Instant) {
        let Some(index) = self.begun.iter().position(|one| *one == begun) else { return };
        self.begun.swap_remove(index);
        if self.begun.is_empty() {
            self.since = now;
        }
    }

    pub(super) fn heard(&mut self, bytes: &[u8], now: Instant) {
        let http2 = *self.http2.get_or_insert_with(|| bytes.starts_with(b"PRI "));
        if self.begun.is_empty() && !self.reading && !http2 {
            (self.reading, self.since) = (true, now);
        }
    }

    pub(super) fn wrote(&mut self, ready: bool, now: Instant) {
        self.stuck = if ready { None } else { self.stuck.or(Some(now)) };
    }

    /// Whether an HTTP/2 client that was told to go has nothing under way. It would be waited for until it has answered a PING.
    fn is_left(&self, now: Instant) -> bool {
        let quiet = self.http2 == Some(true) && self.begun.is_empty() && self.stuck.is_none();
        quiet && self.told.is_some_and(|told| self.since.max(told) + FAREWELL <= now)
    }

    /// When it is to be closed, if nothing happens.
    fn deadline(&self, limits: &ServerLimits) -> Option<Instant> {
        let quiet = if self.reading { limits.header_timeout } else { limits.idle_timeout };
        let quiet = self.begun.is_empty().then(|| self.since + quiet);
        let stuck = self.stuck.map(|since| since + limits.body_timeout);
        // The last resort: whatever is left of a request then, it is not the program.
        let oldest = self.begun.iter().min().map(|begun| *begun + limits.request_timeout + limits.body_timeout);
        quiet.into_iter().chain(stuck).chain(oldest).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn an_http2_client_that_was_told_to_go_has_a_second_for_what_is_on_its_way() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut state = State::new(start);
        state.heard(b"PRI * HTTP/2.0", start);
        state.begin(start);
        assert!(!state.is_left(at(60_000)), "nobody has told it");
        state.told = Some(at(10_000));
        state.begin(at(10_500));
        state.end(start, at(10_600));
        assert!(!state.is_left(at(20_000)), "one is under way");
        state.end(at(10_500), at(20_000));
        state.begin(at(20_100));
        assert!(!state.is_left(at(20_500)), "the end of the response is on its way");
        state.end(at(20_100), at(20_600));
        assert!(state.is_left(at(21_000)), "what came later is not waited for");
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
