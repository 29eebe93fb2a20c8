//! What an artifact is made of, and which part of a foreign one is the module. Nothing here talks to a registry.

use oci_client::manifest::{ImageIndexEntry, OciDescriptor, OciImageManifest};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::component::{self, Interfaces};
use crate::{OciError, Reference, media_types};

/// The largest module that is pushed or pulled, in bytes: 100 MB. A node holds a module in memory while it compiles it.
pub const MAX_MODULE_BYTES: u64 = 100_000_000;

/// The config must say when it was created, or other readers of the format do not take it. A true time would make the
/// same module a new artifact at every push; so it is the time that reproducible builds use, the beginning of the epoch.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// An artifact in the agreed format, ready to be sent: the same module always gives the same bytes.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) module: Blob,
    pub(crate) config: Blob,
    pub(crate) manifest: Blob,
}

/// Bytes with their digest.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = sha256(&bytes);
        Self { bytes, digest }
    }

    fn descriptor<'a>(&'a self, media_type: &'a str) -> Descriptor<'a> {
        Descriptor { media_type, digest: &self.digest, size: self.bytes.len() }
    }
}

/// The config's fields, in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a Interfaces>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor<'a>,
    layers: [Descriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: usize,
}

impl Artifact {
    /// Wraps a core module of WASI preview 1, or a component of WASI 0.2.
    pub(crate) fn new(wasm: Vec<u8>) -> Result<Self, OciError> {
        check_size(wasm.len() as u64)?;
        let interfaces = match kind(&wasm)? {
            Kind::Module => None,
            Kind::Component => Some(component::interfaces(&wasm).map_err(|error| {
                OciError::NotAModule(format!("this is a damaged WebAssembly component: {error}; build it anew"))
            })?),
        };
        let module = Blob::new(wasm);
        let config = json(&Config {
            created: CREATED,
            architecture: "wasm",
            os: if interfaces.is_some() { "wasip2" } else { "wasip1" },
            layer_digests: [&module.digest],
            component: interfaces.as_ref(),
        })?;
        let manifest = json(&Manifest {
            schema_version: 2,
            media_type: media_types::MANIFEST,
            config: config.descriptor(media_types::CONFIG),
            layers: [module.descriptor(media_types::LAYER)],
        })?;
        Ok(Self { module, config, manifest })
    }
}

fn json(value: &impl Serialize) -> Result<Blob, OciError> {
    let bytes = serde_json::to_vec(value).map_err(|error| OciError::Setup(error.to_string()))?;
    Ok(Blob::new(bytes))
}

/// `sha256:` and 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    digest(Sha256::new_with_prefix(bytes))
}

/// The digest of what a hash has seen.
pub(crate) fn digest(hash: Sha256) -> String {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub(crate) fn check_size(size: u64) -> Result<(), OciError> {
    match size <= MAX_MODULE_BYTES {
        true => Ok(()),
        false => Err(OciError::TooLarge { size, limit: MAX_MODULE_BYTES }),
    }
}

/// The two forms of WebAssembly that an artifact may hold.
enum Kind {
    Module,
    Component,
}

/// By magic, version, and the layer that tells a component from a module
/// (<https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md#component-definitions>).
fn kind(wasm: &[u8]) -> Result<Kind, OciError> {
    let problem = match wasm {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => return Ok(Kind::Module),
        [0, b'a', b's', b'm', 13, 0, 1, 0, ..] => return Ok(Kind::Component),
        [0, b'a', b's', b'm', ..] => {
            "this is WebAssembly of a version that is not known: build for the target wasm32-wasip1"
        }
        _ => {
            "this is not a WebAssembly module, as it does not start with the four bytes \"\\0asm\": give the .wasm file \
             that a build for wasm32-wasip1 makes"
        }
    };
    Err(OciError::NotAModule(problem.to_owned()))
}

/// The layer that is the module.
pub(crate) fn module_layer<'a>(
    manifest: &'a OciImageManifest,
    reference: &Reference,
) -> Result<&'a OciDescriptor, OciError> {
    let modules: Vec<_> = manifest.layers.iter().filter(|layer| media_types::is_module(&layer.media_type)).collect();
    match modules.as_slice() {
        [module] => Ok(module),
        [] => {
            let types: Vec<_> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
            let found = match types.as_slice() {
                [] => "it has no layers".to_owned(),
                types => format!("its layers are of type {}", types.join(", ")),
            };
            Err(OciError::not_an_artifact(reference, &found))
        }
        many => {
            let found = format!("it has {} modules, and which one to run is not said", many.len());
            Err(OciError::not_an_artifact(reference, &found))
        }
    }
}

