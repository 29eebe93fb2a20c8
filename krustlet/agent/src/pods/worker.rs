//! One pod: a task that takes the wishes of the API server and the news of its containers, one at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::admit::{self, Refusal};
use super::directory::{PodView, pod_dir};
use super::events::Subject;
use super::launch::{LaunchError, Launched, launch, termination};
use super::machine::{Action, Event, Machine, RestartPolicy, State};
use super::report::Reporter;
use super::restore;
use super::slot::{News, Slot, What};
use super::status::{Facts, pod_status};
use super::{Desired, Shared};
use crate::files;
use crate::logs;

/// How long the last statuses may take when the agent stops.
const LAST_REPORT: Duration = Duration::from_secs(4);

struct Worker {
    shared: Arc<Shared>,
    desired: Desired,
    namespace: String,
    name: String,
    uid: String,
    dir: PathBuf,
    subject: Subject,
    slots: Vec<Slot>,
    refusal: Option<Refusal>,
    /// The pod had come to its end before this agent started: its status stays as it is.
    over: bool,
    start_time: Timestamp,
    reporter: Reporter,
    news: mpsc::UnboundedSender<News>,
}

/// Runs a pod until it is gone, or the agent stops.
pub async fn run(shared: Arc<Shared>, mut desired: watch::Receiver<Desired>) {
    let (news, mut incoming) = mpsc::unbounded_channel();
    let first = desired.borrow_and_update().clone();
    let mut worker = Worker::new(shared, first, news);
    worker.begin();
    loop {
        worker.publish();
        if worker.ending() && worker.slots.iter().all(|slot| slot.machine.ended()) {
            return worker.end(desired).await;
        }
        let deadline = worker.slots.iter().filter_map(|slot| slot.machine.next_deadline()).min();
        tokio::select! {
            // After either of these there is nothing more to wish for.
            changed = desired.changed(), if !worker.desired.gone && !worker.desired.shutdown => {
                // Without a sender there is nobody left to run for.
                let mut now = desired.borrow_and_update().clone();
                now.shutdown |= changed.is_err();
                worker.wish(now);
            }
            Some(news) = incoming.recv() => worker.hear(news),
            () = sleep_until(deadline.unwrap_or_else(std::time::Instant::now).into()), if deadline.is_some() => worker.time(),
            () = worker.reporter.work() => {}
        }
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, desired: Desired, news: mpsc::UnboundedSender<News>) -> Self {
        let pod = &desired.pod;
        let (namespace, name, uid) =
            (pod.namespace().unwrap_or_default(), pod.name_any(), pod.uid().unwrap_or_default());
        let dir = pod_dir(&shared.pods_dir, &namespace, &name, &uid);
        let over = restore::is_terminal(pod);
        let refusal = if over { None } else { admit::refuse(pod) };
        let spec = pod.spec.clone().unwrap_or_default();
        let policy = RestartPolicy::of(spec.restart_policy.as_deref());
        let known = pod.status.as_ref().and_then(|status| status.container_statuses.clone()).unwrap_or_default();
        let slots = spec.containers.into_iter().map(|spec| {
            let status = known.iter().find(|status| status.name == spec.name);
            let newest_log = logs::newest(&dir.join(&spec.name));
            let machine = restore::machine(policy, status, newest_log, over, Timestamp::now());
            Slot { spec, machine, epoch: 0, guest: None, preparation: None }
        });
        let slots = slots.collect();
        let start_time = pod
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref())
            .map_or_else(Timestamp::now, |time| time.0);
        Self {
            reporter: Reporter::new(shared.client.clone(), &namespace, &name, &uid),
            subject: Subject::pod(&namespace, &name, &uid),
            shared,
            namespace,
            name,
            uid,
            dir,
            slots,
            refusal,
            over,
            start_time,
            news,
            desired,
        }
    }

    fn begin(&mut self) {
        if let Some(refusal) = &self.refusal {
            tracing::info!(pod = %self, "pod refused: {}", refusal.message);
            self.shared.events.warning(&self.subject, "UnsupportedOnWasmNode", refusal.message.clone());
        } else if !self.over {
            tracing::info!(pod = %self, "pod taken up");
        }
        if self.ending() || self.refusal.is_some() {
            if self.ending() || self.refusal.as_ref().is_some_and(|refusal| refusal.fails) {
                self.each(|_| Event::Stop);
            }
            return;
        }
        for index in 0..self.slots.len() {
            if self.slots[index].machine.state == State::Preparing {
                self.act(index, Action::Prepare);
            }
        }
    }

    fn deleting(&self) -> bool {
        self.desired.pod.metadata.deletion_timestamp.is_some()
    }

    fn ending(&self) -> bool {
        self.deleting() || self.desired.gone || self.desired.shutdown
    }

    /// Takes a wish of the API server, or of the agent.
    fn wish(&mut self, now: Desired) {
        self.desired = now;
        if self.ending() {
            return self.each(|_| Event::Stop);
        }
        let wanted = self.desired.pod.spec.as_ref().map(|spec| spec.containers.clone()).unwrap_or_default();
        for index in 0..self.slots.len() {
            let Some(spec) = wanted.iter().find(|spec| spec.name == self.slots[index].spec.name) else { continue };
            let changed = spec.image != self.slots[index].spec.image;
            self.slots[index].spec = spec.clone();
            if changed && self.refusal.is_none() {
                self.event(index, Event::SpecChanged);
            }
        }
    }

    fn hear(&mut self, news: News) {
        let index = news.slot;
        if self.slots[index].epoch != news.epoch {
            return;
        }
        let subject = self.subject.container(&self.slots[index].spec.name);
        let (name, image) = (self.slots[index].spec.name.clone(), self.slots[index].image().to_string());
        let event = match news.what {
            What::Launch(Ok(launched)) => self.started(index, launched),
            What::Launch(Err(LaunchError::Pull(reason, message))) => {
                let note = format!("Failed to pull image {image:?}: {message}");
                self.shared.events.warning(&subject, "Failed", note);
                Event::PullFailed(reason, message)
            }
            What::Launch(Err(LaunchError::Config(message))) => {
                self.shared.events.warning(&subject, "Failed", format!("Error: {message}"));
                Event::ConfigInvalid(message)
            }
            What::Launch(Err(LaunchError::Start(message))) => {
                self.shared.events.warning(&subject, "Failed", format!("Error: {message}"));
                Event::Exited(LaunchError::termination(message))
            }
            What::Exited(termination) => {
                tracing::info!(pod = %self, container = name, exit_code = termination.exit_code, "container ended");
                self.slots[index].guest = None;
                Event::Exited(termination)
            }
        };
        self.event(index, event);
    }

    fn started(&mut self, index: usize, launched: Launched) -> Event {
        let slot = &mut self.slots[index];
        let container_id = format!("wasmtime://{}_{}_{}", self.uid, slot.spec.name, slot.machine.attempts);
        let Launched { container, log, image_id, at } = launched;
        slot.guest = Some(container.clone());
        slot.preparation = None;
        let (news, epoch, id) = (self.news.clone(), slot.epoch, container_id.clone());
        tokio::spawn(async move {
            let status = container.wait().await;
            if let Err(error) = log.finish() {
                tracing::warn!("the end of a log could not be written: {error}");
            }
            let what = What::Exited(termination(status, at, id));
            // A worker that is gone wants no news.
            let _ = news.send(News { slot: index, epoch, what });
        });
        tracing::info!(pod = %self, container = self.slots[index].spec.name, "container started");
        Event::Started { at, image_id, container_id }
    }

    fn time(&mut self) {
        self.each(|_| Event::Timer);
    }

    fn each(&mut self, event: impl Fn(usize) -> Event) {
        for index in 0..self.slots.len() {
            self.event(index, event(index));
        }
    }

    fn event(&mut self, index: usize, event: Event) {
        let before = self.slots[index].waiting_reason();
        let action = self.slots[index].machine.on(event, std::time::Instant::now());
        let after = self.slots[index].waiting_reason();
        if before != after && matches!(after, Some("ImagePullBackOff" | "CrashLoopBackOff")) {
            let slot = &self.slots[index];
            let note = match after {
                Some("ImagePullBackOff") => format!("Back-off pulling image {:?}", slot.image()),
                _ => format!("Back-off restarting failed container {} in pod {self}", slot.spec.name),
            };
            self.shared.events.warning(&self.subject.container(&slot.spec.name), "BackOff", note);
        }
        self.act(index, action);
    }

    fn act(&mut self, index: usize, action: Action) {
        match action {
            Action::None => {}
            Action::Prepare => self.prepare(index),
            Action::Abort => self.abort(index),
            Action::Stop => {
                let slot = &self.slots[index];
                if let Some(guest) = &slot.guest {
                    let note = format!("Stopping container {}", slot.spec.name);
                    self.shared.events.normal(&self.subject.container(&slot.spec.name), "Killing", note);
                    guest.stop();
                }
            }
        }
    }

    fn prepare(&mut self, index: usize) {
        self.abort(index);
        let slot = &mut self.slots[index];
        let (shared, spec, news, epoch) = (self.shared.clone(), slot.spec.clone(), self.news.clone(), slot.epoch);
        let (dir, attempt, subject) =
            (self.dir.join(&spec.name), slot.machine.attempts, self.subject.container(&spec.name));
        let task = tokio::spawn(async move {
            let result = launch(&shared.images, &shared.events, &subject, &spec, &dir, attempt).await;
            let _ = news.send(News { slot: index, epoch, what: What::Launch(result) });
        });
        slot.preparation = Some(task.abort_handle());
    }

    /// Gives up a preparation. A guest that it may have started in this moment ends with the news that nobody hears.
    fn abort(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.epoch += 1;
        if let Some(preparation) = slot.preparation.take() {
            preparation.abort();
        }
    }

    /// Tells the log port and the API server how things are.
    fn publish(&mut self) {
        let containers = self.slots.iter().map(Slot::view).collect();
        let view = PodView { uid: self.uid.clone(), dir: self.dir.clone(), containers };
        self.shared.directory.set(&self.namespace, &self.name, view);
        if self.over || self.desired.gone {
            return;
        }
        let containers: Vec<(String, String, &Machine)> =
            self.slots.iter().map(|slot| (slot.spec.name.clone(), slot.image().to_string(), &slot.machine)).collect();
        let status = pod_status(&Facts {
            pod: &self.desired.pod,
            before: self.reporter.published().or(self.desired.pod.status.as_ref()),
            containers: &containers,
            refusal: self.refusal.as_ref(),
            host_ip: &self.shared.host_ip,
            start_time: self.start_time,
            deleting: self.deleting(),
            now: Timestamp::now(),
        });
        self.reporter.offer(status);
    }

    /// All containers have ended, and the pod is to go or the agent to stop.
    async fn end(mut self, mut desired: watch::Receiver<Desired>) {
        if self.desired.shutdown && !self.deleting() {
            self.reporter.drain(LAST_REPORT).await;
            return;
        }
        if !self.desired.gone {
            let leave = desired.wait_for(|now| now.gone || now.shutdown);
            let remove = async {
                self.reporter.drain(LAST_REPORT).await;
                self.reporter.delete().await;
            };
            tokio::select! {
                () = remove => {}
                _ = leave => {}
            }
        }
        self.shared.directory.remove(&self.namespace, &self.name, &self.uid);
        if let Err(error) = files::remove_tree(&self.dir) {
            tracing::warn!(pod = %self, "files of a pod could not be removed: {error}");
        }
        tracing::info!(pod = %self, "pod gone");
    }
}

impl std::fmt::Display for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
