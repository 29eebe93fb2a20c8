//! One pod: a task that takes the wishes of the API server and the news of its containers, one at a time.
//!
//! What is to happen is decided elsewhere: `course` says what the pod as a whole is to do, `turns` whose turn it is then, `machine` what
//! becomes of a container. Here it is done.

mod containers;
mod outside;
mod resizing;
mod serving;
mod taking_up;
mod tending;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use krustlet_api::events::Subject;
use krustlet_core::admission::admit::{self, Refusal};
use krustlet_core::eviction::rank;
use krustlet_core::lifecycle::course::{Course, Verdict};
use krustlet_core::lifecycle::machine::Event;
use krustlet_core::lifecycle::policy::Policy;
use krustlet_core::lifecycle::turns::{self, Orders};
use krustlet_core::pod::{containers, is_terminal};
use krustlet_core::serving::ports::PortLease;
use krustlet_core::status::as_granted;
use kube::ResourceExt;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use self::resizing::Unmet;
use self::taking_up::{admission, folder, recall};
use self::tending::{HOPE, hope, tend};
use super::checkpoint::Checkpoint;
use super::containers::http;
use super::containers::slot::{News, Slot};
use super::places::Place;
use super::resources::Resources;
use super::restore;
use super::status_manager::Reporter;
use super::{Desired, Shared};

struct Worker {
    shared: Arc<Shared>,
    /// As the API server has it.
    heard: Arc<Pod>,
    /// The same, but for resources that its containers cannot have yet.
    pod: Arc<Pod>,
    unmet: Option<Unmet>,
    namespace: String,
    name: String,
    uid: String,
    dir: PathBuf,
    subject: Subject,
    slots: Vec<Slot>,
    course: Course,
    refusal: Option<Refusal>,
    /// Its verdict is on the disk.
    noted: bool,
    resources: Arc<Resources>,
    /// It has been told to go, for its probes.
    leaving: Arc<AtomicBool>,
    /// The task that makes the volumes ready and keeps them so.
    tending: Option<AbortHandle>,
    /// What was wrong with the volumes last.
    mount_error: Option<String>,
    place: Option<Place>,
    /// Nothing is left of it but logs and what others may read of it.
    settled: bool,
    /// Ephemeral containers that have been refused.
    refused_ephemeral: usize,
    start_time: Timestamp,
    reporter: Reporter,
    news: mpsc::UnboundedSender<News>,
    /// Those that it had under an earlier agent.
    ports_before: Vec<PortLease>,
    /// Tells that a port has become free.
    freed: watch::Receiver<()>,
}

/// Runs a pod until it is gone, or the agent stops. `ports_before` are those that it had under an earlier agent.
pub async fn run(shared: Arc<Shared>, mut desired: watch::Receiver<Desired>, ports_before: Vec<PortLease>) {
    let pod = desired.borrow_and_update().pod.clone();
    let granted = as_granted(&pod).map_or_else(|| pod.clone(), Arc::new);
    // What a pod that is gone has done before is of no interest any more.
    let leaves = async { desired.wait_for(|now| now.gone || now.shutdown.is_some()).await.is_ok_and(|now| now.gone) };
    let taken_up = async {
        let checkpoint = recall(&shared, &pod).await;
        let place = admission(&shared, &granted, &checkpoint).await;
        (checkpoint, place)
    };
    let (checkpoint, place) = tokio::select! {
        taken_up = taken_up => taken_up,
        now = leaves => {
            // The next agent takes up a pod that is there; this one knows nothing of it that it could report.
            if !now {
                return;
            }
            (Checkpoint::default(), Ok(None))
        }
    };
    let (news, mut incoming) = mpsc::unbounded_channel();
    let mut worker = Worker::new(shared, granted.clone(), place, &checkpoint, news);
    worker.heard = pod;
    worker.ports_before = ports_before;
    let now = desired.borrow_and_update().clone();
    worker.wish(now);
    worker.begin();
    // Without a sender there is nobody left to run for, and nothing more to hear.
    let mut heeds = true;
    loop {
        let now = Instant::now();
        worker.look(now);
        worker.note_verdict().await;
        worker.advance(now);
        worker.publish();
        if worker.course.leaving() && worker.ended() {
            return worker.end(desired).await;
        }
        let deadline = worker.next_deadline(now);
        tokio::select! {
            changed = desired.changed(), if heeds && !worker.course.gone => {
                heeds = changed.is_ok();
                let mut now = desired.borrow_and_update().clone();
                if !heeds {
                    now.shutdown = Some(Instant::now());
                }
                worker.wish(now);
            }
            Some(news) = incoming.recv() => worker.hear(news),
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => worker.each(&Event::Timer),
            () = hope(worker.resources.clone(), Some(&mut worker.freed), HOPE), if worker.slots.iter().any(|slot| slot.machine.waits_for_config()) => {
                worker.each(&Event::ConfigChanged);
            }
            () = worker.reporter.work() => {}
        }
    }
}

