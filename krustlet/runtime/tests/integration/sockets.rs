//! Sockets of guests: where they may go, what they cannot do, and what they leave behind.

mod listening;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use krustlet_runtime::{
    Container, Discovery, Egress, Endpoint, Engine, EngineConfig, Found, HttpAccess, Module, Network, RunSpec, Scheme,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::support::{Memory, args, component_project, exited};

/// The guests of `programs/sockets` and `programs/sockets-p3`, of WASI 0.2 and 0.3.
static PROGRAMS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [component_project("sockets", "sockets.wasm"), component_project("sockets-p3", "sockets_p3.wasm")]
});

const DENIED: &str = "error PermissionDenied";
const LONG: Duration = Duration::from_secs(60);

/// What the host's resolver says.
#[derive(Debug, Default)]
struct Names {
    asked: AtomicUsize,
}

impl Network for Names {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = match name.as_str() {
            "loopback.example" => Ok("127.0.0.1"),
            "private.example" => Ok("10.0.0.1"),
            // As public as an address for documentation can be.
            "rebind.example" => Ok(if before == 0 { "203.0.113.7" } else { "127.0.0.1" }),
            _ => Err(io::Error::other("there is no such name")),
        };
        future::ready(answer.map(|address| vec![address.parse().unwrap()])).boxed()
    }

    fn connect(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        unreachable!("requests are not sent here")
    }
}

/// One Service, at port 5432 of its own.
#[derive(Debug)]
struct Service(SocketAddr);

impl Discovery for Service {
    fn find(&self, scheme: Scheme, name: &str, port: u16) -> BoxFuture<'static, Found> {
        let found = match (name, port) {
            ("db", _) if scheme == Scheme::Udp => Found::Nowhere,
            ("db", 5432) => Found::At(vec![Endpoint { address: self.0, private: true }]),
            ("db", _) => Found::At(vec![]),
            ("written", 5432) => Found::At(vec![Endpoint { address: self.0, private: false }]),
            _ => Found::Unknown,
        };
        future::ready(found).boxed()
    }
}

/// Servers that answer in capitals, and an engine whose guests may reach them.
struct World {
    engine: Engine,
    programs: [Module; 2],
    tcp: SocketAddr,
    udp: SocketAddr,
}

impl World {
    async fn new() -> Self {
        Self::with(Egress { allowed: vec!["127.0.0.0/8".parse().unwrap()] }).await
    }

    async fn with(egress: Egress) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut text = String::new();
                    stream.read_to_string(&mut text).await?;
                    stream.write_all(text.to_uppercase().as_bytes()).await
                });
            }
        });
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let udp = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; 2000];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..length]).to_uppercase();
                if let Ok(port) = text.parse() {
                    // A stranger is heard first, if it is.
                    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                    stranger.send_to(b"stranger", ("127.0.0.1", port)).await.unwrap();
                }
                socket.send_to(text.as_bytes(), from).await.unwrap();
            }
        });
        let network = Arc::new(Names::default());
        let engine = Engine::new(EngineConfig { network, egress, ..EngineConfig::default() }).unwrap();
        let programs = PROGRAMS.each_ref().map(|wasm| engine.compile(wasm).unwrap());
        Self { engine, programs, tcp, udp }
    }

    fn access(&self, allowed: &[&str]) -> HttpAccess {
        HttpAccess {
            allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
            discovery: Some(Arc::new(Service(self.tcp))),
            ..HttpAccess::default()
        }
    }

    fn start(&self, program: &Module, access: HttpAccess, words: &[&str]) -> (Container, Arc<Memory>) {
        let sink = Arc::new(Memory::default());
        let mut spec = RunSpec::new(sink.clone());
        spec.args = args(words);
        spec.http = access;
        (self.engine.start(program, spec).unwrap(), sink)
    }

    /// What the guests say at last, which is the same.
    async fn ask(&self, allowed: &[&str], words: &[&str]) -> String {
        self.ask_with(self.access(allowed), words).await
    }

    async fn ask_with(&self, access: HttpAccess, words: &[&str]) -> String {
        let [one, other] = self.ask_each(access, words).await;
        assert_eq!(one, other, "{words:?}");
        one
    }

    async fn ask_each(&self, access: HttpAccess, words: &[&str]) -> [String; 2] {
        let mut said = Vec::new();
        for program in &self.programs {
            said.push(self.ask_one(program, access.clone(), words).await);
        }
        said.try_into().unwrap()
    }

    async fn ask_one(&self, program: &Module, access: HttpAccess, words: &[&str]) -> String {
        let (guest, sink) = self.start(program, access, words);
        let status = timeout(LONG, guest.wait()).await.unwrap_or_else(|_| panic!("{words:?}: {}", sink.text()));
        assert_eq!(status, exited(0), "{words:?}: {}", sink.text());
        sink.text().trim_end().to_owned()
    }
}

