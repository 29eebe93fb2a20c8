//! The agent from start to end, in the order in which things must happen.

use std::future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use krustlet_api::discovery::ServiceNames;
use krustlet_api::events::Events;
use krustlet_api::objects::Objects;
use krustlet_core::env::Node;
use krustlet_core::errors::chain;
use krustlet_core::node::Pressure;
use krustlet_core::serving::ports::Ports;
use krustlet_host::files;
use krustlet_images::Images;
use krustlet_images::compile::{Compiler, Launcher};
use krustlet_join::{Identity, renewal};
use krustlet_logs::Logs;
use krustlet_node::{Readiness, Registration};
use krustlet_pods::{Addresses, Directory, Evictions, Places, Provision, Shared};
use krustlet_runtime::{Egress, Engine, EngineConfig};
use krustlet_server::{Door, Server, Site};
use krustlet_volumes::{HostPaths, Own};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Config;
use crate::data_dir;

/// How long the last word to the API server may take.
const SIGN_OFF_LIMIT: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT, or until something fails that cannot be mended.
///
/// # Errors
/// The port is taken, the data folder is another node's, the node may not join, its serving certificate was refused, or its
/// client certificate has ended and it may not join again.
pub async fn run(config: &Config) -> Result<()> {
    let mut stop = stop_signal()?;
    data_dir::claim(&config.data_dir, &config.node_name)?;
    krustlet_node::check(&config.node())?;
    let host_paths = host_paths(config)?;
    let listener = krustlet_server::bind(config.listen)?;
    let images = images(config)?;
    let (tidy, compiler) = (images.clone(), images.compiler().clone());
    let pressure = Pressure::new(config.eviction_hard);

    let (identity, mut registration) = tokio::select! {
        joined = join(config, &images, pressure.clone()) => joined?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };

    let objects = Objects::new(identity.client.clone());
    let service_names = ServiceNames::new(objects.clone(), identity.client.clone());
    let ca_file = config.trusted_ca_file.as_deref();
    let traces = config.traces.as_ref().map(|traces| traces.start(ca_file, Some(service_names.clone()))).transpose()?;
    let (tracer, exporter) = traces.unzip();
    let directory = Directory::default();
    let logs = Logs::new(config.log_limits);
    let evictions = Evictions::default();
    let site = Site {
        directory: directory.clone(),
        logs: logs.clone(),
        compiler,
        memory: images.engine().memory().clone(),
        evictions: evictions.clone(),
        tracer: tracer.clone(),
        node_name: config.node_name.clone(),
        data_dir: config.data_dir.clone(),
    };
    let waiting = Readiness::NotReady("waiting for the serving certificate to be approved".into());
    let (set_readiness, readiness) = watch::channel(waiting);
    let (stop_pods, pods_stop) = watch::channel(false);
    let addresses = match config.pod_routes_file {
        Some(_) => Addresses::of_range(config.node_ip),
        None => Addresses::of_node(config.node_ip),
    };
    let mut pods = tokio::spawn({
        let addresses = addresses.clone();
        let shared = Arc::new(Shared {
            places: Places::new(identity.client.clone(), &config.node_name),
            addresses,
            ports: Ports::default(),
            client: identity.client.clone(),
            images,
            logs,
            events: Events::new(identity.client.clone(), &config.node_name),
            directory,
            pods_dir: config.data_dir.join("pods"),
            provision: Arc::new(Provision::new(
                objects,
                Node { host_ip: config.node_ip.to_string(), allocatable: registration.allocatable() },
                host_paths,
            )),
            service_names,
            pressure,
            evictions,
            server_limits: config.server_limits.clone(),
            tracer,
            shutdown_grace: config.shutdown_grace,
        });
        let node_name = config.node_name.clone();
        async move { krustlet_pods::run(shared, &node_name, pods_stop).await }
    });

    let joining = config.join();
    let mut server = None;
    let outcome = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => Ok(()),
        () = tidy.keep_tidy() => Ok(()),
        error = renewal::keep_client(&joining, &identity) => Err(error.into()),
        error = keep_addresses(config, &identity, &addresses) => Err(error),
        error = keep_port_open(config, &identity, listener, site, &set_readiness, &mut server) => Err(error),
        () = registration.keep_alive(readiness) => Ok(()),
    };

    tracing::info!("stopping");
    stop_pods.send_replace(true);
    // Pods have their grace, in which the node is not to be taken for lost.
    let ended = tokio::select! {
        ended = &mut pods => ended,
        () = registration.wind_down() => Ok(()),
    };
    if ended.is_err() {
        tracing::error!("the pods were not ended in good order");
    }
    // After the pods: who follows a log still gets its end.
    if let Some(server) = server {
        server.stop();
    }
    let exported = async {
        if let Some(exporter) = exporter {
            exporter.stop().await;
        }
    };
    match tokio::join!(timeout(SIGN_OFF_LIMIT, registration.sign_off()), exported).0 {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("the node could not sign off: {}", chain(&error)),
        Err(_) => tracing::warn!("the node could not sign off in time"),
    }
    outcome
}

