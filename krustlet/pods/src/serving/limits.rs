//! What the clients of a pod that serves may take: `--server-limits` of the node, and an annotation of the pod. Pure.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::quantity;
use krustlet_runtime::ServerLimits;

use crate::containers::http;

/// What a pod asks for of them, as `NAME=VALUE` separated by commas. What it does not name is the node's.
pub const ANNOTATION: &str = "alpha.wasi.krustlet.dev/server-limits";

/// Those of the runtime, as the flag has them.
pub const DEFAULT: &str = "max-connections=1024,max-requests=256,max-header-size=32Ki,max-body-size=64Mi,header-timeout-seconds=10,\
    idle-timeout-seconds=75,body-timeout-seconds=30,request-timeout-seconds=300";

/// More connections or requests are of no use.
const MOST: u64 = 100_000;
/// What takes longer is no request.
const DAY_SECONDS: u64 = 86_400;

/// One of them, by the name that the flags of `krustlet-wasi serve` have for it.
struct Field {
    name: &'static str,
    unit: Unit,
    get: fn(&ServerLimits) -> u64,
    set: fn(&mut ServerLimits, u64),
}

#[derive(Clone, Copy)]
enum Unit {
    Count,
    Bytes,
    Seconds,
}

impl Unit {
    fn read(self, text: &str) -> Option<u64> {
        let (value, most) = match self {
            Self::Count => (text.parse().ok()?, MOST),
            Self::Bytes => (quantity::bytes(text)?, u64::MAX),
            Self::Seconds => (text.parse().ok()?, DAY_SECONDS),
        };
        (1..=most).contains(&value).then_some(value)
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Count => "a whole number from 1 to 100000",
            Self::Bytes => "a quantity of bytes, for example 64Mi",
            Self::Seconds => "seconds, a whole number from 1 to 86400",
        }
    }

    fn text(self, value: u64) -> String {
        match self {
            Self::Bytes => quantity::text(value, true),
            Self::Count | Self::Seconds => value.to_string(),
        }
    }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

const FIELDS: [Field; 8] = [
    Field {
        name: "max-connections",
        unit: Unit::Count,
        get: |limits| limits.max_connections as u64,
        set: |limits, value| limits.max_connections = size(value),
    },
    Field {
        name: "max-requests",
        unit: Unit::Count,
        get: |limits| limits.max_concurrent_requests as u64,
        set: |limits, value| limits.max_concurrent_requests = size(value),
    },
    Field {
        name: "max-header-size",
        unit: Unit::Bytes,
        get: |limits| limits.max_header_bytes as u64,
        set: |limits, value| limits.max_header_bytes = size(value),
    },
    Field {
        name: "max-body-size",
        unit: Unit::Bytes,
        get: |limits| limits.max_body_bytes,
        set: |limits, value| limits.max_body_bytes = value,
    },
    Field {
        name: "header-timeout-seconds",
        unit: Unit::Seconds,
        get: |limits| limits.header_timeout.as_secs(),
        set: |limits, value| limits.header_timeout = Duration::from_secs(value),
    },
    Field {
        name: "idle-timeout-seconds",
        unit: Unit::Seconds,
        get: |limits| limits.idle_timeout.as_secs(),
        set: |limits, value| limits.idle_timeout = Duration::from_secs(value),
    },
    Field {
        name: "body-timeout-seconds",
        unit: Unit::Seconds,
        get: |limits| limits.body_timeout.as_secs(),
        set: |limits, value| limits.body_timeout = Duration::from_secs(value),
    },
    Field {
        name: "request-timeout-seconds",
        unit: Unit::Seconds,
        get: |limits| limits.request_timeout.as_secs(),
        set: |limits, value| limits.request_timeout = Duration::from_secs(value),
    },
];

/// Reads `NAME=VALUE` separated by commas. What is not named is as in `base`.
///
/// # Errors
/// One line for each fault.
pub fn parse(text: &str, base: &ServerLimits) -> Result<ServerLimits, Vec<String>> {
    let (mut limits, mut named, mut faults) = (base.clone(), Vec::new(), Vec::new());
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').map_or((pair, ""), |(name, value)| (name.trim(), value.trim()));
        let Some(field) = FIELDS.iter().find(|field| field.name == name) else {
            let names = FIELDS.map(|field| field.name).join(", ");
            faults.push(format!("{name:?} is no limit of servers; there are {names}"));
            continue;
        };
        match field.unit.read(value) {
            _ if named.contains(&name) => faults.push(format!("{name} is given twice")),
            Some(value) => (field.set)(&mut limits, value),
            None => faults.push(format!("{name}: {value:?} is not {}", field.unit.wanted())),
        }
        named.push(name);
    }
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

