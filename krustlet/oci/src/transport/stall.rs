//! Sending what may be large, for as long as it is taken and no longer.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream;
use reqwest::Body;

/// How much is handed over at once, in bytes.
const PIECE: usize = 64 * 1024;

/// How many pieces of a body were taken.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<AtomicUsize>);

/// A body that tells how far it got.
pub(crate) fn body(bytes: Arc<Vec<u8>>) -> (Body, Progress) {
    let progress = Progress::default();
    let taken = progress.0.clone();
    let pieces = (0..bytes.len().div_ceil(PIECE)).map(move |number| {
        taken.fetch_add(1, Ordering::Relaxed);
        let start = number * PIECE;
        Ok::<_, Infallible>(bytes[start..bytes.len().min(start + PIECE)].to_vec())
    });
    (Body::wrap_stream(stream::iter(pieces)), progress)
}

/// Waits for an answer as long as the body goes on; `None` when nothing was taken and nothing came for `limit`.
pub(crate) async fn watched<T>(answer: impl Future<Output = T>, progress: &Progress, limit: Duration) -> Option<T> {
    let mut answer = pin!(answer);
    let mut seen = progress.0.load(Ordering::Relaxed);
    loop {
        tokio::select! {
            answer = &mut answer => return Some(answer),
            () = tokio::time::sleep(limit) => {}
        }
        let now = progress.0.load(Ordering::Relaxed);
        if now == seen {
            return None;
        }
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_on_may_take_long_and_what_stands_still_may_not() {
        let progress = Progress::default();
        let slow = async {
            for _ in 0..15 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                progress.0.fetch_add(1, Ordering::Relaxed);
            }
            "done"
        };
        assert_eq!(watched(slow, &progress, Duration::from_secs(1)).await, Some("done"));
        let stuck = tokio::time::sleep(Duration::from_secs(20));
        assert_eq!(watched(stuck, &progress, Duration::from_millis(100)).await, None);
    }
}
