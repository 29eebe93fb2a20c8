//! Other resources for containers that run.
//!
//! <https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/>

use std::mem::discriminant;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use krustlet_core::pod::containers_mut;
use krustlet_core::status::Resize;

use super::*;
use crate::containers::launch::memory_limit;

/// How soon what could not be had is looked for again: others go, and a program may give memory back by ending.
const AGAIN: Duration = Duration::from_secs(10);

/// What a pod wants of resources and does not have.
pub(super) struct Unmet {
    pub(super) why: Resize,
    /// Which wants it.
    pod: Arc<Pod>,
    pub(super) again: Instant,
}

impl Worker {
    /// Takes the pod as the API server has it now, but for resources that it cannot have.
    pub(super) fn take_over(&mut self) {
        let now = self.granted();
        let mended = http::changed(&self.pod, &now);
        let before = std::mem::replace(&mut self.pod, now.clone());
        self.resources.update(now);
        if mended {
            self.each(&Event::ConfigChanged);
        }
        let restarts: Vec<String> = changes(&before, &self.pod)
            .filter(|(before, now)| wants_restart(before, now))
            .map(|(_, now)| now.name.clone())
            .collect();
        for index in 0..self.slots.len() {
            if !restarts.contains(&self.slots[index].name) {
                self.limit_memory(index);
            } else if !self.course.ending() && self.refusal.is_none() {
                self.event(index, Event::SpecChanged);
            }
        }
    }

    /// The memory that a container may have, if it runs.
    pub(super) fn limit_memory(&self, index: usize) {
        let slot = &self.slots[index];
        let found = containers(&self.pod).find(|(_, container)| container.name == slot.name);
        if let (Some(guest), Some(Ok(limit))) = (&slot.guest, found.map(|(_, container)| memory_limit(container))) {
            guest.set_memory_limit(limit);
        }
    }

    fn granted(&mut self) -> Arc<Pod> {
        let now = self.heard.clone();
        if wanted(&self.pod) == wanted(&now) || self.course.over {
            self.unmet = None;
            return now;
        }
        let why = match self.find_unmet(&now) {
            None => {
                self.unmet = None;
                let note = "The resources of its containers are those of its spec now".into();
                self.shared.events.normal(&self.subject, "ResizeCompleted", note);
                return now;
            }
            Some(why) => why,
        };
        // Its words tell what others have at the moment: who wants the same hears the same.
        let same = self
            .unmet
            .take()
            .filter(|unmet| discriminant(&unmet.why) == discriminant(&why) && wanted(&unmet.pod) == wanted(&now));
        let why = same.map_or_else(
            || {
                let (reason, message) = why.event();
                self.shared.events.warning(&self.subject, &reason, message.to_owned());
                why
            },
            |same| same.why,
        );
        self.unmet = Some(Unmet { why, pod: now.clone(), again: Instant::now() + AGAIN });
        let mut pod = Pod::clone(&now);
        let had: Vec<_> = containers(&self.pod).map(|(_, container)| container.resources.clone()).collect();
        for (container, resources) in containers_mut(&mut pod).zip(had) {
            container.resources = resources;
        }
        if let (Some(spec), Some(before)) = (&mut pod.spec, &self.pod.spec) {
            spec.resources.clone_from(&before.resources);
        }
        Arc::new(pod)
    }

    /// Why it cannot have what it wants now; `None` when it has it.
    fn find_unmet(&self, now: &Pod) -> Option<Resize> {
        for (before, now) in changes(&self.pod, now).filter(|(before, now)| !wants_restart(before, now)) {
            let guest = self.slots.iter().find(|slot| slot.name == now.name).and_then(|slot| slot.guest.as_ref());
            let used = guest.map_or(0, |guest| guest.usage().memory_bytes);
            if let Ok(Some(limit)) = memory_limit(now)
                && limit < used
                && memory_limit(before) != Ok(Some(limit))
            {
                let name = &now.name;
                return Some(Resize::InUse(format!(
                    "container {name}: the memory limit {limit} is below its use {used}"
                )));
            }
        }
        self.place.as_ref().and_then(|place| place.resize(now).err())
    }
}

/// All that a pod names of resources.
fn wanted(pod: &Pod) -> Vec<Option<&ResourceRequirements>> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    containers(pod).map(|(_, container)| container.resources.as_ref()).chain([of_pod]).collect()
}

/// The containers whose resources are others now, as they were and as they are.
fn changes<'a>(before: &'a Pod, now: &'a Pod) -> impl Iterator<Item = (&'a Container, &'a Container)> {
    let pairs = containers(before).zip(containers(now)).map(|((_, before), (_, now))| (before, now));
    pairs.filter(|(before, now)| before.resources != now.resources)
}

/// Whether it is to be started anew for what has changed of its resources.
fn wants_restart(before: &Container, now: &Container) -> bool {
    let amounts = |container: &Container, name: &str| {
        let resources = container.resources.as_ref();
        let of = |list: Option<&std::collections::BTreeMap<_, _>>| list.and_then(|list| list.get(name)).cloned();
        (of(resources.and_then(|all| all.limits.as_ref())), of(resources.and_then(|all| all.requests.as_ref())))
    };
    now.resize_policy.iter().flatten().any(|policy| {
        policy.restart_policy == "RestartContainer"
            && amounts(before, &policy.resource_name) != amounts(now, &policy.resource_name)
    })
}
