//! From a Service and its EndpointSlices to what may be connected to. Pure.
//!
//! <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::discovery::v1::{self as discovery, EndpointSlice};
use krustlet_core::env::{Backing, Service};
use krustlet_http::Endpoint;

/// Who writes the slices of a Service that selects pods. What somebody else has written under this name it takes away.
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// What is needed of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Those of TCP, by name.
    ports: Vec<(String, u16)>,
    ready: Vec<Ready>,
}

/// An address that takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ready {
    address: IpAddr,
    /// Whether the control plane has written that it is a pod's.
    of_a_pod: bool,
}

/// Why there is nothing to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    #[error("it stands for a name outside the cluster, which is to be named itself")]
    ExternalName,
    #[error("it has no TCP port {0}")]
    NoPort(u16),
    #[error("none of its endpoints is ready")]
    NoneReady,
}

impl Slice {
    pub fn of(slice: &EndpointSlice) -> Self {
        let labels = slice.metadata.labels.as_ref();
        let controlled = labels.and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|by| by == CONTROLLER)
            // One that is being deleted it looks at no more, however long a finalizer keeps it.
            && slice.metadata.deletion_timestamp.is_none();
        let tcp = slice.ports.iter().flatten().filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
        let number = |port: &discovery::EndpointPort| port.port.and_then(|port| u16::try_from(port).ok());
        let ready = |endpoint: &&discovery::Endpoint| {
            // Not said counts as ready.
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
        };
        let endpoint = |endpoint: &discovery::Endpoint| {
            let kind = endpoint.target_ref.as_ref().and_then(|target| target.kind.as_deref());
            // All addresses of an endpoint lead to the same one, so that clients take the first. A name is none (`addressType: FQDN`).
            let address = endpoint.addresses.first()?.parse().ok()?;
            Some(Ready { address, of_a_pod: controlled && kind == Some("Pod") })
        };
        Self {
            ports: tcp.filter_map(|port| Some((port.name.clone().unwrap_or_default(), number(port)?))).collect(),
            ready: slice.endpoints.iter().flatten().filter(ready).filter_map(endpoint).collect(),
        }
    }
}

