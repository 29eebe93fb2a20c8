//! How a request can fail, and who is told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::Notify;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use super::p3::Share;
use super::telemetry::id::{REQUEST_ID, RequestId};
use crate::resources::limits::OutOfMemory;

/// One request on its way through an instance: the two sides tell each other here that it has failed. The first word holds.
#[derive(Debug, Default)]
pub(super) struct Call {
    failure: OnceLock<Failure>,
    notice: Notify,
    answered: AtomicBool,
    over: AtomicBool,
    /// What it has of an instance that has several.
    share: Mutex<Option<Share>>,
}

impl Call {
    pub(super) fn fail(&self, failure: Failure) {
        if self.failure.set(failure).is_ok() {
            match &*self.share() {
                Some(share) => share.fail(),
                None => self.notice.notify_one(),
            }
        }
    }

    fn share(&self) -> MutexGuard<'_, Option<Share>> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance that has several is to do it.
    pub(super) fn hold(&self, share: Share) {
        *self.share() = Some(share);
    }

    /// It takes nothing of its instance any more.
    pub(super) fn release(&self) {
        drop(self.share().take());
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// The program has given its response, or the beginning of it.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// The client has all of its response, or has been told that there is none.
    pub(super) fn over(&self) {
        self.over.store(true, Ordering::SeqCst);
        if self.failure().is_none() {
            self.release();
        }
    }

    /// Waits until it has failed. There is one waiter: the instance.
    pub(super) async fn failed(&self) {
        while self.failure().is_none() {
            self.notice.notified().await;
        }
    }

    /// Whether it has failed, and was not over before.
    pub(super) fn has_failed(&self) -> bool {
        self.failure().is_some() && self.share().is_some()
    }

    /// Whether it has failed, or is over.
    pub(super) fn is_settled(&self) -> bool {
        self.failure().is_some() || self.over.load(Ordering::SeqCst)
    }
}

/// Why a request has no response of the program's, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It does not say which host it is for, or says so twice, or says more.
    Host,
    /// It asks for a tunnel.
    Tunnel,
    /// Its body is too large.
    TooLarge,
    /// Its body does not come.
    Slow,
    /// Too many are under way, here or on the whole host.
    Busy,
    /// The instances have all the memory that they may have. The text says whose limit it is.
    OutOfMemory(String),
    /// It took too long.
    Timeout,
    /// The instance trapped. The text says how.
    Trapped(String),
    /// The instance ended itself, with this exit code.
    Ended(i32),
    /// The instance is through, and gave no response.
    NoResponse,
    /// The instance is through, and has not finished a body.
    Unfinished,
    /// The response has a status that is none of a response.
    Status(u16),
    /// The program says that it failed, with this error code.
    Code(String),
    /// The client does not wait for it any more.
    Gone,
    /// The server is being stopped.
    Stopped,
}

impl Failure {
    /// What an error of an instance means.
    pub(super) fn of(error: &wasmtime::Error) -> Self {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Ended(exit.0);
        }
        if let Some(out_of_memory) = error.downcast_ref::<OutOfMemory>() {
            return Self::OutOfMemory(out_of_memory.to_string());
        }
        if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
            return Self::Busy;
        }
        Self::Trapped(match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => format!("{error:#}"),
        })
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Host => StatusCode::BAD_REQUEST,
            Self::Tunnel => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::OutOfMemory(_) | Self::Gone | Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Trapped(_) | Self::Ended(_) | Self::NoResponse | Self::Unfinished | Self::Status(_) => {
                StatusCode::BAD_GATEWAY
            }
            Self::Code(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// In one word, of which there are a few. `None`: it is the client's fault, and no error of the server.
    pub(super) fn error_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::Host | Self::Tunnel | Self::TooLarge | Self::Slow => return None,
            Self::Busy => "busy",
            Self::OutOfMemory(_) => "out_of_memory",
            Self::Timeout => "timeout",
            Self::Trapped(_) => "trapped",
            Self::Ended(_) => "exited",
            Self::NoResponse => "no_response",
            Self::Unfinished => "unfinished",
            Self::Status(_) => "invalid_status",
            Self::Code(_) => "error_code",
            Self::Gone => "client_gone",
            Self::Stopped => "stopped",
        })
    }

    /// For the client: nothing of the program's inside.
    fn message(&self) -> &'static str {
        match self {
            Self::Host => "a request must have one Host header, with a host and no more",
            Self::Tunnel => "there are no tunnels here",
            Self::TooLarge => "the request's body is larger than this server takes",
            Self::Slow => "the request's body did not come in time",
            Self::Busy => "too many requests are under way; try again",
            Self::OutOfMemory(_) => "there is no memory for this request; try again",
            Self::Timeout => "the program did not answer in time",
            Self::Trapped(_) | Self::Ended(_) | Self::Unfinished => "the program failed",
            Self::NoResponse => "the program gave no response",
            Self::Status(_) => "the program's response has a status that is none",
            Self::Code(_) => "the program says that it cannot answer",
            Self::Gone | Self::Stopped => "this server is being stopped",
        }
    }

    /// For the program's own log: what its author can mend. Nothing of what is the client's fault, who could fill the log with it.
    pub(super) fn for_log(&self) -> Option<String> {
        match self {
            Self::Trapped(why) => Some(format!("the program trapped: {why}")),
            Self::OutOfMemory(why) => Some(format!("the program ran out of memory: {why}")),
            Self::Ended(code) => Some(format!("the program ended itself with exit code {code}")),
            Self::NoResponse => Some("the program returned and gave no response".into()),
            Self::Unfinished => Some("the program returned before it had finished a body".into()),
            Self::Status(status) => {
                Some(format!("the program's response has the status {status}, which is none of a response"))
            }
            Self::Code(code) => Some(format!("the program's response is the error {code}")),
            Self::Timeout => Some("the program took longer than it may, and was ended".into()),
            Self::Host | Self::Tunnel | Self::TooLarge | Self::Slow | Self::Busy | Self::Gone | Self::Stopped => None,
        }
    }

    pub(super) fn response(&self, id: &RequestId) -> Response<String> {
        let mut response = Response::new(format!("{}\n", self.message()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(REQUEST_ID, id.header());
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
