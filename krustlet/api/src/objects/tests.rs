use std::time::Instant;

use serde_json::json;

use super::testing::{Fake, eventually};
use super::*;

fn config_map(name: &str) -> Key {
    Key { kind: Kind::ConfigMap, namespace: "ns".into(), name: name.into() }
}

fn value(content: &Option<Arc<Content>>, key: &str) -> Option<String> {
    content.as_ref()?.values.get(key).map(|bytes| String::from_utf8(bytes.clone()).unwrap())
}

#[tokio::test]
async fn what_is_there_is_found_and_what_is_not_is_not() {
    let fake = Fake::new();
    fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" }, "binaryData": { "b": "/w==" } }));
    fake.set("secrets", "ns", "s", json!({ "data": { "k": "aGk=" }, "type": "Opaque" }));
    let objects = Objects::new(fake.client());
    let content = objects.refer(config_map("cm")).get().await.unwrap();
    assert_eq!(value(&content, "a").as_deref(), Some("1"));
    assert_eq!(content.unwrap().file("b"), Some(&b"\xff"[..]));
    let secret = objects.refer(Key { kind: Kind::Secret, ..config_map("s") }).get().await.unwrap();
    assert_eq!((value(&secret, "k").as_deref(), secret.unwrap().type_.as_str()), (Some("hi"), "Opaque"));
    assert_eq!(objects.refer(config_map("s")).get().await, Ok(None));
    assert_eq!(objects.refer(Key { namespace: "other".into(), ..config_map("cm") }).get().await, Ok(None));
}

#[tokio::test]
async fn changes_are_told_and_metadata_is_none() {
    let fake = Fake::new();
    let objects = Objects::new(fake.client());
    let reference = objects.refer(config_map("cm"));
    assert_eq!(reference.get().await, Ok(None));
    let appears = reference.changes();
    fake.set("configmaps", "ns", "other", json!({ "data": {} }));
    fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" } }));
    any_change(vec![appears]).await;
    assert_eq!(value(&reference.get().await.unwrap(), "a").as_deref(), Some("1"));
    let same = reference.changes();
    fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" } }));
    let changed = timeout(Duration::from_millis(200), any_change(vec![same.clone()])).await;
    assert!(changed.is_err(), "the same content is no change");
    fake.remove("configmaps", "ns", "cm");
    any_change(vec![same]).await;
    assert_eq!(reference.get().await, Ok(None));
}

#[tokio::test]
async fn a_refusal_is_tried_again_soon() {
    let fake = Fake::new();
    fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" } }));
    fake.refuse(2);
    let objects = Objects::new(fake.client());
    let started = Instant::now();
    let content = objects.refer(config_map("cm")).get().await.unwrap();
    assert_eq!(value(&content, "a").as_deref(), Some("1"));
    // Two pauses, each of which may be shorter by a quarter.
    let pauses = follow::FIRST_PAUSE + 2 * follow::FIRST_PAUSE;
    assert!((pauses * 3 / 4..Duration::from_secs(3)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_refusal_for_good_is_said() {
    let fake = Fake::new();
    fake.refuse(usize::MAX);
    let objects = Objects::with_patience(fake.client(), Duration::from_millis(500));
    let said = objects.refer(config_map("cm")).get().await.unwrap_err().to_string();
    assert!(said.starts_with("configmap \"cm\": no answer from the API server in 500ms: "), "{said}");
    assert!(said.contains("no relationship found"), "{said}");
}

#[tokio::test]
async fn one_watch_for_all_that_ends_with_the_last() {
    let fake = Fake::new();
    fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" } }));
    let objects = Objects::new(fake.client());
    let mut references: Vec<Reference> = (0..110).map(|_| objects.refer(config_map("cm"))).collect();
    for reference in &references {
        assert!(reference.get().await.unwrap().is_some());
    }
    eventually("the watch", || fake.watches() == 1).await;
    assert_eq!((fake.lists(), objects.watched()), (1, 1));
    let last = references.pop();
    drop(references);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((fake.watches(), objects.watched()), (1, 1));
    drop(last);
    eventually("no watch", || fake.watches() == 0).await;
    assert_eq!(objects.watched(), 0);
    assert!(objects.refer(config_map("cm")).get().await.unwrap().is_some());
    assert_eq!(fake.lists(), 2);
}

#[tokio::test]
async fn an_interruption_loses_nothing() {
    let fake = Fake::new();
    fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "1" } }));
    let objects = Objects::new(fake.client());
    let reference = objects.refer(config_map("cm"));
    reference.get().await.unwrap();
    eventually("the watch", || fake.watches() == 1).await;
    let change = reference.changes();
    fake.interrupt();
    fake.refuse(1);
    fake.set("configmaps", "ns", "cm", json!({ "data": { "a": "2" } }));
    assert!(reference.get().await.unwrap().is_some());
    any_change(vec![change]).await;
    assert_eq!(value(&reference.get().await.unwrap(), "a").as_deref(), Some("2"));
}

