//! What a worker does with the containers of its pod.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use krustlet_core::lifecycle::course::grace_period;
use krustlet_core::lifecycle::machine::{Action, Event};
use krustlet_core::lifecycle::not_started::{NotStarted, Reason};
use krustlet_core::pod::containers;

use super::Worker;
use crate::checkpoint::Attempt;
use crate::containers::launch::{Launched, launch, note, termination};
use crate::containers::slot::{News, What};

impl Worker {
    pub(super) fn hear_container(&mut self, index: usize, epoch: u64, what: What) {
        let slot = &self.slots[index];
        if slot.epoch != epoch {
            return;
        }
        let (subject, events) = (slot.subject(&self.subject), &self.shared.events);
        let event = match what {
            What::Launched(launched) => self.started(index, *launched),
            What::NotStarted(why, at) => {
                let pulled = pull_note(&why, &slot.image);
                let failed = if pulled.is_some() { why.reason.word() } else { why.message.as_str() };
                if let Some((kind, note)) = &pulled {
                    events.warning(&subject, kind, note.clone());
                }
                events.warning(&subject, "Failed", format!("Error: {failed}"));
                Event::NotStarted(why, at)
            }
            What::Probed(found) => return self.probed(index, &found),
            What::Exited(termination) => {
                tracing::info!(pod = %self, container = slot.name, exit_code = termination.exit_code, "container ended");
                let slot = &mut self.slots[index];
                (slot.guest, slot.serving) = (None, None);
                Event::Exited(termination)
            }
        };
        self.event(index, event);
    }

    fn started(&mut self, index: usize, launched: Launched) -> Event {
        let slot = &mut self.slots[index];
        let Launched { container, log, image_id, container_id, at, tail, server, held } = launched;
        slot.guest = Some(container.clone());
        slot.preparation = None;
        // They may have changed while it was made ready.
        self.limit_memory(index);
        if let Some(begun) = server {
            self.serve(index, begun);
        }
        let slot = &self.slots[index];
        let unwell = slot.serving.as_ref().map(|serving| serving.unwell.clone());
        let (news, epoch, id) = (self.news.clone(), slot.epoch, container_id.clone());
        let (dir, attempt, image) = (self.dir.join(&slot.name), slot.machine.attempts, image_id.clone());
        tokio::spawn(async move {
            let status = container.wait().await;
            drop(held);
            if let Err(error) = log.finish() {
                tracing::warn!("the end of a log could not be written: {error}");
            }
            let mut termination = termination(status, at, id.clone());
            if unwell.is_some_and(|unwell| unwell.load(Ordering::Relaxed)) {
                termination = termination.killed();
            }
            if let Some(tail) = tail {
                tail.explain(&mut termination);
            }
            let ended = Some(termination.clone());
            let known = Attempt { image_id: image, container_id: Some(id), started_at: Some(at), ended };
            if let Err(error) = note(&dir, attempt, known).await {
                // Then the API server is the only one to remember it.
                tracing::warn!("the end of a container could not be noted: {error}");
            }
            let what = What::Exited(termination);
            // A worker that is gone wants no news.
            let _ = news.send(News::Container { slot: index, epoch, what });
        });
        tracing::info!(pod = %self, container = self.slots[index].name, "container started");
        Event::Started { at, image_id, container_id }
    }

    /// Lets a container know of something, tells the events that come of it, and does what is to be done.
    pub(super) fn event(&mut self, index: usize, event: Event) {
        let slot = &mut self.slots[index];
        let (reason, going_on) = (slot.waiting_reason(), slot.machine.running() && !slot.machine.retired());
        let replaced = matches!(event, Event::SpecChanged);
        let action = slot.machine.on(event, Instant::now());
        let now_waits = slot.waiting_reason().filter(|now| Some(*now) != reason);
        let told_to_end = going_on && slot.machine.running() && slot.machine.retired();
        match now_waits {
            Some("ImagePullBackOff") => self.tell_pull_back_off(index),
            Some("CrashLoopBackOff") => self.tell_crash_loop(index),
            _ => {}
        }
        if told_to_end && !self.course.shutting_down() {
            self.tell_killing(index, format!("Stopping container {}", self.slots[index].name));
        }
        if told_to_end {
            self.wind_down(index);
        }
        if replaced && action == Action::Stop {
            let name = &self.slots[index].name;
            self.tell_killing(index, format!("Container {name} definition changed, will be restarted"));
            if self.end_gracefully(index, Duration::ZERO, grace_period(&self.pod)) {
                return;
            }
        }
        if action == Action::Stop && self.sidecar_ends(index) {
            return;
        }
        self.act(index, action);
    }

    fn act(&mut self, index: usize, action: Action) {
        match action {
            Action::None => {}
            Action::Prepare => self.prepare(index),
            Action::Abort => self.abort(index),
            Action::Stop => {
                if let Some(guest) = &self.slots[index].guest {
                    guest.stop();
                }
            }
        }
    }

    fn prepare(&mut self, index: usize) {
        self.abort(index);
        let slot = &mut self.slots[index];
        let found = containers(&self.pod).find(|(_, container)| container.name == slot.name);
        // Containers neither come nor go while a pod lives.
        let Some((_, spec)) = found.map(|(role, container)| (role, container.clone())) else { return };
        let (shared, resources, news, epoch) =
            (self.shared.clone(), self.resources.clone(), self.news.clone(), slot.epoch);
        let (dir, attempt, subject) = (self.dir.join(&spec.name), slot.machine.attempts, slot.subject(&self.subject));
        let task = tokio::spawn(async move {
            let what = match launch(&shared, &resources, &subject, &spec, &dir, attempt).await {
                Ok(launched) => What::Launched(Box::new(launched)),
                Err((why, at)) => What::NotStarted(why, at),
            };
            let _ = news.send(News::Container { slot: index, epoch, what });
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

    fn tell_pull_back_off(&self, index: usize) {
        let slot = &self.slots[index];
        let (subject, events) = (slot.subject(&self.subject), &self.shared.events);
        events.normal(&subject, "BackOff", format!("Back-off pulling image {:?}", slot.image));
        events.warning(&subject, "Failed", "Error: ImagePullBackOff".into());
    }

    fn tell_crash_loop(&self, index: usize) {
        let slot = &self.slots[index];
        let pod = format!("{}_{}({})", self.name, self.namespace, self.uid);
        let note = format!("Back-off restarting failed container {} in pod {pod}", slot.name);
        self.shared.events.warning(&slot.subject(&self.subject), "BackOff", note);
    }

    pub(super) fn tell_killing(&self, index: usize, note: String) {
        self.shared.events.normal(&self.slots[index].subject(&self.subject), "Killing", note);
    }
}

/// Reason and words of the event for a module that could not be had.
fn pull_note(why: &NotStarted, image: &str) -> Option<(&'static str, String)> {
    let NotStarted { reason, message } = why;
    match reason {
        Reason::InvalidImageName => {
            Some(("InspectFailed", format!("Failed to read the image name {image:?}: {message}")))
        }
        Reason::ErrImageNeverPull => Some((reason.word(), message.clone())),
        Reason::ErrImagePull => Some(("Failed", format!("Failed to pull image {image:?}: {message}"))),
        _ => None,
    }
}
