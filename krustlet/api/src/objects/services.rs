//! The services of the cluster, for the variables of pods and the requests of programs: one watch for the whole node.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1 as core;
use krustlet_core::env::{Service, is_told};
use kube::Api;
use kube::Client;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Unread;
use super::follow::FIRST_PAUSE;
use crate::WATCH_SECONDS;
use crate::patience::Patience;

/// Pauses after a failure double up to this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So often a refusal is asked again before it is believed.
const REFUSALS: u32 = 4;

type Services = BTreeMap<(String, String), Service>;

/// What is known of them.
enum Listed {
    /// No answer yet; what went wrong last.
    Unknown(Option<String>),
    /// These; none at all for a node that may not read them.
    Known(Services),
}

/// The watch. Ends when it is dropped.
pub struct Feed {
    listed: watch::Receiver<Listed>,
    task: AbortHandle,
}

impl Feed {
    /// Begins to watch.
    pub fn new(client: Client) -> Self {
        let (sender, listed) = watch::channel(Listed::Unknown(None));
        let task = tokio::spawn(follow(Api::all(client), sender));
        Self { listed, task: task.abort_handle() }
    }

    /// The services that a pod hears of. Waits for the first answer, as long as `limit`.
    ///
    /// # Errors
    /// There is none.
    pub async fn of(&self, namespace: &str, links: bool, limit: Duration) -> Result<Vec<Service>, Unread> {
        let told = |services: &Services| {
            let all = services.iter().filter(|((of, name), _)| is_told(namespace, links, of, name));
            all.map(|(_, service)| service.clone()).filter(|service| service.cluster_ip.is_some()).collect()
        };
        self.look(limit, told).await.map_err(Unread::Variables)
    }

    /// The service of this name, if there is one. Waits for the first answer, as long as `limit`.
    ///
    /// # Errors
    /// There is none.
    pub async fn named(&self, namespace: &str, name: &str, limit: Duration) -> Result<Option<Service>, Unread> {
        let key = (namespace.to_owned(), name.to_owned());
        self.look(limit, |services| services.get(&key).cloned()).await.map_err(Unread::Services)
    }

    /// Looks among them; else what was said last.
    async fn look<T>(&self, limit: Duration, look: impl FnOnce(&Services) -> T) -> Result<T, Option<String>> {
        let mut listed = self.listed.clone();
        if let Ok(Ok(listed)) = timeout(limit, listed.wait_for(|listed| matches!(listed, Listed::Known(_)))).await
            && let Listed::Known(services) = &*listed
        {
            return Ok(look(services));
        }
        match &*self.listed.borrow() {
            Listed::Unknown(why) => Err(why.clone()),
            Listed::Known(_) => Err(None),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(api: Api<core::Service>, listed: watch::Sender<Listed>) {
    let mut news = std::pin::pin!(watcher(api, watcher::Config::default().timeout(WATCH_SECONDS)));
    let mut coming = Services::new();
    let (mut pauses, mut refusals) = (Patience::new(FIRST_PAUSE, LONGEST_PAUSE), 0);
    while let Some(event) = news.next().await {
        match event {
            Ok(Event::Init) => coming.clear(),
            Ok(Event::InitApply(service)) => put(&mut coming, &service),
            Ok(Event::InitDone) => {
                pauses.reset();
                refusals = 0;
                listed.send_replace(Listed::Known(std::mem::take(&mut coming)));
            }
            Ok(Event::Apply(service)) => change(&listed, |services| put(services, &service)),
            Ok(Event::Delete(service)) => change(&listed, |services| {
                services.remove(&key(&service));
            }),
            Err(error) => {
                refusals += u32::from(is_forbidden(&error));
                listed.send_if_modified(|listed| {
                    let Listed::Unknown(why) = listed else { return false };
                    *why = Some(error.to_string());
                    if refusals < REFUSALS {
                        return false;
                    }
                    tracing::warn!("this node may not read services, so pods get no variables of them, and programs reach none by its name: {error}");
                    *listed = Listed::Known(Services::new());
                    true
                });
                sleep(pauses.pause()).await;
            }
        }
    }
}

fn change(listed: &watch::Sender<Listed>, change: impl FnOnce(&mut Services)) {
    listed.send_modify(|listed| {
        if let Listed::Known(services) = listed {
            change(services);
        }
    });
}

fn put(services: &mut Services, service: &core::Service) {
    match Service::of(service) {
        Some(known) => services.insert(key(service), known),
        None => services.remove(&key(service)),
    };
}

fn key(service: &core::Service) -> (String, String) {
    (service.metadata.namespace.clone().unwrap_or_default(), service.metadata.name.clone().unwrap_or_default())
}

fn is_forbidden(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::InitialListFailed(kube::Error::Api(status)) | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if status.is_forbidden()
    )
}
