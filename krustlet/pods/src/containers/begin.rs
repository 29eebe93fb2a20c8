//! How a program begins: one that runs to its end, or one that answers requests at a port of its pod's address.

use std::net::{IpAddr, SocketAddr, TcpListener};

use k8s_openapi::api::core::v1 as core;
use krustlet_core::serving::ports::{self, PortLease};
use krustlet_core::serving::probes::{self, Plan};
use krustlet_core::traces;
use krustlet_images::Image;
use krustlet_prober::Hook;
use krustlet_runtime::{Container, RunSpec, RuntimeError, Server, ServerLimits, TraceSource};

use crate::Shared;
use crate::resources::Resources;
use crate::serving::limits;

/// Where a container that answers requests listens, and how it is probed.
pub struct Place {
    listener: TcpListener,
    lease: PortLease,
    limits: ServerLimits,
    traces: Option<TraceSource>,
    plans: Vec<Plan>,
    pre_stop: Option<Hook>,
}

/// A container that has begun to answer requests.
pub struct Begun {
    /// What answers them.
    pub server: Server,
    /// How it is to be probed.
    pub plans: Vec<Plan>,
    /// What it is given before it is to end.
    pub pre_stop: Option<Hook>,
    /// Its port, which is its pod's until that has ended.
    pub lease: PortLease,
}

impl Place {
    /// Takes its port of the pod's address. A container that runs to its end has none.
    ///
    /// # Errors
    /// What is wrong with its spec, or whose its port is.
    pub fn find(
        shared: &Shared,
        resources: &Resources,
        name: &str,
        container: &core::Container,
        address: Option<IpAddr>,
    ) -> Result<Option<Self>, String> {
        let (plans, pre_stop) = (probes::plans(container), krustlet_prober::pre_stop(container));
        let Some(address) = address else {
            // Whatever else is wrong with them.
            let what = match (&plans, &pre_stop) {
                (Err(_), _) => "a probe",
                (Ok(plans), _) if !plans.is_empty() => "a probe",
                (_, Err(_) | Ok(Some(Hook::Http(_)))) => "an httpGet hook",
                _ if ports::wants_host_port(container) => "a hostPort",
                _ => return Ok(None),
            };
            return Err(format!(
                "it has {what}, and its program answers no requests: leave that out, and let the program exit when it is not well"
            ));
        };
        let (plans, pre_stop) = (plans?, pre_stop?);
        let limits = limits::of_pod(&resources.pod(), &shared.server_limits)?;
        let port = SocketAddr::new(address, ports::listens_on(container));
        let uid = resources.pod().metadata.uid.clone().unwrap_or_default();
        let lease = shared.ports.take(port, &uid, name)?;
        let listener = TcpListener::bind(port)
            .map_err(|error| format!("cannot listen on port {} of the address {address}: {error}", port.port()))?;
        lease.listened();
        shared.addresses.listened(&uid);
        let resource = || traces::resource(&resources.pod(), &container.name);
        let traces = shared.tracer.as_ref().map(|tracer| tracer.source(resource()));
        Ok(Some(Self { listener, lease, limits, traces, plans, pre_stop }))
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
    match place {
        None => Ok((engine.start(&image.module, spec)?, None)),
        Some(Place { listener, lease, limits, traces, plans, pre_stop }) => {
            spec.traces = traces;
            let server = engine.serve(&image.module, spec, listener, limits)?;
            Ok((server.container().clone(), Some(Begun { server, plans, pre_stop, lease })))
        }
    }
}
