//! What the tests of HTTP share: a small web with names, addresses and servers, none of which leaves this machine, and guests that
//! ask it.

pub mod rows;
pub mod server;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use krustlet_runtime::{Egress, Engine, EngineConfig, ExitStatus, HttpAccess, HttpLimits, Network, RunSpec};
use tokio::net::TcpStream;

use crate::support::{Memory, args, component_project, exited, program};
use server::{Authority, Servers};

/// The addresses of the web's names. Those of 203.0.113.0/24 are public as far as the client knows: they are set aside for
/// documentation, and a connection to one of them ends at a server of the test.
const NAMES: &[(&str, &[&str])] = &[
    ("allowed.example", &["203.0.113.7"]),
    ("friend.example", &["203.0.113.8"]),
    ("xn--bcher-kva.example", &["203.0.113.9"]),
    ("allowed.example.evil.test", &["203.0.113.66"]),
    ("evil-allowed.example", &["203.0.113.66"]),
    ("sub.allowed.example", &["203.0.113.66"]),
    ("evil.test", &["203.0.113.66"]),
    ("two.example", &["203.0.113.1", "203.0.113.7"]),
    ("private.example", &["10.0.0.1"]),
    ("shared.example", &["100.64.0.1"]),
    ("metadata.example", &["169.254.169.254"]),
    ("loopback.example", &["127.0.0.1"]),
    ("loopback6.example", &["::1"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("nat64.example", &["64:ff9b::10.0.0.1"]),
    ("sixtofour.example", &["2002:7f00:1::1"]),
    ("local.example", &["fd00::1"]),
    ("unspecified.example", &["0.0.0.0"]),
    ("multicast.example", &["224.0.0.1"]),
    ("mixed.example", &["203.0.113.7", "10.0.0.1"]),
    ("empty.example", &[]),
];

/// Its look-ups take turns.
const REBINDING: &str = "rebind.example";

/// A web of names and servers.
#[derive(Debug)]
pub struct Web {
    pub servers: Servers,
    dialed: Mutex<Vec<SocketAddr>>,
    lookups: Mutex<HashMap<String, usize>>,
}

impl Web {
    pub async fn new() -> Arc<Self> {
        Arc::new(Self { servers: Servers::start().await, dialed: Mutex::default(), lookups: Mutex::default() })
    }

    /// An engine whose guests live in this web.
    pub fn engine(self: &Arc<Self>, trusted_ca_file: &Path) -> Engine {
        let config = EngineConfig {
            network: self.clone(),
            egress: Egress { allowed: vec!["127.0.0.0/8".parse().unwrap()] },
            trusted_ca_file: Some(trusted_ca_file.to_owned()),
            ..EngineConfig::default()
        };
        Engine::new(config).unwrap()
    }

    /// Every address that a connection was asked for.
    pub fn dialed(&self) -> BTreeSet<SocketAddr> {
        self.dialed.lock().unwrap().iter().copied().collect()
    }
}

/// For engines that share it by reference.
impl Network for Web {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let count = {
            let mut lookups = self.lookups.lock().unwrap();
            let count = lookups.entry(name.clone()).or_default();
            *count += 1;
            *count
        };
        Box::pin(async move {
            if name == REBINDING {
                return Ok(vec![if count % 2 == 1 { "203.0.113.7" } else { "127.0.0.1" }.parse().unwrap()]);
            }
            if name == "slow-name.example" {
                std::future::pending::<()>().await;
            }
            let known = NAMES.iter().find(|(known, _)| *known == name);
            let (_, addresses) = known.ok_or_else(|| io::Error::other("there is no such name"))?;
            Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
        })
    }

    /// Ends at a server of the test, whatever the address: one that must not be connected to is noticed by what is heard of it.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        self.dialed.lock().unwrap().push(address);
        let closed = address.ip().to_string() == "203.0.113.1";
        let server = self.servers.by_port(address.port());
        Box::pin(async move {
            match server {
                _ if closed => Err(io::ErrorKind::ConnectionRefused.into()),
                Some(server) => TcpStream::connect(server).await,
                None if address.port() == 81 => std::future::pending().await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

/// The guest of `programs/http_module.rs`.
pub static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| program("http_module"));

/// The guest of `programs/http-component`.
pub static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| component_project("http-component", "http-component.wasm"));

/// The guest of `programs/http-p3`.
pub static P3: LazyLock<Vec<u8>> = LazyLock::new(|| component_project("http-p3", "http_p3.wasm"));

/// The permission to send requests to these origins, with limits that a test can wait for.
pub fn access(origins: &[&str]) -> HttpAccess {
    HttpAccess {
        allowed: origins.iter().map(|origin| origin.parse().unwrap()).collect(),
        limits: HttpLimits {
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(20),
            max_request_body_bytes: 1 << 20,
            max_response_body_bytes: 1 << 20,
        },
        ..HttpAccess::default()
    }
}

/// A web, an engine, and all guests.
pub struct World {
    pub web: Arc<Web>,
    pub engine: Engine,
    pub module: krustlet_runtime::Module,
    pub component: krustlet_runtime::Module,
    pub p3: krustlet_runtime::Module,
}

impl World {
    pub async fn new() -> Self {
        let authority = Authority::get();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        let web = Web::new().await;
        let engine = web.engine(&file);
        let [module, component, p3] = [&MODULE, &COMPONENT, &P3].map(|wasm| engine.compile(wasm).unwrap());
        Self { web, engine, module, component, p3 }
    }

    /// What the module prints.
    pub async fn ask_module(&self, access: HttpAccess, words: &[&str]) -> String {
        self.ask(&self.module, access, words).await
    }

    /// What the component prints, which is what that of WASI 0.3 prints as well.
    pub async fn ask_component(&self, access: HttpAccess, words: &[&str]) -> String {
        let text = self.ask(&self.component, access.clone(), words).await;
        assert_eq!(self.ask_p3(access, words).await, text, "{words:?}");
        text
    }

    /// What the component of WASI 0.3 prints.
    pub async fn ask_p3(&self, access: HttpAccess, words: &[&str]) -> String {
        self.ask(&self.p3, access, words).await
    }

    pub async fn ask(&self, program: &krustlet_runtime::Module, access: HttpAccess, words: &[&str]) -> String {
        let (status, text) = self.run(program, access, words).await;
        assert_eq!(status, exited(0), "{words:?}: {text}");
        text
    }

    pub async fn run(
        &self,
        program: &krustlet_runtime::Module,
        access: HttpAccess,
        words: &[&str],
    ) -> (ExitStatus, String) {
        let sink = Arc::new(Memory::default());
        let mut spec = RunSpec::new(sink.clone());
        spec.args = args(words);
        spec.http = access;
        let status = self.engine.start(program, spec).unwrap().wait().await;
        (status, sink.text().trim_end().to_owned())
    }
}
