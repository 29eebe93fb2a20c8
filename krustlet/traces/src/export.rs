//! Sends spans to a collector, in the background: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use krustlet_http::{
    CaFileError, Client, Discovery, Egress, Endpoint as Place, Found, HostNetwork, HttpAccess, HttpError, HttpLimits,
    Network, Origin, ResponseBody, Scheme, Session,
};
use prost::Message;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::Tracer;
use crate::endpoint::Endpoint;
use crate::otlp::{self, ExportTracePartialSuccess, ExportTraceServiceResponse};
use crate::queue::BATCH;

/// How long a span waits for others at most before it is sent.
const DELAY: Duration = Duration::from_secs(5);

/// How long what is left may take to be sent when the exporter is stopped.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// How long a batch is sent again for that a collector could not take, and how long the pauses are between: each is twice as long as the
/// one before.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// How often it is said that spans cannot be sent, or that some are rejected.
const SAYING: Duration = Duration::from_secs(60);

/// How much of a collector's reason is said, in characters.
const LONGEST_REASON: usize = 200;

/// How long a collector may take, and the most of its answer.
const LIMITS: HttpLimits = HttpLimits {
    connect_timeout: Duration::from_secs(5),
    response_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(5),
    total_timeout: Duration::from_secs(15),
    max_request_body_bytes: 64 << 20,
    max_response_body_bytes: 64 << 10,
};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const NAME: HeaderValue = HeaderValue::from_static(concat!("krustlet-wasi/", env!("CARGO_PKG_VERSION")));

/// Sends the spans of a [`Tracer`] to a collector as long as it is kept, and what is left when it is [stopped](Self::stop).
#[derive(Debug)]
pub struct Exporter {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts it, on the Tokio runtime that this is called in. It trusts the host's certificate authorities and those of `ca_file`, a file in
    /// PEM; `names` knows names that the host's resolver does not.
    ///
    /// # Errors
    /// The file cannot be read, or holds what is no certificate.
    pub fn start(
        tracer: &Tracer,
        endpoint: &Endpoint,
        ca_file: Option<&Path>,
        names: Option<Arc<dyn Discovery>>,
    ) -> Result<Self, CaFileError> {
        // Who names a collector means it, wherever it is.
        let client = Client::new(ca_file, Arc::new(HostNetwork::default()), Egress::anywhere(), 0)?;
        let session = client.session(HttpAccess {
            allowed: [endpoint.origin.clone()].into_iter().collect(),
            limits: LIMITS,
            discovery: Some(Arc::new(Names { known: names, network: HostNetwork::default() })),
            name: "OTLP".into(),
            ..HttpAccess::default()
        });
        let (stop, stopped) = watch::channel(false);
        let delivery = Delivery {
            tracer: tracer.clone(),
            origin: endpoint.origin.clone(),
            url: endpoint.url.clone(),
            session,
            stopped,
            under_way: 0,
            said: None,
            said_rejected: None,
        };
        let task = async move {
            if AssertUnwindSafe(delivery.run()).catch_unwind().await.is_err() {
                tracing::error!("spans are not exported any more: the exporter has panicked");
            }
        };
        Ok(Self { stop, task: tokio::spawn(task) })
    }

    /// Sends what is left, for [`FLUSH_LIMIT`] at most, and ends it.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // It ends by itself in that time. An error means that its runtime is gone.
        let _ = self.task.await;
    }
}

/// Names of the host's network, whatever they stand for, and before them those that somebody else knows.
#[derive(Debug)]
struct Names {
    known: Option<Arc<dyn Discovery>>,
    network: HostNetwork,
}

impl Discovery for Names {
    fn find(&self, scheme: Scheme, name: &str, port: u16) -> BoxFuture<'static, Found> {
        let known = self.known.as_ref().map(|known| known.find(scheme, name, port));
        let resolved = self.network.resolve(name.to_owned());
        Box::pin(async move {
            if let Some(known) = known {
                let found = known.await;
                if found != Found::Unknown {
                    return found;
                }
            }
            match resolved.await {
                Err(_) => Found::Nowhere,
                Ok(addresses) if addresses.is_empty() => Found::Nowhere,
                Ok(addresses) => {
                    let place = |address| Place { address: (address, port).into(), private: true };
                    Found::At(addresses.into_iter().map(place).collect())
                }
            }
        })
    }
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Failed(#[from] HttpError),
    #[error("the collector answers {0}")]
    Answered(StatusCode, Option<Duration>),
}

impl Fault {
    /// After what time it is worth another try; `None`: it is not.
    fn pause(&self, own: Duration) -> Option<Duration> {
        match self {
            Self::Failed(HttpError::RequestTooLarge) => None,
            Self::Failed(_) => Some(own),
            // Those that OTLP lists.
            Self::Answered(status, after) => {
                [429, 502, 503, 504].contains(&status.as_u16()).then(|| after.unwrap_or(own).max(own))
            }
        }
    }
}

