//! What a worker waits for beside its containers: volumes that are to be ready, and what may help one that could not be started.

use std::sync::Arc;
use std::time::Duration;

use krustlet_core::lifecycle::backoff;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::containers::slot::News;
use crate::resources::Resources;

/// How soon after a failure a container is tried again, if what it waits for has changed; volumes are sooner.
pub const HOPE: Duration = Duration::from_secs(1);

/// Makes the volumes of a pod ready, and keeps them so.
pub async fn tend(resources: Arc<Resources>, news: mpsc::UnboundedSender<News>) {
    let mut failures = 0;
    // Boxed, so that its memory goes with it: the rest takes as long as the pod. A worker that is gone wants no news, here and below.
    while let Err(error) = Box::pin(resources.mount()).await {
        let _ = news.send(News::Mounted(Err(error)));
        let _ = timeout(backoff::mount_pause(failures), hope(resources.clone(), None, HOPE / 4)).await;
        failures += 1;
    }
    let _ = news.send(News::Mounted(Ok(())));
    let _ = news.send(News::Evict(resources.keep().await));
}

/// Returns when what the pod's spec refers to has changed, or a port has become free, but not at once: an object that changes all the time is no reason to try all
/// the time.
pub async fn hope(resources: Arc<Resources>, freed: Option<&mut watch::Receiver<()>>, pause: Duration) {
    sleep(pause).await;
    let port = async {
        let heard = match freed {
            Some(freed) => freed.changed().await.is_ok(),
            None => false,
        };
        if !heard {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = resources.changed() => {}
        () = port => {}
    }
}
