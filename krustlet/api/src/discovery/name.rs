//! Names of Services. Pure.
//!
//! <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>

/// The domain of a cluster, where nobody has chosen another one.
const CLUSTER_DOMAIN: [&str; 2] = ["cluster", "local"];

/// The Service that a host may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub namespace: String,
    pub name: String,
    /// Whether it is somebody else's name where there is no such Service.
    pub or_other: bool,
}

/// The Service that a host may be to a pod of the namespace `own`: `name`, `name.namespace`, `name.namespace.svc` or
/// `name.namespace.svc.cluster.local`. `None` for one that is none.
pub fn read(host: &str, own: &str) -> Option<Named> {
    let labels: Vec<&str> = host.split('.').collect();
    let (name, namespace, or_other) = match &labels[..] {
        [_] => (&labels[..], own, true),
        [_, namespace] => (&labels[..1], *namespace, true),
        // Nobody outside is asked for a name of the cluster's own. Of several labels it is none of a Service.
        [name @ .., namespace, "svc"] => (name, *namespace, false),
        [name @ .., namespace, "svc", first, second] if [*first, *second] == CLUSTER_DOMAIN => {
            (name, *namespace, false)
        }
        _ => return None,
    };
    Some(Named { namespace: namespace.into(), name: name.join("."), or_other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services() {
        let table = [
            ("web", Some(("own", "web", true))),
            ("web.shop", Some(("shop", "web", true))),
            ("catfact.ninja", Some(("ninja", "catfact", true))),
            ("web.svc", Some(("svc", "web", true))),
            ("web.shop.svc", Some(("shop", "web", false))),
            ("web.shop.svc.cluster.local", Some(("shop", "web", false))),
            ("svc.svc.svc", Some(("svc", "svc", false))),
            ("web.shop.pod", None),
            ("web.shop.svc.cluster", None),
            ("web.shop.svc.cluster.example", None),
            ("web.shop.svc.cluster.local.example", None),
            ("10-0-0-1.shop.pod.cluster.local", None),
            ("web-0.web.shop.svc", Some(("shop", "web-0.web", false))),
            ("web-0.web.shop.svc.cluster.local", Some(("shop", "web-0.web", false))),
            ("shop.svc.cluster.local", Some(("shop", "", false))),
            ("www.example.com", None),
            ("cluster.local", Some(("local", "cluster", true))),
        ];
        for (host, wanted) in table {
            let named = read(host, "own");
            let named = named.as_ref().map(|named| (named.namespace.as_str(), named.name.as_str(), named.or_other));
            assert_eq!(named, wanted, "{host}");
        }
    }
}
