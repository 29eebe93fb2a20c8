//! The registry of the cluster for tests, and the guests in it.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::server::failure;

/// Every guest is there, under any tag.
pub fn answer(method: &Method, parts: &[&str]) -> Response {
    let ["v2", "guests", guest, kind, what] = parts else { return StatusCode::OK.into_response() };
    let Some(module) = module(guest) else { return failure(StatusCode::NOT_FOUND, "manifest unknown") };
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

fn module(guest: &str) -> Option<Vec<u8>> {
    let sleep = |nanos: u64| {
        format!(
            "(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const {nanos}))
             (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"
        )
    };
    let exit = |code: &str| format!("(call $exit (i32.const {code}))");
    let body = match guest.split_once('-') {
        Some(("exit", code)) => exit(code),
        Some(("nap", code)) => sleep(1_000_000_000) + &exit(code),
        Some(("grow", pages)) => format!("(drop (memory.grow (i32.const {pages})))") + &sleep(3_600_000_000_000),
        None if guest == "sleep" => sleep(3_600_000_000_000),
        None if guest == "garbage" => return Some(b"no module".to_vec()),
        None if guest == "spin" => "(loop $forever (br $forever))".into(),
        _ => return None,
    };
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") {body}))"#
    );
    Some(wat::parse_str(text).unwrap())
}
