//! The environment of a container, from literals and from what they refer to.
//!
//! Precedence, weakest first: services, `envFrom` in its order, `env` in its order.
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/>

mod amounts;
mod fields;
mod services;

use std::collections::HashMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};

pub use self::amounts::{Amounts, value as amount};
pub use self::fields::value as field;
pub use self::services::{Backing, Service, is_told, variables};
use crate::command::{Environment, expand};
use crate::content::{Kind, Known, find};
use crate::lifecycle::not_started::NotStarted;

/// What a pod may learn of its node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its address.
    pub host_ip: String,
    /// What its pods can use together.
    pub allocatable: Amounts,
}

/// What the values come from.
pub struct Facts<'a> {
    /// The pod of the container.
    pub pod: &'a Pod,
    /// Its node.
    pub node: &'a Node,
    /// Every object that the container's environment refers to.
    pub objects: &'a Known,
    /// The services that the pod hears of.
    pub services: &'a [Service],
    /// Where the container answers requests, if it does.
    pub address: Option<IpAddr>,
}

/// An environment, and what had to be left out of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Built {
    /// Names and values; a name stands once.
    pub environment: Environment,
    /// For people: which keys of which object are no names of variables.
    pub skipped: Vec<String>,
}

/// The environment of a container.
///
/// # Errors
/// A reference that is not optional leads nowhere, or a source is not supported: a sentence for people, without any value.
pub fn environment(container: &Container, facts: &Facts) -> Result<Built, NotStarted> {
    let mut own = Variables::default();
    let mut skipped = Vec::new();
    let namespace = facts.pod.metadata.namespace.as_deref().unwrap_or_default();
    for source in container.env_from.iter().flatten() {
        let (kind, name, optional) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(from), _) => (Kind::ConfigMap, &from.name, from.optional),
            (None, Some(from)) => (Kind::Secret, &from.name, from.optional),
            (None, None) => return Err(NotStarted::config("envFrom: this node knows configMapRef and secretRef only")),
        };
        let Some(content) = find(facts.objects, kind, name, optional)? else { continue };
        let mut invalid = Vec::new();
        for (key, value) in &content.values {
            let variable = format!("{}{key}", source.prefix.as_deref().unwrap_or_default());
            if is_name(&variable) {
                own.set(&variable, text(kind, namespace, name, key, value)?);
            } else {
                invalid.push(variable);
            }
        }
        if !invalid.is_empty() {
            skipped.push(format!(
                "Keys [{}] from the EnvFrom {} {namespace}/{name} were skipped since they are considered invalid environment variable names.",
                invalid.join(", "),
                kind.word()
            ));
        }
    }
    let services = variables(facts.services);
    let of_services: HashMap<&str, &str> =
        services.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for EnvVar { name, value, value_from } in container.env.iter().flatten() {
        let value = match (value.as_deref().unwrap_or_default(), value_from) {
            ("", Some(from)) => match looked_up(name, from, container, facts)? {
                Some(value) => value,
                None => continue,
            },
            (literal, _) => expand(literal, |name| own.get(name).or_else(|| of_services.get(name).copied())),
        };
        own.set(name, value);
    }
    for (name, value) in services {
        if own.get(&name).is_none() {
            own.set(&name, value);
        }
    }
    Ok(Built { environment: own.list, skipped })
}

/// The value of one variable; `None` when it is optional and not there.
fn looked_up(
    name: &str,
    from: &EnvVarSource,
    container: &Container,
    facts: &Facts,
) -> Result<Option<String>, NotStarted> {
    let named = |why: NotStarted| why.context(format_args!("env {name}"));
    let unknown = |why: &str| Err(named(NotStarted::config(why)));
    if let Some(from) = &from.field_ref {
        if let (Some(address), "status.podIP" | "status.podIPs") = (facts.address, from.field_path.as_str()) {
            return Ok(Some(address.to_string()));
        }
        return field(facts.pod, facts.node, &from.field_path).map(Some).map_err(named);
    }
    if let Some(from) = &from.resource_field_ref {
        let other = from.container_name.as_deref().filter(|other| !other.is_empty() && *other != container.name);
        let container = match other {
            Some(other) => container_named(facts.pod, other).map_err(named)?,
            None => container,
        };
        return amount(container, from, &facts.node.allocatable).map(Some).map_err(named);
    }
    let (kind, object, key, optional) = match (&from.config_map_key_ref, &from.secret_key_ref) {
        (Some(from), _) => (Kind::ConfigMap, &from.name, &from.key, from.optional),
        (None, Some(from)) => (Kind::Secret, &from.name, &from.key, from.optional),
        (None, None) if from.file_key_ref.is_some() => {
            return unknown("fileKeyRef is not supported on this node, which reads no files of a pod");
        }
        (None, None) => return unknown("this node does not know where its value is to come from"),
    };
    let Some(content) = find(facts.objects, kind, object, optional)? else { return Ok(None) };
    let namespace = facts.pod.metadata.namespace.as_deref().unwrap_or_default();
    match content.values.get(key) {
        Some(value) => text(kind, namespace, object, key, value).map(Some),
        None if optional == Some(true) => Ok(None),
        None => {
            Err(NotStarted::config(format!("couldn't find key {key} in {} {namespace}/{object}", kind.type_name())))
        }
    }
}

/// A container of the pod, whichever list it stands in.
///
/// # Errors
/// There is none of that name.
pub fn container_named<'a>(pod: &'a Pod, name: &str) -> Result<&'a Container, NotStarted> {
    let spec = pod.spec.as_ref();
    let all = spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let found = all.into_iter().find(|container| container.name == name);
    found.ok_or_else(|| NotStarted::config(format!("container {name} not found")))
}

/// Kubernetes' relaxed rule: printable ASCII but for `=`.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

fn text(kind: Kind, namespace: &str, name: &str, key: &str, value: &[u8]) -> Result<String, NotStarted> {
    let text = std::str::from_utf8(value).map(ToString::to_string);
    text.map_err(|_| {
        NotStarted::config(format!(
            "key {key} in {} {namespace}/{name} is no text (UTF-8), which a variable has to be: mount it as a file",
            kind.type_name()
        ))
    })
}

/// Variables in the order in which they were first set, found by name.
#[derive(Default)]
struct Variables {
    list: Environment,
    places: HashMap<String, usize>,
}

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).and_then(|at| self.list.get(*at)).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: String) {
        let next = self.list.len();
        let at = *self.places.entry(name.to_string()).or_insert(next);
        match self.list.get_mut(at) {
            Some((_, old)) => *old = value,
            None => self.list.push((name.to_string(), value)),
        }
    }
}

/// Which objects the environment of a container is made of.
pub fn references(container: &Container) -> impl Iterator<Item = (Kind, &str)> {
    let all = container.env_from.iter().flatten().map(|from| {
        (from.config_map_ref.as_ref().map(|from| &from.name), from.secret_ref.as_ref().map(|from| &from.name))
    });
    let single = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()).map(|from| {
        (from.config_map_key_ref.as_ref().map(|from| &from.name), from.secret_key_ref.as_ref().map(|from| &from.name))
    });
    all.chain(single).filter_map(|(config_map, secret)| match (config_map, secret) {
        (Some(name), _) => Some((Kind::ConfigMap, name.as_str())),
        (None, Some(name)) => Some((Kind::Secret, name.as_str())),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests;