#[tokio::test]
async fn a_guest_reaches_what_it_is_allowed_to_and_nothing_else() {
    let world = World::new().await;
    let (tcp, udp) = (world.tcp.to_string(), world.udp.to_string());
    let (tcp_port, udp_port) = (world.tcp.port(), world.udp.port());
    let by_name = format!("localhost:{tcp_port}");
    let other = format!("127.0.0.2:{tcp_port}");
    let table: &[(&str, &[&str], &str)] = &[
        // What is allowed, what is done, what is said.
        ("tcp://{tcp}", &["tcp", &tcp, "hello"], "HELLO"),
        ("tcp://localhost:{tcp_port}", &["tcp", &by_name, "hello"], "HELLO"),
        ("tcp://LOCALHOST:{tcp_port}", &["tcp", &by_name, "hello"], "HELLO"),
        ("udp://{udp}", &["udp", &udp, "hello"], "HELLO"),
        ("udp://{udp}", &["udp-connected", &udp, "hello"], "HELLO"),
        // Nothing, or other things, are allowed.
        ("http://{tcp}", &["tcp", &tcp, "hello"], DENIED),
        ("https://{tcp}", &["udp", &tcp, "hello"], DENIED),
        ("udp://{tcp}", &["tcp", &tcp, "hello"], DENIED),
        ("tcp://{udp}", &["udp", &udp, "hello"], DENIED),
        ("tcp://127.0.0.1:1", &["tcp", &tcp, "hello"], DENIED),
        ("udp://127.0.0.1:1", &["udp", &udp, "hello"], DENIED),
        ("udp://127.0.0.1:1", &["udp-connected", &udp, "hello"], DENIED),
        ("tcp://{tcp}", &["tcp", &other, "hello"], DENIED),
        // It was looked up, and then another port is wanted.
        ("tcp://localhost:1", &["tcp-after", "localhost", "1", &tcp, "hello"], DENIED),
        // The name is allowed, and was not looked up.
        ("tcp://localhost:{tcp_port}", &["tcp", &tcp, "hello"], DENIED),
        ("tcp://localhost:{tcp_port}", &["tcp-after", "localhost", "1", &tcp, "hello"], "HELLO"),
        ("tcp://localhost:{tcp_port}", &["tcp-after", "localhost", "1", &other, "hello"], DENIED),
        // To listen is another matter.
        ("tcp://{tcp}", &["listen", "0.0.0.0:0", "1"], DENIED),
        ("tcp://{tcp}", &["listen", "127.0.0.1:0", "1"], DENIED),
        ("tcp://{tcp}", &["listen", "0.0.0.0:8080", "1"], DENIED),
        ("tcp://{tcp}", &["listen", &tcp, "1"], DENIED),
        // What is bound keeps its port for a minute after it was closed.
        ("tcp://{tcp}", &["tcp-bind"], DENIED),
        ("udp://{udp}", &["udp-bind", "0.0.0.0:0"], "bound"),
        ("udp://{udp}", &["udp-bind", "0.0.0.0:5353"], DENIED),
        ("udp://{udp}", &["udp-bind", "127.0.0.1:0"], DENIED),
    ];
    for (allowed, words, wanted) in table {
        let allowed = allowed.replace("{tcp}", &tcp).replace("{udp}", &udp);
        let allowed = allowed.replace("{tcp_port}", &tcp_port.to_string()).replace("{udp_port}", &udp_port.to_string());
        assert_eq!(world.ask(&[&allowed], words).await, *wanted, "{allowed}: {words:?}");
    }
}

#[tokio::test]
async fn the_nodes_own_addresses_are_closed_whatever_is_allowed() {
    let world = World::with(Egress::default()).await;
    let (tcp, udp) = (world.tcp.to_string(), world.udp.to_string());
    assert_eq!(world.ask(&[&format!("tcp://{tcp}")], &["tcp", &tcp, "hello"]).await, DENIED);
    assert_eq!(world.ask(&[&format!("udp://{udp}")], &["udp", &udp, "hello"]).await, DENIED);
    let local = format!("tcp://localhost:{}", world.tcp.port());
    assert_eq!(world.ask(&[&local], &["tcp-after", "localhost", "1", &tcp, "hello"]).await, DENIED);
    // A Service leads nowhere else.
    assert_eq!(world.ask(&["tcp://db:5432"], &["tcp-after", "db", "1", &tcp, "hello"]).await, DENIED);
}

#[tokio::test]
async fn names_are_those_that_are_allowed_and_lead_where_names_may() {
    let world = World::new().await;
    let allowed = ["loopback.example", "private.example", "written", "absent.example"];
    let mut allowed: Vec<_> = allowed.iter().map(|name| format!("tcp://{name}:5432")).collect();
    allowed.extend(["tcp://localhost:80".into(), "http://friend.example".into(), "udp://db:5432".into()]);
    let allowed: Vec<_> = allowed.iter().map(String::as_str).collect();
    for name in
        ["loopback.example", "private.example", "written", "absent.example", "friend.example", "db", "other.example"]
    {
        for said in world.ask_each(world.access(&allowed), &["resolve", name]).await {
            assert!(said.starts_with("error "), "{name}: {said}");
        }
    }
    // Its other one is closed here.
    assert_eq!(world.ask(&allowed, &["resolve", "localhost"]).await, "127.0.0.1");
}

