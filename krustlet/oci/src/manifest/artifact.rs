//! What an artifact is made of, and which part of a foreign one is the module. Nothing here talks to a registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::manifest::component::{self, Interfaces};
use crate::manifest::document::{self, ImageManifest, IndexEntry};
use crate::manifest::{media_types, metadata};
use crate::{OciError, Reference};

/// The largest module that is pushed or pulled, in bytes: 100 MB. A node holds a module in memory while it compiles it.
pub const MAX_MODULE_BYTES: u64 = 100_000_000;

/// The config must say when it was created, or other readers of the format do not take it. A true time would make the
/// same module a new artifact at every push; so it is the time that reproducible builds use, the beginning of the epoch.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// The format of an artifact; see [`media_types`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The agreed one: what to use.
    #[default]
    Wasm,
    /// The older one, for readers such as `wasm-to-oci` and Krustlet that know no other. It is for core modules.
    WasmToOci,
}

impl Format {
    /// The media type of the layer that is the module.
    pub fn layer(self) -> &'static str {
        match self {
            Self::Wasm => media_types::LAYER,
            Self::WasmToOci => media_types::WASM_TO_OCI_LAYER,
        }
    }
}

/// By which name the older tool unpacks the module; it skips a layer without a name.
const WASM_TO_OCI_NAME: &str = "module.wasm";

/// An artifact, ready to be sent: the same module always gives the same bytes.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) module: Blob,
    pub(crate) config: Blob,
    pub(crate) manifest: Blob,
}

/// Bytes with their digest.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) digest: String,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = sha256(&bytes);
        Self { bytes: Arc::new(bytes), digest }
    }

    fn descriptor<'a>(&'a self, media_type: &'a str) -> Descriptor<'a> {
        Descriptor { media_type, digest: &self.digest, size: self.bytes.len(), annotations: BTreeMap::new() }
    }
}

/// The config's fields, in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
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
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, String>,
}

impl Artifact {
    /// Wraps a core module of WASI preview 1, or a component of WASI 0.2.
    pub(crate) fn new(wasm: Vec<u8>, format: Format) -> Result<Self, OciError> {
        check_size(wasm.len() as u64)?;
        let kind = kind(&wasm)?;
        match format {
            Format::Wasm => Self::agreed(wasm, kind),
            Format::WasmToOci => Self::older(wasm),
        }
    }

    fn agreed(wasm: Vec<u8>, kind: Kind) -> Result<Self, OciError> {
        let damaged = |error| {
            OciError::NotAModule(format!("this is a damaged WebAssembly {}: {error}; build it anew", kind.name()))
        };
        let interfaces = match kind {
            Kind::Module => None,
            Kind::Component => Some(component::interfaces(&wasm).map_err(damaged)?),
        };
        let annotations = metadata::annotations(&wasm).map_err(damaged)?;
        let module = Blob::new(wasm);
        let config = json(&Config {
            created: CREATED,
            author: annotations.get(metadata::AUTHORS).map(String::as_str),
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
            annotations,
        })?;
        Ok(Self { module, config, manifest })
    }

    fn older(wasm: Vec<u8>) -> Result<Self, OciError> {
        let module = Blob::new(wasm);
        let config = Blob::new(b"{}".to_vec());
        let annotations = BTreeMap::from([(metadata::TITLE, WASM_TO_OCI_NAME.to_owned())]);
        let manifest = json(&Manifest {
            schema_version: 2,
            media_type: media_types::MANIFEST,
            config: config.descriptor(media_types::WASM_TO_OCI_CONFIG),
            layers: [Descriptor { annotations, ..module.descriptor(media_types::WASM_TO_OCI_LAYER) }],
            annotations: BTreeMap::new(),
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
#[derive(Clone, Copy)]
enum Kind {
    Module,
    Component,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Component => "component",
        }
    }
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
    manifest: &'a ImageManifest,
    reference: &Reference,
) -> Result<&'a document::Descriptor, OciError> {
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
pub(crate) fn wasm_entry<'a>(entries: &'a [IndexEntry], reference: &Reference) -> Result<&'a IndexEntry, OciError> {
    let platform = |entry: &IndexEntry| match &entry.platform {
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
#[path = "artifact_tests.rs"]
mod tests;
