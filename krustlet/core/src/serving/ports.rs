//! The ports of addresses: which a container listens on, and whose it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::sync::watch;

use crate::lifecycle::not_started::NotStarted;
use crate::pod::address_before;

/// Where a container listens that names no port.
const DEFAULT_PORT: u16 = 8080;

/// Where a container that answers HTTP requests listens: the first of its TCP ports.
pub fn listens_on(container: &Container) -> u16 {
    first(container).and_then(|port| number(port.container_port)).unwrap_or(DEFAULT_PORT)
}

/// Where the program of a container may listen by sockets of its own: all of its TCP ports.
pub fn may_listen_on(container: &Container) -> BTreeSet<u16> {
    tcp(container).filter_map(|port| number(port.container_port)).collect()
}

fn first(container: &Container) -> Option<&ContainerPort> {
    tcp(container).next()
}

fn tcp(container: &Container) -> impl Iterator<Item = &ContainerPort> {
    let ports = container.ports.iter().flatten();
    ports.filter(|port| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP"))
}

/// Whether it names ports of its host.
pub fn wants_host_port(container: &Container) -> bool {
    container.ports.iter().flatten().any(|port| port.host_port.is_some_and(|port| port != 0))
}

/// Whether the ports of its host that it names, if it does, are what it gets: the one that it listens on, at the node's own
/// address, which its pod has then. The scheduler knows of them then, and puts no two pods with the same one on a node.
pub fn host_ports_are_kept(container: &Container) -> bool {
    let kept = |port: &ContainerPort| {
        let anywhere = port.host_ip.as_deref().is_none_or(|ip| matches!(ip, "" | "0.0.0.0" | "::"));
        first(container) == Some(port) && port.host_port == Some(port.container_port) && anywhere
    };
    container.ports.iter().flatten().all(|port| port.host_port.is_none_or(|port| port == 0) || kept(port))
}

/// The port that a probe means: by its number, or by its name among the container's. It has to be one of `own`, where the container
/// listens or may: at the node's address all others may be somebody else's, whom a pod may ask by its program alone, if that may.
///
/// # Errors
/// There is none of that name, or it is no port, or not the container's.
pub fn meant(container: &Container, port: &IntOrString, own: &BTreeSet<u16>) -> Result<u16, NotStarted> {
    let port = numbered(container, port)?;
    if own.contains(&port) {
        return Ok(port);
    }
    let own: Vec<_> = own.iter().map(u16::to_string).collect();
    Err(NotStarted::config(match own.as_slice() {
        [] => format!("port {port} is not the container's, which listens nowhere"),
        own => format!("port {port} is not the container's, which listens on {} alone", own.join(", ")),
    }))
}

fn numbered(container: &Container, port: &IntOrString) -> Result<u16, NotStarted> {
    let found = match port {
        IntOrString::Int(given) => number(*given).ok_or_else(|| format!("{given} is no port")),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_ref() == Some(name));
            let found = named.and_then(|port| number(port.container_port));
            found.ok_or_else(|| format!("the container has no port of the name {name:?}"))
        }
    };
    found.map_err(NotStarted::config)
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port > 0)
}

/// Who has which port of which address. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Ports(Arc<Taken>);

#[derive(Debug, Default)]
struct Taken {
    by_port: Mutex<BTreeMap<SocketAddr, Owner>>,
    freed: watch::Sender<()>,
}

#[derive(Debug)]
struct Owner {
    /// Of the pod.
    uid: String,
    /// `default/web/main`, or `default/web` as long as it is not known for which of its containers it is.
    name: String,
    leases: usize,
    /// Whether somebody has listened on it: whoever waits for it need not hear of one that could not be had.
    listened: bool,
}

/// A port, taken until the last lease of it is dropped.
#[derive(Debug)]
pub struct PortLease {
    ports: Ports,
    port: SocketAddr,
}

