//! Requests of HTTP/2, of which hyper has a task made for each: whose client it gives up that takes nothing of its response.
//!
//! The connection shows nothing of it. It is another stream's as well, and it is not full: by the window that a client leaves for each
//! stream it says itself that nothing is to be sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    static TAKING: Taking;
}

/// Since when a response has given something that it was not asked to follow yet, so that it waits for the client. By HTTP/1.1 the
/// connection tells that.
#[derive(Clone, Debug, Default)]
pub(super) struct Taking(Arc<Mutex<Option<Instant>>>);

impl Taking {
    /// That of the request whose task this is.
    pub(super) fn of_task() -> Self {
        TAKING.try_with(Clone::clone).unwrap_or_default()
    }

    /// The response was asked for more; and whether it had something.
    pub(super) fn asked(&self, had: bool) {
        *self.since() = had.then(Instant::now);
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the tasks of requests.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// How long one may wait for its client.
    patience: Duration,
}

impl Streams {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let taking = Taking::default();
        let bounded = Bounded {
            stream: Box::pin(stream),
            taking: taking.clone(),
            patience: self.patience,
            timer: Box::pin(sleep_until(Instant::now())),
        };
        tokio::spawn(TAKING.scope(taking, bounded));
    }
}

/// Ends when the request does, or when its client has taken nothing for too long. To the client that is a reset of the stream.
struct Bounded<F> {
    stream: Pin<Box<F>>,
    taking: Taking,
    patience: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<F: Future<Output = ()>> Future for Bounded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = *self.taking.since() else { return Poll::Pending };
        let deadline = since + self.patience;
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(context)
    }
}
