//! From a registry to a compiled module.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use krustlet_oci::ClientConfig;
use krustlet_runtime::EngineConfig;

use super::*;

#[path = "download_tests.rs"]
mod downloads;
#[path = "../../oci/tests/integration/support/mod.rs"]
mod support;

use support::{Fault, Registry, Scheme, module, sha256};

struct Node {
    registry: Registry,
    images: Images,
    folder: tempfile::TempDir,
}

fn images(registry: &Registry, folder: &Path) -> Images {
    let insecure_registries = vec![registry.host.clone()];
    let config = ClientConfig { insecure_registries, docker_config: None, ..ClientConfig::default() };
    let engine = Engine::new(EngineConfig::default()).unwrap();
    Images::new(Client::new(config).unwrap(), engine.clone(), Compiler::here(engine, folder), folder, Limits::default())
}

impl Node {
    async fn new() -> Self {
        let (registry, folder) = (Registry::start().await, tempfile::tempdir().unwrap());
        let images = images(&registry, folder.path());
        Self { registry, images, folder }
    }

    /// As after a restart of the agent.
    fn restarted(self) -> Self {
        let images = images(&self.registry, self.folder.path());
        Self { images, ..self }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.host)
    }

    async fn ready(&self, rest: &str, policy: Option<&str>) -> Result<Image, NotStarted> {
        self.ready_with(rest, policy, &[]).await
    }

    async fn ready_with(&self, rest: &str, policy: Option<&str>, secrets: &[PullSecret]) -> Result<Image, NotStarted> {
        let name = self.name(rest);
        self.images
            .ready(&Request { tenant: "default", on_wait: None, name: &name, policy, pull_secrets: secrets })
            .await
    }

    fn secret(&self, user: &str, password: &str) -> PullSecret {
        let login = serde_json::json!({ "username": user, "password": password });
        let host = &self.registry.host;
        PullSecret::DockerConfigJson(serde_json::json!({ "auths": { host: login } }).to_string().into_bytes())
    }

    fn blobs(&self) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join(".oci/blobs/sha256")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[tokio::test]
async fn a_module_comes_once_and_is_there_for_every_name_of_it() {
    let node = Node::new().await;
    let wasm = module("once", 1000);
    let digest = node.registry.push("team/app", "v1", wasm.clone());
    node.registry.push("team/app", "v2", wasm.clone());
    node.registry.push("other", "v1", wasm.clone());

    let image = node.ready("team/app:v1", None).await.unwrap();
    assert_eq!(image.id, node.name(&format!("team/app@{digest}")));
    assert_eq!((image.program.as_str(), image.fetched.unwrap().bytes), ("app", wasm.len()));
    assert_eq!(image.module.digest(), sha256(&wasm));
    assert_eq!(node.registry.asked(), ["GET manifests/v1", "GET blob"]);

    // The same name: not even a question.
    assert_eq!(node.ready("team/app:v1", None).await.unwrap().fetched, None);
    assert_eq!(node.ready("team/app:v1", Some("Never")).await.unwrap().id, image.id);
    assert_eq!(node.ready(&format!("team/app@{digest}"), None).await.unwrap().id, image.id);
    assert!(node.registry.asked().is_empty());

    // Another tag, another repository: what they mean is asked, the module is here.
    assert_eq!(node.ready("team/app:v2", None).await.unwrap().fetched, None);
    assert_eq!(node.ready("other:v1", None).await.unwrap().id, node.name(&format!("other@{digest}")));
    assert_eq!(node.registry.asked(), ["GET manifests/v2", "GET manifests/v1"]);
    assert_eq!(node.blobs().len(), 1);

    let names = [
        format!("other@{digest}"),
        format!("team/app@{digest}"),
        "other:v1".into(),
        "team/app:v1".into(),
        "team/app:v2".into(),
    ];
    let names = names.iter().map(|name| node.name(name)).collect();
    assert_eq!(node.images.inventory(), [StoredImage { names, size_bytes: wasm.len() as u64 }]);

    // After a restart it is read from the disk.
    drop(image);
    let node = node.restarted();
    assert_eq!(node.ready("team/app:v1", None).await.unwrap().fetched, None);
    assert!(node.registry.asked().is_empty());
}