impl Ports {
    /// Takes a port for a container of the pod with that uid: `default/web/main`. It may take it again.
    ///
    /// # Errors
    /// Whose it is, and what to do.
    pub fn take(&self, port: SocketAddr, uid: &str, container: &str) -> Result<PortLease, NotStarted> {
        let mut taken = self.0.by_port.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = taken.entry(port).or_insert_with(|| Owner {
            uid: uid.into(),
            name: container.into(),
            leases: 0,
            listened: false,
        });
        let within = container.strip_prefix(&owner.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if owner.uid != uid || !within {
            let (other, number) = (&owner.name, port.port());
            let why = match owner.uid == uid {
                true => "the containers of a pod have one address".to_owned(),
                false => format!("both pods have the address {}, that of this WebAssembly node", port.ip()),
            };
            return Err(NotStarted::config(format!(
                "port {number} is {other}'s: {why}, where a port is one container's alone; it is waited for, or name another containerPort \
                 first"
            )));
        }
        owner.name = container.into();
        owner.leases += 1;
        Ok(PortLease { ports: self.clone(), port })
    }

    /// Takes again what pods had that an earlier agent served, by their uids: those have an address. Nobody may come before them.
    pub fn take_again(&self, pods: &[&Pod]) -> HashMap<String, Vec<PortLease>> {
        // Who listens is only known when the modules are here. Until then they have what the agent would have for each container, and then
        // what their programs may have had themselves, if that is left.
        let mut all: HashMap<String, Vec<PortLease>> = HashMap::new();
        for ports in [|container: &Container| [listens_on(container)].into(), may_listen_on] {
            for (uid, pod) in pods.iter().filter_map(|pod| Some((pod.metadata.uid.clone()?, pod))) {
                let leases = self.take_of(pod, &uid, ports);
                all.entry(uid).or_default().extend(leases);
            }
        }
        all
    }

    fn take_of(&self, pod: &Pod, uid: &str, ports: fn(&Container) -> BTreeSet<u16>) -> Vec<PortLease> {
        let (Some(spec), Some(address)) = (&pod.spec, address_before(pod)) else { return Vec::new() };
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let name = format!("{}/{}", part(&pod.metadata.namespace), part(&pod.metadata.name));
        let ports: BTreeSet<u16> =
            spec.init_containers.iter().flatten().chain(&spec.containers).flat_map(ports).collect();
        let leases = ports.into_iter().filter_map(|port| self.take((address, port).into(), uid, &name).ok());
        leases.inspect(PortLease::listened).collect()
    }

    /// Tells when a port has become free.
    pub fn freed(&self) -> watch::Receiver<()> {
        self.0.freed.subscribe()
    }
}

impl PortLease {
    /// Which it is.
    pub fn address(&self) -> SocketAddr {
        self.port
    }