impl Worker {
    fn new(
        shared: Arc<Shared>,
        pod: Arc<Pod>,
        place: Result<Option<Place>, Refusal>,
        checkpoint: &Checkpoint,
        news: mpsc::UnboundedSender<News>,
    ) -> Self {
        let (namespace, name, uid) =
            (pod.namespace().unwrap_or_default(), pod.name_any(), pod.uid().unwrap_or_default());
        let dir = folder(&shared, &pod);
        let course = Course::new(is_terminal(&pod)).failed(checkpoint.verdict.clone());
        let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        let slots = containers(&pod).map(|(role, container)| {
            let policy = Policy::of(policy, role, container);
            let status = restore::status(&pod, role, &container.name);
            let attempts = checkpoint.containers.get(&container.name);
            let machine = restore::machine(policy, status, attempts, course.over, Timestamp::now());
            Slot::new(role, container, machine)
        });
        let slots = slots.collect();
        let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
        let start_time = started.map_or_else(Timestamp::now, |time| time.0);
        let (traffic, freed) = (shared.events.traffic().clone(), shared.ports.freed());
        let (place, refusal) = match place {
            Ok(place) => (place, None),
            Err(refusal) => (None, Some(refusal)),
        };
        Self {
            reporter: Reporter::new(shared.client.clone(), traffic, &namespace, &name, &uid),
            subject: Subject::pod(&namespace, &name, &uid),
            noted: checkpoint.verdict.is_some(),
            resources: Resources::new(&shared, pod.clone(), &dir),
            shared,
            heard: pod.clone(),
            pod,
            unmet: None,
            namespace,
            name,
            uid,
            dir,
            slots,
            course,
            refusal,
            leaving: Arc::default(),
            tending: None,
            mount_error: None,
            place,
            settled: false,
            refused_ephemeral: 0,
            start_time,
            news,
            ports_before: Vec::new(),
            freed,
        }
    }

    fn begin(&mut self) {
        if !Arc::ptr_eq(&self.heard, &self.pod) && self.unmet.is_none() {
            self.take_over();
        }
        match self.refusal.clone() {
            Some(refusal) => {
                tracing::info!(pod = %self, "pod refused: {}", refusal.message);
                self.shared.events.warning(&self.subject, &refusal.reason, refusal.message.clone());
                self.course.held = !refusal.fails;
                if refusal.fails {
                    self.course.fail(Verdict::new(&refusal.reason, &refusal.message), Instant::now());
                }
            }
            None if !self.course.ending() => {
                tracing::info!(pod = %self, "pod taken up");
                let task = tokio::spawn(tend(self.resources.clone(), self.news.clone()));
                self.tending = Some(task.abort_handle());
            }
            None => {}
        }
    }

