//! Fetching a module, on a line that others want, too.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use krustlet_core::lifecycle::not_started::{NotStarted, Reason};
use krustlet_oci::{Client, Found, Reference};
use tokio::io::{AsyncWrite, BufWriter};
use tokio::time::sleep;

use super::{Inner, Request, Wait, blocking, disk, pull};

/// What is written to disk at once, in bytes.
const WRITE_BYTES: usize = 256 * 1024;

/// How little may come of a module in such a time while others wait for its place; the slowest modem has sent more.
const LEAST_BYTES: u64 = 64 * 1024;
const LEAST_TIME: Duration = Duration::from_secs(30);

impl Inner {
    /// Fetches a module into the store. One that hardly comes gives its place to those who wait.
    pub(super) async fn fetch(
        &self,
        request: &Request<'_>,
        client: &Client,
        reference: &Reference,
        found: &Found,
    ) -> Result<(), NotStarted> {
        let _turn = self.downloads.turn_or(request.tenant, || request.waits(Wait::Fetching)).await;
        let store = self.store.clone();
        let make = move || {
            let incoming = store.incoming()?;
            let file = incoming.file.try_clone()?;
            Ok((incoming, file))
        };
        let (incoming, file) = blocking(make).await?.map_err(disk)?;
        let out = BufWriter::with_capacity(WRITE_BYTES, tokio::fs::File::from_std(file));
        let mut out = Counted { out, bytes: Arc::default() };
        let bytes = out.bytes.clone();
        let fetch = async { client.fetch(reference, found, &mut out).await.map_err(pull) };
        unless_slow(fetch, &bytes, || self.downloads.is_wanted_of(request.tenant), LEAST_TIME).await?;
        let (store, blob) = (self.store.clone(), found.module_digest.clone());
        blocking(move || store.keep(incoming, &blob)).await?.map_err(disk)
    }
}

/// Does the work, but no longer than it is wanted or goes on.
async fn unless_slow(
    work: impl Future<Output = Result<(), NotStarted>>,
    bytes: &AtomicU64,
    is_wanted: impl Fn() -> bool,
    time: Duration,
) -> Result<(), NotStarted> {
    let mut work = pin!(work);
    let mut before = 0;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(time) => {}
        }
        let now = bytes.load(Ordering::Relaxed);
        let came = now.saturating_sub(before);
        if came < LEAST_BYTES && is_wanted() {
            return Err(NotStarted::new(
                Reason::ErrImagePull,
                format!(
                    "the registry sends it too slowly, {came} bytes in {} s, and other pods wait for their images",
                    time.as_secs()
                ),
            ));
        }
        before = now;
    }
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: Arc<AtomicU64>,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Counted<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.out).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.bytes.fetch_add(*count as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.out).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.out).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    const TIME: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn what_hardly_comes_gives_way_to_those_who_wait_and_to_nobody_else() {
        let (bytes, wanted) = (AtomicU64::new(0), AtomicBool::new(false));
        let slow = async {
            sleep(TIME * 10).await;
            Ok(())
        };
        unless_slow(slow, &bytes, || wanted.load(Ordering::Relaxed), TIME).await.unwrap();
        wanted.store(true, Ordering::Relaxed);
        let error =
            unless_slow(std::future::pending(), &bytes, || wanted.load(Ordering::Relaxed), TIME).await.unwrap_err();
        assert!(error.to_string().starts_with("the registry sends it too slowly, 0 bytes in"), "{error}");
        let fast = async {
            for _ in 0..100 {
                bytes.fetch_add(LEAST_BYTES, Ordering::Relaxed);
                sleep(TIME / 10).await;
            }
            Ok(())
        };
        unless_slow(fast, &bytes, || wanted.load(Ordering::Relaxed), TIME).await.unwrap();
    }
}
