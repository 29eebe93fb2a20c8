use super::*;
use serde_json::{Value, from_slice, from_value, json};

const EMPTY_MODULE: [u8; 8] = [0, b'a', b's', b'm', 1, 0, 0, 0];
/// Of `EMPTY_MODULE`, by `sha256sum`.
const EMPTY_DIGEST: &str = "sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476";

fn reference() -> Reference {
    "localhost:5000/hello:v1".parse().unwrap()
}

fn manifest(layers: &[&str]) -> ImageManifest {
    let layer = |media_type: &&str| json!({ "mediaType": media_type, "digest": EMPTY_DIGEST, "size": 8 });
    let layers: Vec<_> = layers.iter().map(layer).collect();
    let config = json!({ "mediaType": "application/json", "digest": EMPTY_DIGEST, "size": 8 });
    from_value(json!({ "schemaVersion": 2, "config": config, "layers": layers })).unwrap()
}

#[test]
fn the_artifact_is_exactly_what_the_agreed_format_wants() {
    let artifact = Artifact::new(EMPTY_MODULE.to_vec(), Format::Wasm).unwrap();
    assert_eq!(artifact.module.digest, EMPTY_DIGEST);
    assert_eq!(
        String::from_utf8(artifact.config.bytes.to_vec()).unwrap(),
        format!(
            r#"{{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip1","layerDigests":["{EMPTY_DIGEST}"]}}"#
        )
    );
    assert_eq!(
        from_slice::<Value>(&artifact.manifest.bytes).unwrap(),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.wasm.config.v0+json",
                "digest": sha256(&artifact.config.bytes),
                "size": artifact.config.bytes.len(),
            },
            "layers": [{ "mediaType": "application/wasm", "digest": EMPTY_DIGEST, "size": 8 }],
        })
    );
}

#[test]
fn a_component_tells_its_system_and_its_interfaces() {
    let wasm = wat::parse_str(r#"(component (import "a:b/c@0.1.0" (func $f)) (export "run" (func $f)))"#).unwrap();
    let artifact = Artifact::new(wasm, Format::Wasm).unwrap();
    assert_eq!(
        from_slice::<Value>(&artifact.config.bytes).unwrap(),
        json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [artifact.module.digest],
            "component": { "exports": ["run"], "imports": ["a:b/c@0.1.0"] },
        })
    );
    let damaged = Artifact::new(b"\0asm\x0d\0\x01\0\x0a\x01".to_vec(), Format::Wasm).unwrap_err().to_string();
    assert!(damaged.starts_with("this is a damaged WebAssembly component"), "{damaged}");
}

#[test]
fn the_same_module_gives_the_same_artifact_and_another_one_another() {
    let digest = |bytes: &[u8]| Artifact::new(bytes.to_vec(), Format::Wasm).unwrap().manifest.digest;
    assert_eq!(digest(&EMPTY_MODULE), digest(&EMPTY_MODULE));
    // An empty custom section named "x".
    let other = [&EMPTY_MODULE[..], &[0, 2, 1, b'x']].concat();
    assert_ne!(digest(&EMPTY_MODULE), digest(&other));
}

#[test]
fn what_is_no_module_is_refused_by_what_it_is() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "not a WebAssembly module"),
        (b"\0as", "not a WebAssembly module"),
        (b"#!/bin/sh\n", "not a WebAssembly module"),
        (b"\0asm\x0c\0\x01\0", "a version that is not known"),
        (b"\0asm\x02\0\0\0", "a version that is not known"),
    ];
    for (bytes, expected) in cases {
        let error = Artifact::new(bytes.to_vec(), Format::Wasm).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("wasm32-wasip1"), "{error}");
    }
}

#[test]
fn a_module_may_have_the_limit_and_not_a_byte_more() {
    assert!(check_size(MAX_MODULE_BYTES).is_ok());
    assert_eq!(
        check_size(MAX_MODULE_BYTES + 1).unwrap_err().to_string(),
        "the module has 100000001 bytes; 100000000 are allowed: build it smaller (opt-level \"s\", lto, strip)"
    );
}

