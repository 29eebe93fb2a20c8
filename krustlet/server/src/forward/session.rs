//! A connection of a client that forwards ports: two streams of it for each connection to the pod, one for what is carried and one for
//! what is said when that fails.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, split};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::frames::{self, Frame, Reset};
use super::headers::{HeaderReader, Headers, bad};

/// Connections to pods that one client may have at once.
const MOST: usize = 64;
/// A client that says nothing for so long has gone; `kubectl` says something every few seconds.
const SILENCE: Duration = Duration::from_secs(4 * 60 * 60);
/// How long the pod may take to accept a connection, and to take what came for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is read from the pod at a time.
const PIECE: usize = 32 << 10;
/// Frames that wait for a client that reads slowly.
const WAITING: usize = 8;

/// Where a port of the pod is at this moment, or why nowhere.
pub type Find = Box<dyn Fn(u16) -> Result<SocketAddr, String> + Send + Sync>;

/// A connection's place among all those of the node.
type Place = Arc<OwnedSemaphorePermit>;

/// Serves a client until it goes.
///
/// # Errors
/// What it says makes no sense, or the connection breaks.
pub async fn serve(
    connection: impl AsyncRead + AsyncWrite + Send + 'static,
    places: Arc<Semaphore>,
    find: Find,
) -> io::Result<()> {
    let (read, mut write) = split(connection);
    let (frames, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
    let writer = tokio::spawn(async move {
        while let Some(frame) = waiting.recv().await {
            write.write_all(&frame).await?;
            write.flush().await?;
        }
        write.shutdown().await
    });
    let mut session = Session { places, find, frames, replied: false, newest: 0, requests: BTreeMap::new() };
    let outcome = session.run(read).await;
    // The connections to the pod end with it, and then nobody writes any more.
    drop(session);
    writer.abort();
    outcome
}

/// What the streams of one connection to the pod are called.
#[derive(Clone, Copy, Debug)]
struct Streams {
    data: u32,
    error: u32,
}

/// A connection to the pod, from its first stream to its last word.
struct Request {
    port: u16,
    data: Option<u32>,
    error: Option<u32>,
    /// Where what comes for the pod goes; `None`: not yet, or no more. The place is free when nobody has the connection any more.
    pod: Option<(OwnedWriteHalf, Place)>,
    pump: Option<JoinHandle<()>>,
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(pump) = &self.pump {
            pump.abort();
        }
    }
}

struct Session {
    places: Arc<Semaphore>,
    find: Find,
    frames: mpsc::Sender<Vec<u8>>,
    /// Whether a stream was answered yet.
    replied: bool,
    /// The newest stream's number.
    newest: u32,
    requests: BTreeMap<String, Request>,
}

impl Session {
    async fn run<C: AsyncRead + AsyncWrite>(&mut self, mut read: ReadHalf<C>) -> io::Result<()> {
        let mut headers = HeaderReader::new();
        loop {
            let frame = timeout(SILENCE, frames::read(&mut read, &mut headers)).await??;
            self.let_go();
            match frame {
                None | Some(Frame::GoAway) => return Ok(()),
                Some(Frame::Open { stream, headers }) => self.open(stream, headers).await?,
                Some(Frame::Data { stream, fin, bytes }) => self.carry(stream, fin, &bytes).await?,
                Some(Frame::Reset { stream }) => self.forget(stream).await?,
                Some(Frame::Ping { id }) => self.send(frames::ping(id)).await?,
                Some(Frame::Other) => {}
            }
        }
    }

    async fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        // A client that does not read one of its streams takes nothing of the others meanwhile, which is no reason to end them.
        let sent = timeout(SILENCE, self.frames.send(frame)).await?;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Lets go of the connections that the pods have ended.
    fn let_go(&mut self) {
        for request in self.requests.values_mut() {
            if request.pump.as_ref().is_some_and(JoinHandle::is_finished) {
                request.pod = None;
            }
        }
    }

    async fn open(&mut self, stream: u32, headers: Headers) -> io::Result<()> {
        if stream <= self.newest || stream.is_multiple_of(2) {
            return Err(bad("a stream has a number that is not its own"));
        }
        self.newest = stream;
        self.requests.retain(|_, request| !request.is_over());
        let Ok(wanted) = Wanted::read(stream, &headers) else {
            return self.send(frames::reset(stream, Reset::ProtocolError)).await;
        };
        if self.requests.len() >= MOST && !self.requests.contains_key(&wanted.request) {
            return self.send(frames::reset(stream, Reset::Refused)).await;
        }
        let request = self.requests.entry(wanted.request.clone()).or_insert_with(|| Request::of(wanted.port));
        let place = if wanted.carries { &mut request.data } else { &mut request.error };
        if place.is_some() || request.port != wanted.port {
            return self.send(frames::reset(stream, Reset::ProtocolError)).await;
        }
        *place = Some(stream);
        self.send(frames::reply(stream, !self.replied)).await?;
        self.replied = true;
        self.connect(&wanted.request).await
    }