    /// Takes a wish of the API server, or of the agent.
    fn wish(&mut self, now: Desired) {
        self.course.gone |= now.gone;
        if let Some(by) = now.shutdown {
            // What answers requests has some to end.
            let finishes = self.slots.iter().any(|slot| slot.machine.finishes() || slot.serving.is_some());
            self.course.shut_down(by, finishes, &now.pod, Instant::now());
        }
        if let Some(message) = now.evicted {
            self.evict(Verdict::evicted(&message));
        }
        if !Arc::ptr_eq(&self.heard, &now.pod) {
            self.reporter.heard(&now.pod);
            self.heard = now.pod;
            self.take_over();
        }
        self.course.set_deadlines(&self.pod, self.start_time, Instant::now(), Timestamp::now());
        self.leaving.store(self.course.leaving(), Ordering::Relaxed);
        self.refuse_ephemeral();
        let images = containers(&self.pod).map(|(_, container)| (container.name.clone(), container.image.clone()));
        for (name, image) in images.collect::<Vec<_>>() {
            let found = self.slots.iter().position(|slot| slot.name == name && Some(&slot.image) != image.as_ref());
            let Some(index) = found else { continue };
            self.slots[index].image = image.unwrap_or_default();
            if !self.course.ending() && self.refusal.is_none() {
                self.event(index, Event::SpecChanged);
            }
        }
    }

    fn refuse_ephemeral(&mut self) {
        let containers = self.pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_deref());
        let containers = containers.unwrap_or_default();
        for container in containers.iter().skip(self.refused_ephemeral) {
            self.shared.events.warning(&self.subject, admit::UNSUPPORTED, admit::refuse_ephemeral(container));
        }
        self.refused_ephemeral = containers.len();
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Mounted(Ok(())) => {
                self.course.mounted = true;
                self.mount_error = None;
            }
            News::Mounted(Err(error)) => {
                let message = error.to_string();
                self.shared.events.warning(&self.subject, "FailedMount", message.clone());
                self.mount_error = Some(message);
            }
            // As by a kubelet, whatever limits it has: the cluster's own stay.
            News::Evict(_) if rank::is_critical(&self.pod) => {}
            News::Evict(message) => self.evict(Verdict::over_limit(&message)),
            News::Container { slot, epoch, what } => self.hear_container(slot, epoch, what),
        }
    }

    fn evict(&mut self, verdict: Verdict) {
        if self.ended() {
            return;
        }
        if self.course.deleting() {
            self.course.hasten(Instant::now());
        }
        let (reason, message) = (verdict.reason.clone(), verdict.message.clone());
        if self.course.fail(verdict, Instant::now()) {
            self.shared.events.warning(&self.subject, &reason, message);
        }
    }

    fn each(&mut self, event: &Event) {
        for index in 0..self.slots.len() {
            self.event(index, event.clone());
        }
    }

    /// When something is due next, of what was not yet at `now`: what comes due meanwhile is past at once, and not lost.
    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let machines = self.slots.iter().filter_map(|slot| slot.machine.next_deadline());
        let course = self.course.next_deadline(now).filter(|_| !self.ended());
        let resize = self.unmet.as_ref().map(|unmet| unmet.again).filter(|_| !self.ended());
        machines.chain(course).chain(resize).min()
    }

    /// Finds out what the time alone has changed.
    fn look(&mut self, now: Instant) {
        // How it ended stays as it is.
        if !self.ended()
            && self.course.look(now)
            && let Some(verdict) = self.course.verdict()
        {
            self.shared.events.normal(&self.subject, &verdict.reason, verdict.message.clone());
        }
        if self.unmet.as_ref().is_some_and(|unmet| unmet.again <= now) && !self.ended() {
            self.take_over();
        }
        if self.slots.iter().any(|slot| slot.machine.lost_when_stopped()) {
            self.course.end_with_node(now);
        }
    }

    /// Does what is due.
    fn advance(&mut self, now: Instant) {
        let orders = self.course.orders(now);
        if orders == Orders::Stop {
            self.end_late();
        }
        loop {
            let turns: Vec<_> = self.slots.iter().map(Slot::turn).collect();
            let due = turns::due(&turns, orders);
            if due.is_empty() {
                break;
            }
            for (index, event) in due {
                self.event(index, event);
            }
        }
        // What its containers listen on is known now.
        if self.slots.iter().all(|slot| slot.guest.is_some() || slot.machine.ended()) {
            self.ports_before.clear();
        }
        if self.ended() && !self.settled && !self.course.shutting_down() {
            self.settle();
        }
    }

    fn ended(&self) -> bool {
        self.slots.iter().all(|slot| slot.machine.ended())
    }
}

impl std::fmt::Display for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
