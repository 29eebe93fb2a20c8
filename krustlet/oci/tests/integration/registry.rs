//! The client against a real registry: `cargo test -p krustlet-oci --features registry-tests`.
//!
//! `KRUSTLET_TEST_REGISTRY` names it, as host:port. It speaks plain HTTP, wants no login, and allows deletion
//! (`REGISTRY_STORAGE_DELETE_ENABLED=true` for distribution). Every test uses repositories of its own in it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use krustlet_oci::{Client, ClientConfig, Deleted, Format, OciError, Reference, media_types};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A module, and others that differ by a custom section: any text makes another one.
fn module(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 120);
    [b"\0asm\x01\0\0\0\0", &[length + 2, 1, b'x'][..], text.as_bytes()].concat()
}

fn registry() -> String {
    std::env::var("KRUSTLET_TEST_REGISTRY").expect(
        "set KRUSTLET_TEST_REGISTRY to the host:port of a registry that speaks plain HTTP, wants no login and allows \
         deletion: these tests are about a real one",
    )
}

/// A name that no other run has used, so that what an earlier run left cannot matter.
fn fresh(test: &str) -> Reference {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("{}/krustlet-oci/{test}-{now}:v1", registry()).parse().unwrap()
}

fn client() -> Client {
    Client::new(ClientConfig { insecure_registries: vec![registry()], docker_config: None, ..ClientConfig::default() })
        .unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>())
}

#[tokio::test]
async fn what_is_pushed_is_pulled_by_tag_and_by_digest() {
    let (client, reference, wasm) = (client(), fresh("round-trip"), module("round trip"));
    let pushed = client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap();
    assert!(!pushed.already_present);
    assert_eq!(client.resolve(&reference).await.unwrap(), pushed.digest);
    assert_eq!(
        pushed.reference_with_digest.to_string(),
        format!("{}/{}@{}", reference.registry(), reference.repository(), pushed.digest)
    );
    for name in [&reference, &pushed.reference_with_digest] {
        let pulled = client.pull(name).await.unwrap();
        assert_eq!(pulled.bytes, wasm);
        assert_eq!(pulled.digest, pushed.digest);
        assert_eq!(pulled.media_type, "application/wasm");
    }
}

#[tokio::test]
async fn a_second_push_sends_nothing_and_gives_the_same_digest() {
    let (client, reference, wasm) = (client(), fresh("idempotent"), module("idempotent"));
    let first = client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap();
    let second = client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap();
    assert!(!first.already_present && second.already_present);
    assert_eq!(first.digest, second.digest);
    let elsewhere = client.push(&fresh("idempotent-too"), wasm, Format::Wasm).await.unwrap();
    assert_eq!(elsewhere.digest, first.digest, "the same module has the same digest in every repository");
}

#[tokio::test]
async fn a_tag_moves_to_another_module_and_the_old_one_stays_by_digest() {
    let (client, reference) = (client(), fresh("moved"));
    let old = client.push(&reference, module("old"), Format::Wasm).await.unwrap();
    let new = client.push(&reference, module("new"), Format::Wasm).await.unwrap();
    assert!(!new.already_present);
    assert_ne!(old.digest, new.digest);
    assert_eq!(client.pull(&reference).await.unwrap().bytes, module("new"));
    assert_eq!(client.pull(&old.reference_with_digest).await.unwrap().bytes, module("old"));
    // Back again: the artifact is there, but the tag is not on it.
    assert!(!client.push(&reference, module("old"), Format::Wasm).await.unwrap().already_present);
    assert_eq!(client.resolve(&reference).await.unwrap(), old.digest);
}

#[tokio::test]
async fn inspect_shows_the_config_of_the_agreed_format() {
    let (client, reference, wasm) = (client(), fresh("inspect"), module("inspect"));
    let pushed = client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap();
    let found = client.inspect(&reference).await.unwrap();
    assert_eq!(found.digest, pushed.digest);
    assert_eq!(found.module_digest, sha256(&wasm));
    assert_eq!(found.size, wasm.len() as u64);
    assert_eq!(found.media_type, media_types::LAYER);
    assert_eq!(found.config_media_type, media_types::CONFIG);
    let config = json!({
        "created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip1", "layerDigests": [sha256(&wasm)],
    });
    assert_eq!(found.config, Some(config));
}

