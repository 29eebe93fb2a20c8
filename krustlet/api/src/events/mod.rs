//! Kubernetes events about pods, as the kubelet sends them.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>

mod correlate;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::correlate::{Correlator, News, Telling};
use crate::traffic::Traffic;

/// Who reports.
const COMPONENT: &str = "krustlet-wasi";
/// So many may be under way at once. Events of one pod are never: each must find the one before it.
const SENDERS: usize = 4;
/// So many may wait for each sender; more are dropped, for an event is news and no record.
const WAITING: usize = 512;
/// An event gives way to statuses for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// A request that hangs longer than this is given up.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// The API server takes messages of up to 1 kB: bytes.
const LONGEST_MESSAGE: usize = 1024;

/// Sends events in the background.
#[derive(Clone)]
pub struct Events {
    senders: Arc<[mpsc::Sender<Report>]>,
    traffic: Arc<Traffic>,
}

/// A pod, and one of its containers if the news is of that.
#[derive(Clone, Debug)]
pub struct Subject {
    pod: Arc<ObjectReference>,
    field_path: Option<String>,
}

struct Report {
    subject: Subject,
    type_: &'static str,
    reason: String,
    message: String,
    time: Timestamp,
    at: Instant,
}

impl Subject {
    /// The pod itself.
    pub fn pod(namespace: &str, name: &str, uid: &str) -> Self {
        let pod = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            namespace: Some(namespace.into()),
            name: Some(name.into()),
            uid: Some(uid.into()),
            ..ObjectReference::default()
        };
        Self { pod: Arc::new(pod), field_path: None }
    }

    /// One of its containers.
    pub fn container(&self, name: &str) -> Self {
        Self { pod: self.pod.clone(), field_path: Some(format!("spec.containers{{{name}}}")) }
    }

    /// One of its init containers.
    pub fn init_container(&self, name: &str) -> Self {
        Self { pod: self.pod.clone(), field_path: Some(format!("spec.initContainers{{{name}}}")) }
    }
}

impl Events {
    /// Reports in the name of this node's agent.
    pub fn new(client: Client, node_name: &str) -> Self {
        let traffic = Arc::new(Traffic::default());
        let senders = (0..SENDERS).map(|_| {
            let (sender, receiver) = mpsc::channel(WAITING);
            tokio::spawn(send(client.clone(), node_name.to_string(), traffic.clone(), receiver));
            sender
        });
        Self { senders: senders.collect(), traffic }
    }

    /// What statuses and events share: the way to the API server.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// All is well, and something happened.
    pub fn normal(&self, subject: &Subject, reason: &str, note: String) {
        self.send("Normal", subject, reason, note);
    }

    /// Something is wrong.
    pub fn warning(&self, subject: &Subject, reason: &str, note: String) {
        self.send("Warning", subject, reason, note);
    }

    fn send(&self, type_: &'static str, subject: &Subject, reason: &str, note: String) {
        let message = shortened(note);
        let report = Report {
            subject: subject.clone(),
            type_,
            reason: reason.into(),
            message,
            time: Timestamp::now(),
            at: Instant::now(),
        };
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&subject.pod.uid);
        let place = usize::try_from(hash % self.senders.len() as u64).unwrap_or(0);
        if self.senders[place].try_send(report).is_err() {
            tracing::debug!(reason, "too many events: one was dropped");
        }
    }
}

