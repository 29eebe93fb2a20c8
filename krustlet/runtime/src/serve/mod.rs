//! HTTP servers: components that export `wasi:http/incoming-handler` of WASI 0.2
//! (<https://github.com/WebAssembly/wasi-http/blob/v0.2.3/wit/handler.wit>) or `wasi:http/handler` of 0.3
//! (<https://github.com/WebAssembly/WASI/blob/v0.3.0/proposals/http/wit/worlds.wit>).
//!
//! Each request has an instance of its own; by 0.3 it shares one with others. All of it runs on the engine's threads, beside other guests: the connections, which hyper
//! serves by HTTP/1.1 or, to a client that begins so, by HTTP/2; and the instances, each as a task that ends when its client goes.

mod activity;
mod body;
mod call;
mod connection;
mod limits;
mod p2;
mod p3;
mod request;
mod room;
mod streams;
pub(crate) mod telemetry;
mod watched;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::conn::auto;
use krustlet_http::{Serving, Session};
use krustlet_traces::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wasmtime::Store;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

pub use self::limits::ServerLimits;
pub use self::telemetry::stats::{Durations, ServerStats};

use self::connection::Open;
use self::p3::Workers;
use self::room::Room;
pub(crate) use self::room::semaphore;
use self::streams::Streams;
use self::telemetry::id::RequestIds;
use self::telemetry::stats::Metrics;
use crate::http::{GuestHttp, Outgoing, Side};
use crate::opening::Opener;
use crate::program::Proxy;
use crate::resources::limits::Limits;
use crate::resources::memory::MemoryBudget;
use crate::resources::usage::Meter;
use crate::run::State;
use crate::{Container, Engine, ExitStatus, Module, RunSpec};

/// The least that hyper can be told to hold of a request.
const LEAST_HEADER_BYTES: usize = 8 * 1024;

/// HTTP/2, for each connection: requests at once, and how much of bodies a client may send ahead of what is read. What is sent ahead is
/// held in memory.
const STREAMS: u32 = 32;
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// How many responses there may be for each instance that may run. What a program has left of one when it ended, up to 64 KiB, is the
/// client's to take, and no reason to keep others out.
const PLACES: usize = 8;

/// How long nothing is accepted after that has failed: as a rule because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections may wait to be accepted. Linux' own limit, unless somebody raises it.
const MOST_WAITING: usize = 4096;

/// Longer than any drain, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How long ended instances are waited for. They end at the next tick.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// A program that answers requests. Clones are handles on the same one; when the last one goes, and the last one on its
/// [`container`](Self::container), it is stopped.
#[derive(Clone)]
pub struct Server {
    container: Container,
    address: SocketAddr,
    drain: Arc<watch::Sender<Option<Leave>>>,
    metrics: Arc<Metrics>,
}

impl Server {
    /// The program as a container: for what all its instances use together, and for stopping it by force. It does not end by itself.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it gracefully. For the time of `linger` it goes on, but each response of HTTP/1.1 ends its connection, so that clients go
    /// elsewhere by themselves. Then no connection is accepted any more, those without a request are closed, and requests that are
    /// under way have `grace` to end.
    ///
    /// Returns at once; the container ends with exit code 0 when all have ended, or as [`Exit::Stopped`](crate::Exit::Stopped) when the
    /// time is up. Of several calls the first one holds.
    pub fn drain(&self, linger: Duration, grace: Duration) {
        self.drain.send_if_modified(|leave| {
            let first = leave.is_none();
            let closes = Instant::now() + linger.min(LONGEST);
            leave.get_or_insert(Leave { closes, deadline: closes + grace.min(LONGEST) });
            first
        });
    }

