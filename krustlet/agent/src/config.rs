//! The command line and its environment: Krustlet's names and meanings, checked before anything else happens.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::labels::{self, Labels};

/// A Kubernetes node that runs WebAssembly modules as pods.
#[derive(Parser, Clone, Debug)]
#[command(name = "krustlet-wasi", version, about, long_about = None)]
pub struct Flags {
    /// Address that the log port listens on [default: the node IP]
    #[arg(short = 'a', long, env = "KRUSTLET_ADDRESS")]
    addr: Option<IpAddr>,

    /// Port of the node's HTTPS API (pod logs)
    #[arg(short = 'p', long, env = "KRUSTLET_PORT", default_value_t = 3000, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Most pods that this node takes
    #[arg(long, env = "MAX_PODS", default_value_t = 110, value_parser = clap::value_parser!(u16).range(1..))]
    max_pods: u16,

    /// Serving certificate, PEM; made by TLS bootstrap if absent [default: DATA_DIR/config/krustlet.crt]
    #[arg(long, env = "KRUSTLET_CERT_FILE")]
    cert_file: Option<PathBuf>,

    /// Private key of the serving certificate, PEM [default: DATA_DIR/config/krustlet.key]
    #[arg(long, env = "KRUSTLET_PRIVATE_KEY_FILE")]
    private_key_file: Option<PathBuf>,

    /// IP address under which the API server reaches this node [default: what the hostname resolves to]
    #[arg(short = 'n', long, env = "KRUSTLET_NODE_IP")]
    node_ip: Option<IpAddr>,

    /// Labels for the Node, key=value pairs separated by commas
    #[arg(long, env = "NODE_LABELS", value_delimiter = ',')]
    node_labels: Vec<String>,

    /// Hostname of the node; must equal the node name [default: the node name]
    #[arg(long, env = "KRUSTLET_HOSTNAME")]
    hostname: Option<String>,

    /// Name of the Node in Kubernetes [default: this machine's hostname, in lower case]
    #[arg(long, env = "KRUSTLET_NODE_NAME")]
    node_name: Option<String>,

    /// Folder for keys, modules and logs [default: $HOME/.krustlet]
    #[arg(long, env = "KRUSTLET_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// Kubeconfig with the bootstrap token; read only while the node has no certificate of its own
    #[arg(long, env = "KRUSTLET_BOOTSTRAP_FILE", default_value = "/etc/kubernetes/bootstrap-kubelet.conf")]
    bootstrap_file: PathBuf,

    /// Registries (host or host:port, separated by commas) that are spoken to in plain HTTP
    #[arg(long, env = "KRUSTLET_INSECURE_REGISTRIES", value_delimiter = ',')]
    insecure_registries: Vec<String>,
}

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
    /// `--node-labels`, parsed and allowed.
    pub node_labels: Labels,
    /// Registries spoken to in plain HTTP, as `host` or `host:port`.
    pub insecure_registries: Vec<String>,
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
            if registry.contains('/') || registry.contains(char::is_whitespace) {
                faults.push(format!("--insecure-registries: {registry:?} is no registry: give host or host:port, without scheme and path"));
            }
        }

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
            max_pods: flags.max_pods,
            node_name,
            node_ip,
            data_dir,
            node_labels,
            insecure_registries,
        })
    }

    /// Where the public key of the client certificate is handed over, PEM.
    pub fn client_public_key(&self) -> PathBuf {
        self.data_dir.join("keys/client.pub")
    }

    /// Where the public key of the serving certificate is handed over, PEM.
    pub fn serving_public_key(&self) -> PathBuf {
        self.data_dir.join("keys/serving.pub")
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The first address of `hostname` that other machines could reach.
fn address_of(hostname: &str) -> Option<IpAddr> {
    let mut found = (hostname, 0).to_socket_addrs().ok()?.map(|address| address.ip());
    found.find(|ip| !ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings { hostname: Some("Build-Box".into()), home: Some("/home/me".into()), kubeconfig: None }
    }

    fn resolve(argv: &[&str]) -> Result<Config, Vec<String>> {
        let flags =
            Flags::try_parse_from(std::iter::once(&"krustlet-wasi").chain(argv)).map_err(|e| vec![e.to_string()])?;
        Config::resolve(flags, &around())
    }

    #[test]
    fn defaults_are_krustlets() {
        let config = resolve(&["--node-ip", "10.1.2.3"]).unwrap();
        assert_eq!(config.node_name, "build-box");
        assert_eq!(config.listen, "10.1.2.3:3000".parse().unwrap());
        assert_eq!(config.max_pods, 110);
        assert_eq!(config.data_dir, PathBuf::from("/home/me/.krustlet"));
        assert_eq!(config.cert_file, PathBuf::from("/home/me/.krustlet/config/krustlet.crt"));
        assert_eq!(config.key_file, PathBuf::from("/home/me/.krustlet/config/krustlet.key"));
        assert_eq!(config.bootstrap_file, PathBuf::from("/etc/kubernetes/bootstrap-kubelet.conf"));
    }

    #[test]
    fn every_flag_arrives() {
        let config = resolve(&[
            "--node-ip=10.1.2.3",
            "--node-name=krustlet",
            "--hostname=krustlet",
            "--addr=10.9.9.9",
            "--port=4000",
            "--max-pods=7",
            "--data-dir=/d",
            "--bootstrap-file=/b",
            "--cert-file=/c",
            "--private-key-file=/k",
            "--node-labels=a=b,c=d",
            "--insecure-registries=localhost:5000,reg.local",
        ])
        .unwrap();
        assert_eq!(config.node_name, "krustlet");
        assert_eq!(config.listen, "10.9.9.9:4000".parse().unwrap());
        assert_eq!(config.max_pods, 7);
        assert_eq!(config.cert_file, PathBuf::from("/c"));
        assert_eq!(config.key_file, PathBuf::from("/k"));
        assert_eq!(config.bootstrap_file, PathBuf::from("/b"));
        assert_eq!(config.node_labels, Labels::from([("a".into(), "b".into()), ("c".into(), "d".into())]));
        assert_eq!(config.insecure_registries, ["localhost:5000", "reg.local"]);
    }

    #[test]
    fn all_faults_come_at_once() {
        let faults = resolve(&[
            "--node-ip=0.0.0.0",
            "--node-name=Krustlet",
            "--hostname=other",
            "--node-labels=kubernetes.io/role=x",
            "--insecure-registries=http://x",
        ])
        .unwrap_err();
        let flags: Vec<&str> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(flags, ["--node-name", "--hostname", "--node-ip", "--node-labels", "--insecure-registries"]);
    }

    #[test]
    fn values_of_the_wrong_type_are_refused_by_name() {
        for (flag, value) in [("--node-ip", "x"), ("--port", "0"), ("--port", "65536"), ("--max-pods", "-1")] {
            let message = resolve(&["--node-ip=10.0.0.1", &format!("{flag}={value}")]).unwrap_err().join("\n");
            assert!(message.contains(flag), "{message}");
        }
    }
}
