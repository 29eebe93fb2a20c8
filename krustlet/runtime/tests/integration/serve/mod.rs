//! Servers: what a program and its clients get, and what ends those that want too much.

mod answers;
mod ending;
mod hostile;
mod limits;
mod many;
mod p3;
mod traces;

use std::net::TcpListener;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use krustlet_runtime::{Engine, EngineConfig, Module, RunSpec, RuntimeError, Server, ServerLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Memory, component_project};

/// The guest of `programs/http-server`.
pub static SERVER: LazyLock<Vec<u8>> = LazyLock::new(|| component_project("http-server", "http_server.wasm"));

/// The guest of `programs/http-server-p3`.
pub static SERVER_P3: LazyLock<Vec<u8>> = LazyLock::new(|| component_project("http-server-p3", "http_server_p3.wasm"));

/// Far more than it takes, and far less than for ever.
const AT_LAST: Duration = Duration::from_secs(20);

/// The guest, served on a port of this machine.
pub struct Served {
    pub engine: Engine,
    pub server: Server,
    pub sink: Arc<Memory>,
}

impl Served {
    pub fn new() -> Self {
        Self::with(EngineConfig::default(), |_| {}, ServerLimits::default())
    }

    pub fn limited(limits: ServerLimits) -> Self {
        Self::with(EngineConfig::default(), |_| {}, limits)
    }

    pub fn with(config: EngineConfig, spec: impl FnOnce(&mut RunSpec), limits: ServerLimits) -> Self {
        let engine = Engine::new(config).unwrap();
        let module = engine.compile(&SERVER).unwrap();
        Self::of(engine, &module, spec, limits)
    }

    /// The same of the guest of WASI 0.3.
    pub fn p3(config: EngineConfig, spec: impl FnOnce(&mut RunSpec), limits: ServerLimits) -> Self {
        let engine = Engine::new(config).unwrap();
        let module = engine.compile(&SERVER_P3).unwrap();
        Self::of(engine, &module, spec, limits)
    }

    pub fn of(engine: Engine, module: &Module, spec: impl FnOnce(&mut RunSpec), limits: ServerLimits) -> Self {
        let sink = Arc::new(Memory::default());
        let mut run = RunSpec::new(sink.clone());
        spec(&mut run);
        let server = engine.serve(module, run, listener(), limits).unwrap();
        Self { engine, server, sink }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.address()).await.unwrap()
    }

    /// A connection of HTTP/1.1.
    pub async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let (client, connection) = http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A connection of HTTP/2, in clear.
    pub async fn http2(&self) -> http2::SendRequest<Empty<Bytes>> {
        let io = TokioIo::new(self.connect().await);
        let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Status and body of a GET on a connection of its own. A response that was cut off before its first byte has the status 0.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let mut client = self.http1().await;
        match client.send_request(request("GET", path, "")).await {
            Ok(response) => told(response).await,
            Err(_) => (0, " (cut off)".into()),
        }
    }

    /// Sends bytes as they are, and reads until the connection is closed.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < AT_LAST, "{what}: {:?} {}", self.server.stats(), self.sink.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the guest has written a line so often.
    pub async fn wrote(&self, line: &str, times: usize) {
        self.until(line, |this| this.sink.text().lines().filter(|written| *written == line).count() >= times).await;
    }
}

pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

pub fn request(method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    let builder = Request::builder().method(method).uri(path).header("host", "server.test");
    builder.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

/// Sends a request as soon as the connection is through with the one before.
pub async fn ask(client: &mut http1::SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Response<Incoming> {
    client.ready().await.unwrap();
    client.send_request(request).await.unwrap()
}

/// Status and body, and how the body ended where it did not end well.
pub async fn told(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.push_str(
                &frame
                    .into_data()
                    .map(|data| String::from_utf8_lossy(&data).into())
                    .unwrap_or_else(|frame| format!("{:?}", frame.into_trailers().unwrap())),
            ),
            Err(_) => {
                text.push_str(" (cut off)");
                break;
            }
        }
    }
    (status, text)
}

/// What comes until the connection is closed, or reset, as text.
pub async fn rest(stream: &mut TcpStream) -> String {
    String::from_utf8_lossy(&all(stream).await).into_owned()
}

/// What comes until the connection is closed, or reset.
pub async fn all(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let read = async {
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..read]);
        }
    };
    assert!(tokio::time::timeout(AT_LAST, read).await.is_ok(), "the connection stays open");
    bytes
}

/// The status codes of the responses in a text.
pub fn statuses(text: &str) -> Vec<u16> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.map(|line| line[..3].parse().unwrap()).collect()
}

#[test]
fn a_server_is_served_and_a_program_is_started() {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let server = engine.compile(&SERVER).unwrap();
    assert!(server.is_server());
    let spec = || RunSpec::new(Arc::new(Memory::default()));
    let error = engine.start(&server, spec()).unwrap_err();
    assert!(matches!(error, RuntimeError::Serves), "{error}");

    let program = engine.compile(&crate::support::start("")).unwrap();
    assert!(!program.is_server());
    let error = engine.serve(&program, spec(), listener(), ServerLimits::default()).unwrap_err();
    assert!(matches!(error, RuntimeError::DoesNotServe), "{error}");

    let mut wrong = spec();
    wrong.env = vec![("A=B".into(), String::new())];
    let error = engine.serve(&server, wrong, listener(), ServerLimits::default()).unwrap_err();
    assert!(matches!(error, RuntimeError::Spec(_)), "{error}");
}
