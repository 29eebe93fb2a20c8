//! Downloads beside each other.

use super::*;

#[tokio::test]
async fn many_pods_of_one_module_are_one_download_and_one_compilation() {
    let node = Node::new().await;
    node.registry.push("app", "v1", module("many", 1_000_000));
    for policy in ["IfNotPresent", "Always"] {
        let wishes = (0..110).map(|_| node.ready("app:v1", Some(policy)));
        let images: Vec<_> = futures::future::join_all(wishes).await.into_iter().map(Result::unwrap).collect();
        let fetched = images.iter().filter(|image| image.fetched.is_some()).count();
        let asked = node.registry.asked();
        match policy {
            "Always" => assert!(fetched == 0 && asked == vec!["HEAD manifests/v1"; 110], "{asked:?}"),
            _ => assert!(fetched == 1 && asked == ["GET manifests/v1", "GET blob"], "{asked:?}"),
        }
    }
}

#[tokio::test]
async fn several_downloads_go_on_at_once_but_not_all() {
    let node = Node::new().await;
    // One place is for others.
    let most = DOWNLOADS - 1;
    for i in 0..10 {
        node.registry.push("app", &format!("v{i}"), module(&format!("several {i}"), 0));
        // Another name of the same module must not be a second download.
        node.registry.push("copy", &format!("v{i}"), module(&format!("several {i}"), 0));
    }
    node.registry.delay_blobs(Duration::from_millis(100));
    let names: Vec<_> = (0..10).flat_map(|i| [format!("app:v{i}"), format!("copy:v{i}")]).collect();
    let images = futures::future::join_all(names.iter().map(|name| node.ready(name, None))).await;
    assert!(images.iter().all(Result::is_ok));
    assert_eq!(node.registry.asked().iter().filter(|asked| *asked == "GET blob").count(), 10);
    assert_eq!(node.registry.most_at_once(), most);
}

/// A registry that sends a byte every now and then, to pods of one namespace.
async fn drip(node: &Node, images: usize, pause: Duration) -> Vec<tokio::task::JoinHandle<Option<String>>> {
    for i in 0..images {
        node.registry.push(&format!("drip/{i}"), "v1", module(&format!("drip {i}"), 100_000));
        node.registry.fail(&format!("drip/{i}/blobs/"), Fault::Drip(pause));
    }
    let pulls = (0..images).map(|i| {
        let (images, name) = (node.images.clone(), node.name(&format!("drip/{i}:v1")));
        tokio::spawn(async move {
            let request = Request { tenant: "slow", on_wait: None, name: &name, policy: None, pull_secrets: &[] };
            images.ready(&request).await.err().map(|error| error.to_string())
        })
    });
    let pulls = pulls.collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    pulls
}

#[tokio::test]
async fn a_registry_that_drips_holds_up_nobody_elses_pull() {
    let node = Node::new().await;
    node.registry.push("app", "v1", module("small", 3000));
    let pulls = drip(&node, 8, Duration::from_secs(1)).await;
    let image = tokio::time::timeout(Duration::from_secs(20), node.ready("app:v1", None)).await;
    assert!(image.expect("it comes at once").unwrap().fetched.is_some());
    // Who waits is told so, once.
    let (told, name) = (AtomicUsize::new(0), node.name("drip/again:v1"));
    node.registry.push("drip/again", "v1", module("again", 0));
    let on_wait = |wait| {
        assert_eq!(wait, Wait::Fetching);
        told.fetch_add(1, Ordering::Relaxed);
    };
    let request = Request { tenant: "slow", on_wait: Some(&on_wait), name: &name, policy: None, pull_secrets: &[] };
    assert!(tokio::time::timeout(Duration::from_secs(1), node.images.ready(&request)).await.is_err());
    assert_eq!(told.load(Ordering::Relaxed), 1);
    pulls.iter().for_each(|pull| pull.abort());
}

#[tokio::test]
async fn a_registry_that_claims_anothers_module_and_drips_holds_it_up_for_nobody() {
    let (node, evil) = (Node::new().await, Registry::start().await);
    let wasm = module("claimed", 3000);
    node.registry.push("app", "v1", wasm.clone());
    evil.push("app", "v1", wasm);
    evil.fail("/blobs/", Fault::Drip(Duration::from_secs(1)));
    let config = ClientConfig {
        insecure_registries: vec![node.registry.host.clone(), evil.host.clone()],
        docker_config: None,
        ..ClientConfig::default()
    };
    let (engine, folder) = (Engine::new(EngineConfig::default()).unwrap(), node.folder.path());
    let compiler = Compiler::here(engine.clone(), folder);
    let images = Images::new(Client::new(config).unwrap(), engine, compiler, folder, Limits::default());
    let ask = |host: &str, tenant: &'static str| {
        let (images, name) = (images.clone(), format!("{host}/app:v1"));
        async move {
            let request = Request { tenant, on_wait: None, name: &name, policy: None, pull_secrets: &[] };
            images.ready(&request).await.map(|image| image.fetched.is_some())
        }
    };
    let dripping = tokio::spawn(ask(&evil.host, "evil"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let fetched = tokio::time::timeout(Duration::from_secs(20), ask(&node.registry.host, "good")).await;
    assert!(fetched.expect("it comes at once").unwrap());
    dripping.abort();
}

#[tokio::test]
async fn a_pull_that_breaks_or_is_given_up_leaves_nothing() {
    let node = Node::new().await;
    node.registry.push("app", "v1", module("leaves", 100_000));
    let left = || std::fs::read_dir(node.folder.path().join(".oci/incoming")).unwrap().count();
    node.registry.fail("/blobs/", Fault::Short(10));
    assert_eq!(node.ready("app:v1", None).await.err().map(|error| error.reason), Some(Reason::ErrImagePull));
    assert_eq!(left(), 0);
    assert_eq!(node.images.inventory(), []);

    node.registry.delay_blobs(Duration::from_secs(5));
    let given_up = tokio::time::timeout(Duration::from_millis(300), node.ready("app:v1", None)).await;
    assert!(given_up.is_err());
    assert_eq!(left(), 0);
    node.registry.delay_blobs(Duration::ZERO);
    assert!(node.ready("app:v1", None).await.is_ok());
}
