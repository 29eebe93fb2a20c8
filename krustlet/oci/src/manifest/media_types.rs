//! The media types of WebAssembly artifacts.
//!
//! Two formats are in use. *The agreed one*, by the CNCF's WebAssembly working group
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), is what a push writes if nothing else is
//! said. *The older one* is what the tool `wasm-to-oci` and Krustlet used; a pull reads both.

/// The manifest of both formats: an OCI image manifest
/// (<https://github.com/opencontainers/image-spec/blob/main/manifest.md>).
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The config of the agreed format.
pub const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The layer of the agreed format: the module itself.
pub const LAYER: &str = "application/wasm";

/// The config of the older format.
pub const WASM_TO_OCI_CONFIG: &str = "application/vnd.wasm.config.v1+json";

/// The layer of the older format: the module itself, too.
pub const WASM_TO_OCI_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";

/// Whether a layer of this type is a module, in either format.
pub fn is_module(layer: &str) -> bool {
    matches!(layer, LAYER | WASM_TO_OCI_LAYER)
}
