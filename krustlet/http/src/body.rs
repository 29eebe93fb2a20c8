//! Bodies: both are streamed, and both end at a limit.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use crate::HttpError;

/// Any error of a request's body.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request, of any kind.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// That a request's body was larger than it may be. hyper tells that only to the connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct TooLarge(Arc<AtomicBool>);

impl TooLarge {
    /// What came of it, where `error` is what hyper said.
    pub(crate) fn or(&self, error: HttpError) -> HttpError {
        if self.0.load(Ordering::Relaxed) { HttpError::RequestTooLarge } else { error }
    }
}

/// A body that fails past `limit`, and says so.
pub(crate) fn limited(body: RequestBody, limit: u64, too_large: &TooLarge) -> RequestBody {
    let flag = too_large.0.clone();
    let limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    limited
        .map_err(move |error| {
            if error.is::<LengthLimitError>() {
                flag.store(true, Ordering::Relaxed);
            }
            error
        })
        .boxed_unsync()
}

/// Bytes of a guest that are held on the host for as long as somebody sends them.
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    /// They count as long.
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The task that drives a connection. It goes with this.
#[derive(Debug)]
pub(crate) struct Connection(pub(crate) JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a response. Its request is under way until this is dropped, and its connection is closed then.
pub struct ResponseBody {
    incoming: Incoming,
    left: u64,
    idle_timeout: Duration,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer measures a pause.
    waiting: bool,
    failed: bool,
    too_large: TooLarge,
    _connection: Connection,
    _permit: OwnedSemaphorePermit,
}

/// What bounds a response's body.
pub(crate) struct Bounds {
    pub(crate) max_bytes: u64,
    pub(crate) idle_timeout: Duration,
    pub(crate) deadline: Instant,
}

impl ResponseBody {
    pub(crate) fn new(
        incoming: Incoming,
        bounds: Bounds,
        too_large: TooLarge,
        connection: Connection,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            incoming,
            left: bounds.max_bytes,
            idle_timeout: bounds.idle_timeout,
            deadline: bounds.deadline,
            timer: Box::pin(tokio::time::sleep_until(bounds.deadline)),
            waiting: false,
            failed: false,
            too_large,
            _connection: connection,
            _permit: permit,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.checked_sub(length) {
                    None => Poll::Ready(Some(Err(HttpError::ResponseTooLarge))),
                    Some(left) => {
                        self.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                }
            }
            Poll::Ready(Some(Err(error))) => {
                // The connection's task ends at the deadline, which is an early end to hyper.
                let late = Instant::now() >= self.deadline;
                let error = if late { HttpError::TotalTimeout } else { HttpError::of_hyper(&error) };
                Poll::Ready(Some(Err(self.too_large.or(error))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let now = Instant::now();
                if !self.waiting {
                    self.waiting = true;
                    self.timer.as_mut().reset(self.deadline.min(now + self.idle_timeout));
                }
                ready!(self.timer.as_mut().poll(context));
                let late = Instant::now() >= self.deadline;
                Poll::Ready(Some(Err(if late { HttpError::TotalTimeout } else { HttpError::IdleTimeout })))
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll(context));
        self.failed = matches!(polled, Some(Err(_)));
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("left", &self.left).finish_non_exhaustive()
    }
}