    /// What it has done, and does. Does not wait.
    pub fn stats(&self) -> ServerStats {
        self.metrics.stats()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What instances are made of.
pub(crate) struct Guests {
    pub(crate) program: Proxy,
    pub(crate) spec: RunSpec,
    /// Its mounts, for all instances: what they lead to by then, and not what a path of the host leads to at each request.
    pub(crate) folders: WasiFilesystemCtx,
    pub(crate) http: Session,
    pub(crate) memory: MemoryBudget,
    /// What all servers share, of connections and of instances.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) instances: Arc<Semaphore>,
    pub(crate) meter: Arc<Meter>,
    /// As of any container.
    pub(crate) opener: Option<Arc<Opener>>,
    /// Held, so that it is found among the modules in use.
    pub(crate) module: Module,
}

impl Guests {
    /// For an instance that answers the request of this trace; `None` for one that answers several, or where nothing is recorded.
    fn store(&self, trace: Option<Context>) -> Store<State> {
        let traces = self.spec.traces.clone().map(|source| Outgoing { source, parent: trace });
        let http = GuestHttp::new(self.http.clone(), Side::Server, traces);
        let limits = Limits::new(self.memory.share(), self.meter.clone());
        let mut state = State::new(self.spec.wasi(&self.folders, &self.http), http, limits);
        state.opener = self.opener.clone();
        state.into_store(self.program.engine())
    }
}

/// What the connections of a server share.
struct Service {
    guests: Guests,
    limits: ServerLimits,
    http: auto::Builder<Streams>,
    connections: Room,
    instances: Room,
    /// For requests, where several are one instance's.
    requests: Arc<Semaphore>,
    workers: Workers,
    /// For responses, whose instances may have ended.
    places: Arc<Semaphore>,
    ids: RequestIds,
    metrics: Arc<Metrics>,
    drain: Drain,
    /// Whether all instances are to end.
    end: watch::Sender<bool>,
}

/// When a server is to be closed that ends gracefully, and when it is to be over.
#[derive(Clone, Copy, Debug)]
struct Leave {
    closes: Instant,
    deadline: Instant,
}

/// Tells whether a server is to end gracefully.
#[derive(Clone)]
struct Drain(watch::Receiver<Option<Leave>>);

impl Drain {
    /// Whether clients are to go elsewhere.
    fn is_near(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until it is closed: by when it is to be over.
    async fn closed(mut self) -> Instant {
        match self.0.wait_for(Option::is_some).await.map(|leave| *leave) {
            Ok(Some(Leave { closes, deadline })) => {
                sleep_until(closes).await;
                deadline
            }
            // There is nobody any more who could ask for it.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Spawns the server on `runtime`, which is the engine's. The checks that can be made beforehand have been made.
pub(crate) fn spawn(
    engine: &Engine,
    runtime: &Handle,
    guests: Guests,
    listener: TcpListener,
    serving: Serving,
    limits: ServerLimits,
) -> Server {
    let (address, metrics) = (serving.address(), Arc::<Metrics>::default());
    let (container, mut stopped, ended) = Container::handle(engine.clone(), guests.meter.clone(), guests.http.clone());
    let (drain, draining) = watch::channel(None);
    let service = Arc::new(Service {
        connections: Room::new(limits.max_connections, guests.connections.clone()),
        instances: Room::new(limits.max_concurrent_requests, guests.instances.clone()),
        guests,
        http: http(&limits),
        requests: semaphore(limits.max_concurrent_requests),
        workers: Workers::default(),
        places: semaphore(limits.max_concurrent_requests.saturating_mul(PLACES)),
        limits,
        ids: RequestIds::default(),
        metrics: metrics.clone(),
        drain: Drain(draining),
        end: watch::Sender::new(false),
    });
    runtime.spawn(async move {
        // An error means that the last handle is gone, which stops it as well.
        let stopped = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let mut connections = JoinSet::new();
        let status = service.run((listener, serving), stopped, &mut connections).await;
        service.end(connections).await;
        tracing::debug!(%address, reason = ?status.reason, module = service.guests.module.digest(), "server ended");
        // The module goes before anybody hears of the end, so that its last user leaves nothing behind.
        drop(service);
        ended.send_replace(Some(status));
    });
    Server { container, address, drain: Arc::new(drain), metrics }
}

fn http(limits: &ServerLimits) -> auto::Builder<Streams> {
    let mut http = auto::Builder::new(Streams::new(limits.body_timeout));
    // Without a timer there are no limits of time in it: they are in `connection`, for both versions.
    http.http1().max_buf_size(limits.max_header_bytes.max(LEAST_HEADER_BYTES));
    http.http2()
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES);
    http
}

impl Service {
    /// Takes connections until it is told to end, and waits for those that it has, as long as it may.
    async fn run(
        self: &Arc<Self>,
        (listener, serving): (TcpListener, Serving),
        stopped: impl Future<Output = ()>,
        connections: &mut JoinSet<()>,
    ) -> ExitStatus {
        let mut stopped = std::pin::pin!(stopped);
        let mut drained = std::pin::pin!(self.drain.clone().closed());
        let deadline = loop {
            tokio::select! {
                biased;
                () = &mut stopped => return ExitStatus::stopped(),
                deadline = &mut drained => break deadline,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream, connections),
                    Err(error) => {
                        tracing::warn!("no connection can be accepted: {error}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        };
        // From here on others may listen there.
        drop(serving);
        self.admit_waiting(listener, connections);
        let finished = async {
            while connections.join_next().await.is_some() {}
            self.instances.is_empty().await;
        };
        tokio::select! {
            biased;
            () = &mut stopped => ExitStatus::stopped(),
            () = finished => ExitStatus::exited(0),
            () = sleep_until(deadline) => ExitStatus::stopped(),
        }
    }

    /// Takes the connections that the system has accepted already, whose clients would see them reset with the listener's end.
    fn admit_waiting(self: &Arc<Self>, listener: TcpListener, connections: &mut JoinSet<()>) {
        // Tokio's own may say that there is none when it has only not looked.
        let Ok(listener) = listener.into_std() else { return };
        // Each one past the limit is closed at once, so that they come to an end; but whoever is quick enough could go on for ever.
        for _ in 0..MOST_WAITING {
            let Ok((stream, _)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.admit(stream, connections);
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, connections: &mut JoinSet<()>) {
        let Some(place) = self.connections.take() else {
            self.metrics.refused_connections.add();
            return;
        };
        // Small pieces of a response are not to wait for each other.
        let _ = stream.set_nodelay(true);
        let (service, open) = (self.clone(), Open::new(&self.metrics));
        connections.spawn(async move {
            let _open = open;
            connection::serve(stream, service).await;
            drop(place);
        });
    }

    /// Ends whatever is left.
    async fn end(&self, mut connections: JoinSet<()>) {
        self.end.send_replace(true);
        connections.shutdown().await;
        if timeout(END_PATIENCE, self.instances.is_empty()).await.is_err() {
            tracing::warn!("instances of a server that was stopped still run; they end at their next step");
        }
    }

    /// Waits until all instances are to end.
    async fn ending(&self) {
        let _ = self.end.subscribe().wait_for(|end| *end).await;
    }
}