/// Those of a pod's containers: what its annotation says, which is no more than what the node gives.
///
/// # Errors
/// What is wrong with the annotation.
pub fn of_pod(pod: &Pod, node: &ServerLimits) -> Result<ServerLimits, NotStarted> {
    let Some(text) = pod.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION)) else {
        return Ok(node.clone());
    };
    let wrong = |faults: Vec<String>| http::wrong(ANNOTATION, faults.join("; "));
    let limits = parse(text, node).map_err(wrong)?;
    let beyond = FIELDS.iter().filter(|field| (field.get)(&limits) > (field.get)(node)).map(|field| {
        let (asked, most) = (field.unit.text((field.get)(&limits)), field.unit.text((field.get)(node)));
        format!("{}={asked} is more than this node gives, {most}: ask for less, or start the node with more in --server-limits", field.name)
    });
    let beyond: Vec<String> = beyond.collect();
    if beyond.is_empty() { Ok(limits) } else { Err(wrong(beyond)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(limits: &str) -> Pod {
        serde_json::from_value(json!({ "metadata": { "annotations": { ANNOTATION: limits } } })).unwrap()
    }

    #[test]
    fn every_limit_has_a_name() {
        assert_eq!(parse(DEFAULT, &parse(OTHER, &ServerLimits::default()).unwrap()), Ok(ServerLimits::default()));
        let expected = ServerLimits {
            max_connections: 2,
            max_concurrent_requests: 3,
            max_header_bytes: 4096,
            max_body_bytes: 5120,
            header_timeout: Duration::from_secs(6),
            idle_timeout: Duration::from_secs(7),
            body_timeout: Duration::from_secs(8),
            request_timeout: Duration::from_secs(9),
        };
        assert_eq!(parse(OTHER, &ServerLimits::default()), Ok(expected));
        assert_eq!(parse(" , ", &ServerLimits::default()), Ok(ServerLimits::default()));
    }

    const OTHER: &str = "max-connections=2, max-requests=3,max-header-size=4Ki,max-body-size=5Ki,header-timeout-seconds=6,\
        idle-timeout-seconds=7,body-timeout-seconds=8,request-timeout-seconds=9";

    #[test]
    fn all_faults_are_named() {
        let faults = parse(
            "max=1,max-requests=0,max-body-size=much,idle-timeout-seconds=1,idle-timeout-seconds=2,max-requests",
            &ServerLimits::default(),
        );
        let faults = faults.unwrap_err();
        let wanted = [
            "\"max\" is no limit of servers; there are max-connections, ",
            "max-requests: \"0\" is not a whole number from 1 to 100000",
            "max-body-size: \"much\" is not a quantity of bytes, for example 64Mi",
            "idle-timeout-seconds is given twice",
            "max-requests is given twice",
        ];
        assert_eq!(faults.len(), wanted.len());
        for (fault, wanted) in faults.iter().zip(wanted) {
            assert!(fault.starts_with(wanted), "{fault}");
        }
    }

    #[test]
    fn a_pod_may_have_less_than_its_node_gives_and_not_more() {
        let node = parse("max-requests=10,max-body-size=1Mi", &ServerLimits::default()).unwrap();
        assert_eq!(of_pod(&Pod::default(), &node), Ok(node.clone()));
        let less = ServerLimits { max_concurrent_requests: 5, ..node.clone() };
        assert_eq!(of_pod(&pod("max-requests=5"), &node), Ok(less));
        let fault = of_pod(&pod("max-requests=11,max-body-size=2Mi"), &node).unwrap_err().message;
        assert!(
            fault.starts_with(&format!("annotation {ANNOTATION}: max-requests=11 is more than this node gives, 10: ")),
            "{fault}"
        );
        assert!(fault.contains("max-body-size=2Mi is more than this node gives, 1Mi: "), "{fault}");
        assert!(of_pod(&pod("x"), &node).unwrap_err().message.contains("\"x\" is no limit"), "{fault}");
    }
}