#[tokio::test]
async fn a_service_is_reached_at_the_port_of_its_endpoint() {
    let world = World::new().await;
    assert_eq!(world.ask(&["tcp://db:5432"], &["tcp", "db:5432", "hello"]).await, "HELLO");
    let direct = world.tcp.to_string();
    assert_eq!(world.ask(&["tcp://db:5432"], &["tcp", &direct, "hello"]).await, DENIED, "not looked up");
    for said in world.ask_each(world.access(&["tcp://db:80"]), &["tcp", "db:80", "hello"]).await {
        assert!(said.starts_with("error "), "{said}");
    }
    assert_eq!(world.ask(&["tcp://db:5432"], &["tcp", "db:80", "hello"]).await, DENIED);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_opens_nothing() {
    let world = World::new().await;
    let (tcp, allowed) = (world.tcp.to_string(), format!("tcp://rebind.example:{}", world.tcp.port()));
    assert_eq!(world.ask(&[&allowed], &["tcp-after", "rebind.example", "2", &tcp, "hello"]).await, DENIED);
}

#[tokio::test]
async fn strangers_are_not_heard() {
    let world = World::new().await;
    let udp = world.udp.to_string();
    for said in world.ask_each(world.access(&[&format!("udp://{udp}")]), &["udp-heard", &udp]).await {
        assert!(said.parse::<u16>().is_ok(), "{said}");
    }
}

#[tokio::test]
async fn sockets_are_bounded_and_come_back() {
    let world = World::new().await;
    for (allowed, kind) in [("tcp://127.0.0.1:1", "tcp"), ("udp://127.0.0.1:1", "udp")] {
        let mut access = world.access(&[allowed]);
        for most in [50, 7] {
            access.max_concurrent_requests = NonZeroUsize::new(most).unwrap();
            let wanted = [
                format!("{most} ErrorCode::NewSocketLimit"),
                format!("{most} ErrorCode::Other(Some(\"it has as many sockets as it may have\"))"),
            ];
            assert_eq!(world.ask_each(access.clone(), &["many", kind]).await, wanted, "{kind}");
        }
        assert_eq!(world.ask_with(access, &["churn", kind, "10000"]).await, "10000 made", "{kind}");
        assert_eq!(world.ask(&[], &["many", kind]).await, "0 ErrorCode::AccessDenied", "{kind}");
        assert_eq!(world.ask(&["http://127.0.0.1"], &["many", kind]).await, "0 ErrorCode::AccessDenied", "{kind}");
    }
}

#[tokio::test]
async fn a_socket_counts_until_its_last_stream_has_ended() {
    let world = World::new().await;
    let tcp = world.tcp.to_string();
    let mut access = world.access(&[&format!("tcp://{tcp}")]);
    access.max_concurrent_requests = NonZeroUsize::new(7).unwrap();
    assert_eq!(world.ask_one(&world.programs[1], access, &["streams", &tcp]).await, "7 7");
}

#[tokio::test]
async fn large_things_are_refused_or_cut() {
    let world = World::new().await;
    let udp = world.udp.to_string();
    for bytes in ["65508", "65536", "8000000"] {
        let access = world.access(&[&format!("udp://{udp}")]);
        for said in world.ask_each(access, &["udp-large", &udp, bytes]).await {
            assert!(said.starts_with("Err(") && said.ends_with(" SMALL"), "{bytes}: {said}");
        }
    }
    let sizes = world.ask(&["tcp://127.0.0.1:1", "udp://127.0.0.1:1"], &["buffers"]).await;
    for size in sizes.split(' ') {
        assert!((1..=256 * 1024).contains(&size.parse::<u64>().unwrap()), "{sizes}");
    }
}

#[tokio::test]
async fn a_guests_sockets_end_with_it() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let access = world.access(&[&format!("tcp://{address}")]);
    let (guest, _) = world.start(&world.programs[0], access.clone(), &["abandon", &address]);
    let (mut stream, _) = timeout(LONG, listener.accept()).await.unwrap().unwrap();
    assert_eq!(guest.wait().await, exited(0));
    // However it ends: with an end of the stream, or a reset.
    let ended = timeout(LONG, stream.read(&mut [0])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    // And one that is stopped while it waits for a byte.
    let (guest, _) = world.start(&world.programs[0], access, &["hold", &address]);
    let (mut stream, _) = timeout(LONG, listener.accept()).await.unwrap().unwrap();
    guest.stop();
    let ended = timeout(LONG, stream.read(&mut [0])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}
