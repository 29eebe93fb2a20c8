//! Pulling, against a registry within the test: what comes, what is refused, what is tried again.

use std::time::{Duration, Instant};

use crate::support::{Fault, Registry, module, sha256};
use krustlet_oci::{Client, ClientConfig, OciError, Reference};

fn client(registry: &Registry) -> Client {
    let insecure_registries = vec![registry.host.clone()];
    let read_timeout = Duration::from_secs(2);
    Client::new(ClientConfig { insecure_registries, docker_config: None, read_timeout, ..ClientConfig::default() })
        .unwrap()
}

fn name(registry: &Registry, rest: &str) -> Reference {
    format!("{}/{rest}", registry.host).parse().unwrap()
}

#[tokio::test]
async fn both_formats_are_pulled_by_tag_and_by_digest() {
    let registry = Registry::start().await;
    let client = client(&registry);
    let old = ("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm");
    let new = ("application/vnd.wasm.config.v0+json", "application/wasm");
    for (tag, (config, layer)) in [("old", old), ("new", new)] {
        let wasm = module(tag, 300);
        let digest = registry.push_as("org/app", tag, wasm.clone(), config, layer);
        let tagged = name(&registry, &format!("org/app:{tag}"));
        assert_eq!(client.resolve(&tagged).await.unwrap(), digest);
        for reference in [&tagged, &tagged.by_digest(digest.clone())] {
            let mut out = Vec::new();
            let found = client.pull_to(reference, &mut out).await.unwrap();
            assert_eq!((&out, found.size), (&wasm, wasm.len() as u64));
            assert_eq!((&found.digest, found.module_digest), (&digest, sha256(&wasm)));
            assert_eq!(found.media_type, layer);
            assert_eq!(client.pull(reference).await.unwrap().bytes, wasm);
        }
        let inspected = client.inspect(&tagged).await.unwrap();
        assert_eq!(inspected.config_media_type, config);
        assert_eq!(inspected.config, Some(serde_json::json!({})));
    }
}

#[tokio::test]
async fn a_registry_with_a_mirror_is_asked_there_under_its_own_name() {
    let registry = Registry::start().await;
    let wasm = module("mirrored", 10);
    let digest = registry.push("org/app", "v1", wasm.clone());
    let config = ClientConfig {
        // Whether it is plain HTTP goes by the name.
        insecure_registries: vec!["localhost:1".into()],
        mirrors: [("localhost:1".to_owned(), registry.host.clone())].into(),
        docker_config: None,
        ..ClientConfig::default()
    };
    let client = Client::new(config).unwrap();
    let reference: Reference = "localhost:1/org/app:v1".parse().unwrap();
    let pulled = client.pull(&reference).await.unwrap();
    assert_eq!((pulled.digest, pulled.bytes), (digest, wasm));
    client.ping("localhost:1").await.unwrap();
    let error = client.pull(&"localhost:1/org/none:v1".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("localhost:1/org/none:v1"), "{error}");
}

#[tokio::test]
async fn of_an_index_the_entry_for_wasm_is_pulled_and_what_has_none_is_told() {
    let registry = Registry::start().await;
    let client = client(&registry);
    let wasm = module("of an index", 0);
    let (mine, other) = (registry.push("app", "x", wasm.clone()), registry.push("app", "y", module("other", 0)));
    let index = registry.push_index("app", "multi", &[("linux", "amd64", &other), ("wasip1", "wasm", &mine)]);
    let pulled = client.pull(&name(&registry, "app:multi")).await.unwrap();
    assert_eq!((pulled.bytes, pulled.digest), (wasm, index.clone()));

    registry.push_index("app", "foreign", &[("linux", "amd64", &other), ("linux", "arm64", &other)]);
    registry.push_index("app", "nested", &[("wasi", "wasm", &index)]);
    registry.push_index("app", "odd", &[("wasi", "wasm", "sha512:../../x")]);
    registry.push_index("app", "empty", &[]);
    let cases = [
        ("foreign", "it is an index for linux/amd64, linux/arm64, and none of these is wasip1/wasm"),
        ("nested", "the entry of its index is an index again"),
        ("odd", "its index names \"sha512:../../x\""),
        ("empty", "it is an index without entries"),
    ];
    for (tag, expected) in cases {
        let error = client.pull(&name(&registry, &format!("app:{tag}"))).await.unwrap_err();
        assert!(matches!(error, OciError::NotAnArtifact { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let missing = registry.push_index("app", "gone", &[("wasi", "wasm", &sha256(b""))]);
    let error = client.pull(&name(&registry, "app:gone").by_digest(missing)).await.unwrap_err();
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_is_refused() {
    let registry = Registry::start().await;
    let client = client(&registry);
    let wasm = module("body", 100_000);
    let size = wasm.len();
    registry.push("app", "v1", wasm);
    let reference = name(&registry, "app:v1");
    let longer = vec![0; size + 1];
    let cases = [
        (Fault::Short(1000), format!("it sends 1000 bytes as the module of {reference}, whose manifest says {size}")),
        (Fault::ShortUnannounced(1000), format!("it sent only 1000 of the {size} bytes")),
        (Fault::Instead(longer), format!("it sends {} bytes as", size + 1)),
        (
            Fault::Instead(vec![0; size]),
            format!("the digest of the module of {reference} is {}", sha256(&vec![0; size])),
        ),
    ];
    for (fault, expected) in cases {
        registry.fail("/blobs/", fault);
        let error = client.pull(&reference).await.unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}");
    }
    let digest = client.resolve(&reference).await.unwrap();
    registry.fail("/manifests/", Fault::Instead(b"{\"schemaVersion\":2,\"manifests\":[]}".to_vec()));
    let error = client.pull(&reference.by_digest(digest)).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    // And all is well when nothing goes wrong.
    assert_eq!(client.pull(&reference).await.unwrap().bytes.len(), size);
}

#[tokio::test]
async fn a_module_over_the_limit_is_refused_before_it_is_fetched() {
    let registry = Registry::start().await;
    let layer = registry.blob(b"small".to_vec());
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": layer, "size": 5 },
        "layers": [{ "mediaType": "application/wasm", "digest": layer, "size": 100_000_001 }],
    });
    registry.manifest("app", "v1", "application/vnd.oci.image.manifest.v1+json", &manifest);
    let error = client(&registry).pull(&name(&registry, "app:v1")).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { size: 100_000_001, .. }), "{error}");
    assert_eq!(registry.asked(), ["GET manifests/v1"]);
}