    /// Somebody listens on it, or has.
    pub fn listened(&self) {
        let mut taken = self.ports.0.by_port.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = taken.get_mut(&self.port) {
            owner.listened = true;
        }
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        let mut taken = self.ports.0.by_port.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(owner) = taken.get_mut(&self.port) else { return };
        owner.leases -= 1;
        if owner.leases == 0 {
            let listened = owner.listened;
            taken.remove(&self.port);
            drop(taken);
            if listened {
                self.ports.0.freed.send_replace(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A port of the node's address.
    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

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
    fn a_program_may_listen_on_all_tcp_ports_and_probes_may_mean_them() {
        let ports = json!([{ "containerPort": 53, "protocol": "UDP" }, { "containerPort": 81 }, { "containerPort": 80, "name": "web" }]);
        let named = container(&ports);
        let own = may_listen_on(&named);
        assert_eq!(own, [80, 81].into());
        assert_eq!(meant(&named, &IntOrString::String("web".into()), &own), Ok(80));
        let other = meant(&named, &IntOrString::Int(53), &own).unwrap_err().message;
        assert_eq!(other, "port 53 is not the container's, which listens on 80, 81 alone");
        assert_eq!(may_listen_on(&container(&json!(null))), BTreeSet::new());
        let nowhere = meant(&named, &IntOrString::Int(80), &BTreeSet::new()).unwrap_err().message;
        assert_eq!(nowhere, "port 80 is not the container's, which listens nowhere");
    }

    #[test]
    fn a_port_is_meant_by_number_or_name() {
        let container = container(&json!([{ "containerPort": 80, "name": "http" }]));
        let meant = |container: &Container, port: &IntOrString| meant(container, port, &[80].into());
        assert_eq!(meant(&container, &IntOrString::Int(80)), Ok(80));
        let other = meant(&container, &IntOrString::Int(81)).unwrap_err().message;
        assert_eq!(other, "port 81 is not the container's, which listens on 80 alone");
        assert_eq!(meant(&container, &IntOrString::String("http".into())), Ok(80));
        assert_eq!(
            meant(&container, &IntOrString::String("web".into())).unwrap_err().message,
            "the container has no port of the name \"web\""
        );
        assert_eq!(meant(&container, &IntOrString::Int(0)).unwrap_err().message, "0 is no port");
    }

    #[test]
    fn a_port_is_one_pods_until_it_gives_it_back() {
        let ports = Ports::default();
        let lease = ports.take(at(80), "a", "default/a/main").unwrap();
        lease.listened();
        let _other = ports.take(at(81), "b", "default/b/main").unwrap();
        let (node, own) = ("both pods have the address 10.0.0.1, ", "the containers of a pod have one address, ");
        for (uid, container, why) in
            [("b", "default/b/main", node), ("new", "default/a/main", node), ("a", "default/a/side", own)]
        {
            let fault = ports.clone().take(at(80), uid, container).unwrap_err().message;
            assert!(fault.starts_with(&format!("port 80 is default/a/main's: {why}")), "{fault}");
        }
        let _elsewhere = ports.take(([10, 1, 0, 2], 80).into(), "b", "default/b/main").unwrap();
        let again = ports.take(at(80), "a", "default/a/main").unwrap();
        let freed = ports.freed();
        drop(lease);
        assert!(!freed.has_changed().unwrap());
        ports.take(at(80), "b", "default/b/main").unwrap_err();
        drop(again);
        assert!(freed.has_changed().unwrap());
        let mut freed = ports.freed();
        freed.mark_unchanged();
        drop(ports.take(at(80), "b", "default/b/main").unwrap());
        assert!(!freed.has_changed().unwrap(), "nobody has listened there");
    }

    /// Of a node's address, if it is not without one.
    fn served(name: &str, phase: &str, ip: Value, ports: Value) -> Pod {
        let spec = json!({ "containers": [{ "name": "main", "ports": ports }, { "name": "beside" }] });
        let metadata = json!({ "name": name, "namespace": "default", "uid": name });
        let status = json!({ "phase": phase, "podIP": ip });
        serde_json::from_value(json!({ "metadata": metadata, "spec": spec, "status": status })).unwrap()
    }

    #[test]
    fn a_pod_that_was_served_by_an_earlier_agent_has_its_ports_again() {
        let (named, two) =
            (json!([{ "containerPort": 80 }]), json!([{ "containerPort": 80 }, { "containerPort": 81 }]));
        let table = [
            // The one beside it may be the one that answers.
            ("Running", json!("10.0.0.1"), named.clone(), &[80, 8080][..]),
            // A program may have listened at each of them.
            ("Running", json!("10.0.0.1"), two, &[80, 81, 8080]),
            ("Running", json!("10.0.0.1"), json!([]), &[8080]),
            ("Running", json!(null), named.clone(), &[]),
            ("Succeeded", json!("10.0.0.1"), named, &[]),
        ];
        for (phase, ip, declared, wanted) in table {
            let ports = Ports::default();
            let leases = ports.take_again(&[&served("a", phase, ip, declared)]);
            let had: BTreeSet<u16> = leases["a"].iter().map(|lease| lease.address().port()).collect();
            assert_eq!(had, wanted.iter().copied().collect());
            for port in wanted {
                let fault = ports.take(at(*port), "b", "default/b/main").unwrap_err().message;
                assert!(fault.starts_with(&format!("port {port} is default/a's: ")), "{fault}");
                ports.take(at(*port), "a", "default/a/main").unwrap();
            }
        }
    }

    #[test]
    fn what_the_agent_listens_on_is_nobody_elses_who_may_have_listened_there() {
        let two = |first: u16| json!([{ "containerPort": first }, { "containerPort": first + 1 }]);
        let pods = [("a", 80), ("b", 81)].map(|(name, first)| served(name, "Running", json!("10.0.0.1"), two(first)));
        let ports = Ports::default();
        let _leases = ports.take_again(&pods.each_ref());
        for (port, uid) in [(80, "a"), (81, "b"), (82, "b")] {
            ports.take(at(port), uid, &format!("default/{uid}/main")).unwrap();
        }
    }

    #[test]
    fn a_port_of_the_host_is_kept_where_it_is_the_one_that_is_listened_on() {
        let table = [
            (json!([]), false, true),
            (json!([{ "containerPort": 80, "hostPort": 0 }]), false, true),
            (json!([{ "containerPort": 80, "hostPort": 80 }, { "containerPort": 81 }]), true, true),
            (json!([{ "containerPort": 80, "hostPort": 80, "hostIP": "0.0.0.0" }]), true, true),
            (json!([{ "containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1" }]), true, false),
            (json!([{ "containerPort": 80, "hostPort": 8080 }]), true, false),
            (json!([{ "containerPort": 80 }, { "containerPort": 81, "hostPort": 81 }]), true, false),
            (json!([{ "containerPort": 53, "hostPort": 53, "protocol": "UDP" }]), true, false),
        ];
        for (ports, wants, kept) in table {
            let container = container(&ports);
            assert_eq!((wants_host_port(&container), host_ports_are_kept(&container)), (wants, kept), "{ports}");
        }
    }
}
