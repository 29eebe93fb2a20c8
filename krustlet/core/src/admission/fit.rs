//! Whether a pod fits on this node, as the kubelet asks of pods that come without the scheduler, or faster than it knows. Pure.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::admit::Refusal;
use crate::lifecycle::policy::Role;
use crate::quantity;

/// Amounts by name: `cpu` in thousandths, `pods` in pods, all others as they are counted, in bytes mostly.
pub type Amounts = BTreeMap<String, u64>;

/// What is known of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `status.allocatable`.
    pub allocatable: Amounts,
}

/// Reads a list of resources. What is no quantity is left out: the API server lets none pass.
pub fn amounts(list: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    let read = |(name, quantity): (&String, &Quantity)| Some((name.clone(), amount(name, &quantity.0)?));
    list.into_iter().flatten().filter_map(read).collect()
}

fn amount(name: &str, text: &str) -> Option<u64> {
    match name {
        "cpu" => quantity::milli(text),
        _ => quantity::bytes(text),
    }
}

/// What the scheduler counts for a pod: its containers together with its sidecars, or the init container that needs the most (with
/// the sidecars before it), whichever is more; what the pod as a whole asks for comes before that; then its overhead; and one pod.
pub fn requests(spec: &PodSpec) -> Amounts {
    let mut most = together(spec, |resources| resources.requests.as_ref());
    most.extend(amounts(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref())));
    add(&mut most, &amounts(spec.overhead.as_ref()));
    most.insert("pods".into(), 1);
    most.retain(|_, amount| *amount > 0);
    most
}

/// What the containers of a pod may take together, in the same way.
pub fn limits(spec: &PodSpec) -> Amounts {
    together(spec, |resources| resources.limits.as_ref())
}

/// What containers name, by `list`.
fn together(spec: &PodSpec, list: impl Fn(&ResourceRequirements) -> Option<&BTreeMap<String, Quantity>>) -> Amounts {
    let named = |container: &Container| amounts(container.resources.as_ref().and_then(&list));
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let mut needs = named(container);
        match Role::of_init(container) {
            Role::Sidecar => add(&mut sidecars, &needs),
            _ => {
                add(&mut needs, &sidecars);
                raise(&mut most, &needs);
            }
        }
    }
    let mut together = sidecars;
    for container in &spec.containers {
        add(&mut together, &named(container));
    }
    raise(&mut most, &together);
    most
}

/// Adds the second to the first.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = sum.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let most = most.entry(name.clone()).or_default();
        *most = (*most).max(*amount);
    }
}

/// What is short for these requests beside pods that take `used`, and how it is said in the kubelet's words.
fn short(requests: &Amounts, used: &Amounts, node: &NodeFacts) -> Option<(String, String)> {
    // Of what is short, what there is too little of for most pods comes first.
    let mut names: Vec<&String> = requests.keys().collect();
    names.sort_by_key(|name| *name != "pods");
    names.into_iter().find_map(|name| {
        let (asked, used) = (requests[name], used.get(name).copied().unwrap_or(0));
        let capacity = node.allocatable.get(name).copied().unwrap_or(0);
        let message =
            format!("Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}");
        (used.saturating_add(asked) > capacity).then(|| (name.clone(), message))
    })
}

/// Why a pod that is there cannot have these requests beside others that take `used`.
pub fn shortage(requests: &Amounts, used: &Amounts, node: &NodeFacts) -> Option<String> {
    short(requests, used, node).map(|(_, message)| message)
}

/// Why the pod does not fit, in the kubelet's words, beside pods that take `used`.
pub fn misfit(pod: &Pod, requests: &Amounts, used: &Amounts, node: &NodeFacts) -> Option<Refusal> {
    let refusal = |reason: String, message: String| Refusal {
        reason,
        message: format!("Pod was rejected: {message}"),
        fails: true,
    };
    if let Some((name, message)) = short(requests, used, node) {
        return Some(refusal(format!("OutOf{name}"), message));
    }
    let chosen = pod.spec.as_ref().is_none_or(|spec| selects(spec, node));
    (!chosen).then(|| {
        refusal(
            "NodeAffinity".into(),
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector".into(),
        )
    })
}

/// Whether `nodeSelector` and the required part of `nodeAffinity` let the pod be on this node.
fn selects(spec: &PodSpec, node: &NodeFacts) -> bool {
    let by_labels = spec.node_selector.iter().flatten().all(|(key, value)| node.labels.get(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    by_labels && required.is_none_or(|selector| selector.node_selector_terms.iter().any(|term| fulfils(term, node)))
}

/// A term without requirements selects nothing.
fn fulfils(term: &NodeSelectorTerm, node: &NodeFacts) -> bool {
    let (labels, fields) = (term.match_expressions.iter().flatten(), term.match_fields.iter().flatten());
    let field = |key: &str| (key == "metadata.name").then_some(node.name.as_str());
    (labels.clone().count() + fields.clone().count() > 0)
        && labels.into_iter().all(|wanted| meets(wanted, node.labels.get(&wanted.key).map(String::as_str)))
        && fields.into_iter().all(|wanted| meets(wanted, field(&wanted.key)))
}

fn meets(wanted: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = wanted.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|listed| listed == value));
    let numbers = || Some((value?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match wanted.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers().is_some_and(|(value, limit)| value > limit),
        "Lt" => numbers().is_some_and(|(value, limit)| value < limit),
        _ => false,
    }
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
