use super::*;
use serde_json::{Value, json};

fn amounts_of(value: Value) -> Amounts {
    value.as_object().unwrap().iter().map(|(name, amount)| (name.clone(), amount.as_u64().unwrap())).collect()
}

fn container(requests: Value) -> Value {
    json!({ "name": "c", "resources": { "requests": requests } })
}

fn spec(value: Value) -> PodSpec {
    serde_json::from_value(value).unwrap()
}

fn node() -> NodeFacts {
    NodeFacts {
        name: "wasm".into(),
        labels: BTreeMap::from([("kubernetes.io/arch".into(), "wasm32-wasi".into()), ("rank".into(), "5".into())]),
        allocatable: amounts_of(json!({ "cpu": 2000, "memory": 1000, "pods": 2 })),
    }
}

#[test]
fn quantities_are_read_in_their_unit() {
    let table = [
        ("cpu", "2", Some(2000)),
        ("cpu", "250m", Some(250)),
        ("cpu", "0.1", Some(100)),
        ("cpu", "1500000n", Some(2)),
        ("cpu", "1e1", Some(10_000)),
        ("memory", "1Ki", Some(1024)),
        ("pods", "110", Some(110)),
        ("memory", "x", None),
    ];
    for (name, text, wanted) in table {
        assert_eq!(amount(name, text), wanted, "{name} {text}");
    }
}

#[test]
fn a_pod_asks_for_the_most_that_it_needs_at_once() {
    let small = json!({ "cpu": "100m", "memory": "10" });
    let table = [
        (json!({ "containers": [{ "name": "c" }] }), json!({ "pods": 1 })),
        (
            json!({ "containers": [container(small.clone()), container(small.clone())] }),
            json!({ "cpu": 200, "memory": 20, "pods": 1 }),
        ),
        (
            json!({ "containers": [container(small.clone())], "initContainers": [container(json!({ "memory": "50" }))] }),
            json!({ "cpu": 100, "memory": 50, "pods": 1 }),
        ),
        (
            json!({ "containers": [container(small.clone())], "initContainers": [
                { "name": "s", "restartPolicy": "Always", "resources": { "requests": small.clone() } },
                container(json!({ "memory": "15" })),
            ]}),
            json!({ "cpu": 200, "memory": 25, "pods": 1 }),
        ),
        (
            json!({ "containers": [container(small.clone())], "overhead": { "memory": "1" }, "resources": { "requests": { "cpu": "1" } } }),
            json!({ "cpu": 1000, "memory": 11, "pods": 1 }),
        ),
    ];
    for (given, wanted) in table {
        assert_eq!(requests(&spec(given.clone())), amounts_of(wanted), "{given}");
    }
}

#[test]
fn what_is_short_is_named_as_the_kubelet_names_it() {
    let refused = |requests: Value, used: Value| {
        let refusal = misfit(&Pod::default(), &amounts_of(requests), &amounts_of(used), &node());
        refusal.map(|refusal| (refusal.reason, refusal.message))
    };
    assert_eq!(refused(json!({ "cpu": 1500, "pods": 1 }), json!({ "cpu": 500, "pods": 1 })), None);
    let message = "Pod was rejected: Node didn't have enough resource: cpu, requested: 1500, used: 501, capacity: 2000";
    assert_eq!(
        refused(json!({ "cpu": 1500, "pods": 1 }), json!({ "cpu": 501, "pods": 1 })),
        Some(("OutOfcpu".into(), message.into()))
    );
    let reason = |requests, used| refused(requests, used).unwrap().0;
    assert_eq!(reason(json!({ "memory": 1001 }), json!({})), "OutOfmemory");
    assert_eq!(reason(json!({ "cpu": 9999, "pods": 1 }), json!({ "pods": 2 })), "OutOfpods");
    assert_eq!(reason(json!({ "example.com/gpu": 1 }), json!({})), "OutOfexample.com/gpu");
}

#[test]
fn selectors_and_affinity() {
    let term = |key: &str, operator: &str, values: Value| json!({ "key": key, "operator": operator, "values": values });
    let affinity = |terms: Value| json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } } } });
    let expressions = |list: Value| affinity(json!([{ "matchExpressions": list }]));
    let table = [
        (json!({}), true),
        (json!({ "nodeSelector": { "kubernetes.io/arch": "wasm32-wasi" } }), true),
        (json!({ "nodeSelector": { "kubernetes.io/arch": "amd64" } }), false),
        (json!({ "nodeSelector": { "disk": "ssd" } }), false),
        (expressions(json!([term("kubernetes.io/arch", "In", json!(["amd64", "wasm32-wasi"]))])), true),
        (expressions(json!([term("kubernetes.io/arch", "NotIn", json!(["wasm32-wasi"]))])), false),
        (expressions(json!([term("disk", "NotIn", json!(["ssd"]))])), true),
        (expressions(json!([term("rank", "Exists", json!([]))])), true),
        (expressions(json!([term("disk", "DoesNotExist", json!([]))])), true),
        (expressions(json!([term("rank", "Gt", json!(["4"]))])), true),
        (expressions(json!([term("rank", "Lt", json!(["5"]))])), false),
        (expressions(json!([term("rank", "Exists", json!([])), term("disk", "Exists", json!([]))])), false),
        (
            affinity(
                json!([{ "matchExpressions": [term("disk", "Exists", json!([]))] }, { "matchExpressions": [term("rank", "Exists", json!([]))] }]),
            ),
            true,
        ),
        (affinity(json!([{}])), false),
        (affinity(json!([{ "matchFields": [term("metadata.name", "In", json!(["wasm"]))] }])), true),
        (affinity(json!([{ "matchFields": [term("metadata.name", "In", json!(["other"]))] }])), false),
    ];
    for (part, wanted) in table {
        let mut given = json!({ "containers": [] });
        given.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        assert_eq!(selects(&spec(given), &node()), wanted, "{part}");
    }
    let elsewhere = json!({ "spec": { "containers": [], "nodeSelector": { "disk": "ssd" } } });
    let elsewhere: Pod = serde_json::from_value(elsewhere).unwrap();
    let refusal = misfit(&elsewhere, &Amounts::new(), &Amounts::new(), &node()).unwrap();
    assert_eq!((refusal.reason.as_str(), refusal.fails), ("NodeAffinity", true));
}
