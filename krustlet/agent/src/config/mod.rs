//! The command line and its environment: Krustlet's names and meanings, checked before anything else happens.

mod flags;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use krustlet_core::labels::{self, Labels};
use krustlet_core::node::{Reserve, Thresholds};
use krustlet_images::compile::CompileLimits;
use krustlet_pods::server_limits;
use krustlet_runtime::{Cidr, CidrError, ServerLimits};

pub use self::flags::Flags;
use crate::traces::Tracing;

/// What the agent runs with: every default filled in, every value checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of the Node object; also its hostname.
    pub node_name: String,
    /// Address that the Node reports and that its serving certificate bears.
    pub node_ip: IpAddr,
    /// Where the node's HTTPS API listens.
    pub listen: SocketAddr,
    /// Most pods that the scheduler may bind here.
    pub max_pods: u16,
    /// Folder for everything the agent keeps; mode 0700.
    pub data_dir: PathBuf,
    /// Bootstrap kubeconfig.
    pub bootstrap_file: PathBuf,
    /// The node's own kubeconfig.
    pub kubeconfig: PathBuf,
    /// Serving certificate (PEM).
    pub cert_file: PathBuf,
    /// Key of the serving certificate (PEM).
    pub key_file: PathBuf,
    /// `spec.expirationSeconds` of the certificate signing requests; `None` leaves it to the signer.
    pub certificate_duration_seconds: Option<i32>,
    /// Percent of a certificate's life after which it is renewed, 1 to 95.
    pub certificate_renewal_percent: u8,
    /// `--node-labels`, parsed and allowed.
    pub node_labels: Labels,
    /// Registries spoken to in plain HTTP, as `host` or `host:port`.
    pub insecure_registries: Vec<String>,
    /// Where registries are found, as `host` or `host:port`, instead of at the name that references have for them.
    pub registry_mirrors: BTreeMap<String, String>,
    /// Docker config file with the node's logins; `None` is the usual one.
    pub registry_config: Option<PathBuf>,
    /// File of private authorities (PEM) that are trusted besides the machine's; absolute, and good when the agent started.
    pub trusted_ca_file: Option<PathBuf>,
    /// Which unused modules go, and when.
    pub image_limits: krustlet_images::Limits,
    /// What compiling modules may take.
    pub compile_limits: CompileLimits,
    /// How large the logs of a container may get.
    pub log_limits: krustlet_logs::Limits,
    /// `--system-reserved`: what is not for pods.
    pub system_reserved: Reserve,
    /// `--eviction-hard`: below what pods go.
    pub eviction_hard: Thresholds,
    /// How long pods that come to their end may go on when the agent stops.
    pub shutdown_grace: Duration,
    /// `--server-limits`: what the clients of pods that serve may take.
    pub server_limits: ServerLimits,
    /// `--wasi-0-3`: whether components of WASI 0.3 are run.
    pub wasi_0_3: bool,
    /// Folders below which hostPath volumes may be. Empty: nowhere.
    pub allowed_host_paths: Vec<PathBuf>,
    /// What pods may send requests to of that which the node keeps for itself. Empty: nothing.
    pub allowed_egress: Vec<Cidr>,
    /// By which routes of the pods' addresses are asked for. None: pods that serve have the node's address.
    pub pod_routes_file: Option<PathBuf>,
    /// Where spans of the requests that pods answer are sent. None: nothing is recorded.
    pub traces: Option<Tracing>,
}

