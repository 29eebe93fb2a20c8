//! The command line against a real registry, which `KRUSTLET_TEST_REGISTRY` names as host:port: plain HTTP, no login,
//! deletion allowed. `cargo test -p wasm-oci --features registry-tests`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

fn registry() -> String {
    std::env::var("KRUSTLET_TEST_REGISTRY").expect(
        "set KRUSTLET_TEST_REGISTRY to the host:port of a registry that speaks plain HTTP, wants no login and allows \
         deletion: these tests are about a real one",
    )
}

/// Exit code, and the JSON on standard output (null if there is none).
fn wasm_oci(args: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_wasm-oci"))
        .args(args)
        .args(["--json", "--plain-http", &registry()])
        .env("DOCKER_CONFIG", "/nowhere")
        .output()
        .unwrap();
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

#[test]
fn a_module_is_pushed_shown_pulled_and_deleted_with_exact_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, back) = (path("hello.wasm"), path("back.wasm"));
    let wasm = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    std::fs::write(&file, &wasm).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let repository = format!("{}/wasm-oci/test-{now}", registry());
    let tagged = format!("{repository}:v1");

    let (code, pushed) = wasm_oci(&["push", &file, &tagged]);
    assert_eq!(code, 0);
    let digest = pushed["digest"].as_str().unwrap().to_owned();
    let reference = format!("{repository}@{digest}");
    let push = |present: bool| {
        json!({
            "reference": reference, "tagged": tagged, "digest": digest, "size": wasm.len(),
            "mediaType": "application/wasm", "alreadyPresent": present,
        })
    };
    assert_eq!(pushed, push(false));
    assert_eq!(wasm_oci(&["push", &file, &tagged]), (0, push(true)));

    let (code, found) = wasm_oci(&["inspect", &tagged]);
    assert_eq!(code, 0);
    assert_eq!(found["digest"], json!(digest));
    assert_eq!(found["size"], json!(wasm.len()));
    assert_eq!(found["configMediaType"], json!("application/vnd.wasm.config.v0+json"));
    assert_eq!(found["config"]["layerDigests"], json!([found["moduleDigest"]]));

    let pulled = json!({
        "reference": reference, "digest": digest, "size": wasm.len(), "mediaType": "application/wasm", "file": back,
    });
    assert_eq!(wasm_oci(&["pull", &reference, "-o", &back]), (0, pulled));
    assert_eq!(std::fs::read(&back).unwrap(), wasm);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half-written is left");

    assert_eq!(wasm_oci(&["delete", &tagged]), (0, json!({ "reference": tagged, "deleted": true })));
    for command in [&["inspect", tagged.as_str()][..], &["delete", &tagged], &["pull", &tagged, "-o", &back]] {
        assert_eq!(wasm_oci(command), (3, Value::Null), "{command:?}");
    }
}