    /// Connects to the pod, once both streams are there.
    async fn connect(&mut self, name: &str) -> io::Result<()> {
        let Some(request) = self.requests.get_mut(name) else { return Ok(()) };
        let (Some(data), Some(error)) = (request.data, request.error) else { return Ok(()) };
        let streams = Streams { data, error };
        let place = self.places.clone().try_acquire_owned();
        let address = (self.find)(request.port);
        let connected = match (place, address) {
            (Err(_), _) => Err("too many connections are forwarded on this node".into()),
            (_, Err(why)) => Err(why),
            (Ok(place), Ok(address)) => match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(pod)) => Ok((pod, place)),
                Ok(Err(error)) => Err(format!("the pod does not take a connection: {error}")),
                Err(_) => Err(format!("the pod took no connection within {} s", PATIENCE.as_secs())),
            },
        };
        match connected {
            Ok((pod, place)) => {
                let (read, write) = pod.into_split();
                let place = Arc::new(place);
                request.pod = Some((write, place.clone()));
                request.pump = Some(tokio::spawn(pump(read, streams, self.frames.clone(), place)));
                Ok(())
            }
            Err(why) => {
                let said = format!("error forwarding port {}: {why}", request.port);
                self.requests.remove(name);
                self.send(frames::data(streams.error, true, said.as_bytes())).await?;
                self.send(frames::reset(streams.data, Reset::Cancel)).await
            }
        }
    }

    /// Gives the pod what came for it. What comes for the other stream has nobody who reads it.
    async fn carry(&mut self, stream: u32, fin: bool, bytes: &[u8]) -> io::Result<()> {
        if stream > self.newest || stream == 0 {
            return self.send(frames::reset(stream, Reset::InvalidStream)).await;
        }
        let Some((name, request)) = self.requests.iter_mut().find(|(_, request)| request.data == Some(stream)) else {
            return Ok(());
        };
        let Some((pod, _)) = &mut request.pod else { return Ok(()) };
        match timeout(PATIENCE, pod.write_all(bytes)).await {
            Ok(Ok(())) if !fin => Ok(()),
            // Its other half tells the client why, when the pod has ended the connection.
            Ok(_) => {
                request.pod = None;
                Ok(())
            }
            Err(_) => {
                let name = name.clone();
                let why = format!("error forwarding: the pod took nothing for {} s", PATIENCE.as_secs());
                self.end(&name, &why).await?;
                self.send(frames::reset(stream, Reset::Cancel)).await
            }
        }
    }

    /// The client wants nothing more of a stream. It waits for the end of the one that has the words, all the same.
    async fn forget(&mut self, stream: u32) -> io::Result<()> {
        let found = self.requests.iter().find(|(_, request)| request.data == Some(stream));
        match found.map(|(name, _)| name.clone()) {
            Some(name) => self.end(&name, "").await,
            None => Ok(()),
        }
    }

    /// Ends a request; the last word on it is this one, if none was said before.
    async fn end(&mut self, name: &str, said: &str) -> io::Result<()> {
        let Some(mut request) = self.requests.remove(name) else { return Ok(()) };
        let unsaid = match request.pump.take() {
            Some(pump) => {
                pump.abort();
                pump.await.is_err()
            }
            None => true,
        };
        match request.error {
            Some(error) if unsaid => self.send(frames::data(error, true, said.as_bytes())).await,
            _ => Ok(()),
        }
    }
}

impl Request {
    fn of(port: u16) -> Self {
        Self { port, data: None, error: None, pod: None, pump: None }
    }

    /// Whether both sides have said all.
    fn is_over(&self) -> bool {
        self.pod.is_none() && self.pump.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

/// Carries what the pod says to the client, to its end.
async fn pump(mut pod: OwnedReadHalf, streams: Streams, frames: mpsc::Sender<Vec<u8>>, place: Place) {
    let mut piece = vec![0; PIECE];
    let said = loop {
        match pod.read(&mut piece).await {
            Ok(0) => break String::new(),
            Ok(read) => {
                if frames.send(frames::data(streams.data, false, &piece[..read])).await.is_err() {
                    return;
                }
            }
            Err(error) => break format!("error forwarding: the pod ended the connection: {error}"),
        }
    };
    drop((pod, place));
    // The client has gone, if they cannot be sent.
    let _ = frames.send(frames::data(streams.data, true, b"")).await;
    let _ = frames.send(frames::data(streams.error, true, said.as_bytes())).await;
}

/// What a stream is for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    request: String,
    port: u16,
    carries: bool,
}

impl Wanted {
    /// Reads what the client says of a stream; an error says nothing, as nobody hears it.
    fn read(stream: u32, headers: &Headers) -> Result<Self, ()> {
        let get = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let port = get("port").and_then(|port| port.parse().ok()).filter(|port| *port != 0).ok_or(())?;
        let carries = match get("streamtype") {
            Some("data") => true,
            Some("error") => false,
            _ => return Err(()),
        };
        let request = match get("requestid") {
            Some(id) if !id.is_empty() => id.into(),
            // Clients before Kubernetes 1.2 open the stream for errors first, and number no requests.
            _ => if carries { stream.saturating_sub(2) } else { stream }.to_string(),
        };
        Ok(Self { request, port, carries })
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