/// The systems that an entry of an index may name for architecture `wasm`, the one that is taken first before the others: WASI
/// preview 1, `wasi` as it was called before, and components.
const SYSTEMS: [&str; 3] = ["wasip1", "wasi", "wasip2"];

/// Of an image for several platforms, the entry that is for us
/// (<https://github.com/opencontainers/image-spec/blob/main/image-index.md>).
pub(crate) fn wasm_entry<'a>(
    entries: &'a [ImageIndexEntry],
    reference: &Reference,
) -> Result<&'a ImageIndexEntry, OciError> {
    let platform = |entry: &ImageIndexEntry| match &entry.platform {
        Some(platform) => format!("{}/{}", platform.os, platform.architecture),
        None => "no platform".to_owned(),
    };
    let of = |system: &str| entries.iter().find(|entry| platform(entry) == format!("{system}/wasm"));
    SYSTEMS.into_iter().find_map(of).ok_or_else(|| {
        let found = match entries {
            [] => "it is an index without entries".to_owned(),
            entries => {
                let platforms: Vec<_> = entries.iter().map(platform).collect();
                format!("it is an index for {}, and none of these is wasip1/wasm", platforms.join(", "))
            }
        };
        OciError::not_an_artifact(reference, &found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_slice, from_value, json};

    const EMPTY_MODULE: [u8; 8] = [0, b'a', b's', b'm', 1, 0, 0, 0];
    /// Of `EMPTY_MODULE`, by `sha256sum`.
    const EMPTY_DIGEST: &str = "sha256:93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476";

    fn reference() -> Reference {
        "localhost:5000/hello:v1".parse().unwrap()
    }

    fn manifest(layers: &[&str]) -> OciImageManifest {
        let layer = |media_type: &&str| json!({ "mediaType": media_type, "digest": EMPTY_DIGEST, "size": 8 });
        let layers: Vec<_> = layers.iter().map(layer).collect();
        let config = json!({ "mediaType": "application/json", "digest": EMPTY_DIGEST, "size": 8 });
        from_value(json!({ "schemaVersion": 2, "config": config, "layers": layers })).unwrap()
    }

    #[test]
    fn the_artifact_is_exactly_what_the_agreed_format_wants() {
        let artifact = Artifact::new(EMPTY_MODULE.to_vec()).unwrap();
        assert_eq!(artifact.module.digest, EMPTY_DIGEST);
        assert_eq!(
            String::from_utf8(artifact.config.bytes.clone()).unwrap(),
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
        let artifact = Artifact::new(wasm).unwrap();
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
        let damaged = Artifact::new(b"\0asm\x0d\0\x01\0\x0a\x01".to_vec()).unwrap_err().to_string();
        assert!(damaged.starts_with("this is a damaged WebAssembly component"), "{damaged}");
    }

    #[test]
    fn the_same_module_gives_the_same_artifact_and_another_one_another() {
        let digest = |bytes: &[u8]| Artifact::new(bytes.to_vec()).unwrap().manifest.digest;
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
            let error = Artifact::new(bytes.to_vec()).unwrap_err().to_string();
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
        let entries = |platforms: &[(&str, &str)]| -> Vec<ImageIndexEntry> {
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
}
