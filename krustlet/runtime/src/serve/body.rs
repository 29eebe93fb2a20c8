//! The bodies of requests and responses, as they pass between a client and an instance.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

use super::call::{Call, Failure};
use super::connection::{Seen, UnderWay};
use super::streams::Taking;

/// A request's body: no larger than it may be, and no slower.
pub(super) struct RequestBody {
    body: Incoming,
    left: u64,
    patience: Duration,
    /// Runs while the instance waits for the client.
    timer: Option<Pin<Box<Sleep>>>,
    call: Arc<Call>,
    /// What comes is part of it until it has ended, even if the response is complete before. Afterwards it is the next request.
    under_way: Option<Arc<UnderWay>>,
}

impl RequestBody {
    pub(super) fn new(
        body: Incoming,
        max_bytes: u64,
        patience: Duration,
        call: Arc<Call>,
        under_way: &Arc<UnderWay>,
    ) -> Self {
        let under_way = (!body.is_end_stream()).then(|| under_way.clone());
        Self { body, left: max_bytes, patience, timer: None, call, under_way }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.body.is_end_stream() {
            // Of a body with a length hyper says the end only with the next request, where the response was complete before.
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let deadline = Instant::now() + self.patience;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            ready!(timer.as_mut().poll(context));
            self.call.fail(Failure::Slow);
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        self.timer = None;
        if self.body.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.under_way = None;
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.checked_sub(bytes) {
                    Some(left) => {
                        self.left = left;
                        Some(Ok(frame))
                    }
                    None => {
                        self.call.fail(Failure::TooLarge);
                        Some(Err(Error::HttpRequestBodySize(None)))
                    }
                }
            }
            Some(Err(error)) => Some(Err(Error::Hyper(error))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The client's wait for a response. When it goes before the response is complete, the instance is ended.
pub(super) struct Wait(Option<Arc<Call>>);

impl Wait {
    pub(super) fn new(call: Arc<Call>) -> Self {
        Self(Some(call))
    }

    /// From here on the instance may go on by itself.
    pub(super) fn over(&mut self) {
        if let Some(call) = self.0.take() {
            call.over();
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call.fail(Failure::Gone);
        }
    }
}

/// A response's body, with all that lasts as long as the response does.
pub(super) struct ResponseBody {
    body: WasiBody,
    /// What is still to come, where the response says so.
    left: Option<u64>,
    wait: Wait,
    taking: Taking,
    _place: Option<OwnedSemaphorePermit>,
    _seen: Seen,
}

/// A response without those.
pub(super) struct Answer {
    response: Response<WasiBody>,
    wait: Wait,
    place: Option<OwnedSemaphorePermit>,
}

impl Answer {
    /// An instance's response. `to_head` is whether HEAD was asked for; `place` is its own, until it is sent.
    pub(super) fn of_instance(
        mut response: Response<WasiBody>,
        to_head: bool,
        mut wait: Wait,
        place: OwnedSemaphorePermit,
    ) -> Self {
        // Of what would be there for another request: its length is of this kind, too.
        let of_another = to_head || response.status() == StatusCode::NOT_MODIFIED;
        let empty = response.body().is_end_stream();
        if empty && !of_another {
            // A client would wait for what does not come.
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        if empty || of_another || response.status() == StatusCode::NO_CONTENT {
            // Nobody will ask for the body's end.
            wait.over();
        }
        Self { response, wait, place: Some(place) }
    }

    /// A response of ours.
    pub(super) fn of_host(response: Response<String>) -> Self {
        let body = |text: String| Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
        Self { response: response.map(body), wait: Wait(None), place: None }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn into_response(self, mut seen: Seen) -> Response<ResponseBody> {
        seen.follow(self.wait.0.as_ref());
        let length = self.response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let (mut wait, place, taking) = (self.wait, self.place, Taking::of_task());
        if length == Some(0) {
            // Nobody will ask for its end, either.
            wait.over();
        }
        self.response.map(|body| ResponseBody { body, left: length, wait, taking, _place: place, _seen: seen })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.taking.asked(polled.is_ready());
        let frame = ready!(polled);
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => {
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    // Whoever knows the length does not ask for the end.
                    if self.left == Some(0) {
                        self.wait.over();
                    }
                }
                None => self.wait.over(),
            },
            // It was whole before its end was missed.
            Some(Err(_)) if self.left == Some(0) => return Poll::Ready(None),
            Some(Err(_)) => {}
            None => {
                // To the body an instance that was ended looks like one that is through. The client must not take a part for the whole.
                let failed = self.wait.0.as_ref().is_some_and(|call| call.failure().is_some());
                if failed {
                    return Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
                }
                self.wait.over();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
