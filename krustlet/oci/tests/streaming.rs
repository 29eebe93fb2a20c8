//! How much memory a pull takes: a program of its own, as it is the process that is measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

#[path = "integration/support/mod.rs"]
mod support;

use krustlet_oci::{Client, ClientConfig, Reference};
use support::{Registry, module};

const MODULE_BYTES: usize = 60_000_000;
const ALLOWED_BYTES: u64 = 12_000_000;

/// A line of `/proc/self/status`, in bytes.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_module_of_60_mb_is_never_in_memory() {
    let registry = Registry::start().await;
    let wasm = module("large", MODULE_BYTES);
    let size = wasm.len() as u64;
    // The registry holds the module from here on, and sends it without a copy.
    registry.push("app", "v1", wasm);
    let insecure_registries = vec![registry.host.clone()];
    let client =
        Client::new(ClientConfig { insecure_registries, docker_config: None, ..ClientConfig::default() }).unwrap();
    let reference: Reference = format!("{}/app:v1", registry.host).parse().unwrap();
    client.resolve(&reference).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let mut file = tokio::fs::File::create(folder.path().join("module")).await.unwrap();
    // From here on the peak is counted anew (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    client.pull_to(&reference, &mut file).await.unwrap();
    let grown = memory("VmHWM").saturating_sub(before);
    assert_eq!(file.metadata().await.unwrap().len(), size);
    assert!(grown < ALLOWED_BYTES, "{grown} bytes more in memory for a module of {size}");

    // The measure itself: what is held does show.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let held = client.pull(&reference).await.unwrap();
    let grown = memory("VmHWM").saturating_sub(before);
    assert!(grown > held.bytes.len() as u64 * 8 / 10, "{grown}");
}
