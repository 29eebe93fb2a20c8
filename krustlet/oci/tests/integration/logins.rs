//! Who gets in, as whom: Basic and Bearer, pull secrets, the docker config file, and nobody.

use std::path::Path;

use crate::support::{Registry, Scheme, module};
use krustlet_oci::{Client, ClientConfig, Keyring, OciError, Reference};

fn client(registry: &Registry, docker_config: Option<&Path>) -> Client {
    let insecure_registries = vec![registry.host.clone()];
    let docker_config = docker_config.map(Into::into);
    Client::new(ClientConfig { insecure_registries, docker_config, ..ClientConfig::default() }).unwrap()
}

fn config(registry: &Registry, logins: &[(&str, &str, &str)]) -> Vec<u8> {
    let login = |(path, user, password): &(&str, &str, &str)| {
        (format!("{}{path}", registry.host), serde_json::json!({ "username": user, "password": password }))
    };
    let auths: serde_json::Map<_, _> = logins.iter().map(login).collect();
    serde_json::json!({ "auths": auths }).to_string().into_bytes()
}

fn keyring(registry: &Registry, logins: &[(&str, &str, &str)]) -> Keyring {
    let mut keyring = Keyring::default();
    keyring.add_docker_config_json(&config(registry, logins)).unwrap();
    keyring
}

fn name(registry: &Registry, rest: &str) -> Reference {
    format!("{}/{rest}", registry.host).parse().unwrap()
}

#[tokio::test]
async fn the_right_login_opens_and_others_do_not() {
    for scheme in [Scheme::Basic, Scheme::Bearer] {
        let registry = Registry::start().await;
        let wasm = module("private", 0);
        registry.push("team/app", "v1", wasm.clone());
        registry.guard(scheme, "team/app", "me", "hunter2");
        let nobody = client(&registry, None);
        let reference = name(&registry, "team/app:v1");

        let error = nobody.pull(&reference).await.unwrap_err();
        assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains("(authentication required)"), "{error}");

        let wrong = nobody.with_keyring(keyring(&registry, &[("", "me", "wrong")]));
        let error = wrong.pull(&reference).await.unwrap_err().to_string();
        let words = if scheme == Scheme::Basic { "authentication required" } else { "incorrect username or password" };
        assert!(error.contains(words) && !error.contains("wrong"), "{error}");

        let right = nobody.with_keyring(keyring(&registry, &[("", "me", "hunter2")]));
        assert_eq!(right.pull(&reference).await.unwrap().bytes, wasm);
        // What one has opened is closed to others all the same, though clients share what they remember.
        assert!(nobody.pull(&reference).await.is_err());
        assert!(wrong.resolve(&reference).await.is_err());
        assert!(right.resolve(&reference).await.is_ok());
    }
}

#[tokio::test]
async fn logins_are_tried_in_turn_and_the_one_that_opened_is_remembered() {
    let registry = Registry::start().await;
    registry.push("team/app", "v1", module("turn", 0));
    registry.guard(Scheme::Basic, "team/app", "me", "hunter2");
    registry.guard(Scheme::Basic, "other", "you", "x");
    let reference = name(&registry, "team/app:v1");
    let logins = [("/team", "me", "old"), ("", "you", "x")];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, config(&registry, &[("", "me", "hunter2")])).unwrap();
    let client = client(&registry, Some(&file)).with_keyring(keyring(&registry, &logins));
    client.pull(&reference).await.unwrap();
    let user = |authorization: Option<String>| match authorization.as_deref() {
        None => "-",
        Some("Basic bWU6b2xk") => "me:old",
        Some("Basic eW91Ong=") => "you:x",
        Some("Basic bWU6aHVudGVyMg==") => "me:hunter2",
        Some(other) => panic!("{other}"),
    };
    let users =
        |registry: &Registry| registry.seen().into_iter().map(|seen| user(seen.authorization)).collect::<Vec<_>>();
    // The manifest three times, each after a challenge; the blob at once.
    assert_eq!(users(&registry), ["-", "me:old", "-", "you:x", "-", "me:hunter2", "me:hunter2"]);

    // The node's file changes: the new password is used, and nobody else's.
    registry.guard(Scheme::Basic, "team/app", "me", "new");
    let error = client.resolve(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
    std::fs::write(&file, config(&registry, &[("", "me", "new"), ("/x", "x", "y")])).unwrap();
    client.resolve(&reference).await.unwrap();
}

#[tokio::test]
async fn an_artifact_for_everybody_is_pulled_by_who_has_a_login_of_no_use() {
    let registry = Registry::start().await;
    let wasm = module("public", 0);
    registry.push("public", "v1", wasm.clone());
    registry.guard(Scheme::Bearer, "private", "me", "hunter2");
    let client = client(&registry, None).with_keyring(keyring(&registry, &[("", "stranger", "x")]));
    assert_eq!(client.pull(&name(&registry, "public:v1")).await.unwrap().bytes, wasm);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_for_all_that_it_is_for() {
    let registry = Registry::start().await;
    registry.push("app", "v1", module("token", 0));
    registry.guard(Scheme::Bearer, "app", "me", "hunter2");
    let client = client(&registry, None).with_keyring(keyring(&registry, &[("", "me", "hunter2")]));
    let reference = name(&registry, "app:v1");
    client.pull(&reference).await.unwrap();
    assert_eq!(registry.asked(), ["GET manifests/v1", "GET /token", "GET manifests/v1", "GET blob"]);
    client.resolve(&reference).await.unwrap();
    assert_eq!(registry.asked(), ["HEAD manifests/v1"]);
}

#[tokio::test]
async fn a_login_is_not_sent_on_to_another_host() {
    let (registry, elsewhere) = (Registry::start().await, Registry::start().await);
    let wasm = module("redirect", 0);
    registry.push("app", "v1", wasm.clone());
    registry.guard(Scheme::Basic, "app", "me", "hunter2");
    registry.redirect_blobs_to(&elsewhere.host);
    elsewhere.blob(wasm.clone());
    let client = client(&registry, None).with_keyring(keyring(&registry, &[("", "me", "hunter2")]));
    assert_eq!(client.pull(&name(&registry, "app:v1")).await.unwrap().bytes, wasm);
    let there = elsewhere.seen();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].authorization, None);
    assert!(registry.seen().iter().any(|seen| seen.authorization.is_some()));
}

#[tokio::test]
async fn a_docker_config_file_that_breaks_is_what_is_told_unless_another_login_opens() {
    let registry = Registry::start().await;
    registry.push("app", "v1", module("file", 0));
    registry.push("public", "v1", module("file too", 0));
    registry.guard(Scheme::Basic, "app", "me", "hunter2");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, "{}").unwrap();
    let client = client(&registry, Some(&file));
    std::fs::write(&file, "{ no more").unwrap();
    let error = client.pull(&name(&registry, "app:v1")).await.unwrap_err();
    assert!(matches!(error, OciError::Credentials { .. }), "{error}");
    client.pull(&name(&registry, "public:v1")).await.unwrap();
    let own = client.with_keyring(keyring(&registry, &[("", "me", "hunter2")]));
    own.pull(&name(&registry, "app:v1")).await.unwrap();
    let again = Client::new(ClientConfig { docker_config: Some(file), ..ClientConfig::default() });
    assert!(matches!(again, Err(OciError::Credentials { .. })));
}
