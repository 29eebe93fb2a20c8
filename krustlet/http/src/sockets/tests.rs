use super::*;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use tokio::net::TcpStream;

use crate::{Client, Discovery, Egress, Endpoint, Found, HttpAccess, Network};

/// Each name's answers in turn; the last one stays.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<&'static str, Vec<Vec<&'static str>>>>);

impl Names {
    fn of(names: &[(&'static str, &[&[&'static str]])]) -> Arc<Self> {
        let answers = |answers: &[&[&'static str]]| answers.iter().rev().map(|answer| answer.to_vec()).collect();
        Arc::new(Self(Mutex::new(names.iter().map(|(name, all)| (*name, answers(all))).collect())))
    }
}

impl Network for Names {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let answer = names.get_mut(name.as_str()).map(|answers| match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop().unwrap(),
        });
        let answer = answer.ok_or_else(|| io::Error::other("no such name"));
        future::ready(answer.map(|all| all.iter().map(|address| address.parse().unwrap()).collect())).boxed()
    }

    fn connect(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        future::ready(Err(io::ErrorKind::Unsupported.into())).boxed()
    }
}

#[derive(Debug)]
struct Services;

impl Discovery for Services {
    fn find(&self, scheme: Scheme, name: &str, port: u16) -> BoxFuture<'static, Found> {
        let at = |address: &str, private| Endpoint { address: address.parse().unwrap(), private };
        if scheme == Scheme::Udp && name.ends_with(".shop") {
            return future::ready(Found::Nowhere).boxed();
        }
        let found = match (name, port) {
            ("db.shop", 5432) => Found::At(vec![at("10.0.0.1:15432", true), at("10.0.0.2:5432", true)]),
            ("db.shop", 9187) => Found::At(vec![at("10.0.0.1:9187", true)]),
            ("written.shop", 5432) => Found::At(vec![at("10.0.0.66:5432", false)]),
            ("node.shop", 5432) => Found::At(vec![at("127.0.0.1:5432", true), at("169.254.169.254:5432", true)]),
            ("idle.shop", 5432) => Found::At(vec![]),
            (name, _) if name.ends_with(".shop") => Found::Nowhere,
            _ => Found::Unknown,
        };
        future::ready(found).boxed()
    }
}

