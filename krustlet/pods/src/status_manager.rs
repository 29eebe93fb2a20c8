//! Telling the API server about a pod: its status, when it changes, and at last that it is gone.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{self, BoxFuture};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use krustlet_api::patience::Patience;
use krustlet_api::traffic::{Pass, Traffic};
use krustlet_core::status;
use krustlet_core::status::drift;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, Error, ResourceExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A request that hangs longer than this is given up and tried again.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// A status that says no more than that the pod is being made ready waits so long for a better one: mostly that comes, and one
/// request is enough for both.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the API server made of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It has it, in this version of the pod.
    Taken(Option<u64>),
    /// The pod is gone, or another has its name: nobody wants to know any more.
    Gone,
    Failed,
}

/// How far the way of a status is.
enum Stage {
    Idle,
    /// Waiting to be let through. The status is chosen after that, so that it is the newest.
    Queued(BoxFuture<'static, Pass>),
    /// Under way.
    Sent(Box<PodStatus>, BoxFuture<'static, Outcome>),
}

/// Keeps the API server's copy of one pod's status up to date. One request at a time, off the worker's path.
pub struct Reporter {
    pods: Api<Pod>,
    traffic: Arc<Traffic>,
    name: String,
    uid: String,
    published: Option<Box<PodStatus>>,
    /// The version of the pod that has the status `published`.
    version: Option<u64>,
    wanted: Option<Box<PodStatus>>,
    /// `wanted` is not sent before.
    not_before: Option<Instant>,
    stage: Stage,
    /// News that came while a status was under way: whether they are newer than that is known by its answer.
    unheard: Option<Arc<Pod>>,
    retry: Option<Instant>,
    pauses: Patience,
    gone: bool,
}

impl Reporter {
    /// For one pod.
    pub fn new(client: Client, traffic: Arc<Traffic>, namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            pods: Api::namespaced(client, namespace),
            traffic,
            name: name.into(),
            uid: uid.into(),
            published: None,
            version: None,
            wanted: None,
            not_before: None,
            stage: Stage::Idle,
            unheard: None,
            retry: None,
            pauses: Patience::default(),
            gone: false,
        }
    }

    /// The status that the API server has, as far as this agent wrote it.
    pub fn published(&self) -> Option<&PodStatus> {
        self.published.as_deref()
    }

    /// The status to report from now on. The same again costs nothing.
    pub fn offer(&mut self, status: PodStatus) {
        if self.gone || self.published.as_deref() == Some(&status) {
            self.wanted = None;
            return;
        }
        let patient = says_little(&status);
        self.not_before = match self.not_before {
            _ if !patient => None,
            Some(at) if self.wanted.is_some() => Some(at),
            _ => Some(Instant::now() + PATIENCE),
        };
        self.wanted = Some(Box::new(status));
    }

    /// Takes newer news of the pod. If somebody else has changed its status, what this agent has to say is said again.
    pub fn heard(&mut self, pod: &Arc<Pod>) {
        if !matches!(self.stage, Stage::Idle) {
            self.unheard = Some(pod.clone());
            return;
        }
        let newer = version(pod) > self.version && self.version.is_some();
        let changed = |told: &PodStatus| pod.status.as_ref().is_none_or(|there| drift::differs(told, there));
        if newer && self.published.as_deref().is_some_and(changed) {
            tracing::info!(pod = self.name, "somebody else changed the pod's status: reporting it again");
            self.published = None;
        }
    }

    /// Works until something was reported; waits for ever when there is nothing to do. May be dropped and called again.
    pub async fn work(&mut self) {
        loop {
            match &mut self.stage {
                Stage::Idle => {
                    if self.wanted.is_none() {
                        return future::pending().await;
                    }
                    if let Some(at) = self.retry.max(self.not_before) {
                        sleep_until(at).await;
                    }
                    self.stage = Stage::Queued(Box::pin(self.traffic.clone().status()));
                }
                Stage::Queued(pass) => {
                    let pass = pass.await;
                    self.stage = match self.wanted.clone() {
                        None => {
                            self.settle(None);
                            return;
                        }
                        Some(status) => {
                            let patch = status::patch(&status, &self.uid);
                            let request = send(self.pods.clone(), self.name.clone(), patch, pass);
                            Stage::Sent(status, Box::pin(request))
                        }
                    };
                }
                Stage::Sent(_, request) => {
                    let outcome = request.await;
                    self.settle(Some(outcome));
                    return;
                }
            }
        }
    }

    /// Takes what came of the request, and the news that it kept waiting.
    fn settle(&mut self, outcome: Option<Outcome>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        if let (Stage::Sent(status, _), Some(outcome)) = (stage, outcome) {
            self.came_of(status, outcome);
        }
        if let Some(pod) = self.unheard.take() {
            self.heard(&pod);
        }
    }

    fn came_of(&mut self, status: Box<PodStatus>, outcome: Outcome) {
        match outcome {
            Outcome::Taken(version) => {
                self.retry = None;
                self.pauses.reset();
                if self.wanted.as_ref() == Some(&status) {
                    self.wanted = None;
                }
                self.published = Some(status);
                self.version = version;
            }
            Outcome::Gone => {
                self.gone = true;
                self.wanted = None;
            }
            Outcome::Failed => {
                self.retry = Some(Instant::now() + self.pauses.pause());
            }
        }
    }

    /// Works until everything offered was reported, or `limit` is over.
    pub async fn drain(&mut self, limit: Duration) {
        self.not_before = None;
        let all = async {
            while self.wanted.is_some() || matches!(self.stage, Stage::Sent(..)) {
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
        let mut pauses = Patience::default();
        loop {
            let pass = self.traffic.clone().status().await;
            match timeout(REQUEST_LIMIT, self.pods.delete(&self.name, &parameters)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) if is_gone(&error) => return,
                Ok(Err(error)) => tracing::warn!(pod = self.name, "cannot remove a pod that has ended: {error}"),
                Err(_) => tracing::warn!(pod = self.name, "cannot remove a pod that has ended: no answer in time"),
            }
            drop(pass);
            sleep(pauses.pause()).await;
        }
    }
}

async fn send(pods: Api<Pod>, name: String, patch: serde_json::Value, _pass: Pass) -> Outcome {
    let patch = Patch::Strategic(patch);
    match timeout(REQUEST_LIMIT, pods.patch_status(&name, &PatchParams::default(), &patch)).await {
        Ok(Ok(pod)) => Outcome::Taken(version(&pod)),
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

/// Versions of one object grow. <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
fn version(pod: &Pod) -> Option<u64> {
    pod.resource_version()?.parse().ok()
}

/// Whether the pod is still to begin, and nothing is known that anybody waits for.
fn says_little(status: &PodStatus) -> bool {
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    status.phase.as_deref() == Some("Pending")
        && containers.filter_map(|container| container.state.as_ref()).all(|state| {
            let waiting = state.waiting.as_ref();
            waiting.is_some_and(|waiting| {
                matches!(waiting.reason.as_deref(), Some("ContainerCreating" | "PodInitializing"))
                    && waiting.message.is_none()
            })
        })
}

/// Not found, or another pod of that name, which the uid shows.
fn is_gone(error: &Error) -> bool {
    match error {
        Error::Api(status) => status.code == 404 || (status.code == 409 && status.message.contains("UID")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(phase: &str, state: Value) -> PodStatus {
        let container =
            json!({ "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state });
        serde_json::from_value(json!({ "phase": phase, "containerStatuses": [container] })).unwrap()
    }

    #[test]
    fn only_a_status_without_news_waits() {
        let table = [
            ("Pending", json!({ "waiting": { "reason": "ContainerCreating" } }), true),
            ("Pending", json!({ "waiting": { "reason": "PodInitializing" } }), true),
            ("Pending", json!({ "waiting": { "reason": "ContainerCreating", "message": "no such secret" } }), false),
            ("Pending", json!({ "waiting": { "reason": "ErrImagePull" } }), false),
            ("Pending", json!({ "running": {} }), false),
            ("Running", json!({ "running": {} }), false),
            ("Failed", json!({ "waiting": { "reason": "ContainerCreating" } }), false),
        ];
        for (phase, state, waits) in table {
            assert_eq!(says_little(&status(phase, state.clone())), waits, "{phase} {state}");
        }
    }

    /// The pod in some version, with a status.
    fn pod(version: u64, status: PodStatus) -> Arc<Pod> {
        let mut pod = Pod { status: Some(status), ..Pod::default() };
        pod.metadata.resource_version = Some(version.to_string());
        Arc::new(pod)
    }

    #[tokio::test]
    async fn what_others_change_while_a_status_is_under_way_is_said_again() {
        let nobody = Client::new(axum::Router::new(), "default");
        let told = status("Running", json!({ "running": {} }));
        // The version that somebody else made, and whether what is told is to be said again.
        for (theirs, again) in [(4, false), (6, true)] {
            let mut reporter = Reporter::new(nobody.clone(), Arc::default(), "default", "p", "u");
            let taken = Box::pin(future::ready(Outcome::Taken(Some(5))));
            reporter.stage = Stage::Sent(Box::new(told.clone()), taken);
            reporter.heard(&pod(theirs, status("Failed", json!({ "running": {} }))));
            reporter.work().await;
            assert_eq!(reporter.published().is_none(), again, "{theirs}");
        }
    }

    #[test]
    fn gone_is_what_is_not_there_or_is_another() {
        let error = |code: u16, message: &str| {
            let status = json!({ "status": "Failure", "code": code, "message": message, "reason": "" });
            Error::Api(Box::new(serde_json::from_value(status).unwrap()))
        };
        assert!(is_gone(&error(404, "pods \"p\" not found")));
        assert!(is_gone(&error(409, "Precondition failed: UID in precondition: a, UID in object meta: b")));
        assert!(!is_gone(&error(409, "the object has been modified; please apply your changes")));
        assert!(!is_gone(&error(500, "no")));
    }
}