async fn send(client: Client, node_name: String, traffic: Arc<Traffic>, mut reports: mpsc::Receiver<Report>) {
    let mut correlator = Correlator::default();
    while let Some(report) = reports.recv().await {
        traffic.give_way((report.at + PATIENCE).into()).await;
        let namespace = report.subject.pod.namespace.as_deref().unwrap_or("default");
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let name = report.name();
        let outcome = match correlator.take(report.news(), &name, report.at) {
            Telling::Drop => continue,
            Telling::New => timeout(REQUEST_LIMIT, create(&events, report.event(name, &node_name))).await,
            Telling::Again(known, count) => timeout(REQUEST_LIMIT, recount(&events, &known, count, report.time)).await,
        };
        match outcome {
            Ok(Ok(())) => continue,
            // Events live for an hour: the one that was to be counted on is no more.
            Ok(Err(Error::Api(status))) if status.code == 404 => {}
            Ok(Err(error)) => tracing::debug!(reason = report.reason, "an event could not be sent: {error}"),
            Err(_) => tracing::debug!(reason = report.reason, "an event could not be sent: no answer in time"),
        }
        correlator.forget(report.news());
    }
}

async fn create(events: &Api<Event>, event: Event) -> Result<(), Error> {
    events.create(&PostParams::default(), &event).await.map(|_| ())
}

async fn recount(events: &Api<Event>, name: &str, count: i32, time: Timestamp) -> Result<(), Error> {
    let patch = Patch::Merge(json!({ "count": count, "lastTimestamp": Time(time) }));
    events.patch(name, &PatchParams::default(), &patch).await.map(|_| ())
}

impl Report {
    fn news(&self) -> News<'_> {
        News {
            uid: self.subject.pod.uid.as_deref().unwrap_or_default(),
            field_path: self.subject.field_path.as_deref(),
            type_: self.type_,
            reason: &self.reason,
            message: &self.message,
        }
    }

    /// In the order of the events: those who list them sort by time in whole seconds, then by name.
    fn name(&self) -> String {
        format!("{}.{:x}", self.subject.pod.name.as_deref().unwrap_or_default(), self.time.as_nanosecond())
    }

    fn event(&self, name: String, node_name: &str) -> Event {
        let involved_object = ObjectReference {
            field_path: self.subject.field_path.clone(),
            ..ObjectReference::clone(&self.subject.pod)
        };
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: involved_object.namespace.clone(),
                ..ObjectMeta::default()
            },
            involved_object,
            type_: Some(self.type_.into()),
            reason: Some(self.reason.clone()),
            message: Some(self.message.clone()),
            count: Some(1),
            first_timestamp: Some(Time(self.time)),
            last_timestamp: Some(Time(self.time)),
            source: Some(EventSource { component: Some(COMPONENT.into()), host: Some(node_name.into()) }),
            reporting_component: Some(COMPONENT.into()),
            reporting_instance: Some(node_name.into()),
            ..Event::default()
        }
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let cut = (0..=LONGEST_MESSAGE - 4).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(cut);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_the_kubelets() {
        let subject = Subject::pod("default", "web", "u1");
        let report = Report {
            subject: subject.init_container("setup"),
            type_: "Warning",
            reason: "BackOff".into(),
            message: "Back-off".into(),
            time: Timestamp::from_second(1).unwrap(),
            at: Instant::now(),
        };
        assert_eq!(report.name(), "web.3b9aca00");
        let event = serde_json::to_value(report.event(report.name(), "wasm")).unwrap();
        let wanted = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": "web.3b9aca00", "namespace": "default" },
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "web", "uid": "u1",
                "fieldPath": "spec.initContainers{setup}",
            },
            "type": "Warning", "reason": "BackOff", "message": "Back-off", "count": 1,
            "firstTimestamp": "1970-01-01T00:00:01Z", "lastTimestamp": "1970-01-01T00:00:01Z",
            "source": { "component": "krustlet-wasi", "host": "wasm" },
            "reportingComponent": "krustlet-wasi", "reportingInstance": "wasm",
        });
        assert_eq!(event, wanted);
        assert_eq!(subject.container("c").field_path.as_deref(), Some("spec.containers{c}"));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let long = shortened("é".repeat(1000));
        assert!(long.len() <= LONGEST_MESSAGE && long.ends_with("é…"), "{}", long.len());
        assert_eq!(shortened("short".into()), "short");
    }
}
