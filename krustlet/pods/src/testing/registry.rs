//! The registry of the cluster for tests, and the guests in it.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::guests::guest;
use super::server::failure;

/// Every guest is there, under any tag.
pub fn answer(method: &Method, parts: &[&str]) -> Response {
    let ["v2", "guests", name, kind, what] = parts else { return StatusCode::OK.into_response() };
    let Some(module) = guest(name) else { return failure(StatusCode::NOT_FOUND, "manifest unknown") };
    let (digest, config) = (sha256(&module), sha256(b"{}"));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": config, "size": 2 },
        "layers": [{ "mediaType": "application/wasm", "digest": digest, "size": module.len() }],
    });
    let manifest = manifest.to_string().into_bytes();
    let (type_, bytes) = match *kind {
        "manifests" => ("application/vnd.oci.image.manifest.v1+json", manifest),
        _ if *what == config => ("application/octet-stream", b"{}".to_vec()),
        _ => ("application/octet-stream", module),
    };
    let headers = [
        ("content-type", type_.to_string()),
        ("docker-content-digest", sha256(&bytes)),
        ("content-length", bytes.len().to_string()),
    ];
    if method == Method::HEAD { (headers, Body::empty()).into_response() } else { (headers, bytes).into_response() }
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
