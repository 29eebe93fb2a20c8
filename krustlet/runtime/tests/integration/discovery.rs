//! Names that the embedder knows: where requests to them go, and what they cannot lead to.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use krustlet_runtime::{Discovery, Endpoint, Engine, EngineConfig, Found, RunSpec, Scheme, ServerLimits};

use crate::serve::SERVER;
use crate::support::{Memory, args, exited};
use crate::web::{COMPONENT, World, access};

const FAILED: &str = "error 11 request-error";
const DENIED: &str = "error 7 destination-not-allowed";
const PROHIBITED: &str = "error destination-ip-prohibited";

/// Knows where each name leads, at port 80 and 443 alone.
#[derive(Debug)]
struct Known;

impl Discovery for Known {
    fn find(&self, _: Scheme, name: &str, port: u16) -> BoxFuture<'static, Found> {
        let vouched = |addresses: &[&str]| at(addresses, true);
        let found = match (name, port) {
            ("pods.shop", 80) => vouched(&["10.0.0.1:8080"]),
            ("shared.shop", 80) => vouched(&["100.64.0.9:8080"]),
            ("second.shop", 80) => vouched(&["10.0.0.2:82", "10.0.0.3:8080"]),
            ("allowed.example", 443) => vouched(&["10.0.0.4:4443"]),
            ("other.shop", 443) => vouched(&["10.0.0.5:4443"]),
            ("written.shop", 80) => at(&["10.0.0.66:8080"], false),
            ("public.shop", 80) => at(&["203.0.113.8:8080"], false),
            ("half.shop", 80) => Found::At([at_one("10.0.0.66:8080", true), at_one("10.0.0.66:8080", false)].into()),
            ("loopback.shop", 80) => vouched(&["[::1]:80"]),
            ("metadata.shop", 80) => {
                vouched(&["169.254.169.254:80", "100.100.100.200:80", "[::ffff:169.254.169.254]:80"])
            }
            ("node.shop", 80) => vouched(&["169.254.169.254:80", "10.0.0.6:8080"]),
            ("nobody.shop", 80) => vouched(&[]),
            ("friend.example", 80) => Found::Unknown,
            _ => Found::Nowhere,
        };
        future::ready(found).boxed()
    }
}

fn at_one(address: &str, private: bool) -> Endpoint {
    Endpoint { address: address.parse().unwrap(), private }
}

fn at(addresses: &[&str], private: bool) -> Found {
    Found::At(addresses.iter().map(|address| at_one(address, private)).collect())
}

/// What is asked for, and what a module and a component print.
const ROWS: &[(&str, &str, &str)] = &[
    ("http://pods.shop/", "200 hello", "200 hello"),
    ("http://shared.shop/", "200 hello", "200 hello"),
    ("http://second.shop/", "200 hello", "200 hello"),
    ("https://allowed.example/", "200 hello", "200 hello"),
    // The certificate is for the name that was asked for.
    ("https://other.shop/", FAILED, "error tls-certificate-error"),
    ("http://pods.shop:81/", FAILED, "error dns-error"),
    ("http://written.shop/", DENIED, PROHIBITED),
    ("http://half.shop/", DENIED, PROHIBITED),
    ("http://public.shop/", "200 hello", "200 hello"),
    ("http://loopback.shop/", DENIED, PROHIBITED),
    ("http://metadata.shop/", DENIED, PROHIBITED),
    ("http://node.shop/", "200 hello", "200 hello"),
    ("http://nobody.shop/", FAILED, "error connection-refused"),
    ("http://friend.example/", "200 hello", "200 hello"),
    // It would be found otherwise.
    ("http://two.example/", FAILED, "error dns-error"),
];

#[tokio::test]
async fn what_is_connected_to_is_what_was_found_under_the_rules_for_all() {
    let world = World::new().await;
    for (url, module, component) in ROWS {
        let access = || {
            let mut access = access(&[url]);
            access.discovery = Some(Arc::new(Known));
            access
        };
        let words = ["send", "GET", url, "", ""];
        assert_eq!(world.ask_module(access(), &words).await, *module, "{url}");
        assert_eq!(world.ask_component(access(), &words).await, *component, "{url}");
    }
    let dialed: Vec<String> = world.web.dialed().iter().map(ToString::to_string).collect();
    let wanted = [
        "10.0.0.1:8080",
        "10.0.0.2:82",
        "10.0.0.3:8080",
        "10.0.0.4:4443",
        "10.0.0.5:4443",
        "10.0.0.6:8080",
        "100.64.0.9:8080",
        "203.0.113.8:80",
        "203.0.113.8:8080",
    ];
    assert_eq!(dialed, wanted);
}

#[tokio::test]
async fn who_is_allowed_another_name_of_it_reaches_it_by_that_one_alone() {
    let world = World::new().await;
    for origin in ["http://pods", "http://pods.shop.svc", "https://pods.shop", "http://pods.shop:8080"] {
        let mut access = access(&[origin]);
        access.discovery = Some(Arc::new(Known));
        let words = ["send", "GET", "http://pods.shop/", "", ""];
        assert_eq!(world.ask_module(access.clone(), &words).await, DENIED, "{origin}");
        assert_eq!(world.ask_component(access, &words).await, "error http-request-denied", "{origin}");
    }
    assert!(world.web.dialed().is_empty());
}

/// The address by which this machine would send; connecting a UDP socket sends nothing. A machine without a network has none.
fn own_address() -> Option<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("203.0.113.7:9").and_then(|()| socket.local_addr()).ok()
}

#[tokio::test]
async fn a_guest_reaches_another_of_its_host_while_that_listens_and_nothing_else_there() {
    let Some(own) = own_address() else { return };
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let (server, client) = (engine.compile(&SERVER).unwrap(), engine.compile(&COMPONENT).unwrap());
    let ask = async |port: u16| {
        let (sink, url) = (Arc::new(Memory::default()), format!("http://{}:{port}/", own.ip()));
        let mut spec = RunSpec::new(sink.clone());
        spec.args = args(&["send", "GET", &url, "", ""]);
        spec.http = access(&[&url]);
        assert_eq!(engine.start(&client, spec).unwrap().wait().await, exited(0));
        sink.text().trim_end().to_owned()
    };
    let somebodys = TcpListener::bind((own.ip(), 0)).unwrap();
    let listener = TcpListener::bind((own.ip(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(ask(port).await, PROHIBITED);
    let spec = RunSpec::new(Arc::new(Memory::default()));
    let server = engine.serve(&server, spec, listener, ServerLimits::default()).unwrap();
    assert_eq!(ask(port).await, "200 hello");
    assert_eq!(ask(somebodys.local_addr().unwrap().port()).await, PROHIBITED);
    server.drain(Duration::ZERO, Duration::from_secs(1));
    server.container().wait().await;
    assert_eq!(ask(port).await, PROHIBITED);
}
