use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use krustlet_http::Endpoint;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::*;
use crate::objects::testing::Fake;

fn service(selector: Value) -> Value {
    json!({ "spec": { "clusterIP": "10.96.0.7", "selector": selector, "ports": [{ "port": 80 }] } })
}

/// As the control plane writes it.
fn slice(service: &str, addresses: &[&str]) -> Value {
    let labels = json!({
        "kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    let endpoint = |address: &&str| json!({ "addresses": [address], "targetRef": { "kind": "Pod" } });
    let endpoints: Vec<_> = addresses.iter().map(endpoint).collect();
    json!({ "metadata": { "labels": labels }, "addressType": "IPv4", "ports": [{ "port": 8080 }], "endpoints": endpoints })
}

fn names(fake: &Fake) -> ServiceNames {
    ServiceNames::new(Objects::new(fake.client()), fake.client())
}

/// The ports' and addresses' text; what a look-up of this host by a pod of the namespace `shop` gives.
async fn found(names: &ServiceNames, host: &str, port: u16) -> Result<Option<Vec<String>>, Fault> {
    let named = name::read(host, "shop").unwrap();
    let found = names.find(&named, "shop", Scheme::Http, port).await?;
    Ok(found.map(|found| match found {
        Found::At(endpoints) => endpoints.iter().map(|Endpoint { address, .. }| address.to_string()).collect(),
        other => panic!("{other:?}"),
    }))
}

#[tokio::test]
async fn services_are_found_by_their_names() {
    let fake = Fake::new();
    fake.set("services", "shop", "web", service(json!({ "app": "web" })));
    fake.set("services", "bank", "web", service(json!({ "app": "web" })));
    fake.set("endpointslices", "shop", "web-a", slice("web", &["10.244.1.2"]));
    fake.set("endpointslices", "shop", "web-b", slice("web", &["10.244.2.2"]));
    fake.set("endpointslices", "shop", "other", slice("other", &["10.244.1.3"]));
    fake.set("endpointslices", "bank", "web-a", slice("web", &["10.244.1.4"]));
    let names = names(&fake);
    let (shop, bank) = (["10.244.1.2:8080", "10.244.2.2:8080"], ["10.244.1.4:8080"]);
    for (host, wanted) in [
        ("web", &shop[..]),
        ("web.shop", &shop),
        ("web.shop.svc", &shop),
        ("web.shop.svc.cluster.local", &shop),
        ("web.bank", &bank),
        ("web.bank.svc", &bank),
    ] {
        let mut found = found(&names, host, 80).await.unwrap().unwrap();
        found.sort();
        assert_eq!(found, wanted, "{host}");
    }
    assert_eq!(found(&names, "web.shop", 8080).await, Err(Fault::Nothing(Nothing::NoPort(8080))));
    for host in ["other", "catfact.ninja", "other.shop"] {
        assert_eq!(found(&names, host, 80).await, Ok(None), "{host} is somebody else's");
    }
    for host in ["other.shop.svc", "web.ninja.svc.cluster.local"] {
        assert_eq!(found(&names, host, 80).await, Err(Fault::Absent), "{host}");
    }
    assert_eq!(fake.lists(), 3, "the Services, and the slices of two of them");
}

#[tokio::test]
async fn the_node_itself_names_a_service_by_a_name_that_is_nobody_elses() {
    let fake = Fake::new();
    fake.set("services", "shop", "web", service(json!({ "app": "web" })));
    fake.set("endpointslices", "shop", "web-a", slice("web", &["10.244.1.2"]));
    let names = names(&fake);
    let find = |host: &'static str, port| Discovery::find(&names, Scheme::Http, host, port);
    for host in ["web.shop.svc", "web.shop.svc.cluster.local"] {
        let Found::At(endpoints) = find(host, 80).await else { panic!("{host}") };
        let [Endpoint { address, private: true }] = &endpoints[..] else { panic!("{endpoints:?}") };
        assert_eq!(address.to_string(), "10.244.1.2:8080", "{host}");
    }
    for host in ["web", "web.shop", "localhost", "catfact.ninja", "otel.example.com"] {
        assert_eq!(find(host, 80).await, Found::Unknown, "{host}");
    }
    assert_eq!(find("other.shop.svc", 80).await, Found::Nowhere);
    assert_eq!(find("web.shop.svc", 81).await, Found::Nowhere);
}

#[tokio::test]
async fn of_a_socket_by_udp_nothing_is_asked_but_whether_it_is_a_service() {
    let fake = Fake::new();
    fake.set("services", "shop", "web", service(json!({ "app": "web" })));
    let names = names(&fake);
    let named = |host| name::read(host, "shop").unwrap();
    assert_eq!(names.find(&named("web"), "shop", Scheme::Udp, 80).await, Err(Fault::Udp));
    assert_eq!(names.find(&named("other"), "shop", Scheme::Udp, 80).await, Ok(None));
    assert_eq!(fake.lists(), 1, "the Services");
}

#[tokio::test]
async fn endpoints_take_turns() {
    let fake = Fake::new();
    fake.set("services", "shop", "web", service(json!({ "app": "web" })));
    fake.set("endpointslices", "shop", "web", slice("web", &["10.244.1.2", "10.244.1.3", "10.244.1.4"]));
    let names = names(&fake);
    let mut first = Vec::new();
    for _ in 0..4 {
        let found = found(&names, "web", 80).await.unwrap().unwrap();
        assert_eq!(found.len(), 3, "the others are there should the first not answer");
        first.push(found[0].clone());
    }
    assert_eq!(first, ["10.244.1.2:8080", "10.244.1.3:8080", "10.244.1.4:8080", "10.244.1.2:8080"]);
}

#[tokio::test]
async fn endpoints_take_turns_at_each_port() {
    let fake = Fake::new();
    let ports = json!([{ "name": "a", "port": 80 }, { "name": "b", "port": 81 }]);
    let spec = json!({ "clusterIP": "10.96.0.7", "selector": { "app": "web" }, "ports": ports });
    fake.set("services", "shop", "web", json!({ "spec": spec }));
    let mut both = slice("web", &["10.244.1.2", "10.244.1.3"]);
    both["ports"] = json!([{ "name": "a", "port": 8080 }, { "name": "b", "port": 8081 }]);
    fake.set("endpointslices", "shop", "web", both);
    let names = names(&fake);
    for port in [80, 81] {
        // As a look-up of all ports of a name asks.
        let mut first = Vec::new();
        for _ in 0..2 {
            first.push(found(&names, "web", port).await.unwrap().unwrap()[0].clone());
            found(&names, "web", 80 + 81 - port).await.unwrap();
        }
        assert_ne!(first[0], first[1], "{port}");
    }
}

#[tokio::test]
async fn a_node_that_may_not_list_slices_says_so_and_leaves_other_names_alone() {
    let fake = Fake::new();
    fake.set("services", "shop", "web", service(json!({ "app": "web" })));
    let names = names(&fake);
    assert_eq!(found(&names, "catfact.ninja", 80).await, Ok(None));
    fake.refuse(usize::MAX);
    assert_eq!(found(&names, "catfact.ninja", 80).await, Ok(None));
    let fault = found(&names, "web", 80).await.unwrap_err();
    assert_eq!(fault.to_string(), "this node may not list its EndpointSlices");
}

/// An API server that has one endpoint for every Service, unless it is down, or silent; those of the namespace `slow` are waited for in vain.
#[derive(Clone, Default)]
struct Api(Arc<(AtomicBool, AtomicUsize, AtomicBool)>);

impl Api {
    fn slices(&self, life: Duration) -> Slices {
        let api = self.clone();
        let answer = async move |uri: Uri| -> Response { api.answer(uri).await };
        let router = Router::new().fallback(move |uri: Uri| {
            let answer = answer.clone();
            async move { answer(uri).await }
        });
        Slices::with_life(kube::Client::new(router, "default"), life)
    }

    async fn answer(&self, uri: Uri) -> Response {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        if uri.path().contains("/slow/") || self.0.2.load(Ordering::SeqCst) {
            future::pending::<()>().await;
        }
        if self.0.0.load(Ordering::SeqCst) {
            let status = json!({ "kind": "Status", "status": "Failure", "code": 503, "reason": "", "message": "down" });
            return (StatusCode::SERVICE_UNAVAILABLE, axum::Json(status)).into_response();
        }
        axum::Json(json!({ "metadata": {}, "items": [slice("web", &["10.244.1.2"])] })).into_response()
    }

    fn set_down(&self, down: bool) {
        self.0.0.store(down, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

fn question(tenant: &str, namespace: &str, name: &str) -> Question {
    Question { tenant: tenant.into(), namespace: namespace.into(), name: name.into() }
}

#[tokio::test]
async fn an_answer_is_good_for_a_while_and_as_long_as_there_is_no_other() {
    let (api, life) = (Api::default(), Duration::from_millis(300));
    let slices = api.slices(life);
    let web = || slices.of(question("a", "ns", "web"), 80);
    let (first, second) = tokio::join!(web(), web());
    assert_eq!((first.unwrap().1, second.unwrap().1, api.asked()), (0, 1, 1), "one asks for both");
    assert!(slices.of(question("b", "ns", "web"), 80).await.is_ok());
    assert_eq!(api.asked(), 2, "each namespace asks for itself");
    tokio::time::sleep(life).await;
    api.set_down(true);
    assert_eq!(web().await.unwrap().0.len(), 1);
    let asked = api.asked();
    assert!(web().await.is_ok());
    assert_eq!(api.asked(), asked, "no more often than of one that answers");
    let unknown = slices.of(question("a", "ns", "new"), 80).await.unwrap_err();
    assert!(unknown.to_string().starts_with("no answer from the API server: "), "{unknown}");
    api.set_down(false);
    tokio::time::sleep(life).await;
    assert!(slices.of(question("a", "ns", "new"), 80).await.is_ok());
}

#[tokio::test]
async fn an_earlier_answer_is_there_while_the_api_server_is_silent() {
    let (api, life) = (Api::default(), Duration::from_millis(100));
    let slices = api.slices(life);
    let web = || slices.of(question("a", "ns", "web"), 80);
    web().await.unwrap();
    tokio::time::sleep(life).await;
    api.0.2.store(true, Ordering::SeqCst);
    let again = timeout(Duration::from_secs(2), web()).await;
    assert_eq!(again.unwrap().unwrap().0.len(), 1);
}

#[tokio::test]
async fn a_namespace_keeps_no_other_from_asking_and_no_other_from_being_remembered() {
    let (api, life) = (Api::default(), Duration::from_millis(500));
    let (slices, begun) = (Arc::new(api.slices(life)), Instant::now());
    slices.of(question("b", "ns", "web"), 80).await.unwrap();
    for index in 0..100 {
        slices.of(question("a", "ns", &format!("web-{index}")), 80).await.unwrap();
    }
    assert_eq!(slices.len(), 65);
    assert!(begun.elapsed() >= life, "what is still good is not forgotten for another one");
    let asked = api.asked();
    slices.of(question("a", "ns", "web-0"), 80).await.unwrap();
    assert_eq!(api.asked(), asked + 1, "what it wanted least recently was forgotten");

    let waiting: Vec<_> = (0..10)
        .map(|index| {
            let slices = slices.clone();
            tokio::spawn(async move { slices.of(question("a", "slow", &format!("web-{index}")), 80).await.is_ok() })
        })
        .collect();
    while api.asked() < asked + 1 + 3 {
        tokio::task::yield_now().await;
    }
    let soon = timeout(Duration::from_secs(2), slices.of(question("b", "ns", "other"), 80)).await;
    assert!(soon.unwrap().is_ok());
    assert_eq!(slices.len() - 64, 2, "what the other one has wanted is remembered");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
