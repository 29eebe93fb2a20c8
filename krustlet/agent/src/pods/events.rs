//! Kubernetes events about pods: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

/// So many may wait to be sent; more are dropped, for an event is news and no record.
const WAITING: usize = 256;

/// Sends events in the background, in order.
#[derive(Clone)]
pub struct Events {
    sender: mpsc::Sender<(Event, ObjectReference)>,
}

/// A pod, and one of its containers if the news is of that.
#[derive(Clone, Debug)]
pub struct Subject {
    reference: ObjectReference,
}

impl Subject {
    /// The pod itself.
    pub fn pod(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            reference: ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                namespace: Some(namespace.into()),
                name: Some(name.into()),
                uid: Some(uid.into()),
                ..ObjectReference::default()
            },
        }
    }

    /// One of its containers.
    pub fn container(&self, name: &str) -> Self {
        let mut reference = self.reference.clone();
        reference.field_path = Some(format!("spec.containers{{{name}}}"));
        Self { reference }
    }
}

impl Events {
    /// Reports in the name of this node's agent.
    pub fn new(client: Client, node_name: &str) -> Self {
        let reporter = Reporter { controller: "krustlet-wasi".into(), instance: Some(node_name.into()) };
        let recorder = Recorder::new(client, reporter);
        let (sender, mut receiver) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
        tokio::spawn(async move {
            while let Some((event, reference)) = receiver.recv().await {
                if let Err(error) = recorder.publish(&event, &reference).await {
                    tracing::debug!(reason = event.reason, "an event could not be sent: {error}");
                }
            }
        });
        Self { sender }
    }

    /// All is well, and something happened.
    pub fn normal(&self, subject: &Subject, reason: &str, note: String) {
        self.send(EventType::Normal, subject, reason, note);
    }

    /// Something is wrong.
    pub fn warning(&self, subject: &Subject, reason: &str, note: String) {
        self.send(EventType::Warning, subject, reason, note);
    }

    fn send(&self, type_: EventType, subject: &Subject, reason: &str, mut note: String) {
        // The API server takes notes of up to 1 kB.
        if note.len() > 1024 {
            let cut = (0..=1020).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
            note.truncate(cut);
            note.push('…');
        }
        let event = Event { type_, reason: reason.into(), action: reason.into(), note: Some(note), secondary: None };
        if self.sender.try_send((event, subject.reference.clone())).is_err() {
            tracing::debug!(reason, "too many events: one was dropped");
        }
    }
}