async fn join(config: &Config, images: &Images, pressure: Pressure) -> Result<(Identity, Registration)> {
    let identity = krustlet_join::client_identity(&config.join()).await?;
    let images = images.clone();
    let inventory =
        move || images.inventory().into_iter().map(|image| (image.names, image.size_bytes)).collect::<Vec<_>>();
    let registration =
        Registration::new(&config.node(), identity.client.clone(), pressure, Box::new(inventory)).await?;
    Ok((identity, registration))
}

/// Opens the log port as soon as it has its certificate, makes the node ready then, and renews the certificate. Ends only with an
/// error.
async fn keep_port_open(
    config: &Config,
    identity: &Identity,
    listener: TcpListener,
    site: Site,
    readiness: &watch::Sender<Readiness>,
    server: &mut Option<Server>,
) -> anyhow::Error {
    let joining = config.join();
    let opened = async {
        let serving =
            krustlet_join::serving_identity(&joining, identity).await.context("the node cannot serve logs")?;
        let door =
            Door { ca: identity.ca.clone(), client: identity.client.clone(), limits: krustlet_server::Limits::here() };
        anyhow::Ok((krustlet_server::start(listener, &serving, door, site)?, serving))
    };
    match opened.await {
        Err(error) => error,
        Ok((opened, serving)) => {
            let running = server.insert(opened);
            tracing::info!(address = %config.listen, "log port open");
            readiness.send_replace(Readiness::Ready);
            match renewal::keep_serving(&joining, identity, serving, |next| Ok(running.renew(next)?)).await {}
        }
    }
}

/// Looks after the pods' own addresses, where they are to have some. Ends only with an error.
async fn keep_addresses(config: &Config, identity: &Identity, addresses: &Addresses) -> anyhow::Error {
    let Some(file) = &config.pod_routes_file else { return future::pending().await };
    match krustlet_pods::keep_addresses(addresses, identity.client.clone(), &config.node_name, file).await {
        Err(error) => error.into(),
    }
}

/// After its folder was claimed: what pods may have of this machine must not be that.
fn host_paths(config: &Config) -> Result<HostPaths> {
    let own = Own { data_dir: config.data_dir.clone(), files: config.own_files() };
    match HostPaths::open(&config.allowed_host_paths, own) {
        Ok(paths) => Ok(paths),
        Err(faults) => bail!("--allowed-host-paths: {}", faults.join("; ")),
    }
}

/// The most sockets of all programs. Each of UDP has a port of the host's, of which there are some 28,000 for everybody.
const MAX_SOCKETS: usize = 4096;

fn images(config: &Config) -> Result<Images> {
    if let Some(path) = config.registry_config.as_ref().filter(|path| !path.exists()) {
        tracing::warn!("--registry-config: {} is not there; until it is, the node has no logins", path.display());
    }
    let docker_config = config.registry_config.clone().or_else(krustlet_oci::default_docker_config);
    let client = krustlet_oci::Client::new(krustlet_oci::ClientConfig {
        insecure_registries: config.insecure_registries.clone(),
        mirrors: config.registry_mirrors.clone(),
        docker_config,
        trusted_ca_file: config.trusted_ca_file.clone(),
        ..krustlet_oci::ClientConfig::default()
    })?;
    // So that the node can be spoken to, and reads and writes its own files, whatever programs and their clients do.
    let quarter = files::open_files_limit().map_or(usize::MAX, |all| usize::try_from(all / 4).unwrap_or(usize::MAX));
    let engine = Engine::new(EngineConfig {
        code_cache: Some(config.data_dir.join("code")),
        trusted_ca_file: config.trusted_ca_file.clone(),
        egress: Egress { allowed: config.allowed_egress.clone() },
        memory_budget_bytes: krustlet_node::memory_for_programs(&config.node()),
        max_server_connections: quarter,
        max_sockets: quarter.min(MAX_SOCKETS),
        wasi_0_3: config.wasi_0_3,
        ..EngineConfig::default()
    })?;
    if !engine.keeps_code() {
        tracing::warn!("modules are compiled in the agent itself, without limits of time and memory");
    }
    let compiler = Compiler::new(engine.clone(), &config.data_dir, config.compile_limits, Launcher::this());
    Ok(Images::new(client, engine, compiler, &config.data_dir, config.image_limits))
}

/// Becomes true at SIGTERM or SIGINT.
fn stop_signal() -> Result<watch::Receiver<bool>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM received"),
            _ = interrupt.recv() => tracing::info!("SIGINT received"),
        }
        sender.send_replace(true);
        // The receivers must never see the sender go.
        future::pending::<()>().await;
    });
    Ok(receiver)
}
