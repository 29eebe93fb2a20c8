//! How a program begins: one that runs to its end, by itself or listening at ports of its pod's address, or one that answers HTTP requests
//! there.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener};

use k8s_openapi::api::core::v1 as core;
use krustlet_core::serving::ports::{self, PortLease};
use krustlet_core::serving::probes::{self, Plan};
use krustlet_images::Image;
use krustlet_prober::Hook;
use krustlet_runtime::{Container, Module, RunSpec, RuntimeError, ServerLimits};

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
    leases: Vec<PortLease>,
    plans: Vec<Plan>,
    pre_stop: Option<Hook>,
}

enum Door {
    Agent { listener: TcpListener, limits: ServerLimits },
    Program(Vec<SocketAddr>),
}

/// A container that has begun, and listens or may.
pub struct Begun {
    /// What answers.
    pub answering: Answering,
    /// How it is to be probed.
    pub plans: Vec<Plan>,
    /// What it is given before it is to end.
    pub pre_stop: Option<Hook>,
    /// Its ports, which are its pod's until that has ended.
    pub leases: Vec<PortLease>,
}

impl Place {
    /// Takes its ports of the pod's address, which is that of a container that has any.
    ///
    /// # Errors
    /// What is wrong with its spec, or whose its port is.
    pub fn find(
        shared: &Shared,
        resources: &Resources,
        name: &str,
        container: &core::Container,
        listens: Option<(Listens, IpAddr)>,
    ) -> Result<Option<Self>, String> {
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
            return Err(format!(
                "it has {what}, and its program answers no requests: leave that out, and let the program exit when it is not well; or, if \
                 it is a component that listens by sockets of its own, name its TCP port in `ports`"
            ));
        };
        let (plans, pre_stop) = (plans?, pre_stop?);
        let limits = limits::of_pod(&resources.pod(), &shared.server_limits)?;
        let uid = resources.pod().metadata.uid.clone().unwrap_or_default();
        let at: Vec<_> = own.into_iter().map(|port| SocketAddr::new(address, port)).collect();
        let leases = at.iter().map(|at| shared.ports.take(*at, &uid, name)).collect::<Result<Vec<_>, _>>()?;
        let door = match listens {
            Listens::Agent => Door::Agent { listener: listen(&at)?, limits },
            Listens::Program => Door::Program(at),
        };
        leases.iter().for_each(PortLease::listened);
        shared.addresses.listened(&uid);
        Ok(Some(Self { door, leases, plans, pre_stop }))
    }
}

fn listen(at: &[SocketAddr]) -> Result<TcpListener, String> {
    TcpListener::bind(at).map_err(|error| {
        let places: Vec<_> = at.iter().map(|at| format!("port {} of the address {}", at.port(), at.ip())).collect();
        format!("cannot listen on {}: {error}", places.join(", "))
    })
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
    let Some(Place { door, leases, plans, pre_stop }) = place else {
        return Ok((engine.start(&image.module, spec)?, None));
    };
    let (container, answering) = match door {
        Door::Agent { listener, limits } => {
            let server = engine.serve(&image.module, spec, listener, limits)?;
            (server.container().clone(), Answering::Requests(server))
        }
        Door::Program(at) => {
            spec.http.listens.clone_from(&at);
            let container = engine.start(&image.module, spec)?;
            (container.clone(), Answering::Sockets { container, at })
        }
    };
    Ok((container, Some(Begun { answering, plans, pre_stop, leases })))
}