/// What is behind a port of the Service. Of a headless one the endpoints' own ports do as well, which is what names of pods are asked
/// for elsewhere.
///
/// A pod's address may be private. What else stands in a slice was written by somebody who may not be trusted with where requests of
/// others go, and is held to the rules for any name.
///
/// # Errors
/// There is nothing.
pub fn endpoints(service: &Service, slices: &[Slice], port: u16) -> Result<Vec<Endpoint>, Nothing> {
    let trusted = match service.backing {
        Backing::ExternalName => return Err(Nothing::ExternalName),
        Backing::Selector => true,
        Backing::Written => false,
    };
    let mut ports = service.ports.iter().filter(|known| known.protocol == "TCP");
    let named = ports.find(|known| known.number == i32::from(port)).map(|known| known.name.as_str());
    let headless = service.cluster_ip.is_none();
    if named.is_none() && !(headless && slices.iter().any(|slice| slice.ports.iter().any(|(_, own)| *own == port))) {
        return Err(Nothing::NoPort(port));
    }
    let mut found = Vec::new();
    for slice in slices {
        let own = slice.ports.iter().find(|(name, own)| match named {
            Some(named) => name == named,
            None => *own == port,
        });
        let Some((_, own)) = own else { continue };
        found.extend(slice.ready.iter().map(|ready| Endpoint {
            address: SocketAddr::new(ready.address, *own),
            private: trusted && ready.of_a_pod,
        }));
    }
    if found.is_empty() { Err(Nothing::NoneReady) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(spec: Value) -> Service {
        Service::of(&serde_json::from_value(json!({ "metadata": { "name": "web" }, "spec": spec })).unwrap()).unwrap()
    }

    /// Of the control plane's own.
    fn slice(endpoints: Value) -> Value {
        json!({
            "metadata": { "labels": { MANAGED_BY: CONTROLLER } }, "addressType": "IPv4",
            "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }, { "name": "dns", "port": 53, "protocol": "UDP" }],
            "endpoints": endpoints,
        })
    }

    fn pod(address: &str, conditions: Value) -> Value {
        json!({ "addresses": [address], "conditions": conditions, "targetRef": { "kind": "Pod", "name": "p" } })
    }

    fn chosen(service: &Service, slices: &[Value], port: u16) -> Result<Vec<String>, Nothing> {
        let slices: Vec<_> =
            slices.iter().map(|slice| Slice::of(&serde_json::from_value(slice.clone()).unwrap())).collect();
        let shown = |endpoint: Endpoint| format!("{}{}", endpoint.address, if endpoint.private { " pod" } else { "" });
        endpoints(service, &slices, port).map(|found| found.into_iter().map(shown).collect())
    }

    fn web() -> Service {
        let ports = json!([{ "name": "http", "port": 80 }, { "name": "dns", "port": 53, "protocol": "UDP" }]);
        service(json!({ "clusterIP": "10.96.0.7", "selector": { "app": "web" }, "ports": ports }))
    }

    #[test]
    fn ready_ones_at_the_port_that_theirs_is() {
        let many = slice(json!([
            pod("10.244.1.2", json!({ "ready": true, "serving": true })),
            pod("10.244.1.3", json!({ "ready": false, "serving": true, "terminating": true })),
            pod("10.244.1.4", json!({})),
            { "addresses": ["10.244.1.5"], "targetRef": { "kind": "Pod" } },
        ]));
        let mut other = slice(json!([pod("fd00::7", json!({ "ready": true }))]));
        other["ports"][0]["port"] = json!(9090);
        let wanted = ["10.244.1.2:8080 pod", "10.244.1.4:8080 pod", "10.244.1.5:8080 pod", "[fd00::7]:9090 pod"];
        assert_eq!(chosen(&web(), &[many, other], 80), Ok(wanted.map(str::to_owned).into()));
    }

    #[test]
    fn a_port_without_a_name_is_one_without_a_name() {
        let service = service(json!({ "clusterIP": "10.96.0.7", "selector": { "a": "b" }, "ports": [{ "port": 80 }] }));
        let mut unnamed = slice(json!([pod("10.244.1.2", json!({}))]));
        unnamed["ports"] = json!([{ "port": 8080 }]);
        let wanted = Ok(vec!["10.244.1.2:8080 pod".to_owned()]);
        assert_eq!(chosen(&service, &[unnamed.clone()], 80), wanted);
        unnamed["ports"][0]["name"] = json!("");
        assert_eq!(chosen(&service, &[unnamed.clone()], 80), wanted);
        unnamed["ports"][0]["name"] = json!("other");
        assert_eq!(chosen(&service, &[unnamed], 80), Err(Nothing::NoneReady));
    }

    #[test]
    fn where_nothing_is() {
        let one = slice(json!([pod("10.244.1.2", json!({}))]));
        assert_eq!(
            chosen(&web(), std::slice::from_ref(&one), 8080),
            Err(Nothing::NoPort(8080)),
            "the pod's port is not the Service's"
        );
        assert_eq!(chosen(&web(), std::slice::from_ref(&one), 53), Err(Nothing::NoPort(53)), "UDP");
        assert_eq!(chosen(&web(), &[], 80), Err(Nothing::NoneReady));
        let unready = slice(json!([pod("10.244.1.2", json!({ "ready": false }))]));
        assert_eq!(chosen(&web(), &[unready], 80), Err(Nothing::NoneReady));
        let mut names = slice(json!([{ "addresses": ["evil.example"], "targetRef": { "kind": "Pod" } }]));
        names["addressType"] = json!("FQDN");
        assert_eq!(chosen(&web(), &[names], 80), Err(Nothing::NoneReady));
        let external =
            service(json!({ "type": "ExternalName", "externalName": "evil.example", "selector": { "app": "web" } }));
        assert_eq!(chosen(&external, &[one], 80), Err(Nothing::ExternalName));
    }

    #[test]
    fn a_headless_one_is_asked_at_either_port() {
        let ports = json!([{ "name": "http", "port": 80 }]);
        let headless = service(json!({ "clusterIP": "None", "selector": { "app": "web" }, "ports": ports }));
        let one = [slice(json!([pod("10.244.1.2", json!({})), pod("10.244.1.3", json!({ "ready": false }))]))];
        for port in [80, 8080] {
            assert_eq!(chosen(&headless, &one, port), Ok(vec!["10.244.1.2:8080 pod".to_owned()]), "{port}");
        }
        assert_eq!(chosen(&headless, &one, 9090), Err(Nothing::NoPort(9090)));
        assert_eq!(chosen(&headless, &one, 53), Err(Nothing::NoPort(53)), "UDP");
    }

    #[test]
    fn only_a_pod_that_the_control_plane_has_found_may_be_anywhere() {
        let written = service(json!({ "clusterIP": "10.96.0.7", "ports": [{ "name": "http", "port": 80 }] }));
        let empty =
            service(json!({ "clusterIP": "10.96.0.7", "selector": {}, "ports": [{ "name": "http", "port": 80 }] }));
        let one = slice(json!([pod("10.244.1.2", json!({}))]));
        let mut mirrored = one.clone();
        mirrored["metadata"]["labels"][MANAGED_BY] = json!("endpointslicemirroring-controller.k8s.io");
        let mut nobodys = one.clone();
        nobodys["metadata"] = json!({});
        let mut going = one.clone();
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut node = one.clone();
        node["endpoints"][0]["targetRef"]["kind"] = json!("Node");
        let mut bare = one.clone();
        bare["endpoints"][0]["targetRef"] = Value::Null;
        for (service, slice, what) in [
            (&written, &one, "no selector"),
            (&empty, &one, "an empty selector"),
            (&web(), &mirrored, "written by hand, and mirrored"),
            (&web(), &nobodys, "written by hand"),
            (&web(), &going, "written by hand, and kept by a finalizer"),
            (&web(), &node, "no pod"),
            (&web(), &bare, "nothing"),
        ] {
            let found = chosen(service, std::slice::from_ref(slice), 80);
            assert_eq!(found, Ok(vec!["10.244.1.2:8080".to_owned()]), "{what}");
        }
    }
}
