//! How a program begins: one that runs to its end, by itself or listening at ports of its pod's address, or one that answers HTTP requests
//! there.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::serving::ports::{self, PortLease, Ports};
use krustlet_core::serving::probes::{self, Plan};
use krustlet_core::traces;
use krustlet_images::Image;
use krustlet_prober::Hook;
use krustlet_runtime::{Container, Lease, Leases, Module, RunSpec, RuntimeError, ServerLimits, TraceSource};

use crate::Shared;
use crate::resources::Resources;
use crate::serving::{Answering, limits};

/// Who listens for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listens {
    /// The agent, for HTTP requests that the program answers.
    Agent,
    /// The program itself, if it likes.
    Program,
}

impl Listens {
    /// For this container of this module; `None`: it has no port.
    pub fn of(module: &Module, container: &core::Container) -> Option<Self> {
        match module.is_server() {
            true => Some(Self::Agent),
            false if module.may_listen() && !ports::may_listen_on(container).is_empty() => Some(Self::Program),
            false => None,
        }
    }

    fn ports(self, container: &core::Container) -> BTreeSet<u16> {
        match self {
            Self::Agent => [ports::listens_on(container)].into(),
            Self::Program => ports::may_listen_on(container),
        }
    }
}

/// Where a container listens, and how it is probed.
pub struct Place {
    door: Door,
    plans: Vec<Plan>,
    pre_stop: Option<Hook>,
}

enum Door {
    Agent { listener: TcpListener, lease: PortLease, limits: ServerLimits, traces: Option<TraceSource> },
    Program { at: Vec<SocketAddr>, leases: Arc<OwnPorts> },
}

/// A container that has begun, and listens or may.
pub struct Begun {
    /// What answers.
    pub answering: Answering,
    /// How it is to be probed.
    pub plans: Vec<Plan>,
    /// What it is given before it is to end.
    pub pre_stop: Option<Hook>,
    /// The port at which the agent listens for it, which is its pod's until that has ended.
    pub lease: Option<PortLease>,
}

/// The ports of a container whose program listens itself: one is its own from when it is bound until it is closed.
#[derive(Debug)]
struct OwnPorts {
    ports: Ports,
    uid: String,
    name: String,
}

impl Leases for OwnPorts {
    fn take(&self, at: SocketAddr) -> Result<Lease, String> {
        // Nobody is told when it is free again, who may be waiting for it: a program could bind and close it all the time.
        let lease = self.ports.take(at, &self.uid, &self.name);
        lease.map(|lease| Box::new(lease) as Lease).map_err(|why| why.message)
    }
}

impl Place {
    /// Finds its port of the pod's address, which a container has that listens or may.
    ///
    /// # Errors
    /// What is wrong with its spec, or whose its port is.
    pub fn find(
        shared: &Shared,
        resources: &Resources,
        name: &str,
        container: &core::Container,
        listens: Option<(Listens, IpAddr)>,
    ) -> Result<Option<Self>, NotStarted> {
        let own = listens.map(|(listens, _)| listens.ports(container)).unwrap_or_default();
        let (plans, pre_stop) = (probes::plans(container, &own), krustlet_prober::pre_stop(container, &own));
        let Some((listens, address)) = listens else {
            // Whatever else is wrong with them.
            let what = match (&plans, &pre_stop) {
                (Err(_), _) => "a probe",
                (Ok(plans), _) if !plans.is_empty() => "a probe",
                (_, Err(_) | Ok(Some(Hook::Http(_)))) => "an httpGet hook",
                _ if ports::wants_host_port(container) => "a hostPort",
                _ => return Ok(None),
            };
            return Err(NotStarted::config(format!(
                "it has {what}, and its program answers no requests: leave that out, and let the program exit when it is not well; or, if \
                 it is a component that listens by sockets of its own, name its TCP port in `ports`"
            )));
        };
        let (plans, pre_stop) = (plans?, pre_stop?);
        let uid = resources.pod().metadata.uid.clone().unwrap_or_default();
        let door = match listens {
            Listens::Agent => {
                let limits = limits::of_pod(&resources.pod(), &shared.server_limits)?;
                let at = SocketAddr::new(address, ports::listens_on(container));
                let lease = shared.ports.take(at, &uid, name)?;
                let listener = TcpListener::bind(at).map_err(|error| not_bound(at, &error))?;
                lease.listened();
                // From here on its other containers have this address, too.
                shared.addresses.listened(&uid);
                let resource = || traces::resource(&resources.pod(), &container.name);
                let traces = shared.tracer.as_ref().map(|tracer| tracer.source(resource()));
                Door::Agent { listener, lease, limits, traces }
            }
            Listens::Program => Door::Program {
                at: own.into_iter().map(|port| SocketAddr::new(address, port)).collect(),
                leases: Arc::new(OwnPorts { ports: shared.ports.clone(), uid, name: name.into() }),
            },
        };
        Ok(Some(Self { door, plans, pre_stop }))
    }
}

fn not_bound(at: SocketAddr, error: &io::Error) -> NotStarted {
    let message = format!("cannot listen on port {} of the address {}: {error}", at.port(), at.ip());
    match error.kind() {
        // A program of the host has it, or it is kept for such with more rights: another port would do.
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => NotStarted::config(message),
        _ => NotStarted::host(message),
    }
}

/// Starts the program, which runs to its end or answers requests.
///
/// # Errors
/// Those of the engine.
pub fn begin(
    shared: &Shared,
    image: &Image,
    mut spec: RunSpec,
    place: Option<Place>,
) -> Result<(Container, Option<Begun>), RuntimeError> {
    let engine = shared.images.engine();
    let Some(Place { door, plans, pre_stop }) = place else {
        return Ok((engine.start(&image.module, spec)?, None));
    };
    let (container, answering, lease) = match door {
        Door::Agent { listener, lease, limits, traces } => {
            spec.traces = traces;
            let server = engine.serve(&image.module, spec, listener, limits)?;
            (server.container().clone(), Answering::Requests(server), Some(lease))
        }
        Door::Program { at, leases } => {
            spec.http.listens.clone_from(&at);
            spec.http.leases = Some(leases.clone());
            let container = engine.start(&image.module, spec)?;
            // Only now: a program that could not be started has listened nowhere.
            shared.addresses.listened(&leases.uid);
            (container.clone(), Answering::Sockets { container, at }, None)
        }
    };
    Ok((container, Some(Begun { answering, plans, pre_stop, lease })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use krustlet_core::lifecycle::not_started::Reason;

    #[test]
    fn a_port_that_cannot_be_had_is_the_configs_where_another_would_do() {
        let at = SocketAddr::from(([10, 1, 0, 7], 80));
        for (kind, reason) in [
            (io::ErrorKind::AddrInUse, Reason::CreateContainerConfigError),
            (io::ErrorKind::PermissionDenied, Reason::CreateContainerConfigError),
            (io::ErrorKind::AddrNotAvailable, Reason::CreateContainerError),
            (io::ErrorKind::Other, Reason::CreateContainerError),
        ] {
            let why = not_bound(at, &kind.into());
            assert_eq!(why.reason, reason, "{kind}");
            assert!(why.message.starts_with("cannot listen on port 80 of the address 10.1.0.7: "), "{why}");
        }
    }
}
