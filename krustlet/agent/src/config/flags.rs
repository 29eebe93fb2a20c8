//! The command line, and the environment variables that stand for it.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;
use krustlet_core::node::{Reserve, Thresholds};
use krustlet_pods::server_limits;

use crate::traces::TraceFlags;

/// The flags of the node agent.
#[derive(Parser, Clone, Debug)]
pub struct Flags {
    /// Address that the log port listens on [default: the node IP]
    #[arg(short = 'a', long, env = "KRUSTLET_ADDRESS")]
    pub(super) addr: Option<IpAddr>,

    /// Port of the node's HTTPS API (pod logs)
    #[arg(short = 'p', long, env = "KRUSTLET_PORT", default_value_t = 3000, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,

    /// Most pods that this node takes
    #[arg(long, env = "MAX_PODS", default_value_t = 110, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) max_pods: u16,

    /// Serving certificate, PEM; made by TLS bootstrap if absent [default: DATA_DIR/config/krustlet.crt]
    #[arg(long, env = "KRUSTLET_CERT_FILE")]
    pub(super) cert_file: Option<PathBuf>,

    /// Private key of the serving certificate, PEM [default: DATA_DIR/config/krustlet.key]
    #[arg(long, env = "KRUSTLET_PRIVATE_KEY_FILE")]
    pub(super) private_key_file: Option<PathBuf>,

    /// IP address under which the API server reaches this node [default: what the hostname resolves to]
    #[arg(short = 'n', long, env = "KRUSTLET_NODE_IP")]
    pub(super) node_ip: Option<IpAddr>,

    /// Labels for the Node, key=value pairs separated by commas
    #[arg(long, env = "NODE_LABELS", value_delimiter = ',')]
    pub(super) node_labels: Vec<String>,

    /// Hostname of the node; must equal the node name [default: the node name]
    #[arg(long, env = "KRUSTLET_HOSTNAME")]
    pub(super) hostname: Option<String>,

    /// Name of the Node in Kubernetes [default: this machine's hostname, in lower case]
    #[arg(long, env = "KRUSTLET_NODE_NAME")]
    pub(super) node_name: Option<String>,

    /// Folder for keys, modules and logs [default: $HOME/.krustlet]
    #[arg(long, env = "KRUSTLET_DATA_DIR")]
    pub(super) data_dir: Option<PathBuf>,

    /// Kubeconfig with the bootstrap token; used only while the node has no valid certificate of its own
    #[arg(long, env = "KRUSTLET_BOOTSTRAP_FILE", default_value = "/etc/kubernetes/bootstrap-kubelet.conf")]
    pub(super) bootstrap_file: PathBuf,

    /// Life of the certificates that are asked for, in seconds; signers may give less [default: the signer decides]
    #[arg(long, env = "KRUSTLET_CERTIFICATE_DURATION_SECONDS", value_parser = clap::value_parser!(i32).range(600..))]
    pub(super) certificate_duration_seconds: Option<i32>,

    /// Share of a certificate's life after which it is renewed, in percent
    #[arg(long, env = "KRUSTLET_CERTIFICATE_RENEWAL_PERCENT", default_value_t = 80, value_parser = clap::value_parser!(u8).range(1..=95))]
    pub(super) certificate_renewal_percent: u8,

    /// Registries (host or host:port, separated by commas) that are spoken to in plain HTTP
    #[arg(long, env = "KRUSTLET_INSECURE_REGISTRIES", value_delimiter = ',')]
    pub(super) insecure_registries: Vec<String>,

    /// Where registries are found (NAME=HOST:PORT, separated by commas) instead of at the name that images have for them;
    /// plain HTTP or HTTPS as for the name
    #[arg(long, env = "KRUSTLET_REGISTRY_MIRRORS", value_delimiter = ',')]
    pub(super) registry_mirrors: Vec<String>,

    /// Docker config file with this node's logins of registries; read again when it changes; the credential helpers
    /// that it names are asked, too [default: $DOCKER_CONFIG/config.json, else ~/.docker/config.json]
    #[arg(long, env = "KRUSTLET_REGISTRY_CONFIG")]
    pub(super) registry_config: Option<PathBuf>,

    /// File with the certificates of private authorities, PEM, that are trusted besides this machine's
    #[arg(long, env = "KRUSTLET_TRUSTED_CA_FILE")]
    pub(super) trusted_ca_file: Option<PathBuf>,