#[test]
fn the_module_is_found_in_both_formats() {
    for media_type in ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"] {
        let manifest = manifest(&["text/plain", media_type]);
        assert_eq!(module_layer(&manifest, &reference()).unwrap().media_type, media_type);
    }
}

#[test]
fn what_holds_no_module_or_several_is_not_an_artifact() {
    let cases: [(&[&str], &str); 3] = [
        (&[], "it has no layers"),
        (
            &["application/vnd.oci.image.layer.v1.tar+gzip"],
            "its layers are of type application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        (&["application/wasm", "application/wasm"], "it has 2 modules"),
    ];
    for (layers, expected) in cases {
        let error = module_layer(&manifest(layers), &reference()).unwrap_err().to_string();
        assert!(error.starts_with("localhost:5000/hello:v1 is not a WebAssembly artifact"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn of_several_platforms_the_one_for_wasm_is_taken() {
    let entries = |platforms: &[(&str, &str)]| -> Vec<IndexEntry> {
        let entry = |(os, architecture): &(&str, &str)| {
            json!({
                "mediaType": media_types::MANIFEST, "digest": format!("{os}/{architecture}"), "size": 1,
                "platform": { "os": os, "architecture": architecture },
            })
        };
        platforms.iter().map(|platform| from_value(entry(platform)).unwrap()).collect()
    };
    let all = [("linux", "amd64"), ("wasip2", "wasm"), ("wasi", "wasm"), ("wasip1", "wasm")];
    let taken = |platforms: &[(&str, &str)]| {
        let found = wasm_entry(&entries(platforms), &reference()).map(|entry| entry.digest.clone());
        found.map_err(|error| error.to_string())
    };
    assert_eq!(taken(&all).unwrap(), "wasip1/wasm");
    assert_eq!(taken(&all[..3]).unwrap(), "wasi/wasm");
    assert_eq!(taken(&all[..2]).unwrap(), "wasip2/wasm");
    let error = taken(&[("linux", "amd64"), ("wasip1", "arm64")]).unwrap_err();
    assert!(
        error.contains("it is an index for linux/amd64, wasip1/arm64, and none of these is wasip1/wasm"),
        "{error}"
    );
    let error = taken(&[]).unwrap_err();
    assert!(error.contains("it is an index without entries"), "{error}");
    let bare = json!({ "mediaType": media_types::MANIFEST, "digest": "x", "size": 1 });
    let error = wasm_entry(&[from_value(bare).unwrap()], &reference()).unwrap_err().to_string();
    assert!(error.contains("it is an index for no platform, and none"), "{error}");
}

#[test]
fn what_a_module_says_about_itself_is_in_its_artifact() {
    let wasm = wat::parse_str(r#"(module $hello (@custom "authors" "me") (@custom "version" "1.2.3"))"#).unwrap();
    let artifact = Artifact::new(wasm, Format::Wasm).unwrap();
    let (config, manifest): (Value, Value) =
        (from_slice(&artifact.config.bytes).unwrap(), from_slice(&artifact.manifest.bytes).unwrap());
    assert_eq!(config["author"], "me");
    assert_eq!(
        manifest["annotations"],
        json!({
            "org.opencontainers.image.authors": "me",
            "org.opencontainers.image.title": "hello",
            "org.opencontainers.image.version": "1.2.3",
        })
    );
}

#[test]
fn the_older_format_is_what_wasm_to_oci_writes() {
    let artifact = Artifact::new(EMPTY_MODULE.to_vec(), Format::WasmToOci).unwrap();
    assert_eq!(*artifact.config.bytes, b"{}");
    assert_eq!(
        from_slice::<Value>(&artifact.manifest.bytes).unwrap(),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.wasm.config.v1+json",
                // By `printf {} | sha256sum`.
                "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
                "size": 2,
            },
            "layers": [{
                "mediaType": "application/vnd.wasm.content.layer.v1+wasm", "digest": EMPTY_DIGEST, "size": 8,
                "annotations": { "org.opencontainers.image.title": "module.wasm" },
            }],
        })
    );
    let error = Artifact::new(b"#!/bin/sh".to_vec(), Format::WasmToOci).unwrap_err();
    assert!(matches!(error, OciError::NotAModule(_)), "{error}");
}
