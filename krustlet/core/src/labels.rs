//! Node labels: which a node may put on itself, and how they are written.
//!
//! The rules are those of the API server's NodeRestriction admission plugin:
//! <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>

use std::collections::BTreeMap;

/// Label keys and values.
pub type Labels = BTreeMap<String, String>;

/// Labels of Kubernetes' own domains that a node may set on itself.
const ALLOWED: [&str; 8] = [
    "beta.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.kubernetes.io/region",
    "failure-domain.kubernetes.io/zone",
    "kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Labels that say what this agent is; they are not for users to choose.
const OWN: [&str; 6] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "type",
];

/// The labels every Wasm node bears.
///
/// `kubernetes.io/os` is `wasi`, not `linux`: DaemonSets such as kube-proxy select `linux` and tolerate every taint.
pub fn own(node_name: &str) -> Labels {
    [
        ("beta.kubernetes.io/arch", "wasm32-wasi"),
        ("kubernetes.io/arch", "wasm32-wasi"),
        ("beta.kubernetes.io/os", "wasi"),
        ("kubernetes.io/os", "wasi"),
        ("kubernetes.io/hostname", node_name),
        ("type", "krustlet"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_string(), value.to_string()))
    .collect()
}

/// Parses `key=value` pairs of `--node-labels`.
///
/// # Errors
/// One line for each label that is badly written or that a node may not set.
pub fn parse(pairs: &[String]) -> Result<Labels, Vec<String>> {
    let mut labels = Labels::new();
    let mut faults = Vec::new();
    for pair in pairs.iter().map(|pair| pair.trim()).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match refuse(key, value) {
            Some(why) => faults.push(format!("--node-labels: {pair:?}: {why}")),
            None => {
                labels.insert(key.to_string(), value.to_string());
            }
        }
    }
    if faults.is_empty() { Ok(labels) } else { Err(faults) }
}

fn refuse(key: &str, value: &str) -> Option<String> {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    if !is_label_part(name) || name.is_empty() {
        return Some(format!("{name:?} is no label name: letters, digits, '-', '_' and '.', at most 63 characters"));
    }
    if let Some(domain) = domain.filter(|domain| !is_dns_name(domain)) {
        return Some(format!("{domain:?} is no DNS name"));
    }
    if !is_label_part(value) {
        return Some(format!("{value:?} is no label value: letters, digits, '-', '_' and '.', at most 63 characters"));
    }
    if OWN.contains(&key) {
        return Some("the agent sets this label itself".into());
    }
    let domain = domain?;
    let within = |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    if within("node-restriction.kubernetes.io") {
        return Some(
            "labels of node-restriction.kubernetes.io are for cluster administrators; a node may not set them".into(),
        );
    }
    let kubernetes = within("kubernetes.io") || within("k8s.io");
    let open = within("kubelet.kubernetes.io") || within("node.kubernetes.io");
    (kubernetes && !open && !ALLOWED.contains(&key)).then(|| {
        format!("a node may not set this label of Kubernetes' own; allowed are kubelet.kubernetes.io/*, node.kubernetes.io/* and {}", ALLOWED.join(", "))
    })
}

/// True for what can be both an object name and the value of the label `kubernetes.io/hostname`.
pub fn is_node_name(name: &str) -> bool {
    name.len() <= 63 && is_dns_name(name)
}

fn is_dns_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

fn is_label_part(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && edge(text.chars().next())
        && edge(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pair: &str) -> Result<Labels, Vec<String>> {
        parse(&[pair.to_string()])
    }

    #[test]
    fn ordinary_labels_are_taken() {
        for pair in [
            "disk=ssd",
            "example.com/zone=a",
            "empty=",
            "bare",
            "node.kubernetes.io/x=y",
            "kubelet.kubernetes.io/x=y",
            "topology.kubernetes.io/zone=z1",
            "sub.node.kubernetes.io/x=y",
        ] {
            assert!(verdict(pair).is_ok(), "{pair}");
        }
        assert_eq!(verdict("disk=ssd").unwrap()["disk"], "ssd");
    }

    #[test]
    fn what_node_restriction_forbids_is_refused() {
        for pair in [
            "kubernetes.io/role=x",
            "node-role.kubernetes.io/worker=",
            "k8s.io/x=y",
            "a.k8s.io/x=y",
            "node-restriction.kubernetes.io/x=y",
            "b.node-restriction.kubernetes.io/x=y",
            "kubernetes.io/arch=amd64",
            "type=other",
        ] {
            assert!(verdict(pair).is_err(), "{pair}");
        }
        assert!(verdict("notkubernetes.io/x=y").is_ok());
    }

    #[test]
    fn bad_syntax_is_refused() {
        for pair in ["=x", "a b=c", "UPPER.example/x=y", "x=a b", "-x=y", "x=y-", "a/b/c=d"] {
            assert!(verdict(pair).is_err(), "{pair}");
        }
        assert!(verdict(&format!("x={}", "v".repeat(64))).is_err());
    }

    #[test]
    fn every_fault_is_named() {
        let faults = parse(&["ok=1".into(), "a b=c".into(), "type=x".into()]).unwrap_err();
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn own_labels_do_not_attract_linux_daemonsets() {
        let labels = own("krustlet");
        assert_eq!(labels["kubernetes.io/os"], "wasi");
        assert_eq!(labels["kubernetes.io/arch"], "wasm32-wasi");
        assert_eq!(labels["kubernetes.io/hostname"], "krustlet");
        assert_eq!(labels["type"], "krustlet");
    }

    #[test]
    fn node_names() {
        assert!(is_node_name("krustlet-1.example"));
        for name in ["", "Krustlet", "a_b", "-a", "a-", "a..b"] {
            assert!(!is_node_name(name), "{name}");
        }
        assert!(!is_node_name(&"a".repeat(64)));
    }
}
