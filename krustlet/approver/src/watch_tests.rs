//! Does the approver decide on what it should, whatever the API server does meanwhile?

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::folder::Folder;
use crate::testing::api::Api;
use crate::testing::*;
use crate::watch::{Approver, End, Pace};

const HOUR: i64 = 3600;

/// A server, a node's folder, and an approver of it.
struct World {
    api: Arc<Api>,
    address: SocketAddr,
    /// Its connections end with it.
    serving: Option<Runtime>,
    root: TempDir,
    log: Arc<Mutex<Vec<String>>>,
    /// The container that the approver is told to be in.
    container: Option<String>,
    approver: Option<JoinHandle<End>>,
}

impl World {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        put_agent(&Folder(root.path().into()));
        let address = ([127, 0, 0, 1], 0).into();
        let log = Arc::default();
        let mut world = Self { api: Api::new(), address, serving: None, root, log, container: None, approver: None };
        world.serve();
        world.put("approver.pid", json!({ "pid": std::process::id() }));
        let node = json!({
            "nodeName": "krustlet", "nodeIp": "172.18.0.1", "bootstrapGroup": "system:bootstrappers:krustlet-stack:dev",
            "namespace": "kube-system", "serviceAccount": "krustlet-approver-krustlet", "tokenSeconds": 600,
        });
        world.put("approver.json", node);
        world
    }

    fn put(&self, name: &str, value: Value) {
        fs::write(self.root.path().join(name), value.to_string()).unwrap();
    }

    fn serve(&mut self) {
        let (runtime, address) = self.api.serve(self.address);
        (self.serving, self.address) = (Some(runtime), address);
    }

    /// Goes down as a server that is restarted: its connections break off.
    fn stop(&mut self) {
        self.serving.take().unwrap().shutdown_background();
        self.api.inner().watching = 0;
    }

    /// Starts an approver whose token has that life, in seconds from now.
    async fn start(&mut self, issued: i64, expires: i64) {
        let now = Timestamp::now().as_second();
        let user = json!({ "token": token("first", now + issued, now + expires) });
        let kubeconfig = json!({
            "clusters": [{ "name": "cluster", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "approver", "user": user }],
            "contexts": [{ "name": "approver", "context": { "cluster": "cluster", "user": "approver" } }],
            "current-context": "approver",
        });
        self.put("approver.kubeconfig", kubeconfig);
        let log = self.log.clone();
        let pace = Pace {
            watch: Duration::from_secs(60),
            retry: Duration::from_millis(10),
            retry_most: Duration::from_millis(40),
        };
        let folder = Folder(self.root.path().into());
        let say = move |line: &str| log.lock().unwrap().push(line.to_string());
        let mut approver = Approver::new(folder, say, pace).await.unwrap().within(self.container.clone());
        self.approver = Some(tokio::spawn(async move { approver.run().await }));
    }

    /// Starts one that has what it needs, and waits for its first watch.
    async fn start_usual(&mut self) {
        self.start(-1, HOUR).await;
        self.until(|world| world.api.inner().watching == 1).await;
    }

    fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !holds(self) {
            assert!(Instant::now() < end, "it did not come to that; its log:\n{}", self.lines().join("\n"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn decided(&self, name: &str) -> String {
        self.until(|world| !world.api.conditions(name).is_empty()).await;
        self.api.conditions(name).join(", ")
    }

    async fn ended(&mut self) -> End {
        tokio::time::timeout(Duration::from_secs(10), self.approver.take().unwrap()).await.unwrap().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_background();
        }
    }
}

fn named(name: &str, csr: &CertificateSigningRequest) -> CertificateSigningRequest {
    with(csr, json!({ "metadata": { "name": name } }))
}

fn foreign_renewal() -> CertificateSigningRequest {
    renewal_of(&Parts { key: &KEYS.foreign, ..client_parts() })
}

#[tokio::test]
async fn it_approves_both_renewals_those_that_were_there_before_it_and_those_that_come() {
    let mut world = World::new().await;
    world.api.put(&named("before", &renewal()), true);
    world.start_usual().await;
    assert_eq!(world.decided("before").await, "Approved KrustletStackApproved");
    world.api.put(&named("later", &serving()), true);
    // It hears of the answer to its approval after the API server has taken it.
    world.until(|world| world.lines().len() == 2).await;
    assert_eq!(world.decided("later").await, "Approved KrustletStackApproved");
    assert_eq!(
        world.lines(),
        [
            "certificate request before (client, filed by system:node:krustlet) was approved",
            "certificate request later (serving, filed by system:node:krustlet) was approved",
        ]
    );
    let contact = fs::metadata(world.root.path().join("approver.contact")).unwrap();
    assert_eq!(contact.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn it_denies_what_bears_the_nodes_name_and_does_not_fit_once_and_says_why() {
    let mut world = World::new().await;
    world.start_usual().await;
    world.api.put(&named("forged", &foreign_renewal()), true);
    let eve = client_of(&Parts { subject: vec![], ..client_parts() });
    let eve = with(&eve, json!({ "spec": { "username": "eve", "groups": [] } }));
    world.api.put(&named("krustlet-krustlet-client-abcde", &eve), true);
    world.until(|world| world.lines().len() == 2).await;
    assert_eq!(world.decided("forged").await, "Denied KrustletStackDenied");
    assert_eq!(world.decided("krustlet-krustlet-client-abcde").await, "Denied KrustletStackDenied");
    assert_eq!(
        world.lines()[0],
        "certificate request forged (filed by system:node:krustlet) was denied: its public key is not the one that the \
         node's agent made"
    );
    world.api.end_watches();
    world.until(|world| world.api.calls("WATCH") == 2).await;
    assert_eq!(world.api.calls("PUT"), 2);
}

#[tokio::test]
async fn it_leaves_alone_other_nodes_what_is_decided_and_whoever_joins_with_a_token() {
    let mut world = World::new().await;
    let other = renewal_of(&Parts::new(&KEYS.client, "other", None));
    world.api.put(&named("other", &with(&other, json!({ "spec": { "username": "system:node:other" } }))), true);
    world.api.put(&named("decided", &with(&foreign_renewal(), conditions(&["Approved"]))), true);
    world.api.put(&named("joining", &client()), true);
    world.start_usual().await;
    world.api.put(&named("last", &serving()), true);
    world.until(|world| world.lines().len() == 1).await;
    assert_eq!(world.api.conditions("other"), [""; 0]);
    assert_eq!(world.api.conditions("decided"), ["Approved R"]);
    assert_eq!(world.api.conditions("joining"), [""; 0]);
    assert!(world.lines()[0].starts_with("certificate request last (serving"));
}

#[tokio::test]
async fn it_denies_everything_of_a_node_whose_agent_was_never_launched() {
    let mut world = World::new().await;
    fs::remove_file(world.root.path().join("agent.pid")).unwrap();
    world.start_usual().await;
    world.api.put(&named("early", &renewal()), true);
    world.until(|world| world.lines().len() == 1).await;
    let line = &world.lines()[0];
    assert!(line.contains("early") && line.contains(" was denied: it was filed at "), "{line}");
    assert!(line.ends_with(", before the node was launched"), "{line}");
}

#[tokio::test]
async fn it_tells_once_of_a_request_that_it_has_no_right_to_decide_on() {
    let mut world = World::new().await;
    world.api.inner().forbidden_signers.insert("example.com/signer".into());
    let strange = with(&renewal(), json!({ "spec": { "signerName": "example.com/signer" } }));
    world.api.put(&named("strange", &strange), true);
    world.start_usual().await;
    world.api.end_watches();
    world.until(|world| world.api.calls("WATCH") == 2).await;
    let line = "certificate request strange bears the node's name, for signer example.com/signer, on which this approver may \
                not decide: it is left undecided";
    assert_eq!(world.lines(), [line]);
    assert_eq!(world.api.calls("PUT"), 1);
}

#[tokio::test]
async fn it_leaves_a_request_that_has_changed_meanwhile_to_the_next_look() {
    let mut world = World::new().await;
    world.start_usual().await;
    let csr = named("moving", &serving());
    world.api.put(&with(&csr, json!({ "metadata": { "resourceVersion": "3" } })), false);
    // A watcher is told of the state before.
    world.api.tell(&csr);
    world.until(|world| world.api.calls("PUT") == 1).await;
    assert_eq!(world.api.conditions("moving"), [""; 0]);
    world.api.end_watches();
    world.until(|world| world.lines().len() == 1).await;
    assert_eq!(world.api.conditions("moving"), ["Approved KrustletStackApproved"]);
}

#[tokio::test]
async fn it_survives_the_end_of_a_watch_and_a_restart_of_the_api_server_and_finds_what_it_missed() {
    let mut world = World::new().await;
    world.start_usual().await;
    world.api.put(&named("missed", &serving()), false);
    world.api.end_watches();
    world.decided("missed").await;
    world.stop();
    let silent = |world: &World| world.lines().iter().any(|line| line.starts_with("the API server does not answer: "));
    world.until(silent).await;
    world.api.put(&named("meanwhile", &renewal()), false);
    world.serve();
    world.decided("meanwhile").await;
    world.until(|world| world.lines().last().is_some_and(|line| line == "the API server answers again")).await;
    let lines = world.lines();
    assert!(
        lines.windows(2).all(|two| two[0] != two[1]),
        "each trouble is told of when it begins:\n{}",
        lines.join("\n")
    );
}

#[tokio::test]
async fn it_does_not_press_a_server_that_ends_each_watch_at_once() {
    let mut world = World::new().await;
    world.start_usual().await;
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        world.api.end_watches();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let lists = world.api.calls("GET");
    assert!(lists > 1 && lists <= 31, "{lists} lists within 300 ms, at one for each 10 ms");
}

#[tokio::test]
async fn it_renews_its_credential_when_half_of_its_life_is_over_and_writes_it_down_privately() {
    let mut world = World::new().await;
    let now = Timestamp::now().as_second();
    let next = token("second", now, now + HOUR);
    world.api.inner().next_token = Some(next.clone());
    world.start(-HOUR, HOUR - 1).await;
    world.until(|world| world.api.inner().watching == 1).await;
    let requests = "certificatesigningrequests second";
    assert_eq!(
        world.api.inner().calls,
        ["POST token first".to_string(), format!("GET {requests}"), format!("WATCH {requests}")]
    );
    let kept = Folder(world.root.path().into()).kubeconfig().unwrap();
    assert_eq!(kept["users"][0]["user"]["token"], next.as_str());
    let file = fs::metadata(world.root.path().join("approver.kubeconfig")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let lines = world.lines();
    assert!(lines[0].starts_with("the credential was renewed, until "), "{lines:?}");
    assert!(!lines.join("").contains(&next));
}

#[tokio::test]
async fn it_serves_on_with_the_credential_that_it_has_when_that_cannot_be_renewed() {
    let mut world = World::new().await;
    world.api.put(&named("meanwhile", &serving()), true);
    world.start(-HOUR, HOUR - 1).await;
    world.decided("meanwhile").await;
    assert_eq!(
        world.lines()[0],
        "the credential could not be renewed: the API server answered 503: ServiceUnavailable"
    );
}

#[tokio::test]
async fn it_tries_again_when_its_credential_is_refused_and_ends_when_that_has_run_out() {
    let mut world = World::new().await;
    world.api.inner().refused_tokens.insert("first".into());
    world.start(-1, 2).await;
    assert_eq!(world.ended().await, End::Expired);
    assert!(world.api.calls("GET") > 1);
    assert!(world.lines().contains(&"the API server answered 401: Unauthorized".to_string()));
}

#[tokio::test]
async fn in_containers_the_nodes_address_is_what_its_containers_name_leads_to() {
    let mut world = World::new().await;
    let text = fs::read_to_string(world.root.path().join("approver.json")).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["nodeHost"] = "localhost".into();
    world.put("approver.json", settings);
    world.start_usual().await;
    world.api.put(&named("of-before", &serving()), true);
    let names = vec![dns("krustlet"), ip("127.0.0.1")];
    let now = serving_of(&Parts::new(&KEYS.serving, "krustlet", Some(names)));
    world.api.put(&named("of-now", &now), true);
    world.until(|world| world.lines().len() == 2).await;
    assert_eq!(world.decided("of-before").await, "Denied KrustletStackDenied");
    assert_eq!(world.decided("of-now").await, "Approved KrustletStackApproved");
}

#[tokio::test]
async fn in_containers_a_node_without_an_address_is_decided_on_when_it_has_one() {
    let mut world = World::new().await;
    let text = fs::read_to_string(world.root.path().join("approver.json")).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["nodeHost"] = "node.invalid".into();
    world.put("approver.json", settings);
    world.api.put(&named("early", &serving()), true);
    world.start(-1, HOUR).await;
    world.until(|world| !world.lines().is_empty()).await;
    let line = &world.lines()[0];
    assert!(line.starts_with("the node's container node.invalid has no address: "), "{line}");
    assert_eq!(world.api.conditions("early"), [""; 0]);
}

#[tokio::test]
async fn in_containers_it_is_known_by_the_containers_name() {
    let mut world = World::new().await;
    world.container = Some("a".into());
    world.put("approver.pid", json!({ "pid": 4711, "container": { "name": "a", "id": "1" } }));
    world.start_usual().await;
    world.put("approver.pid", json!({ "pid": 4711, "container": { "name": "b", "id": "2" } }));
    world.api.end_watches();
    assert_eq!(world.ended().await, End::Replaced);
}

#[tokio::test]
async fn it_ends_when_another_approver_has_taken_its_place() {
    let mut world = World::new().await;
    world.start_usual().await;
    world.put("approver.pid", json!({ "pid": std::process::id() + 1 }));
    world.api.end_watches();
    assert_eq!(world.ended().await, End::Replaced);
}
