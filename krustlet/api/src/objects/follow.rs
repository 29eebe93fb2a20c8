//! A watch on one object.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use krustlet_core::content::Content;
use kube::Api;
use kube::Resource;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Seen;
use crate::patience::Patience;

/// The first pause after a failure. For a moment after a pod was bound the authorizer may not know yet that the node may read what
/// the pod refers to.
pub const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Pauses double up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tells `seen` of every change of the object's content. Never ends by itself. While the API server cannot be reached, what was
/// seen last stays.
pub async fn follow<K>(api: Api<K>, name: String, seen: watch::Sender<Seen>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    Content: From<K>,
{
    let selection = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut news = std::pin::pin!(watcher(api, selection));
    let mut pauses = Patience::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut listed = None;
    while let Some(event) = news.next().await {
        match event {
            // Comes before the request, so it says nothing of the connection.
            Ok(Event::Init) => listed = None,
            Ok(Event::InitApply(object)) => listed = Some(object),
            Ok(Event::InitDone) => {
                pauses.reset();
                set(&seen, listed.take());
            }
            Ok(Event::Apply(object)) => {
                pauses.reset();
                set(&seen, Some(object));
            }
            Ok(Event::Delete(_)) => set(&seen, None),
            Err(error) => {
                tracing::debug!(name, "the watch on an object was interrupted: {error}");
                seen.send_if_modified(|seen| match seen {
                    Seen::Unknown(why) => {
                        *why = Some(error.to_string());
                        // Nobody waits for this: it is read when the wait is over.
                        false
                    }
                    _ => false,
                });
                sleep(pauses.pause()).await;
            }
        }
    }
}

fn set<K>(seen: &watch::Sender<Seen>, object: Option<K>)
where
    Content: From<K>,
{
    let now = object.map_or(Seen::Absent, |object| Seen::Present(Arc::new(object.into())));
    // Metadata changes, and a listing after an interruption, are no news.
    seen.send_if_modified(|seen| {
        let changed = *seen != now;
        if changed {
            *seen = now;
        }
        changed
    });
}
