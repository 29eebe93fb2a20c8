//! Guests that listen, and who comes to them.

use krustlet_runtime::{Lease, Leases};
use tokio::time::sleep;

use super::*;

/// A port of loopback that nobody has, and how a guest is let listen there.
fn free() -> (SocketAddr, HttpAccess) {
    free_of([127, 0, 0, 1].into())
}

fn free_of(address: IpAddr) -> (SocketAddr, HttpAccess) {
    let at = std::net::TcpListener::bind((address, 0)).unwrap().local_addr().unwrap();
    (at, HttpAccess { listens: vec![at], ..HttpAccess::default() })
}

/// Connects as soon as somebody listens there.
async fn reach(at: SocketAddr) -> TcpStream {
    let connected = async {
        loop {
            match TcpStream::connect(at).await {
                Ok(stream) => return stream,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(LONG, connected).await.unwrap()
}

async fn says(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn a_guest_listens_where_it_may_and_answers_whoever_comes() {
    let world = World::new().await;
    for program in &world.programs {
        for any in [true, false] {
            let (at, access) = free();
            let named = if any { format!("0.0.0.0:{}", at.port()) } else { at.to_string() };
            let (guest, sink) = world.start(program, access, &["listen", &named, "3"]);
            for text in ["one", "two", "three"] {
                assert_eq!(says(&mut reach(at).await, text).await, text.to_uppercase());
            }
            assert_eq!(timeout(LONG, guest.wait()).await.unwrap(), exited(0));
            // It hears where it really is.
            assert_eq!(sink.text().trim_end(), format!("listened at {at}"));
            assert_eq!(guest.under_way(), 0);
            assert!(!guest.listens(at));
        }
    }
}

#[tokio::test]
async fn a_guest_listens_nowhere_else() {
    let world = World::new().await;
    let (at, access) = free();
    let other = SocketAddr::from(([127, 0, 0, 2], at.port())).to_string();
    let (next, _) = free();
    for address in ["0.0.0.0:0", &other, &next.to_string(), &format!("0.0.0.0:{}", next.port())] {
        assert_eq!(world.ask_with(access.clone(), &["listen", address, "1"]).await, DENIED, "{address}");
    }
    assert_eq!(world.ask_one(&world.programs[1], access.clone(), &["listen-unbound"]).await, DENIED);
    // To listen is not to connect.
    assert_eq!(world.ask_with(access.clone(), &["tcp", &world.tcp.to_string(), "hello"]).await, DENIED);
    assert_eq!(world.ask_with(access, &["udp", &world.udp.to_string(), "hello"]).await, DENIED);
}

#[tokio::test]
async fn connections_that_come_in_are_bounded_and_the_others_are_closed() {
    let world = World::new().await;
    for program in &world.programs {
        let (at, mut access) = free();
        // One of them listens.
        access.max_concurrent_requests = NonZeroUsize::new(4).unwrap();
        let (guest, _) = world.start(program, access, &["keep", &at.to_string()]);
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut stream = reach(at).await;
            assert_eq!(timeout(LONG, stream.read_u8()).await.unwrap().unwrap(), b'k');
            kept.push(stream);
        }
        assert_eq!(guest.under_way(), 3);
        assert!(guest.listens(at));
        for _ in 0..10 {
            let mut stream = reach(at).await;
            let ended = timeout(LONG, stream.read(&mut [0])).await.unwrap();
            assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        }
        // One that goes makes no room as long as the guest keeps it: it is the guest's.
        assert_eq!(guest.under_way(), 3);
        guest.stop();
        for stream in &mut kept {
            let ended = timeout(LONG, stream.read(&mut [0])).await.unwrap();
            assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        }
        guest.wait().await;
        assert!(!guest.listens(at));
        assert_eq!(guest.under_way(), 0);
        TcpStream::connect(at).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_place_is_free_for_the_next_listener_at_once() {
    let world = World::new().await;
    for program in &world.programs {
        let (at, access) = free();
        for _ in 0..2 {
            let (guest, sink) = world.start(program, access.clone(), &["listen-again", &at.to_string()]);
            // Whoever comes while the first one goes is sent away with it.
            let mut answers = 0;
            while answers < 2 {
                let mut answer = String::new();
                let heard = timeout(LONG, async { reach(at).await.read_to_string(&mut answer).await }).await.unwrap();
                if heard.is_ok() && !answer.is_empty() {
                    assert_eq!(answer, "again");
                    answers += 1;
                }
            }
            assert_eq!(timeout(LONG, guest.wait()).await.unwrap(), exited(0), "{}", sink.text());
        }
    }
}

/// Ports that are somebody else's, or that count who has them.
#[derive(Debug, Default)]
struct Owner {
    taken: bool,
    held: Arc<()>,
}

impl Leases for Owner {
    fn take(&self, at: SocketAddr) -> Result<Lease, String> {
        if self.taken { Err(format!("{at} is another's")) } else { Ok(Box::new(self.held.clone())) }
    }
}

#[tokio::test]
async fn a_port_is_the_guests_while_its_socket_is_open() {
    let world = World::new().await;
    let (at, mut access) = free();
    access.leases = Some(Arc::new(Owner { taken: true, ..Owner::default() }));
    let said = world.ask_each(access.clone(), &["listen", &at.to_string(), "1"]).await;
    assert_eq!(said, ["error AddrInUse", "error ErrorCode::AddressInUse"]);
    for program in &world.programs {
        let owner = Arc::new(Owner::default());
        access.leases = Some(owner.clone());
        let (guest, _) = world.start(program, access.clone(), &["listen", &at.to_string(), "1"]);
        let stream = reach(at).await;
        assert_eq!(Arc::strong_count(&owner.held), 2);
        assert_eq!(says(&mut { stream }, "hello").await, "HELLO");
        guest.wait().await;
        assert_eq!(Arc::strong_count(&owner.held), 1);
    }
}

#[tokio::test]
async fn a_listener_counts_until_its_stream_has_ended() {
    let world = World::new().await;
    let ports = [free().0, free().0, free().0];
    let mut access = HttpAccess { listens: ports.to_vec(), ..HttpAccess::default() };
    access.max_concurrent_requests = NonZeroUsize::new(2).unwrap();
    let [one, two, three] = ports.map(|port| port.to_string());
    let said = world.ask_one(&world.programs[1], access, &["listen-drop", &one, &two, &three]).await;
    assert_eq!(said, "2 error ErrorCode::Other(Some(\"it has as many sockets as it may have\"))");
}

/// What a guest of WASI 0.3 says at last that may have so many sockets, and whose clients do as `come` says.
async fn counted(words: &[&str], most: usize, come: impl AsyncFnOnce(&Container, SocketAddr)) -> String {
    let world = World::new().await;
    let (at, mut access) = free();
    access.max_concurrent_requests = NonZeroUsize::new(most).unwrap();
    let address = at.to_string();
    let words: Vec<_> = words.iter().map(|word| if *word == "AT" { &address } else { *word }).collect();
    let (guest, sink) = world.start(&world.programs[1], access, &words);
    come(&guest, at).await;
    let status = timeout(LONG, guest.wait()).await.unwrap_or_else(|_| panic!("{words:?}: {}", sink.text()));
    assert_eq!(status, exited(0), "{words:?}: {}", sink.text());
    assert_eq!(guest.under_way(), 0);
    sink.text().trim_end().trim_end_matches(&format!(" {TOO_MANY}")).to_owned()
}

const TOO_MANY: &str = "ErrorCode::Other(Some(\"it has as many sockets as it may have\"))";

#[tokio::test]
async fn a_listener_that_is_given_back_makes_room_at_once() {
    assert_eq!(counted(&["listen-often", "AT", "5"], 2, async |_, _| {}).await, "2");
}

/// So many clients come, one after the other. One that is taken goes with the guest; one that came when the listener was being closed comes
/// again.
async fn clients(at: SocketAddr, count: usize) {
    for _ in 0..count {
        tokio::spawn(async move {
            loop {
                let mut stream = reach(at).await;
                let _ = stream.read(&mut [0]).await;
            }
        });
        sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn a_listener_makes_room_for_the_next_one_beside_its_connections() {
    let come = async |_: &Container, at| clients(at, 3).await;
    assert_eq!(counted(&["listen-keep", "AT", "3"], 5, come).await, "1");
}

#[tokio::test]
async fn a_connection_keeps_its_place_though_another_one_that_came_in_there_later_is_closed() {
    let come = async |_: &Container, at| clients(at, 4).await;
    assert_eq!(counted(&["listen-by-turns", "AT", "2"], 6, come).await, "4");
}

#[tokio::test]
async fn a_connection_that_the_guest_does_not_take_makes_room() {
    let come = async |guest: &Container, at| {
        let came = async {
            while guest.status().is_none() {
                let _ = TcpStream::connect(at).await;
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, came).await.unwrap();
    };
    assert_eq!(counted(&["listen-ready", "AT", "3"], 4, come).await, "4");
}

/// What listens there, as this process has it.
fn listener(at: SocketAddr) -> std::net::TcpStream {
    let me = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap();
    let mut files = std::fs::read_dir("/proc/self/fd").unwrap();
    let found = files.find_map(|file| {
        let number = file.unwrap().file_name().to_str()?.parse().ok()?;
        let copy = rustix::process::pidfd_getfd(&me, number, rustix::process::PidfdGetfdFlags::empty()).ok()?;
        let socket = std::net::TcpStream::from(copy);
        (socket.local_addr().ok() == Some(at) && socket.peer_addr().is_err()).then_some(socket)
    });
    found.unwrap()
}

#[tokio::test]
async fn what_could_not_be_accepted_takes_no_place_and_gives_none_back() {
    let come = async |guest: &Container, at| {
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(reach(at).await);
        }
        let came = async {
            while guest.under_way() < 3 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, came).await.unwrap();
        // What it accepts from now on is an error of the system's.
        listener(at).shutdown(std::net::Shutdown::Both).unwrap();
        tokio::spawn(async move { clients[0].read(&mut [0]).await });
    };
    assert_eq!(counted(&["accept-failing", "AT", "3"], 6, come).await, "2");
}

#[tokio::test]
async fn only_what_others_have_begun_is_under_way() {
    let world = World::new().await;
    let (at, access) = free();
    let own = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (there, target) = (own.local_addr().unwrap().to_string(), at.to_string());
    for program in &world.programs {
        let access = HttpAccess { listens: access.listens.clone(), ..world.access(&[&format!("tcp://{there}")]) };
        let (guest, _) = world.start(program, access, &["relay", &there, &target]);
        let (_kept, _) = timeout(LONG, own.accept()).await.unwrap().unwrap();
        let mut client = reach(at).await;
        assert_eq!(timeout(LONG, client.read_u8()).await.unwrap().unwrap(), b'k');
        assert_eq!(guest.under_way(), 1, "its own socket is open still");
        client.shutdown().await.unwrap();
        let gone = async {
            while guest.under_way() > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, gone).await.expect("what is its own is not waited for");
        assert_eq!(guest.status(), None);
        guest.stop();
        guest.wait().await;
    }
}

#[tokio::test]
async fn a_guest_with_few_handles_has_few_sockets() {
    let world = World::new().await;
    let (at, access) = free();
    for program in &world.programs {
        let mut spec = RunSpec::new(Arc::new(Memory::default()));
        spec.args = args(&["keep", &at.to_string()]);
        spec.http = access.clone();
        spec.open_resources = 64;
        let guest = world.engine.start(program, spec).unwrap();
        let mut streams = Vec::new();
        for _ in 0..40 {
            let mut stream = reach(at).await;
            // With a word of the guest's, or without.
            let _ = timeout(LONG, stream.read(&mut [0])).await.unwrap();
            streams.push(stream);
        }
        assert_eq!(guest.status(), None, "it was not ended by its clients");
        assert_eq!(guest.under_way(), 7);
        guest.stop();
        guest.wait().await;
    }
}

#[tokio::test]
async fn guests_reach_each_other_where_one_listens() {
    // An address of this machine, which is closed to its guests; a machine without a network has none.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(own) = socket.connect("203.0.113.7:9").and_then(|()| socket.local_addr()) else { return };
    let world = World::with(Egress::default()).await;
    let (at, listens) = free_of(own.ip());
    let connects = world.access(&[&format!("tcp://{at}")]);
    assert_eq!(world.ask_with(connects.clone(), &["tcp", &at.to_string(), "hello"]).await, DENIED, "nobody listens");
    for program in &world.programs {
        let (guest, _) = world.start(program, listens.clone(), &["listen", &at.to_string(), "2"]);
        let listening = async {
            while !guest.listens(at) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, listening).await.unwrap();
        let (other, _) = world.start(program, listens.clone(), &["listen", &at.to_string(), "1"]);
        assert_eq!(other.wait().await, exited(0));
        assert!(!other.listens(at), "it is the first one that does");
        assert_eq!(world.ask_with(connects.clone(), &["tcp", &at.to_string(), "hello"]).await, "HELLO");
        assert_eq!(timeout(LONG, guest.wait()).await.unwrap(), exited(0));
        assert_eq!(world.ask_with(connects.clone(), &["tcp", &at.to_string(), "hello"]).await, DENIED, "it is gone");
    }
}
