//! What a Pod object says of itself.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::lifecycle::policy::Role;

/// All containers of a pod with their roles, init containers first.
pub fn containers(pod: &Pod) -> impl Iterator<Item = (Role, &Container)> {
    let spec = pod.spec.as_ref();
    let inits = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let mains = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let inits = inits.iter().map(|container| (Role::of_init(container), container));
    inits.chain(mains.iter().map(|container| (Role::Main, container)))
}

/// The same to be changed, in the same order.
pub fn containers_mut(pod: &mut Pod) -> impl Iterator<Item = &mut Container> {
    let (inits, mains) = match &mut pod.spec {
        Some(spec) => (spec.init_containers.as_deref_mut().unwrap_or_default(), spec.containers.as_mut_slice()),
        None => Default::default(),
    };
    inits.iter_mut().chain(mains)
}

/// Whether the pod has come to its end, after which nothing of it may run again.
pub fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether an agent has taken the pod up before: it has its place, and keeps it.
pub fn was_started(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.start_time.is_some())
}

/// The address that a pod had under an earlier agent.
pub fn address_before(pod: &Pod) -> Option<IpAddr> {
    let address = pod.status.as_ref()?.pod_ip.as_deref()?;
    address.parse().ok().filter(|_| !is_terminal(pod))
}
