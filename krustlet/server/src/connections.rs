//! How many connections the port holds at once. Before anybody has shown a certificate there are few of them, and the oldest makes
//! room for the newest: whoever opens thousands ends nobody's but those of strangers, and takes no descriptors that containers need.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use krustlet_host::files;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What the port allows its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections without a certificate of the cluster's authority, those included whose handshake is under way.
    pub strangers: usize,
    /// Connections with one.
    pub known: usize,
    /// How long a client may take for the head of a request, from the beginning of the connection or the end of the answer before.
    pub idle: Duration,
}

impl Limits {
    const MOST: Self = Self { strangers: 128, known: 512, idle: Duration::from_secs(30) };

    /// For this process: at most an eighth of the files that it may open are connections.
    pub fn here() -> Self {
        Self::of(files::open_files_limit())
    }

    fn of(open_files: Option<u64>) -> Self {
        let share = |part: u64, most: usize| {
            let files = open_files.and_then(|files| usize::try_from(files / part).ok());
            files.map_or(most, |files| files.clamp(1, most))
        };
        Self { strangers: share(40, Self::MOST.strangers), known: share(10, Self::MOST.known), ..Self::MOST }
    }
}

/// The connections that there are. Clones are the same.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most_strangers: usize,
    next: AtomicU64,
    /// In the order in which they came. To drop what is held here ends the connection.
    strangers: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    known: Arc<Semaphore>,
}

impl Connections {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            most_strangers: limits.strangers,
            next: AtomicU64::new(0),
            strangers: Mutex::default(),
            known: Arc::new(Semaphore::new(limits.known)),
        }))
    }

    /// Somebody has come; the stranger who came first goes, if there are too many.
    pub fn arrive(&self) -> Stranger {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (held, ended) = oneshot::channel();
        let mut strangers = self.strangers();
        strangers.insert(id, held);
        if strangers.len() > self.0.most_strangers {
            strangers.pop_first();
        }
        drop(strangers);
        Stranger { id, connections: self.clone(), ended, gone: false }
    }

    fn strangers(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who has shown no certificate.
#[derive(Debug)]
pub struct Stranger {
    id: u64,
    connections: Connections,
    ended: oneshot::Receiver<()>,
    gone: bool,
}

impl Stranger {
    /// Whether this one has to make room; whoever asks is woken when it has to.
    fn is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        self.gone = self.gone || self.ended.poll_unpin(cx).is_ready();
        self.gone
    }

    /// Returns when this one has to make room for another one. May be dropped and called again.
    pub async fn must_go(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.ended).await;
    }

    /// A certificate was shown.
    ///
    /// # Errors
    /// There are too many connections.
    pub fn introduce(self) -> io::Result<Known> {
        let place = self.connections.0.known.clone().try_acquire_owned();
        place.map(Known).map_err(|_| io::Error::other("too many connections to the node's port"))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.connections.strangers().remove(&self.id);
    }
}

/// Somebody who has shown a certificate of the cluster's authority.
#[derive(Debug)]
pub struct Known(#[expect(dead_code, reason = "it works by being dropped")] OwnedSemaphorePermit);

/// Whose connection it is.
#[derive(Debug)]
pub enum Client {
    /// See [`Stranger`].
    Stranger(Stranger),
    /// See [`Known`].
    Known(#[expect(dead_code, reason = "it works by being dropped")] Known),
}

/// A connection that counts for as long as it is open, and breaks when it has to make room.
#[derive(Debug)]
pub struct Counted<S> {
    /// What carries its bytes.
    pub stream: S,
    /// Whose it is.
    pub client: Client,
}

impl<S> Counted<S> {
    /// An error once the client has to make room, at whatever it does: one that reads nothing is never read from.
    fn look(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Client::Stranger(stranger) = &mut self.client
            && stranger.is_gone(cx)
        {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.look(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.look(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_open_files() {
        let table = [(None, 128, 512), (Some(1 << 20), 128, 512), (Some(1024), 25, 102), (Some(1), 1, 1)];
        for (files, strangers, known) in table {
            assert_eq!(Limits::of(files), Limits { strangers, known, ..Limits::MOST }, "{files:?}");
        }
    }

    #[tokio::test]
    async fn the_oldest_stranger_makes_room() {
        let connections = Connections::new(Limits { strangers: 2, known: 1, ..Limits::MOST });
        let [mut first, mut second, mut third] = std::array::from_fn(|_| connections.arrive());
        first.must_go().await;
        assert!(second.must_go().now_or_never().is_none() && third.must_go().now_or_never().is_none());
        // Who is known does not count among them, and keeps its place.
        let known = second.introduce().unwrap();
        let mut fourth = connections.arrive();
        assert!(third.must_go().now_or_never().is_none());
        assert!(connections.arrive().introduce().is_err());
        drop(known);
        third.must_go().await;
        assert!(fourth.must_go().now_or_never().is_none());
        drop(fourth);
        assert!(connections.arrive().introduce().is_ok());
        assert_eq!(connections.strangers().len(), 0);
    }
}