/// What the machine knows, apart from the flags: passed in so that the rules can be tested.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The machine's hostname.
    pub hostname: Option<String>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$KUBECONFIG`: where the node's own kubeconfig is, or will be written.
    pub kubeconfig: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this machine.
    pub fn here() -> Self {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        Self {
            hostname: hostname.map(|name| name.trim().to_string()).filter(|name| !name.is_empty()),
            home: std::env::var_os("HOME").map(PathBuf::from),
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from),
        }
    }
}

impl Config {
    /// Fills in defaults and checks every value.
    ///
    /// # Errors
    /// One line for each fault, all of them at once.
    pub fn resolve(flags: Flags, around: &Surroundings) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();

        let node_name = match flags.node_name.or_else(|| around.hostname.as_ref().map(|name| name.to_lowercase())) {
            Some(name) => name,
            None => {
                faults.push("--node-name: not given, and this machine has no hostname to take instead".into());
                String::new()
            }
        };
        if !node_name.is_empty() && !labels::is_node_name(&node_name) {
            faults.push(format!(
                "--node-name: {node_name:?} is no node name: lower-case letters, digits, '-' and '.', at most 63 characters"
            ));
        }
        if let Some(hostname) = flags.hostname.filter(|hostname| *hostname != node_name) {
            faults.push(format!(
                "--hostname: {hostname:?} differs from the node name {node_name:?}; Kubernetes signs node certificates \
                 for system:node:<node name> alone, so give both the same value or leave --hostname out"
            ));
        }

        let node_ip = flags.node_ip.or_else(|| around.hostname.as_deref().and_then(address_of));
        if node_ip.is_none() {
            faults.push("--node-ip: not given, and this machine's hostname resolves to no usable address".into());
        }
        if let Some(ip) = node_ip.filter(|ip| ip.is_unspecified() || ip.is_multicast()) {
            faults.push(format!("--node-ip: {ip} is no address of a machine"));
        }
        let node_ip = node_ip.unwrap_or(IpAddr::from([127, 0, 0, 1]));

        let data_dir = flags.data_dir.or_else(|| around.home.as_ref().map(|home| home.join(".krustlet")));
        if data_dir.is_none() {
            faults.push("--data-dir: not given, and HOME is not set".into());
        }
        let data_dir = absolute(&data_dir.unwrap_or_default());

        let node_labels = labels::parse(&flags.node_labels).unwrap_or_else(|mut wrong| {
            faults.append(&mut wrong);
            Labels::new()
        });
        let insecure_registries: Vec<String> = flags
            .insecure_registries
            .iter()
            .map(|host| host.trim().to_string())
            .filter(|host| !host.is_empty())
            .collect();
        for registry in &insecure_registries {
            if !is_registry(registry) {
                faults.push(format!("--insecure-registries: {registry:?} is no registry: give host or host:port, without scheme and path"));
            }
        }

        let registry_mirrors = registry_mirrors(&flags.registry_mirrors, &mut faults);

        let trusted_ca_file = flags.trusted_ca_file.as_deref().map(absolute);
        if let Some(Err(error)) = trusted_ca_file.as_deref().map(krustlet_oci::check_ca_file) {
            faults.push(format!("--trusted-ca-file: {error}"));
        }

        let system_reserved = Reserve::parse(&flags.system_reserved).unwrap_or_else(|wrong| {
            faults.extend(wrong.into_iter().map(|fault| format!("--system-reserved: {fault}")));
            Reserve::default()
        });
        let eviction_hard = Thresholds::parse(&flags.eviction_hard).unwrap_or_else(|wrong| {
            faults.extend(wrong.into_iter().map(|fault| format!("--eviction-hard: {fault}")));
            Thresholds::default()
        });
        let server_limits =
            server_limits::parse(&flags.server_limits, &ServerLimits::default()).unwrap_or_else(|wrong| {
                faults.extend(wrong.into_iter().map(|fault| format!("--server-limits: {fault}")));
                ServerLimits::default()
            });
        let allowed_host_paths = allowed_host_paths(&flags.allowed_host_paths, &data_dir, &mut faults);

        let allowed_egress = allowed_egress(&flags.allowed_egress, &mut faults);
        let traces = flags.traces.read().unwrap_or_else(|mut wrong| {
            faults.append(&mut wrong);
            None
        });

        let kubeconfig = around.kubeconfig.clone().unwrap_or_else(|| data_dir.join("config/kubeconfig"));
        if kubeconfig.to_string_lossy().contains(':') {
            faults.push("KUBECONFIG: one path is expected, the file that holds this node's own credential".into());
        }

        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            listen: SocketAddr::new(flags.addr.unwrap_or(node_ip), flags.port),
            cert_file: flags.cert_file.unwrap_or_else(|| data_dir.join("config/krustlet.crt")),
            key_file: flags.private_key_file.unwrap_or_else(|| data_dir.join("config/krustlet.key")),
            kubeconfig: absolute(&kubeconfig),
            bootstrap_file: flags.bootstrap_file,
            certificate_duration_seconds: flags.certificate_duration_seconds,
            certificate_renewal_percent: flags.certificate_renewal_percent,
            max_pods: flags.max_pods,
            node_name,
            node_ip,
            data_dir,
            node_labels,
            insecure_registries,
            registry_mirrors,
            registry_config: flags.registry_config.as_deref().map(absolute),
            trusted_ca_file,
            image_limits: krustlet_images::Limits {
                max_age: Duration::from_secs(u64::from(flags.image_gc_max_age_hours) * 3600),
                max_bytes: flags.image_gc_max_bytes,
            },
            compile_limits: CompileLimits {
                at_once: usize::from(flags.max_parallel_compiles),
                timeout: Duration::from_secs(u64::from(flags.compile_timeout_seconds)),
                memory_bytes: flags.compile_max_memory_bytes,
            },
            log_limits: krustlet_logs::Limits {
                max_file_bytes: flags.container_log_max_size_bytes,
                max_files: flags.container_log_max_files,
            },
            system_reserved,
            eviction_hard,
            shutdown_grace: Duration::from_secs(u64::from(flags.shutdown_grace_period_seconds)),
            server_limits,
            wasi_0_3: flags.wasi_0_3,
            allowed_host_paths,
            allowed_egress,
            pod_routes_file: flags.pod_routes_file.as_deref().map(absolute),
            traces,
        })
    }

    /// Files of its own that are no pod's, wherever they are.
    pub fn own_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.kubeconfig.clone(), self.bootstrap_file.clone()];
        files.extend([self.cert_file.clone(), self.key_file.clone()]);
        files.extend(self.registry_config.clone().or_else(krustlet_oci::default_docker_config));
        files.extend(self.trusted_ca_file.clone());
        files.extend(self.pod_routes_file.clone());
        files.iter().map(|file| absolute(file)).collect()
    }

    /// What the Node is to be.
    pub fn node(&self) -> krustlet_node::Config {
        krustlet_node::Config {
            node_name: self.node_name.clone(),
            node_ip: self.node_ip,
            port: self.listen.port(),
            max_pods: self.max_pods,
            data_dir: self.data_dir.clone(),
            labels: self.node_labels.clone(),
            system_reserved: self.system_reserved,
            eviction_hard: self.eviction_hard,
        }
    }

    /// How it joins.
    pub fn join(&self) -> krustlet_join::Config {
        krustlet_join::Config {
            node_name: self.node_name.clone(),
            node_ip: self.node_ip,
            bootstrap_file: self.bootstrap_file.clone(),
            kubeconfig: self.kubeconfig.clone(),
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            client_public_key: self.data_dir.join("keys/client.pub"),
            serving_public_key: self.data_dir.join("keys/serving.pub"),
            certificate_duration_seconds: self.certificate_duration_seconds,
            certificate_renewal_percent: self.certificate_renewal_percent,
        }
    }
}

/// `--allowed-host-paths`, checked. What a pod could reach through them must never be the node's own keys.
fn allowed_host_paths(given: &[String], data_dir: &Path, faults: &mut Vec<String>) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> =
        given.iter().map(|path| path.trim()).filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    for path in &paths {
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            faults.push(format!("--allowed-host-paths: {path:?} is no absolute path without '..'"));
        } else if path.starts_with(data_dir) || data_dir.starts_with(path) {
            faults.push(format!(
                "--allowed-host-paths: {path:?} would open the agent's own folder {} to pods, and its keys are there",
                data_dir.display()
            ));
        }
    }
    paths
}

/// A host or host:port, as far as it matters for telling it from a URL.
fn is_registry(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '=']) && !text.contains(char::is_whitespace)
}

fn registry_mirrors(given: &[String], faults: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut mirrors = BTreeMap::new();
    for pair in given.iter().map(|pair| pair.trim()).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((registry, mirror)) if is_registry(registry) && is_registry(mirror) => {
                mirrors.insert(registry.to_string(), mirror.to_string());
            }
            _ => faults.push(format!(
                "--registry-mirrors: {pair:?} is no pair of registries: give NAME=HOST or NAME=HOST:PORT, without scheme and path"
            )),
        }
    }
    mirrors
}

fn allowed_egress(given: &[String], faults: &mut Vec<String>) -> Vec<Cidr> {
    let ranges = given.iter().map(|range| range.trim()).filter(|range| !range.is_empty());
    let read =
        |range: &str| range.parse().map_err(|error: CidrError| faults.push(format!("--allowed-egress: {error}"))).ok();
    ranges.filter_map(read).collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// An address of `hostname` that other machines could reach.
fn address_of(hostname: &str) -> Option<IpAddr> {
    let found = (hostname, 0).to_socket_addrs().ok()?;
    preferred(&found.map(|address| address.ip()).collect::<Vec<_>>())
}

/// The one of a machine's addresses that its node is known by: of IPv4 where there is one, as kubelets choose.
fn preferred(addresses: &[IpAddr]) -> Option<IpAddr> {
    let usable = |ip: &&IpAddr| !ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified();
    let mut found = addresses.iter().filter(usable);
    found.clone().find(|ip| ip.is_ipv4()).or_else(|| found.next()).copied()
}

#[cfg(test)]
mod tests;