/// Pushes by plain requests, what another tool would push; gives the digest that the registry names.
async fn push_foreign(reference: &Reference, config: (&str, &[u8]), layer: (&str, &[u8])) -> String {
    let (http, repository) =
        (reqwest::Client::new(), format!("http://{}/v2/{}", reference.registry(), reference.repository()));
    let mut descriptors = Vec::new();
    for (media_type, bytes) in [config, layer] {
        let begun = http.post(format!("{repository}/blobs/uploads/")).send().await.unwrap();
        let place = reqwest::Url::parse(begun.headers()["location"].to_str().unwrap()).unwrap();
        let digest = sha256(bytes);
        let sent = http.put(place).query(&[("digest", &digest)]).body(bytes.to_vec()).send().await.unwrap();
        assert_eq!(sent.status(), 201);
        descriptors.push(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }));
    }
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_types::MANIFEST, "config": descriptors[0], "layers": [descriptors[1]],
    });
    let name = format!("{repository}/manifests/{}", reference.tag().unwrap());
    let put = http.put(name).header("content-type", media_types::MANIFEST).body(manifest.to_string());
    let answer = put.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.headers()["docker-content-digest"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_format_of_wasm_to_oci_is_pulled_too() {
    let (reference, wasm) = (fresh("wasm-to-oci"), module("old format"));
    let config = (media_types::WASM_TO_OCI_CONFIG, &b"{}"[..]);
    let digest = push_foreign(&reference, config, (media_types::WASM_TO_OCI_LAYER, &wasm)).await;
    let pulled = client().pull(&reference).await.unwrap();
    assert_eq!(pulled.bytes, wasm);
    assert_eq!(pulled.digest, digest);
    assert_eq!(pulled.media_type, media_types::WASM_TO_OCI_LAYER);
    let found = client().inspect(&reference).await.unwrap();
    assert_eq!(found.config_media_type, media_types::WASM_TO_OCI_CONFIG);
}

#[tokio::test]
async fn a_container_image_is_not_an_artifact() {
    let reference = fresh("image");
    let layer = ("application/vnd.oci.image.layer.v1.tar+gzip", &b"no module"[..]);
    push_foreign(&reference, ("application/vnd.oci.image.config.v1+json", b"{}"), layer).await;
    let error = client().pull(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::NotAnArtifact { .. }), "{error}");
    assert!(error.to_string().contains("image.layer.v1.tar+gzip"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (client, reference) = (client(), fresh("missing"));
    let pushed = client.push(&reference, module("missing"), Format::Wasm).await.unwrap();
    let other_tag: Reference = format!("{}/{}:other", reference.registry(), reference.repository()).parse().unwrap();
    let other_digest: Reference =
        format!("{}/{}@{}", reference.registry(), reference.repository(), sha256(b"")).parse().unwrap();
    for name in [fresh("nobody"), other_tag, other_digest] {
        for error in [
            client.resolve(&name).await.unwrap_err(),
            client.inspect(&name).await.unwrap_err(),
            client.pull(&name).await.unwrap_err(),
            client.delete(&name).await.unwrap_err(),
        ] {
            assert!(
                matches!(&error, OciError::NotFound { reference, .. } if *reference == name.to_string()),
                "{error}"
            );
        }
    }
    assert_eq!(client.resolve(&reference).await.unwrap(), pushed.digest);
}

#[tokio::test]
async fn a_deleted_manifest_is_gone_under_each_of_its_names_and_can_be_pushed_again() {
    let (client, reference, wasm) = (client(), fresh("delete"), module("delete"));
    let pushed = client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap();
    let deleted = client.delete_manifest(&reference).await.unwrap();
    assert_eq!(deleted, Deleted { digest: pushed.digest, manifest: true });
    for name in [&reference, &pushed.reference_with_digest] {
        let error = client.resolve(name).await.unwrap_err();
        assert!(matches!(error, OciError::NotFound { .. }), "{error}");
    }
    assert!(!client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap().already_present);
    assert_eq!(client.pull(&reference).await.unwrap().bytes, wasm);
}

#[tokio::test]
async fn a_deleted_tag_leaves_the_manifest_and_its_other_tags() {
    let (client, reference, wasm) = (client(), fresh("untag"), module("untag"));
    let pushed = client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap();
    let other: Reference = format!("{}/{}:v2", reference.registry(), reference.repository()).parse().unwrap();
    client.push(&other, wasm, Format::Wasm).await.unwrap();

    let wrong: Reference = format!("{reference}@{}", sha256(b"")).parse().unwrap();
    let error = client.delete(&wrong).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    assert_eq!(client.resolve(&reference).await.unwrap(), pushed.digest, "nothing was deleted");

    let exact: Reference = format!("{reference}@{}", pushed.digest).parse().unwrap();
    assert_eq!(client.delete(&exact).await.unwrap(), Deleted { digest: pushed.digest.clone(), manifest: false });
    assert!(matches!(client.resolve(&reference).await.unwrap_err(), OciError::NotFound { .. }));
    for name in [&other, &pushed.reference_with_digest] {
        assert_eq!(client.resolve(name).await.unwrap(), pushed.digest);
    }
    assert!(matches!(client.delete(&reference).await.unwrap_err(), OciError::NotFound { .. }));
    // The last tag is a tag like the others where tags can be deleted.
    assert!(!client.delete(&other).await.unwrap().manifest);
    assert_eq!(client.resolve(&pushed.reference_with_digest).await.unwrap(), pushed.digest);
    assert!(client.delete(&pushed.reference_with_digest).await.unwrap().manifest);
    assert!(matches!(client.resolve(&pushed.reference_with_digest).await.unwrap_err(), OciError::NotFound { .. }));
}

#[tokio::test]
async fn the_format_of_wasm_to_oci_is_pushed_where_it_is_asked_for() {
    let (client, reference, wasm) = (client(), fresh("older"), module("older"));
    let pushed = client.push(&reference, wasm.clone(), Format::WasmToOci).await.unwrap();
    assert!(client.push(&reference, wasm.clone(), Format::WasmToOci).await.unwrap().already_present);
    let found = client.inspect(&reference).await.unwrap();
    assert_eq!((&found.digest, found.config), (&pushed.digest, Some(json!({}))));
    assert_eq!(found.config_media_type, media_types::WASM_TO_OCI_CONFIG);
    let pulled = client.pull(&reference).await.unwrap();
    assert_eq!((pulled.bytes, pulled.media_type.as_str()), (wasm.clone(), media_types::WASM_TO_OCI_LAYER));
    // The other format is another artifact.
    let agreed = client.push(&reference, wasm, Format::Wasm).await.unwrap();
    assert!(!agreed.already_present && agreed.digest != pushed.digest);
}

#[tokio::test]
async fn a_push_under_a_digest_that_is_not_the_artifacts_sends_nothing() {
    let (client, reference) = (client(), fresh("mismatch"));
    let named: Reference = format!("{reference}@{}", sha256(b"")).parse().unwrap();
    let error = client.push(&named, module("mismatch"), Format::Wasm).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    let error = client.resolve(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");

    let error = client.push(&fresh("no-module"), b"#!/bin/sh".to_vec(), Format::Wasm).await.unwrap_err();
    assert!(matches!(error, OciError::NotAModule(_)), "{error}");
    let untagged: Reference = format!("{}/x@{}", registry(), sha256(b"")).parse().unwrap();
    let error = client.push(&untagged, module("untagged"), Format::Wasm).await.unwrap_err();
    assert!(error.to_string().contains("a push needs a tag"), "{error}");
}

#[tokio::test]
async fn https_is_spoken_where_http_was_not_allowed_and_the_message_says_so() {
    let client = Client::new(ClientConfig { docker_config: None, ..ClientConfig::default() }).unwrap();
    let error = client.resolve(&fresh("https")).await.unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("name it in --plain-http"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_unreachable_in_time() {
    // Taken and given back: nobody listens there now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(ClientConfig {
        insecure_registries: vec![format!("127.0.0.1:{port}")],
        docker_config: Some(PathBuf::from("/nowhere/config.json")),
        connect_timeout: Duration::from_secs(2),
        ..ClientConfig::default()
    })
    .unwrap();
    let reference: Reference = format!("127.0.0.1:{port}/x:v1").parse().unwrap();
    let start = std::time::Instant::now();
    let error = client.push(&reference, module("nobody"), Format::Wasm).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(matches!(&error, OciError::Unreachable { registry, .. } if registry == reference.registry()), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_module_of_many_megabytes_makes_the_round_trip() {
    let (client, reference) = (client(), fresh("large"));
    // One custom section of 20 MiB: its length as LEB128, then the name "x".
    let mut wasm = b"\0asm\x01\0\0\0\0".to_vec();
    let size = 20 << 20;
    let mut rest = size + 2;
    while rest >= 128 {
        wasm.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    wasm.extend([rest as u8, 1, b'x']);
    wasm.extend((0..size).map(|i: u32| (i % 251) as u8));
    client.push(&reference, wasm.clone(), Format::Wasm).await.unwrap();
    assert!(client.pull(&reference).await.unwrap().bytes == wasm);
}
