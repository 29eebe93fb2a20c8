//! Variables that tell a pod of the services around it.
//!
//! <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>

use k8s_openapi::api::core::v1 as core;

use crate::command::Environment;

/// What is needed of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its address inside the cluster. `None` where it has none: it is headless, or a name outside.
    pub cluster_ip: Option<String>,
    /// In the order of its spec.
    pub ports: Vec<Port>,
    /// What is behind it.
    pub backing: Backing,
}

/// What is behind a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Pods that it selects, whose addresses the control plane finds out.
    Selector,
    /// Addresses that somebody has written down.
    Written,
    /// A name outside the cluster.
    ExternalName,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name; may be empty.
    pub name: String,
    /// Its number.
    pub number: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

impl Service {
    /// `None` for one that says nothing.
    pub fn of(service: &core::Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        let selects = spec.selector.as_ref().is_some_and(|labels| !labels.is_empty());
        let port = |port: &core::ServicePort| Port {
            name: port.name.clone().unwrap_or_default(),
            number: port.port,
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
        };
        Some(Self {
            name: service.metadata.name.clone()?,
            cluster_ip: spec.cluster_ip.clone().filter(|ip| !ip.is_empty() && ip != "None"),
            ports: spec.ports.iter().flatten().map(port).collect(),
            backing: match spec.type_.as_deref() {
                Some("ExternalName") => Backing::ExternalName,
                _ if selects => Backing::Selector,
                _ => Backing::Written,
            },
        })
    }
}

/// Whether a pod of `pod_namespace` hears of this service: of those in its own namespace if it wants links, and of the API server
/// always.
pub fn is_told(pod_namespace: &str, links: bool, namespace: &str, name: &str) -> bool {
    (links && namespace == pod_namespace) || (namespace == "default" && name == "kubernetes")
}

/// The variables, in the order of the services: `X_SERVICE_HOST`, `X_SERVICE_PORT`, and those of Docker's links. One without an address
/// has none.
pub fn variables(services: &[Service]) -> Environment {
    let mut out = Environment::new();
    for service in services {
        let Some(ip) = &service.cluster_ip else { continue };
        let prefix = variable(&service.name);
        out.push((format!("{prefix}_SERVICE_HOST"), ip.clone()));
        if let Some(first) = service.ports.first() {
            out.push((format!("{prefix}_SERVICE_PORT"), first.number.to_string()));
        }
        for port in service.ports.iter().filter(|port| !port.name.is_empty()) {
            out.push((format!("{prefix}_SERVICE_PORT_{}", variable(&port.name)), port.number.to_string()));
        }
        for (index, port) in service.ports.iter().enumerate() {
            let (number, protocol) = (port.number, port.protocol.to_lowercase());
            let host = if ip.contains(':') { format!("[{ip}]") } else { ip.clone() };
            let url = format!("{protocol}://{host}:{number}");
            if index == 0 {
                out.push((format!("{prefix}_PORT"), url.clone()));
            }
            let link = format!("{prefix}_PORT_{number}_{}", port.protocol.to_uppercase());
            out.push((link.clone(), url));
            out.push((format!("{link}_PROTO"), protocol));
            out.push((format!("{link}_PORT"), number.to_string()));
            out.push((format!("{link}_ADDR"), ip.clone()));
        }
    }
    out
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(spec: serde_json::Value) -> Option<Service> {
        Service::of(&serde_json::from_value(json!({ "metadata": { "name": "redis-primary" }, "spec": spec })).unwrap())
    }

    fn shown(service: Service) -> Vec<String> {
        variables(&[service]).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_port_without_a_name() {
        let service = service(json!({ "clusterIP": "10.0.0.11", "ports": [{ "port": 6379 }] })).unwrap();
        let wanted = [
            "REDIS_PRIMARY_SERVICE_HOST=10.0.0.11",
            "REDIS_PRIMARY_SERVICE_PORT=6379",
            "REDIS_PRIMARY_PORT=tcp://10.0.0.11:6379",
            "REDIS_PRIMARY_PORT_6379_TCP=tcp://10.0.0.11:6379",
            "REDIS_PRIMARY_PORT_6379_TCP_PROTO=tcp",
            "REDIS_PRIMARY_PORT_6379_TCP_PORT=6379",
            "REDIS_PRIMARY_PORT_6379_TCP_ADDR=10.0.0.11",
        ];
        assert_eq!(shown(service), wanted);
    }

    #[test]
    fn several_ports_and_ipv6() {
        let ports = json!([{ "name": "dns-udp", "port": 53, "protocol": "UDP" }, { "name": "web", "port": 80, "protocol": "TCP" }]);
        let service = service(json!({ "clusterIP": "fd00::1", "ports": ports })).unwrap();
        let wanted = [
            "REDIS_PRIMARY_SERVICE_HOST=fd00::1",
            "REDIS_PRIMARY_SERVICE_PORT=53",
            "REDIS_PRIMARY_SERVICE_PORT_DNS_UDP=53",
            "REDIS_PRIMARY_SERVICE_PORT_WEB=80",
            "REDIS_PRIMARY_PORT=udp://[fd00::1]:53",
            "REDIS_PRIMARY_PORT_53_UDP=udp://[fd00::1]:53",
            "REDIS_PRIMARY_PORT_53_UDP_PROTO=udp",
            "REDIS_PRIMARY_PORT_53_UDP_PORT=53",
            "REDIS_PRIMARY_PORT_53_UDP_ADDR=fd00::1",
            "REDIS_PRIMARY_PORT_80_TCP=tcp://[fd00::1]:80",
            "REDIS_PRIMARY_PORT_80_TCP_PROTO=tcp",
            "REDIS_PRIMARY_PORT_80_TCP_PORT=80",
            "REDIS_PRIMARY_PORT_80_TCP_ADDR=fd00::1",
        ];
        assert_eq!(shown(service), wanted);
    }

    #[test]
    fn without_an_address_there_is_nothing_to_tell() {
        for spec in [json!({ "clusterIP": "None" }), json!({ "clusterIP": "" }), json!({ "externalName": "x" })] {
            assert_eq!(shown(service(spec).unwrap()), Vec::<String>::new());
        }
    }

    #[test]
    fn who_hears_of_what() {
        let table = [
            ("a", true, "a", "x", true),
            ("a", false, "a", "x", false),
            ("a", true, "b", "x", false),
            ("a", true, "default", "kubernetes", true),
            ("a", false, "default", "kubernetes", true),
            ("a", true, "default", "other", false),
            ("default", false, "default", "kubernetes", true),
            ("a", false, "a", "kubernetes", false),
        ];
        for (pod, links, namespace, name, wanted) in table {
            assert_eq!(is_told(pod, links, namespace, name), wanted, "{pod} {links} {namespace}/{name}");
        }
    }
}
