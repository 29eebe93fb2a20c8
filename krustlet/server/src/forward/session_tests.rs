use std::sync::Mutex;

use tokio::io::DuplexStream;
use tokio::net::TcpListener;

use super::super::headers::{SENT, empty_block};
use super::*;

/// A client of a session, and what it hears.
struct Client {
    connection: DuplexStream,
    session: JoinHandle<io::Result<()>>,
    asked: Arc<Mutex<Vec<u16>>>,
}

impl Client {
    fn of(places: usize, answer: Result<SocketAddr, String>) -> Self {
        Self::within(Arc::new(Semaphore::new(places)), answer)
    }

    fn within(places: Arc<Semaphore>, answer: Result<SocketAddr, String>) -> Self {
        let (connection, other) = tokio::io::duplex(1 << 20);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let find = Box::new(move |port| {
            heard.lock().unwrap().push(port);
            answer.clone()
        });
        let session = tokio::spawn(serve(other, places, find));
        Self { connection, session, asked }
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.connection.write_all(bytes).await.unwrap();
    }

    /// A stream with a block of headers as a client compressed it.
    async fn open(&mut self, stream: u32, block: &[u8]) {
        let length = u32::try_from(10 + block.len()).unwrap();
        let head = [&[0x80, 3, 0, 1][..], &length.to_be_bytes(), &stream.to_be_bytes(), &[0; 6]].concat();
        self.say(&[&head, block].concat()).await;
    }

    /// The next frame's stream, whether it is its last, and what it says: `reply`, `reset` and why, or data.
    async fn hear(&mut self) -> (u32, bool, Vec<u8>) {
        let mut head = [0; 8];
        self.connection.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]);
        let mut bytes = vec![0; length as usize];
        self.connection.read_exact(&mut bytes).await.unwrap();
        if head[0] & 0x80 == 0 {
            return (u32::from_be_bytes([head[0], head[1], head[2], head[3]]), head[4] == 1, bytes);
        }
        let stream = u32::from_be_bytes(*bytes.first_chunk().unwrap());
        let word = match head[3] {
            2 => b"reply".to_vec(),
            3 => [b"reset ", &bytes[7..8]].concat(),
            6 => b"ping".to_vec(),
            _ => panic!("a frame of kind {}", head[3]),
        };
        (stream, false, word)
    }

    async fn open_both(&mut self) {
        for (stream, block) in [1, 3].into_iter().zip(SENT) {
            self.open(stream, block).await;
            assert_eq!(self.hear().await, (stream, false, b"reply".into()));
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_pod_has_ended_is_let_go_while_the_client_says_nothing_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = Client::of(1, Ok(address));
    client.open_both().await;
    // It ends what it says, and hears on.
    let (mut pod, _) = listener.accept().await.unwrap();
    pod.shutdown().await.unwrap();
    assert_eq!(client.hear().await, (3, true, vec![]));
    assert_eq!(client.hear().await, (1, true, vec![]));
    loop {
        client.say(&frames::ping(9)).await;
        assert_eq!(client.hear().await, (9, false, b"ping".into()));
        let mut nothing = [0; 1];
        if let Ok(read) = timeout(Duration::from_millis(20), pod.read(&mut nothing)).await {
            assert_eq!(read.unwrap(), 0);
            break;
        }
    }
}

/// A pod that answers what it gets with the same in capitals, to the end.
async fn pod() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut piece = [0; 1000];
                while let Ok(read @ 1..) = connection.read(&mut piece).await {
                    connection.write_all(&piece[..read].to_ascii_uppercase()).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn what_is_said_on_a_stream_is_said_to_the_pod_and_back() {
    let mut client = Client::of(1, Ok(pod().await));
    client.open_both().await;
    assert_eq!(*client.asked.lock().unwrap(), [8080]);
    client.say(&frames::data(3, false, b"hello")).await;
    assert_eq!(client.hear().await, (3, false, b"HELLO".into()));
    client.say(&frames::ping(9)).await;
    assert_eq!(client.hear().await, (9, false, b"ping".into()));
    // The end of what is said is passed on, in both directions, and nothing was wrong.
    client.say(&frames::data(3, true, b"")).await;
    assert_eq!(client.hear().await, (3, true, vec![]));
    assert_eq!(client.hear().await, (1, true, vec![]));
    drop(client.connection);
    client.session.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_wants_no_more_still_hears_that_nothing_was_wrong() {
    let mut client = Client::of(1, Ok(pod().await));
    client.open_both().await;
    client.say(&frames::reset(3, Reset::Cancel)).await;
    assert_eq!(client.hear().await, (1, true, vec![]));
}

#[tokio::test]
async fn a_port_that_nobody_has_is_said_on_the_other_stream() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (answer, places, wanted) in [
        (Err("pod \"p\" listens on 80 alone".into()), 1, "port 8080: pod \"p\" listens on 80 alone"),
        (Ok(nobody), 1, "does not take a connection"),
        (Ok(pod().await), 0, "too many connections"),
    ] {
        let mut client = Client::of(places, answer);
        client.open_both().await;
        let (stream, fin, said) = client.hear().await;
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(wanted), "{said}, not {wanted}");
        assert_eq!((stream, fin), (1, true));
        assert_eq!(client.hear().await, (3, false, b"reset \x05".into()));
        assert!(!client.session.is_finished());
    }
}

#[tokio::test]
async fn a_place_is_free_when_its_connection_has_ended() {
    let places = Arc::new(Semaphore::new(1));
    let mut client = Client::within(places.clone(), Ok(pod().await));
    client.open_both().await;
    while places.available_permits() == 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(client.connection);
    client.session.await.unwrap().unwrap();
    while places.available_permits() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_not_as_agreed_ends_the_stream_or_the_connection() {
    let mut client = Client::of(1, Ok(pod().await));
    // Without a port.
    client.open(1, &empty_block(true)).await;
    assert_eq!(client.hear().await, (1, false, b"reset \x01".into()));
    // Of a stream that was never opened.
    client.say(&frames::data(7, false, b"")).await;
    assert_eq!(client.hear().await, (7, false, b"reset \x02".into()));
    // A number that was used before.
    client.open(1, &empty_block(false)).await;
    let error = client.session.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not its own"), "{error}");
}

#[test]
fn what_a_stream_is_for() {
    let headers =
        |all: &[(&str, &str)]| all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let wanted = |request: &str, carries| Ok(Wanted { request: request.into(), port: 80, carries });
    let table: [(u32, Headers, Result<Wanted, ()>); 6] = [
        (5, headers(&[("port", "80"), ("streamtype", "data"), ("requestid", "7")]), wanted("7", true)),
        (5, headers(&[("port", "80"), ("streamtype", "error")]), wanted("5", false)),
        (7, headers(&[("port", "80"), ("streamtype", "data")]), wanted("5", true)),
        (5, headers(&[("port", "0"), ("streamtype", "data")]), Err(())),
        (5, headers(&[("port", "65536"), ("streamtype", "data")]), Err(())),
        (5, headers(&[("port", "80"), ("streamtype", "other")]), Err(())),
    ];
    for (stream, headers, wanted) in table {
        assert_eq!(Wanted::read(stream, &headers), wanted, "{headers:?}");
    }
}
