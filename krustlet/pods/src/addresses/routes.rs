//! What the routes of pods are asked for by: the range of this node's pods, and the way to those of other nodes. Pure.
//!
//! krustlet-supervisor makes them, which says how a line must be.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;

use super::NoAddress;
use super::range::Range;

const RANGE: &str = "range ";

/// What of each Node is needed, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes(BTreeMap<String, Seen>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    ranges: Vec<String>,
    address: Option<Ipv4Addr>,
}

impl Nodes {
    /// Sees it as it is now.
    pub fn apply(&mut self, node: &Node) {
        let spec = node.spec.as_ref();
        let all = spec.and_then(|spec| spec.pod_cidrs.clone()).unwrap_or_default();
        let first = spec.and_then(|spec| spec.pod_cidr.clone()).filter(|_| all.is_empty());
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let mut internal = addresses.filter(|address| address.type_ == "InternalIP");
        let address = internal.find_map(|address| address.address.parse().ok());
        self.0.insert(node.name_any(), Seen { ranges: all.into_iter().chain(first).collect(), address });
    }

    /// It is gone.
    pub fn remove(&mut self, node: &Node) {
        self.0.remove(&node.name_any());
    }

    /// The range of the pods of a node, and what is to be asked for it.
    ///
    /// # Errors
    /// It has none: why.
    pub fn wanted(&self, name: &str) -> Result<(Range, String), NoAddress> {
        let own = self.0.get(name).ok_or(NoAddress::NoNode)?;
        let mut tried = own.ranges.iter().map(|range| range.parse::<Range>());
        let range =
            tried.next().unwrap_or(Err(NoAddress::NoRange)).or_else(|why| tried.find_map(Result::ok).ok_or(why))?;
        let mut text = format!("{RANGE}{range}\n");
        let others = self.0.iter().filter(|(other, _)| *other != name);
        for (_, Seen { ranges, address }) in others {
            let networks = ranges.iter().filter_map(|range| range.parse::<Ipv4Net>().ok());
            for network in networks.filter(|network| network.to_string() != range.to_string()) {
                if let Some(address) = address {
                    let _ = writeln!(text, "route {network} via {address}");
                }
            }
        }
        Ok((range, text))
    }
}

/// The range that an earlier agent has asked for.
pub fn range_in(text: &str) -> Option<Range> {
    text.lines().find_map(|line| line.strip_prefix(RANGE)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(name: &str, ranges: &Value, addresses: &[(&str, &str)]) -> Node {
        let addresses: Vec<_> =
            addresses.iter().map(|(kind, address)| json!({ "type": kind, "address": address })).collect();
        let first = ranges.get(0);
        let spec = json!({ "podCIDR": first, "podCIDRs": ranges });
        serde_json::from_value(
            json!({ "metadata": { "name": name }, "spec": spec, "status": { "addresses": addresses } }),
        )
        .unwrap()
    }

    fn seen(all: &[Node]) -> Nodes {
        let mut nodes = Nodes::default();
        all.iter().for_each(|node| nodes.apply(node));
        nodes
    }

    #[test]
    fn its_own_range_and_the_way_to_others_are_asked_for() {
        let all = [
            node("wasm", &json!(["fd00:1::/64", "10.244.1.0/24"]), &[("InternalIP", "172.18.0.3")]),
            node("z", &json!(["10.244.2.0/24"]), &[("Hostname", "z"), ("InternalIP", "172.18.0.4")]),
            node(
                "a",
                &json!(["10.244.0.0/24", "fd00::/64"]),
                &[("InternalIP", "fd00::2"), ("InternalIP", "172.18.0.2")],
            ),
            node("new", &json!(null), &[("InternalIP", "172.18.0.5")]),
            node("nowhere", &json!(["10.244.3.0/24"]), &[]),
            // What one that is gone had is another's now.
            node("stale", &json!(["10.244.1.0/24"]), &[("InternalIP", "172.18.0.6")]),
        ];
        let mut nodes = seen(&all);
        let text = "range 10.244.1.0/24\nroute 10.244.0.0/24 via 172.18.0.2\nroute 10.244.2.0/24 via 172.18.0.4\n";
        let range: Range = "10.244.1.0/24".parse().unwrap();
        assert_eq!(nodes.wanted("wasm"), Ok((range, text.into())));
        assert_eq!(range_in(text), Some(range));
        nodes.remove(&all[1]);
        assert_eq!(nodes.wanted("wasm").unwrap().1, "range 10.244.1.0/24\nroute 10.244.0.0/24 via 172.18.0.2\n");
    }

    #[test]
    fn why_there_is_no_range_is_told() {
        let table = [
            (json!(null), "its Node has no spec.podCIDR: the cluster gives nodes no ranges"),
            (json!(["fd00:1::/64"]), "\"fd00:1::/64\" is no range of addresses of IPv4"),
            (
                json!(["10.244.1.0/30"]),
                "the range 10.244.1.0/30 is none of a node's pods, whose prefixes are from 16 to 29",
            ),
        ];
        for (ranges, wanted) in table {
            assert_eq!(seen(&[node("wasm", &ranges, &[])]).wanted("wasm").unwrap_err().to_string(), wanted);
        }
        assert_eq!(Nodes::default().wanted("wasm"), Err(NoAddress::NoNode));
        assert_eq!(range_in(""), None);
    }
}
