//! What a pod can learn about itself: `fieldRef` of variables and of downwardAPI files.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#downwardapi-fieldRef>

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::api::core::v1::Pod;

use super::Node;
use crate::lifecycle::not_started::NotStarted;

/// The value of a field. A label or an annotation that is not there is empty, as with the kubelet.
///
/// # Errors
/// The field is none that can be asked for, or one that a WebAssembly pod does not have.
pub fn value(pod: &Pod, node: &Node, path: &str) -> Result<String, NotStarted> {
    let meta = &pod.metadata;
    let spec = |pick: fn(&k8s_openapi::api::core::v1::PodSpec) -> Option<&String>| {
        pod.spec.as_ref().and_then(pick).cloned().unwrap_or_default()
    };
    Ok(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => spec(|spec| spec.node_name.as_ref()),
        "spec.serviceAccountName" => spec(|spec| spec.service_account_name.as_ref()),
        "status.hostIP" | "status.hostIPs" => node.host_ip.clone(),
        // An empty value would be taken for an address by whoever asked, and the kubelet never gives one.
        "status.podIP" | "status.podIPs" => {
            return Err(NotStarted::config(format!("{path}: a pod on a WebAssembly node has no IP address")));
        }
        _ => match entry(path) {
            Some(("metadata.labels", key)) => of(meta.labels.as_ref(), key),
            Some(("metadata.annotations", key)) => of(meta.annotations.as_ref(), key),
            _ => return Err(NotStarted::config(format!("unsupported fieldPath: {path}"))),
        },
    })
}

/// `metadata.labels['key']` as `("metadata.labels", "key")`.
fn entry(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

fn of(map: Option<&BTreeMap<String, String>>, key: &str) -> String {
    map.and_then(|map| map.get(key)).cloned().unwrap_or_default()
}

/// One `key="value"` a line, by key, the value quoted as Go does it: programs that read these files know that form.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let line = |(key, value): (&String, &String)| format!("{key}={}", quoted(value));
    map.into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            // Writing to a string cannot fail.
            c if c.is_ascii_control() => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if c.is_control() => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "p", "namespace": "ns", "uid": "u-1",
                "labels": { "b": "2", "a.io/x": "1" },
                "annotations": { "note": "two\nlines and \"quotes\"" },
            },
            "spec": { "containers": [], "nodeName": "n", "serviceAccountName": "sa" },
        }))
        .unwrap()
    }

    #[test]
    fn every_field() {
        let node = Node { host_ip: "10.0.0.1".into(), ..Node::default() };
        let table = [
            ("metadata.name", "p"),
            ("metadata.namespace", "ns"),
            ("metadata.uid", "u-1"),
            ("metadata.labels['b']", "2"),
            ("metadata.labels['a.io/x']", "1"),
            ("metadata.labels['none']", ""),
            ("metadata.annotations['note']", "two\nlines and \"quotes\""),
            ("metadata.labels", "a.io/x=\"1\"\nb=\"2\""),
            ("metadata.annotations", r#"note="two\nlines and \"quotes\"""#),
            ("spec.nodeName", "n"),
            ("spec.serviceAccountName", "sa"),
            ("status.hostIP", "10.0.0.1"),
            ("status.hostIPs", "10.0.0.1"),
        ];
        for (path, wanted) in table {
            assert_eq!(value(&pod(), &node, path).unwrap(), wanted, "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let ask = |path| value(&pod(), &Node::default(), path).unwrap_err().message;
        for path in ["status.podIP", "status.podIPs"] {
            assert!(ask(path).contains("has no IP address"), "{path}");
        }
        for path in ["spec.schedulerName", "metadata.labels['x", "metadata['x']", ""] {
            assert_eq!(ask(path), format!("unsupported fieldPath: {path}"));
        }
    }

    #[test]
    fn quotes_are_gos() {
        for (text, wanted) in
            [("", r#""""#), ("a\\b", r#""a\\b""#), ("\t\r\u{1}", r#""\t\r\x01""#), ("é\u{85}", r#""é\u0085""#)]
        {
            assert_eq!(quoted(text), wanted);
        }
    }
}
