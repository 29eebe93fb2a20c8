//! Who gets which address.

use super::*;
use serde_json::{Value, json};

const NODE: &str = "172.18.0.3";

fn of_range(range: &str) -> Addresses {
    Addresses::told(NODE.parse().unwrap(), range)
}

fn pod(uid: &str, address: Value, part: Value) -> Pod {
    let mut container = json!({ "name": "main" });
    container.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "metadata": { "name": uid, "uid": uid },
        "spec": { "containers": [container] },
        "status": { "phase": "Running", "podIP": address },
    }))
    .unwrap()
}

fn new(uid: &str) -> Pod {
    pod(uid, json!(null), json!({}))
}

/// As a container that then listens there.
async fn taken(addresses: &Addresses, pod: &Pod) -> String {
    let (address, why) = addresses.take(pod).await;
    assert_eq!((why, addresses.of(&pod.uid().unwrap())), (None, address));
    addresses.listened(&pod.uid().unwrap());
    address.to_string()
}

#[tokio::test]
async fn each_pod_has_one_of_its_own_and_keeps_it_and_it_is_not_anothers_soon() {
    let addresses = of_range("10.1.0.0/28");
    let mut seen = vec![taken(&addresses, &new("a")).await];
    assert_eq!(taken(&addresses, &new("a")).await, seen[0], "its other container");
    // There are 13: all others come before the first one that was given back.
    for number in 1..13 {
        addresses.free(&(number - 1).to_string());
        addresses.free("a");
        let next = taken(&addresses, &new(&number.to_string())).await;
        assert!(!seen.contains(&next), "{next} in {seen:?}");
        seen.push(next);
    }
    addresses.free("12");
    assert_eq!(taken(&addresses, &new("last")).await, seen[0]);
    assert_eq!(addresses.of("a").to_string(), NODE, "it has none any more");
}

#[tokio::test]
async fn where_all_are_taken_the_nodes_is_had_and_why() {
    let addresses = of_range("10.1.0.0/29");
    for number in 0..5 {
        taken(&addresses, &new(&number.to_string())).await;
    }
    let why = NoAddress::AllTaken("10.1.0.0/29".parse().unwrap());
    assert_eq!(addresses.take(&new("a")).await, (NODE.parse().unwrap(), Some(why)));
    assert_eq!(taken(&addresses, &new("a")).await, NODE, "told once");
    addresses.free("3");
    assert_eq!(taken(&addresses, &new("a")).await, NODE, "its other containers have it");
    assert_ne!(taken(&addresses, &new("b")).await, NODE);
}

#[tokio::test]
async fn a_pod_that_could_not_listen_at_the_nodes_gets_one_of_its_own_when_there_is_one() {
    let node = NODE.parse().unwrap();
    let addresses = Addresses::new(node, Some(NoAddress::NoRange), Duration::ZERO);
    let why = Some(NoAddress::NoRange);
    assert_eq!(addresses.take(&new("a")).await, (node, why));
    assert_eq!(addresses.take(&new("a")).await, (node, None), "told once");
    addresses.tell("10.1.0.0/24".parse().unwrap());
    let own = taken(&addresses, &new("a")).await;
    assert!(own.starts_with("10.1.0."), "{own}");
    assert_eq!(taken(&addresses, &new("a")).await, own);
}

#[tokio::test]
async fn what_a_pod_had_under_an_earlier_agent_it_keeps_and_nobody_comes_before_it() {
    let addresses = of_range("10.1.0.0/29");
    let of = |uid: &str, address: &str| pod(uid, json!(address), json!({}));
    let (a, b, c, far) = (of("a", "10.1.0.4"), of("b", "10.1.0.4"), of("c", NODE), of("far", "10.2.0.2"));
    let mut ended = of("ended", "10.1.0.5");
    ended.status.as_mut().unwrap().phase = Some("Succeeded".into());
    for pod in [&a, &b, &c, &far, &ended] {
        addresses.take_again(pod);
    }
    assert_eq!([addresses.of("a"), addresses.of("ended")].map(|address| address.to_string()), ["10.1.0.4", NODE]);
    let mut others = Vec::new();
    for pod in [&b, &c, &far, &new("new")] {
        others.push(taken(&addresses, pod).await);
    }
    others.sort();
    assert_eq!(others, ["10.1.0.2", "10.1.0.3", "10.1.0.5", "10.1.0.6"]);
    assert_eq!(taken(&addresses, &a).await, "10.1.0.4");
}

#[tokio::test]
async fn a_pod_that_names_a_port_of_its_host_is_reached_there() {
    let host = json!({ "ports": [{ "containerPort": 80, "hostPort": 80 }] });
    for addresses in
        [of_range("10.1.0.0/24"), Addresses::of_range(NODE.parse().unwrap()), Addresses::of_node(NODE.parse().unwrap())]
    {
        assert_eq!(taken(&addresses, &pod("a", json!(null), host.clone())).await, NODE);
    }
}

#[tokio::test]
async fn where_pods_are_to_have_the_nodes_there_is_nothing_to_tell() {
    let addresses = Addresses::of_node(NODE.parse().unwrap());
    assert_eq!(taken(&addresses, &new("a")).await, NODE);
}

#[tokio::test]
async fn the_range_is_waited_for_but_not_for_ever() {
    let node = NODE.parse().unwrap();
    let wait = Duration::from_secs(1);
    let waiting = || Addresses::new(node, Some(NoAddress::NoRange), wait);
    let (soon, never, begun) = (waiting(), waiting(), Instant::now());
    let waits = tokio::spawn({
        let soon = soon.clone();
        async move { taken(&soon, &new("a")).await }
    });
    tokio::time::sleep(wait / 4).await;
    soon.tell("10.1.0.0/24".parse().unwrap());
    assert!(waits.await.unwrap().starts_with("10.1.0."));

    let why = Some(NoAddress::NoRange);
    assert_eq!(never.take(&new("a")).await, (node, why.clone()));
    assert!(begun.elapsed() >= wait);
    assert_eq!(taken(&never, &new("a")).await, NODE, "told once");
    assert_eq!(never.take(&new("b")).await, (node, why));
    never.tell("10.1.0.0/24".parse().unwrap());
    assert_eq!(taken(&never, &new("a")).await, NODE, "as long as it lives");
    assert!(taken(&never, &new("c")).await.starts_with("10.1.0."), "it has come late");
}
