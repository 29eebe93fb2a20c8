//! Telling the API server about a pod: its status, when it changes, and at last that it is gone.

use std::time::Duration;

use futures::future::{self, BoxFuture};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, Error};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::status;

/// A request that hangs longer than this is given up and tried again.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Pauses between attempts grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What the API server made of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    /// The pod is gone, or another has its name: nobody wants to know any more.
    Gone,
    Failed,
}

/// Keeps the API server's copy of one pod's status up to date. One request at a time, off the worker's path.
pub struct Reporter {
    pods: Api<Pod>,
    name: String,
    uid: String,
    published: Option<PodStatus>,
    wanted: Option<PodStatus>,
    request: Option<(PodStatus, BoxFuture<'static, Outcome>)>,
    retry: Option<(Instant, Duration)>,
    gone: bool,
}

impl Reporter {
    /// For one pod.
    pub fn new(client: Client, namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            pods: Api::namespaced(client, namespace),
            name: name.into(),
            uid: uid.into(),
            published: None,
            wanted: None,
            request: None,
            retry: None,
            gone: false,
        }
    }

    /// The status that the API server has, as far as this agent wrote it.
    pub fn published(&self) -> Option<&PodStatus> {
        self.published.as_ref()
    }

    /// The status to report from now on. The same again costs nothing.
    pub fn offer(&mut self, status: PodStatus) {
        self.wanted = (!self.gone && self.published.as_ref() != Some(&status)).then_some(status);
    }

    /// Works until something was reported; waits for ever when there is nothing to do. May be dropped and called again.
    pub async fn work(&mut self) {
        if self.request.is_none() {
            let Some(status) = self.wanted.clone() else { return future::pending().await };
            if let Some((at, _)) = self.retry {
                sleep_until(at).await;
            }
            let request = send(self.pods.clone(), self.name.clone(), self.uid.clone(), status.clone());
            self.request = Some((status, Box::pin(request)));
        }
        let Some((_, request)) = &mut self.request else { return };
        let outcome = request.await;
        let Some((status, _)) = self.request.take() else { return };
        match outcome {
            Outcome::Taken => {
                self.retry = None;
                if self.wanted.as_ref() == Some(&status) {
                    self.wanted = None;
                }
                self.published = Some(status);
            }
            Outcome::Gone => {
                self.gone = true;
                self.wanted = None;
            }
            Outcome::Failed => {
                let pause = self.retry.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
                self.retry = Some((Instant::now() + pause, pause));
            }
        }
    }

    /// Works until everything offered was reported, or `limit` is over.
    pub async fn drain(&mut self, limit: Duration) {
        let all = async {
            while self.wanted.is_some() || self.request.is_some() {
                self.work().await;
            }
        };
        if timeout(limit, all).await.is_err() {
            tracing::warn!(pod = self.name, "the last status of a pod could not be reported in time");
        }
    }

    /// Removes the pod from the API server, once it has ended here. Tries until that is done.
    pub async fn delete(&mut self) {
        let only_this = Preconditions { uid: Some(self.uid.clone()), resource_version: None };
        let parameters = DeleteParams::default().grace_period(0).preconditions(only_this);
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout(REQUEST_LIMIT, self.pods.delete(&self.name, &parameters)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) if is_gone(&error) => return,
                Ok(Err(error)) => tracing::warn!(pod = self.name, "cannot remove a pod that has ended: {error}"),
                Err(_) => tracing::warn!(pod = self.name, "cannot remove a pod that has ended: no answer in time"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

async fn send(pods: Api<Pod>, name: String, uid: String, wanted: PodStatus) -> Outcome {
    let patch = Patch::Strategic(status::patch(&wanted, &uid));
    match timeout(REQUEST_LIMIT, pods.patch_status(&name, &PatchParams::default(), &patch)).await {
        Ok(Ok(_)) => Outcome::Taken,
        Ok(Err(error)) if is_gone(&error) => Outcome::Gone,
        Ok(Err(error)) => {
            tracing::warn!(pod = name, "cannot report a pod's status: {error}");
            Outcome::Failed
        }
        Err(_) => {
            tracing::warn!(pod = name, "cannot report a pod's status: no answer in time");
            Outcome::Failed
        }
    }
}

/// Not found, or a conflict: the patch names nothing but the uid, so the only conflict is with another pod of that name.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404 || status.code == 409)
}