fn service(ip: &str) -> serde_json::Value {
    json!({ "spec": { "clusterIP": ip, "ports": [{ "port": 80 }] } })
}

async fn told(objects: &Objects, namespace: &str, links: bool) -> Vec<String> {
    objects.services(namespace, links).await.unwrap().into_iter().map(|service| service.name).collect()
}

#[tokio::test]
async fn services_are_watched_once_from_the_first_pod_on() {
    let fake = Fake::new();
    fake.set("services", "default", "kubernetes", service("10.0.0.1"));
    fake.set("services", "ns", "web", service("10.0.0.2"));
    fake.set("services", "ns", "headless", service("None"));
    fake.set("services", "other", "db", service("10.0.0.3"));
    let objects = Objects::new(fake.client());
    assert_eq!(fake.lists(), 0);
    assert_eq!(told(&objects, "ns", true).await, ["kubernetes", "web"]);
    assert_eq!(told(&objects, "ns", false).await, ["kubernetes"]);
    assert_eq!(told(&objects, "other", true).await, ["kubernetes", "db"]);
    eventually("the watch", || fake.watches() == 1).await;
    assert_eq!(fake.lists(), 1);
    fake.set("services", "ns", "late", service("10.0.0.4"));
    fake.remove("services", "ns", "web");
    for _ in 0..500 {
        if told(&objects, "ns", true).await == ["kubernetes", "late"] {
            drop(objects);
            return eventually("no watch", || fake.watches() == 0).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the change never came");
}

#[tokio::test]
async fn a_node_that_may_not_read_services_tells_of_none() {
    let fake = Fake::new();
    fake.set("services", "default", "kubernetes", service("10.0.0.1"));
    fake.refuse(usize::MAX);
    let objects = Objects::new(fake.client());
    assert_eq!(told(&objects, "ns", true).await, Vec::<String>::new());
}

fn wanted() -> TokenRequestOf<'static> {
    TokenRequestOf { namespace: "ns", service_account: "sa", pod: "p", pod_uid: "u", audience: "", life_seconds: 3607 }
}

#[tokio::test]
async fn tokens_are_asked_for_again_after_a_refusal() {
    let fake = Fake::new();
    fake.refuse(2);
    let objects = Objects::new(fake.client());
    let token = objects.token(&wanted()).await.unwrap();
    assert_eq!(&*token.text, "token-1-of-sa");
    let asked = &fake.tokens()[0];
    assert_eq!(asked["spec"]["boundObjectRef"], json!({ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u" }));
    assert_eq!(asked["spec"]["expirationSeconds"], 3607);
    let due = token.due.left().as_secs();
    assert!((2870..=2880).contains(&due), "{due}");
    assert!(!format!("{token:?}").contains("token-1"));
    fake.refuse(usize::MAX);
    let said = objects.token(&wanted()).await.unwrap_err().to_string();
    assert!(said.starts_with("failed to fetch token: ") && said.contains("no relationship found"), "{said}");
}
