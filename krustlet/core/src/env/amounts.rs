//! What a container may use: `resourceFieldRef` of variables and of downwardAPI files.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#downwardapi-resourceFieldRef>

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::lifecycle::not_started::NotStarted;
use crate::quantity;

/// Amounts by resource.
pub type Amounts = BTreeMap<String, Quantity>;

/// The amount in units of the divisor (one, if none is given), rounded up.
///
/// A limit that the container does not set is what the node can allocate, for it can use all of that; a request that it does not
/// set is nothing.
///
/// # Errors
/// There is no such resource, or a quantity cannot be read.
pub fn value(
    container: &Container,
    selector: &ResourceFieldSelector,
    allocatable: &Amounts,
) -> Result<String, NotStarted> {
    let unsupported = || NotStarted::config(format!("unsupported container resource : {}", selector.resource));
    let (which, resource) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let defaulted = matches!(resource, "cpu" | "memory" | "ephemeral-storage");
    if !defaulted && !resource.starts_with("hugepages-") {
        return Err(unsupported());
    }
    let read = if resource == "cpu" { quantity::milli } else { quantity::bytes };
    let none = |text: &str| NotStarted::config(format!("{}: {text:?} is no quantity", selector.resource));
    let amount = |text: &Quantity| read(&text.0).ok_or_else(|| none(&text.0));
    let resources = container.resources.as_ref();
    let set = match which {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()),
        _ => return Err(unsupported()),
    };
    let mut found = set.and_then(|set| set.get(resource)).map_or(Ok(0), amount)?;
    if found == 0 && which == "limits" && defaulted {
        found = allocatable.get(resource).map_or(Ok(0), amount)?;
    }
    let unit = if resource == "cpu" { 1000 } else { 1 };
    let divisor = selector.divisor.as_ref().map_or(Ok(0), amount)?;
    Ok(found.div_ceil(if divisor == 0 { unit } else { divisor }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(resource: &str, divisor: &str) -> Result<String, NotStarted> {
        let container: Container = serde_json::from_value(json!({ "name": "c", "resources": {
            "limits": { "cpu": "1500m", "memory": "100M", "hugepages-2Mi": "4Mi" },
            "requests": { "cpu": "250m", "memory": "64Mi" },
        }}))
        .unwrap();
        let allocatable: Amounts =
            serde_json::from_value(json!({ "cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi" })).unwrap();
        let selector =
            json!({ "containerName": "c", "resource": resource, "divisor": (!divisor.is_empty()).then_some(divisor) });
        value(&container, &serde_json::from_value(selector).unwrap(), &allocatable)
    }

    #[test]
    fn amounts_are_rounded_up() {
        let table = [
            ("limits.cpu", "", "2"),
            ("limits.cpu", "0", "2"),
            ("limits.cpu", "1m", "1500"),
            ("limits.cpu", "1", "2"),
            ("limits.cpu", "2", "1"),
            ("requests.cpu", "", "1"),
            ("requests.cpu", "1m", "250"),
            ("requests.cpu", "100m", "3"),
            ("limits.memory", "", "100000000"),
            ("limits.memory", "1Mi", "96"),
            ("limits.memory", "1M", "100"),
            ("requests.memory", "1Gi", "1"),
            ("requests.memory", "1Ki", "65536"),
            ("limits.hugepages-2Mi", "1Mi", "4"),
            ("requests.hugepages-2Mi", "", "0"),
            ("requests.ephemeral-storage", "", "0"),
            ("limits.ephemeral-storage", "1Gi", "10"),
        ];
        for (resource, divisor, wanted) in table {
            assert_eq!(ask(resource, divisor).unwrap(), wanted, "{resource} in {divisor:?}");
        }
    }

    #[test]
    fn without_a_limit_it_is_the_nodes() {
        let bare = Container { name: "c".into(), ..Container::default() };
        let allocatable: Amounts = serde_json::from_value(json!({ "cpu": "3", "memory": "1Gi" })).unwrap();
        for (resource, wanted) in [
            ("limits.cpu", "3"),
            ("limits.memory", "1073741824"),
            ("requests.cpu", "0"),
            ("limits.ephemeral-storage", "0"),
        ] {
            let selector = ResourceFieldSelector { resource: resource.into(), ..ResourceFieldSelector::default() };
            assert_eq!(value(&bare, &selector, &allocatable).unwrap(), wanted, "{resource}");
        }
    }

    #[test]
    fn others_are_refused() {
        for resource in ["limits.gpu", "cpu", "uses.cpu", "limits.pods", ""] {
            assert_eq!(ask(resource, "").unwrap_err().message, format!("unsupported container resource : {resource}"));
        }
        assert!(ask("limits.cpu", "x").unwrap_err().message.contains("is no quantity"));
    }
}