#[tokio::test]
async fn a_connection_that_breaks_goes_on_where_it_ended() {
    let registry = Registry::start().await;
    let client = client(&registry);
    let wasm = module("broken", 500_000);
    registry.push("app", "v1", wasm.clone());
    let reference = name(&registry, "app:v1");
    for ranges in [true, false] {
        if !ranges {
            registry.know_no_ranges();
        }
        registry.seen();
        registry.fail("/blobs/", Fault::Cut(100_000));
        registry.fail("/blobs/", Fault::Cut(150_000));
        assert_eq!(client.pull(&reference).await.unwrap().bytes, wasm);
        let blobs: Vec<_> = registry.seen().into_iter().filter(|seen| seen.path.contains("/blobs/")).collect();
        let asked: Vec<_> = blobs.iter().map(|seen| seen.range.as_deref()).collect();
        let second = if ranges { "bytes=250000-" } else { "bytes=150000-" };
        assert_eq!(asked, [None, Some("bytes=100000-"), Some(second)]);
    }
    for _ in 0..3 {
        registry.fail("/blobs/", Fault::Cut(10));
    }
    let error = client.pull(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "the third break is the last: {error}");
    assert_eq!(client.pull(&reference).await.unwrap().bytes, wasm);
}

#[tokio::test]
async fn what_passes_by_itself_is_tried_again_and_the_rest_is_told_in_the_registrys_words() {
    let registry = Registry::start().await;
    let client = client(&registry);
    registry.push("app", "v1", module("retry", 0));
    let reference = name(&registry, "app:v1");
    let words = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"you have reached your pull rate limit"}]}"#;

    for (path, fault) in [
        ("/manifests/", Fault::Status(503, None, "starting")),
        ("/manifests/", Fault::Status(500, None, "")),
        ("/blobs/", Fault::Status(429, Some("1"), words)),
    ] {
        registry.fail(path, fault);
    }
    let start = Instant::now();
    client.pull(&reference).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(2250), "{:?}", start.elapsed());

    // Who is told to come much later comes later, and not at once.
    registry.seen();
    registry.fail("/manifests/", Fault::Status(429, Some("60"), words));
    let error = client.pull(&reference).await.unwrap_err().to_string();
    assert!(error.contains("HTTP status 429 you have reached your pull rate limit (come again in 60 s)"), "{error}");
    assert_eq!(registry.asked(), ["GET manifests/v1"]);

    for _ in 0..3 {
        registry.fail("/manifests/", Fault::Status(502, None, "<h1>Bad   Gateway</h1>"));
    }
    let error = client.pull(&reference).await.unwrap_err().to_string();
    assert!(error.contains("HTTP status 502 <h1>Bad Gateway</h1>"), "{error}");
    assert_eq!(registry.asked().len(), 3);

    let error = client.pull(&name(&registry, "app:v2")).await.unwrap_err().to_string();
    assert!(error.contains("app:v2 is not in the registry (manifest unknown)"), "{error}");
    assert_eq!(registry.asked(), ["GET manifests/v2"], "what is not there is not asked for again");
    let error = client.resolve(&name(&registry, "app:v2")).await.unwrap_err().to_string();
    assert!(error.contains("(manifest unknown)"), "{error}");
}

#[tokio::test]
async fn a_digest_is_found_without_the_header_too() {
    let registry = Registry::start().await;
    let digest = registry.push("app", "v1", module("header", 0));
    registry.send_no_digest_header();
    assert_eq!(client(&registry).resolve(&name(&registry, "app:v1")).await.unwrap(), digest);
    assert_eq!(registry.asked(), ["HEAD manifests/v1", "GET manifests/v1"]);
}

#[tokio::test]
async fn nobody_is_waited_for_without_an_end() {
    // It takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let reference: Reference = format!("{host}/app:v1").parse().unwrap();
    let config = ClientConfig { insecure_registries: vec![host], docker_config: None, ..ClientConfig::default() };

    let patient = ClientConfig { read_timeout: Duration::from_millis(300), ..config.clone() };
    let start = Instant::now();
    let error = Client::new(patient).unwrap().pull(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("timed out"), "{error}");
    assert!(start.elapsed() < Duration::from_millis(900), "silence is not tried again: {:?}", start.elapsed());

    let hasty = ClientConfig { pull_timeout: Duration::from_millis(300), ..config };
    let error = Client::new(hasty).unwrap().pull(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn plain_http_is_for_registries_that_are_named() {
    let registry = Registry::start().await;
    registry.push("app", "v1", module("http", 0));
    let client = Client::new(ClientConfig { docker_config: None, ..ClientConfig::default() }).unwrap();
    let error = client.pull(&name(&registry, "app:v1")).await.unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("if it speaks plain HTTP, name it in --plain-http"), "{error}");
    assert!(registry.seen().is_empty());
}