#[tokio::test]
async fn a_moved_tag_is_seen_by_always_and_by_nobody_else() {
    let node = Node::new().await;
    let old = node.registry.push("app", "v1", module("old", 0));
    assert!(node.ready("app:v1", None).await.unwrap().id.ends_with(&old));
    let new = node.registry.push("app", "v1", module("new", 0));
    node.registry.asked();
    assert!(node.ready("app:v1", Some("IfNotPresent")).await.unwrap().id.ends_with(&old));
    let moved = node.ready("app:v1", Some("Always")).await.unwrap();
    assert!(moved.id.ends_with(&new) && moved.fetched.is_some());
    assert_eq!(
        node.registry.asked(),
        ["HEAD manifests/v1".to_owned(), format!("GET manifests/{new}"), "GET blob".into()]
    );
    let again = node.ready("app:v1", Some("Always")).await.unwrap();
    assert!(again.id.ends_with(&new) && again.fetched.is_none());
    assert_eq!(node.registry.asked(), ["HEAD manifests/v1"]);
    assert!(node.ready("app:v1", Some("Never")).await.unwrap().id.ends_with(&new));
    assert_eq!(node.blobs().len(), 2);
    assert!(node.ready(&format!("app@{old}"), Some("Never")).await.is_ok());
}

#[tokio::test]
async fn each_fault_is_one_of_kubernetes_reasons() {
    let node = Node::new().await;
    node.registry.push("app", "broken", b"\0asm\x01\0\0\0\x01".to_vec());
    let error = |result: Result<Image, NotStarted>| result.err().unwrap();
    let never = error(node.ready("app:v1", Some("Never")).await);
    let expected = format!("Container image {:?} is not present with pull policy of Never", node.name("app:v1"));
    assert_eq!(never, NotStarted::new(Reason::ErrImageNeverPull, expected));
    assert!(node.registry.asked().is_empty());

    assert_eq!(error(node.ready("App:v1", None).await).reason, Reason::InvalidImageName);
    let missing = error(node.ready("app:v1", None).await);
    assert!(missing.reason == Reason::ErrImagePull && missing.message.contains("(manifest unknown)"), "{missing}");
    assert_eq!(error(node.ready("app:broken", None).await).reason, Reason::StartError);
    let damaged = PullSecret::DockerCfg(b"hunter2".to_vec());
    let secret = error(node.ready_with("app:v1", None, &[node.secret("a", "b"), damaged]).await);
    assert!(secret.to_string().starts_with("image pull secret 2 of 2 cannot be used"), "{secret}");
    assert!(!secret.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_private_module_that_is_here_is_for_who_may_pull_it() {
    for scheme in [Scheme::Basic, Scheme::Bearer] {
        let node = Node::new().await;
        let digest = node.registry.push("app", "v1", module("private", 0));
        node.registry.guard(scheme, "app", "me", "hunter2");
        let (right, wrong) = ([node.secret("me", "hunter2")], [node.secret("me", "wrong")]);
        assert_eq!(
            node.ready("app:v1", Some("Always")).await.err().map(|error| error.reason),
            Some(Reason::ErrImagePull)
        );
        let image = node.ready_with("app:v1", Some("Always"), &right).await.unwrap();
        let by_digest = format!("app@{digest}");
        for name in ["app:v1", &by_digest] {
            for secrets in [&[][..], &wrong] {
                let refused = node.ready_with(name, Some("Always"), secrets).await.err().unwrap();
                assert!(
                    refused.reason == Reason::ErrImagePull && refused.message.contains("wants other credentials"),
                    "{refused}"
                );
            }
            assert!(node.ready_with(name, Some("Always"), &right).await.unwrap().fetched.is_none());
            // What is present is not asked for by those who have got it; by others it is.
            node.registry.asked();
            for policy in ["IfNotPresent", "Never"] {
                assert!(node.ready_with(name, Some(policy), &right).await.is_ok());
            }
            assert!(node.registry.asked().is_empty());
            for secrets in [&[][..], &wrong] {
                let refused = node.ready_with(name, Some("IfNotPresent"), secrets).await.err().unwrap();
                assert!(
                    refused.reason == Reason::ErrImagePull && refused.message.contains("wants other credentials"),
                    "{refused}"
                );
                let refused = node.ready_with(name, Some("Never"), secrets).await.err().unwrap();
                assert_eq!(refused.reason, Reason::ErrImageNeverPull, "{refused}");
            }
        }
        // The wrong one first does no harm.
        let both = [node.secret("me", "wrong"), node.secret("me", "hunter2")];
        assert_eq!(node.ready_with("app:v1", Some("Always"), &both).await.unwrap().id, image.id);
    }
}

#[tokio::test]
async fn a_registry_that_knows_a_digest_does_not_open_the_module() {
    let (node, evil) = (Node::new().await, Registry::start().await);
    let config = ClientConfig {
        insecure_registries: vec![node.registry.host.clone(), evil.host.clone()],
        docker_config: None,
        ..ClientConfig::default()
    };
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let compiler = Compiler::here(engine.clone(), node.folder.path());
    let images = Images::new(Client::new(config).unwrap(), engine, compiler, node.folder.path(), Limits::default());
    let node = Node { images, ..node };
    let wasm = module("private", 0);
    let digest = node.registry.push("app", "v1", wasm.clone());
    node.registry.guard(Scheme::Basic, "app", "me", "hunter2");
    let mine = [node.secret("me", "hunter2")];
    let image = node.ready_with("app:v1", None, &mine).await.unwrap();

    // It answers a HEAD with the digest and has nothing else; then it has the manifest, too, but not the module.
    let theirs = [format!("{}/x:v1", evil.host), format!("{}/x@{digest}", evil.host)];
    let ask = async |name: &str, policy: &str| {
        let request = Request { tenant: "default", on_wait: None, name, policy: Some(policy), pull_secrets: &[] };
        node.images.ready(&request).await
    };
    for has_manifest in [false, true] {
        evil.pretend("x", "v1", &digest);
        if has_manifest {
            assert_eq!(evil.push("x", "v1", wasm.clone()), digest);
            evil.forget_blob(&sha256(&wasm));
        }
        for name in &theirs {
            for policy in ["Always", "IfNotPresent"] {
                let refused = ask(name, policy).await.err().unwrap_or_else(|| panic!("{name} {policy} {has_manifest}"));
                assert_eq!(refused.reason, Reason::ErrImagePull, "{refused}");
            }
            assert_eq!(ask(name, "Never").await.err().map(|error| error.reason), Some(Reason::ErrImageNeverPull));
        }
    }
    // Who has the bytes may run them.
    evil.push("x", "v1", wasm);
    let theirs = ask(&theirs[0], "Always").await.unwrap();
    assert!(theirs.fetched.is_some() && theirs.module.digest() == image.module.digest());
}

#[tokio::test]
async fn who_never_pulls_waits_for_nobodys_pull_and_does_not_fail_with_it() {
    let node = Node::new().await;
    node.registry.push("app", "v1", module("never", 0));
    node.registry.delay_blobs(Duration::from_millis(300));
    node.registry.fail("/blobs/", Fault::Short(1));
    let start = std::time::Instant::now();
    let (pulling, never) = tokio::join!(node.ready("app:v1", Some("IfNotPresent")), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (node.ready("app:v1", Some("Never")).await, start.elapsed())
    });
    assert_eq!(pulling.err().map(|error| error.reason), Some(Reason::ErrImagePull));
    let error = never.0.err().unwrap();
    assert_eq!(error.reason, Reason::ErrImageNeverPull, "{error}");
    assert!(never.1 < Duration::from_millis(250), "{:?}", never.1);
}

#[tokio::test]
async fn a_damaged_module_is_noticed_before_it_runs_and_fetched_anew() {
    let node = Node::new().await;
    let wasm = module("damage", 0);
    node.registry.push("app", "v1", wasm.clone());
    node.ready("app:v1", None).await.unwrap();
    for policy in [None, Some("Always")] {
        let node_blobs = node.blobs();
        // Still a module, but another one.
        std::fs::write(&node_blobs[0], module("DAMAGE", 0)).unwrap();
        let image = node.ready("app:v1", policy).await.unwrap();
        assert_eq!(image.module.digest(), sha256(&wasm));
        assert!(image.fetched.is_some());
        assert_eq!(std::fs::read(&node_blobs[0]).unwrap(), wasm);
    }
    std::fs::write(&node.blobs()[0], b"").unwrap();
    assert_eq!(
        node.ready("app:v1", Some("Never")).await.err().map(|error| error.reason),
        Some(Reason::ErrImageNeverPull)
    );
}

#[tokio::test]
async fn what_runs_is_not_collected() {
    let node = Node::new().await;
    node.registry.push("app", "v1", module("held", 0));
    let image = node.ready("app:v1", None).await.unwrap();
    let held = image.held.clone();
    drop(image);
    let collect = || {
        let limits = Limits { max_age: Duration::from_secs(300), max_bytes: 0 };
        node.images.0.store.collect(&limits, SystemTime::now() + Duration::from_secs(3600)).unwrap().0
    };
    assert_eq!(collect(), 0);
    drop(held);
    assert_eq!(collect(), 1);
    assert_eq!(
        node.ready("app:v1", Some("Never")).await.err().map(|error| error.reason),
        Some(Reason::ErrImageNeverPull)
    );
    node.images.collect().await;
    assert!(node.ready("app:v1", None).await.unwrap().fetched.is_some());
}
