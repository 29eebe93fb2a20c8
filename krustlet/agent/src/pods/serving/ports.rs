//! The ports of the node's address: which a container listens on, and whose it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Where a container listens that names no port.
const DEFAULT_PORT: u16 = 8080;

/// Where a container that serves listens: the first of its TCP ports.
pub fn listens_on(container: &Container) -> u16 {
    let ports = container.ports.iter().flatten();
    let mut tcp = ports.filter(|port| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP"));
    tcp.find_map(|port| number(port.container_port)).unwrap_or(DEFAULT_PORT)
}

/// The port that a probe means: by its number, or by its name among the container's.
///
/// # Errors
/// There is none of that name, or it is no port.
pub fn meant(container: &Container, port: &IntOrString) -> Result<u16, String> {
    match port {
        IntOrString::Int(given) => number(*given).ok_or_else(|| format!("{given} is no port")),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_ref() == Some(name));
            let found = named.and_then(|port| number(port.container_port));
            found.ok_or_else(|| format!("the container has no port of the name {name:?}"))
        }
    }
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port > 0)
}

/// Who has which port of the node's address. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Ports(Arc<Mutex<BTreeMap<u16, String>>>);

/// A port, taken until this is dropped.
#[derive(Debug)]
pub struct PortLease {
    ports: Ports,
    port: u16,
}

impl Ports {
    /// Takes a port for a container: `default/web/main`.
    ///
    /// # Errors
    /// Whose it is, and what to do.
    pub fn take(&self, port: u16, container: &str) -> Result<PortLease, String> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = taken.get(&port) {
            return Err(format!(
                "port {port} is {other}'s: the pods of this WebAssembly node that serve listen at the node's own address, where a \
                 port is one pod's alone; it is waited for, or name another containerPort first"
            ));
        }
        taken.insert(port, container.to_owned());
        Ok(PortLease { ports: self.clone(), port })
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.ports.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(ports: &Value) -> Container {
        serde_json::from_value(json!({ "name": "c", "ports": ports })).unwrap()
    }

    #[test]
    fn the_first_tcp_port_is_listened_on() {
        let table = [
            (json!(null), 8080),
            (json!([]), 8080),
            (json!([{ "containerPort": 80 }, { "containerPort": 81 }]), 80),
            (json!([{ "containerPort": 53, "protocol": "UDP" }, { "containerPort": 81, "protocol": "TCP" }]), 81),
            (json!([{ "containerPort": 53, "protocol": "UDP" }]), 8080),
        ];
        for (ports, wanted) in table {
            assert_eq!(listens_on(&container(&ports)), wanted, "{ports}");
        }
    }

    #[test]
    fn a_port_is_meant_by_number_or_name() {
        let container = container(&json!([{ "containerPort": 80, "name": "http" }]));
        assert_eq!(meant(&container, &IntOrString::Int(81)), Ok(81));
        assert_eq!(meant(&container, &IntOrString::String("http".into())), Ok(80));
        assert_eq!(
            meant(&container, &IntOrString::String("web".into())).unwrap_err(),
            "the container has no port of the name \"web\""
        );
        assert_eq!(meant(&container, &IntOrString::Int(0)).unwrap_err(), "0 is no port");
    }

    #[test]
    fn a_port_is_one_containers_until_it_gives_it_back() {
        let ports = Ports::default();
        let lease = ports.take(80, "default/a/main").unwrap();
        let _other = ports.take(81, "default/b/main").unwrap();
        let fault = ports.clone().take(80, "default/b/main").unwrap_err();
        assert!(fault.starts_with("port 80 is default/a/main's: "), "{fault}");
        drop(lease);
        ports.take(80, "default/b/main").unwrap();
    }
}