    /// Hours after which a module goes that no container has used
    #[arg(long, env = "KRUSTLET_IMAGE_GC_MAX_AGE_HOURS", default_value_t = 168, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) image_gc_max_age_hours: u32,

    /// Bytes of modules on disk from which on the least recently used ones go; those in use stay
    #[arg(long, env = "KRUSTLET_IMAGE_GC_MAX_BYTES", default_value_t = 10 << 30)]
    pub(super) image_gc_max_bytes: u64,

    /// Modules that are compiled at the same time; the pods of one namespace get all of these places but one
    #[arg(long, env = "KRUSTLET_MAX_PARALLEL_COMPILES", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) max_parallel_compiles: u16,

    /// Seconds that compiling a module may take; one that takes longer is not tried again for an hour
    #[arg(long, env = "KRUSTLET_COMPILE_TIMEOUT_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) compile_timeout_seconds: u32,

    /// Bytes of memory that compiling a module may take; one that takes more is not tried again for an hour
    #[arg(long, env = "KRUSTLET_COMPILE_MAX_MEMORY_BYTES", default_value_t = 1 << 30, value_parser = clap::value_parser!(u64).range(256 << 20..))]
    pub(super) compile_max_memory_bytes: u64,

    /// A container's log file is rotated before it gets larger than this: bytes
    #[arg(long, env = "KRUSTLET_CONTAINER_LOG_MAX_SIZE_BYTES", default_value_t = krustlet_logs::Limits::DEFAULT.max_file_bytes, value_parser = clap::value_parser!(u64).range(1024..))]
    pub(super) container_log_max_size_bytes: u64,

    /// Log files that are kept of a container's run, the one being written included
    #[arg(long, env = "KRUSTLET_CONTAINER_LOG_MAX_FILES", default_value_t = krustlet_logs::Limits::DEFAULT.max_files, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(super) container_log_max_files: u32,

    /// What pods may not request of this machine, as cpu=QUANTITY,memory=QUANTITY,ephemeral-storage=QUANTITY; what is not named is not reserved
    #[arg(long, env = "KRUSTLET_SYSTEM_RESERVED", default_value = Reserve::DEFAULT)]
    pub(super) system_reserved: String,

    /// Below what the node evicts pods and says that it is under pressure, as SIGNAL<QUANTITY or SIGNAL<PERCENT%, separated by commas;
    /// what is not named has its default, and 0 means never
    #[arg(long, env = "KRUSTLET_EVICTION_HARD", default_value = Thresholds::DEFAULT)]
    pub(super) eviction_hard: String,

    /// Seconds that a pod whose program is to come to its end may go on when the agent is told to end (SIGTERM), unless its own
    /// terminationGracePeriodSeconds is less; whoever ends the agent must give it a few seconds more
    #[arg(long, env = "KRUSTLET_SHUTDOWN_GRACE_PERIOD_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(super) shutdown_grace_period_seconds: u32,

    /// What the clients of a pod that answers HTTP requests may take at most, as NAME=VALUE separated by commas; what is not named has
    /// its default, and a pod may ask for less by annotation
    #[arg(long, env = "KRUSTLET_SERVER_LIMITS", default_value = server_limits::DEFAULT)]
    pub(super) server_limits: String,

    /// Run components of WASI 0.3, too. What such a program may have of this machine's memory is not bounded in all places yet: only where
    /// all who may make pods are trusted with the node
    #[arg(long = "wasi-0-3", env = "KRUSTLET_WASI_0_3", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) wasi_0_3: bool,

    /// Folders of this machine (absolute paths, separated by commas) below which hostPath volumes may be [default: none]
    #[arg(long, env = "KRUSTLET_ALLOWED_HOST_PATHS", value_delimiter = ',')]
    pub(super) allowed_host_paths: Vec<String>,

    /// Addresses (CIDRs, separated by commas) that pods may send HTTP requests to though they are this machine's own, loopback,
    /// link-local or a cloud's metadata service [default: none]
    #[arg(long, env = "KRUSTLET_ALLOWED_EGRESS", value_delimiter = ',')]
    pub(super) allowed_egress: Vec<String>,

    /// File by which krustlet-supervisor is asked to route this node's pod range (spec.podCIDR) here: then pods that serve have addresses
    /// of it [default: none, and they have the node's]
    #[arg(long, env = "KRUSTLET_POD_ROUTES_FILE")]
    pub(super) pod_routes_file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) traces: TraceFlags,
}