struct Delivery {
    tracer: Tracer,
    /// What the log names: a path may be somebody's secret.
    origin: Origin,
    url: String,
    session: Session,
    stopped: watch::Receiver<bool>,
    /// How many are being sent.
    under_way: usize,
    /// When it was said that they cannot be, since it is so.
    said: Option<Instant>,
    /// When it was said that some are rejected.
    said_rejected: Option<Instant>,
}

impl Delivery {
    async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        let late = async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
            sleep(FLUSH_LIMIT).await;
        };
        tokio::select! {
            biased;
            () = self.send_all() => {}
            () = late => {}
        }
        let left = self.under_way + self.tracer.queue().len();
        if left > 0 {
            tracing::warn!("{left} spans were not exported: {} did not take them in time", self.origin);
        }
        // Nobody takes those that are still to come.
        while !self.tracer.queue().take().is_empty() {}
    }

    /// Sends spans in batches until it is stopped and there are none.
    async fn send_all(&mut self) {
        let mut stopped = self.stopped.clone();
        loop {
            let tracer = self.tracer.clone();
            let (is_last, mut is_due) = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => (true, true),
                () = tracer.queue().filled() => (false, false),
                () = sleep(DELAY) => (false, true),
            };
            while is_last || is_due || tracer.queue().len() >= BATCH {
                is_due = false;
                let records = tracer.queue().take();
                if records.is_empty() {
                    break;
                }
                self.under_way = records.len();
                let body = Bytes::from(otlp::request(records).encode_to_vec());
                self.deliver(body).await;
            }
            if is_last {
                return;
            }
        }
    }

    /// Sends a batch, again where that is worth it.
    async fn deliver(&mut self, body: Bytes) {
        let (end, mut pause) = (Instant::now() + PATIENCE, FIRST_PAUSE);
        loop {
            let fault = match self.send(body.clone()).await {
                Ok(partial) => {
                    if self.said.take().is_some() {
                        tracing::info!("spans are exported to {} again", self.origin);
                    }
                    let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
                    self.tracer.queue().sent(mem::take(&mut self.under_way), rejected);
                    return self.say_rejected(rejected, &partial.error_message);
                }
                Err(fault) => fault,
            };
            self.say(&fault);
            // A collector may name a pause that no clock goes to.
            let left = end.saturating_duration_since(Instant::now());
            let again = fault.pause(pause).filter(|pause| *pause < left && !*self.stopped.borrow());
            let Some(again) = again else {
                return self.tracer.queue().lost(mem::take(&mut self.under_way));
            };
            // Whoever stops it has it try once more.
            let _ = timeout(again, self.stopped.wait_for(|stopped| *stopped)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends a batch: what of it the collector would not have.
    async fn send(&self, body: Bytes) -> Result<ExportTracePartialSuccess, Fault> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, PROTOBUF), (USER_AGENT, NAME)]);
        let prepared = self.session.prepare(&self.url, Method::POST, headers)?;
        let response = prepared.send(Full::new(body).map_err(|never| match never {}).boxed_unsync()).await?;
        if response.status().is_success() {
            return Ok(partial(response).await);
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        Err(Fault::Answered(response.status(), after.map(Duration::from_secs)))
    }

    fn say(&mut self, fault: &Fault) {
        if self.said.is_none_or(|said| said.elapsed() >= SAYING) {
            self.said = Some(Instant::now());
            let dropped = self.tracer.counts().dropped();
            tracing::warn!("spans cannot be exported to {}: {fault}; {dropped} were dropped so far", self.origin);
        }
    }

    /// A collector that took all may have a warning all the same.
    fn say_rejected(&mut self, rejected: u64, why: &str) {
        let is_news = rejected > 0 || !why.is_empty();
        if is_news && self.said_rejected.is_none_or(|said| said.elapsed() >= SAYING) {
            self.said_rejected = Some(Instant::now());
            let why: String = why.chars().take(LONGEST_REASON).collect();
            tracing::warn!("{} rejects {rejected} spans of a batch: {why:?}", self.origin);
        }
    }
}

/// Of a collector that took the others. One that says nothing, or nothing that can be read, took all.
async fn partial(response: Response<ResponseBody>) -> ExportTracePartialSuccess {
    let Ok(body) = response.into_body().collect().await else { return ExportTracePartialSuccess::default() };
    let answer = ExportTraceServiceResponse::decode(body.to_bytes()).unwrap_or_default();
    answer.partial_success.unwrap_or_default()
}

#[cfg(test)]
mod tests;