fn session(network: Arc<Names>, allowed: &[&str]) -> Session {
    let access = HttpAccess {
        allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
        discovery: Some(Arc::new(Services)),
        ..HttpAccess::default()
    };
    Client::new(None, network, Egress::default(), usize::MAX).unwrap().session(access)
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

async fn addresses(session: &Session, name: &str) -> Result<Vec<String>, HttpError> {
    Ok(session.look_up(name).await?.iter().map(ToString::to_string).collect())
}

fn some_names() -> Arc<Names> {
    Names::of(&[
        ("a.example", &[&["203.0.113.7", "2001:db8::7"]]),
        ("b.example", &[&["203.0.113.8"]]),
        ("private.example", &[&["10.0.0.1"]]),
        ("mixed.example", &[&["203.0.113.7", "10.0.0.1"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
        ("empty.example", &[&[]]),
    ])
}

#[tokio::test]
async fn without_such_an_element_there_is_nothing() {
    let session = session(some_names(), &["https://a.example", "http://10.0.0.7:5432"]);
    assert!(!session.has_sockets(Scheme::Tcp) && !session.has_sockets(Scheme::Udp));
    assert_eq!(addresses(&session, "a.example").await, Err(HttpError::NotAllowed));
    assert_eq!(addresses(&session, "10.0.0.7").await, Err(HttpError::NotAllowed));
    assert!(!session.lets_connect(Scheme::Tcp, at("10.0.0.7:5432")));
}

#[tokio::test]
async fn what_is_looked_up_is_what_is_named() {
    let session = session(
        some_names(),
        &[
            "tcp://a.example:5432",
            "tcp://private.example:80",
            "tcp://mixed.example:80",
            "tcp://mapped.example:80",
            "tcp://metadata.example:80",
            "tcp://empty.example:80",
            "tcp://nobody.example:80",
            "tcp://localhost:80",
            "tcp://10.0.0.7:80",
            "udp://[2001:db8::9]:53",
        ],
    );
    let found = |all: &[&str]| Ok(all.iter().map(ToString::to_string).collect());
    let invalid = || Err(HttpError::Url("its host is no valid name".into()));
    let table = [
        ("a.example", found(&["203.0.113.7", "2001:db8::7"])),
        ("A.Example", found(&["203.0.113.7", "2001:db8::7"])),
        ("10.0.0.7", found(&["10.0.0.7"])),
        ("2001:db8::9", found(&["2001:db8::9"])),
        ("[2001:DB8:0::9]", found(&["2001:db8::9"])),
        ("b.example", Err(HttpError::NotAllowed)),
        ("sub.a.example", Err(HttpError::NotAllowed)),
        ("10.0.0.8", Err(HttpError::NotAllowed)),
        ("private.example", Err(HttpError::Address("a private address"))),
        ("mixed.example", Err(HttpError::Address("a private address"))),
        ("mapped.example", Err(HttpError::Address("a loopback address"))),
        ("metadata.example", Err(HttpError::Address("a link-local address"))),
        ("localhost", Err(HttpError::Egress("a loopback address"))),
        ("empty.example", Err(HttpError::Dns)),
        ("nobody.example", Err(HttpError::Dns)),
        ("", invalid()),
        ("a.example:5432", invalid()),
        ("a.example/", invalid()),
        ("a.example@b.example", invalid()),
        ("a.example#", invalid()),
        ("*.example", invalid()),
        ("a.example.", invalid()),
        ("2130706433", invalid()),
        ("fe80::1%eth0", invalid()),
        ("a\0.example", invalid()),
    ];
    for (name, wanted) in table {
        assert_eq!(addresses(&session, name).await, wanted, "{name}");
    }
    assert_eq!(addresses(&session, &"a".repeat(1 << 20)).await, invalid());
}

#[tokio::test]
async fn a_socket_goes_where_a_look_up_has_led_by_the_same_kind_and_port() {
    let session = session(some_names(), &["tcp://a.example:5432", "udp://a.example:8125", "tcp://b.example:80"]);
    for unknown in ["203.0.113.7:5432", "203.0.113.8:80"] {
        assert!(!session.lets_connect(Scheme::Tcp, at(unknown)), "not looked up: {unknown}");
    }
    addresses(&session, "a.example").await.unwrap();
    let table = [
        (Scheme::Tcp, "203.0.113.7:5432", true),
        (Scheme::Tcp, "[2001:db8::7]:5432", true),
        (Scheme::Udp, "203.0.113.7:8125", true),
        (Scheme::Tcp, "203.0.113.7:8125", false),
        (Scheme::Udp, "203.0.113.7:5432", false),
        (Scheme::Tcp, "203.0.113.7:80", false),
        (Scheme::Tcp, "203.0.113.9:5432", false),
        (Scheme::Tcp, "203.0.113.8:80", false),
        (Scheme::Tcp, "[::ffff:203.0.113.7]:5432", false),
    ];
    for (scheme, address, wanted) in table {
        assert_eq!(session.lets_connect(scheme, at(address)), wanted, "{scheme:?} {address}");
    }
    assert!(session.lets_receive(at("203.0.113.7:8125")) && !session.lets_receive(at("203.0.113.7:8126")));
}

#[tokio::test]
async fn an_address_that_is_named_need_not_be_looked_up_and_the_nodes_own_stay_closed() {
    let named = ["tcp://10.0.0.7:80", "tcp://127.0.0.1:80", "tcp://169.254.169.254:80", "udp://[2001:db8::9]:53"];
    let session = session(some_names(), &named);
    let table = [
        (Scheme::Tcp, "10.0.0.7:80", true),
        (Scheme::Tcp, "10.0.0.7:81", false),
        (Scheme::Udp, "10.0.0.7:80", false),
        (Scheme::Udp, "[2001:db8::9]:53", true),
        (Scheme::Tcp, "127.0.0.1:80", false),
        (Scheme::Tcp, "169.254.169.254:80", false),
    ];
    for (scheme, address, wanted) in table {
        assert_eq!(session.lets_connect(scheme, at(address)), wanted, "{scheme:?} {address}");
    }
    let SocketAddr::V6(mut scoped) = at("[2001:db8::9]:53") else { unreachable!() };
    scoped.set_scope_id(7);
    scoped.set_flowinfo(7);
    assert!(session.lets_connect(Scheme::Udp, scoped.into()));
}

#[tokio::test]
async fn a_name_that_changes_its_mind_opens_nothing() {
    let names = Names::of(&[("rebind.example", &[&["203.0.113.7"], &["127.0.0.1"], &["10.0.0.1"]])]);
    let session = session(names, &["tcp://rebind.example:80"]);
    assert_eq!(addresses(&session, "rebind.example").await.unwrap(), ["203.0.113.7"]);
    for what in ["a loopback address", "a private address"] {
        assert_eq!(addresses(&session, "rebind.example").await, Err(HttpError::Address(what)));
    }
    assert!(session.lets_connect(Scheme::Tcp, at("203.0.113.7:80")));
    for address in ["127.0.0.1:80", "10.0.0.1:80"] {
        assert!(!session.lets_connect(Scheme::Tcp, at(address)), "{address}");
    }
}

#[tokio::test]
async fn a_service_is_reached_at_its_endpoints_own_ports() {
    let allowed = ["db", "written", "node", "idle", "absent"].map(|name| format!("tcp://{name}.shop:5432"));
    let mut allowed: Vec<_> = allowed.iter().map(String::as_str).collect();
    allowed.extend(["tcp://db.shop:9187", "udp://db.shop:53"]);
    let session = session(some_names(), &allowed);
    assert_eq!(addresses(&session, "db.shop").await.unwrap(), ["10.0.0.1", "10.0.0.2"]);
    let leads = |asked: &str| session.leads_to(Scheme::Tcp, at(asked));
    assert_eq!(leads("10.0.0.1:5432"), Some(at("10.0.0.1:15432")));
    assert_eq!(leads("10.0.0.2:5432"), Some(at("10.0.0.2:5432")));
    assert_eq!(leads("10.0.0.1:9187"), Some(at("10.0.0.1:9187")));
    assert_eq!(leads("10.0.0.2:9187"), None);
    assert_eq!(session.leads_to(Scheme::Udp, at("10.0.0.1:53")), None, "services are for TCP");
    for (address, wanted) in [("10.0.0.1:15432", true), ("10.0.0.1:5432", false), ("10.0.0.2:9187", false)] {
        assert_eq!(session.lets_connect(Scheme::Tcp, at(address)), wanted, "{address}");
    }
    for (name, wanted) in [
        ("written.shop", HttpError::Address("a private address")),
        ("node.shop", HttpError::Egress("a loopback address")),
        ("idle.shop", HttpError::Connect(io::ErrorKind::ConnectionRefused)),
        ("absent.shop", HttpError::Dns),
    ] {
        assert_eq!(addresses(&session, name).await, Err(wanted), "{name}");
    }
    assert!(!session.lets_connect(Scheme::Tcp, at("10.0.0.66:5432")));
}

#[test]
fn what_is_kept_is_bounded_and_the_oldest_goes() {
    let mut known = Known::default();
    let way = |number: usize| {
        let asked = SocketAddr::new([203, 0, 113, 7].into(), u16::try_from(number).unwrap());
        Way { scheme: Scheme::Tcp, asked, to: asked, until: None }
    };
    for number in 0..3 * KNOWN {
        known.keep(way(number));
        known.keep(way(0));
    }
    assert_eq!(known.0.len(), KNOWN);
    assert!(known.0.contains(&way(0)) && known.0.contains(&way(3 * KNOWN - 1)) && !known.0.contains(&way(1)));
}

#[tokio::test]
async fn of_one_name_so_many_ports_are_looked_up() {
    let allowed: Vec<_> = (1..=100).map(|port| format!("tcp://a.example:{port}")).collect();
    let session = session(some_names(), &allowed.iter().map(String::as_str).collect::<Vec<_>>());
    addresses(&session, "a.example").await.unwrap();
    let open: Vec<_> = (1..=100)
        .filter(|port| session.lets_connect(Scheme::Tcp, SocketAddr::new([203, 0, 113, 7].into(), *port)))
        .collect();
    assert_eq!(open, (1..=16).collect::<Vec<u16>>());
}

#[tokio::test]
async fn an_address_that_is_vouched_for_is_good_for_a_minute() {
    let session = session(some_names(), &["tcp://db.shop:5432", "tcp://a.example:5432"]);
    addresses(&session, "db.shop").await.unwrap();
    addresses(&session, "a.example").await.unwrap();
    let ways = session.known().0.clone();
    let left: Vec<_> = ways.iter().filter_map(|way| way.until).map(|until| until - Instant::now()).collect();
    assert_eq!((left.len(), ways.len()), (2, 4), "of an address that is anybody's it is for good");
    assert!(left.iter().all(|left| (30..=60).contains(&left.as_secs())), "{left:?}");
    for way in &mut session.known().0 {
        way.until = way.until.map(|_| Instant::now());
    }
    assert!(!session.lets_connect(Scheme::Tcp, at("10.0.0.1:15432")));
    assert_eq!(session.leads_to(Scheme::Tcp, at("10.0.0.1:5432")), None);
    assert!(session.lets_connect(Scheme::Tcp, at("203.0.113.7:5432")));
    addresses(&session, "db.shop").await.unwrap();
    assert!(session.lets_connect(Scheme::Tcp, at("10.0.0.1:15432")));
}

#[tokio::test]
async fn what_is_named_itself_leads_to_itself() {
    let session = session(some_names(), &["tcp://db.shop:5432", "tcp://10.0.0.1:5432"]);
    addresses(&session, "db.shop").await.unwrap();
    assert_eq!(session.leads_to(Scheme::Tcp, at("10.0.0.1:5432")), None);
    assert!(session.lets_connect(Scheme::Tcp, at("10.0.0.1:5432")));
}

#[tokio::test]
async fn a_name_with_a_thousand_addresses_has_a_few() {
    let all: Vec<String> = (0..1000).map(|last| format!("203.0.{}.{}", 100 + last / 250, last % 250)).collect();
    let all: Vec<&'static str> = all.into_iter().map(|address| &*address.leak()).collect();
    let session = session(Names::of(&[("many.example", &[&all])]), &["tcp://many.example:80"]);
    assert_eq!(addresses(&session, "many.example").await.unwrap(), all[..8]);
}

#[test]
fn all_guests_share_the_sockets_of_the_node_but_for_four_of_each() {
    let client = Client::new(None, some_names(), Egress::default(), 10).unwrap();
    let [one, two] = [(); 2].map(|()| client.session(HttpAccess::default()));
    let taken: Vec<_> = std::iter::from_fn(|| one.take_socket()).take(100).collect();
    assert_eq!(taken.len(), 14);
    let few: Vec<_> = std::iter::from_fn(|| two.take_socket()).take(100).collect();
    assert_eq!(few.len(), 4);
    drop(taken);
    assert!(two.take_socket().is_some());
}

#[test]
fn what_others_have_opened_is_under_way_and_counts_as_any_socket() {
    let access = HttpAccess { max_concurrent_requests: 3.try_into().unwrap(), ..HttpAccess::default() };
    let session = Client::new(None, some_names(), Egress::default(), usize::MAX).unwrap().session(access);
    let _own = session.take_socket().unwrap();
    assert_eq!(session.under_way(), 0);
    let accepted = [(); 2].map(|()| session.take_accepted().unwrap());
    assert!(session.take_accepted().is_none());
    assert_eq!(session.under_way(), 2);
    drop(accepted);
    assert_eq!(session.under_way(), 0);
    assert!(session.take_accepted().is_some());
}

#[test]
fn sockets_are_as_many_as_requests() {
    let session = session(some_names(), &["tcp://a.example:1"]);
    let held: Vec<_> = (0..50).map(|_| session.take_socket().unwrap()).collect();
    assert!(session.take_socket().is_none());
    drop(held);
    assert!(session.take_socket().is_some());
    let access = HttpAccess { max_concurrent_requests: 1000.try_into().unwrap(), ..HttpAccess::default() };
    let session = Client::new(None, some_names(), Egress::default(), usize::MAX).unwrap().session(access);
    assert_eq!(std::iter::from_fn(|| session.take_socket()).take(1000).collect::<Vec<_>>().len(), 128);
}
