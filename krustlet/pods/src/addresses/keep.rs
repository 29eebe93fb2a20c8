//! Asks for the routes of the pods' addresses, and tells when they are there.

use std::convert::Infallible;
use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use krustlet_api::patience::Patience;
use krustlet_api::{WATCH_SECONDS, WATCH_SILENCE};
use krustlet_host::files;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::range::Range;
use super::routes::{Nodes, range_in};
use super::{Addresses, KeepError, NoAddress};

/// How often it is looked whether the routes are there.
const PAUSE: Duration = Duration::from_millis(100);
/// When it is tried again to ask for what could not be written.
const AGAIN: Duration = Duration::from_secs(5);
/// After so many times it is told that they are not.
const PATIENT: u32 = 50;

/// Asks by this file for the routes of the pods of that node, of which `addresses` hears when they are there. Never ends, but with an
/// error: an agent that has given addresses of a range that is the node's no longer must begin anew.
pub async fn keep(
    addresses: &Addresses,
    client: Client,
    node_name: &str,
    file: &Path,
) -> Result<Infallible, KeepError> {
    let before = files::read_optional(file).map_err(|error| KeepError::File(file.into(), error))?;
    let before = before.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    // Whoever makes them has made these by now: nothing waits for the API server.
    let (range, known) = watch::channel(range_in(&before));
    tokio::select! {
        error = follow(addresses, client, node_name, file, before, &range) => error,
        never = look(addresses, known) => match never {},
    }
}

/// Follows the nodes of the cluster, and asks for what they come to.
async fn follow(
    addresses: &Addresses,
    client: Client,
    node_name: &str,
    file: &Path,
    mut asked: String,
    range: &watch::Sender<Option<Range>>,
) -> Result<Infallible, KeepError> {
    let api: Api<Node> = Api::all(client);
    let selection = watcher::Config::default().timeout(WATCH_SECONDS);
    let begin = || watcher(api.clone(), selection.clone()).backoff(Patience::default()).boxed();
    let (mut news, mut nodes, mut listing) = (begin(), Nodes::default(), Nodes::default());
    let mut unwritten = false;
    loop {
        match timeout(if unwritten { AGAIN } else { WATCH_SILENCE }, news.next()).await {
            Err(_) if unwritten => {}
            Err(_) | Ok(None) => {
                news = begin();
                continue;
            }
            Ok(Some(Err(error))) => {
                addresses.lack(NoAddress::Unlisted(error.to_string()));
                tracing::warn!("the watch on nodes was interrupted: {error}");
                continue;
            }
            Ok(Some(Ok(watcher::Event::Init))) => {
                listing = Nodes::default();
                continue;
            }
            Ok(Some(Ok(watcher::Event::InitApply(node)))) => {
                listing.apply(&node);
                continue;
            }
            Ok(Some(Ok(watcher::Event::InitDone))) => nodes = std::mem::take(&mut listing),
            Ok(Some(Ok(watcher::Event::Apply(node)))) => nodes.apply(&node),
            Ok(Some(Ok(watcher::Event::Delete(node)))) => nodes.remove(&node),
        }
        let (now, text) = match nodes.wanted(node_name) {
            Ok(wanted) => wanted,
            Err(why) => {
                addresses.lack(why);
                continue;
            }
        };
        if text != asked {
            let (file, bytes) = (file.to_owned(), text.clone().into_bytes());
            let written = tokio::task::spawn_blocking(move || files::write_private(&file, &bytes)).await;
            // A full disk is for others to mend, whom the end of this agent would keep from it.
            if let Err(error) = written.map_err(io::Error::other).flatten() {
                let why = NoAddress::NotAsked(error.to_string());
                tracing::warn!("{why}");
                addresses.lack(why);
                unwritten = true;
                continue;
            }
            asked = text;
        }
        unwritten = false;
        if addresses.range().is_some_and(|given| given != now) {
            return Err(KeepError::OtherRange(now.to_string()));
        }
        range.send_if_modified(|known| known.replace(now) != Some(now));
    }
}

/// Looks for the routes until they are there.
async fn look(addresses: &Addresses, mut range: watch::Receiver<Option<Range>>) -> Infallible {
    let mut times = 0;
    loop {
        let wanted = *range.borrow_and_update();
        match wanted {
            Some(range) if is_own(range) => {
                tracing::info!("pods that serve have addresses of {range}");
                addresses.tell(range);
                std::future::pending::<()>().await;
            }
            Some(range) if times == PATIENT => {
                tracing::warn!(
                    "the addresses of the node's pod range {range} are not this machine's: see what keeps its routes"
                );
                addresses.lack(NoAddress::NotMade(range));
            }
            _ => {}
        }
        times += u32::from(wanted.is_some() && times <= PATIENT);
        tokio::select! {
            changed = range.changed() => if changed.is_ok() { times = 0 } else { sleep(PAUSE).await },
            () = sleep(PAUSE) => {}
        }
    }
}

/// Whether its addresses are this machine's: then, and only then, one can be bound.
fn is_own(range: Range) -> bool {
    UdpSocket::bind((range.one(), 0)).is_ok()
}

impl Addresses {
    fn range(&self) -> Option<Range> {
        self.0.range.borrow().as_ref().ok().copied()
    }

    pub(super) fn tell(&self, range: Range) {
        self.0.range.send_modify(|known| *known = Ok(range));
    }

    /// There is no range yet, and that is why. What is there stays.
    fn lack(&self, why: NoAddress) {
        self.0.range.send_if_modified(|known| {
            known.is_err() && {
                *known = Err(Some(why));
                true
            }
        });
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
