//! The command line against a real registry, which `KRUSTLET_TEST_REGISTRY` names as host:port: plain HTTP, no login,
//! deletion allowed. `cargo test -p wasm-oci --features registry-tests`.

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
    let module = pushed["moduleDigest"].clone();
    let push = |present: bool| {
        json!({
            "reference": reference, "tagged": tagged, "digest": digest, "size": wasm.len(),
            "mediaType": "application/wasm", "moduleDigest": module, "alreadyPresent": present,
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

    let resolved = json!({ "reference": reference, "given": tagged, "digest": digest });
    assert_eq!(wasm_oci(&["resolve", &tagged]), (0, resolved));

    // The tag goes, and what it leads to stays.
    let deleted = |name: &str, manifest: bool| {
        (0, json!({ "reference": name, "deleted": true, "digest": digest, "manifest": manifest }))
    };
    assert_eq!(wasm_oci(&["delete", &tagged]), deleted(&tagged, false));
    let commands = |name: &str| {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        [
            words(&["inspect", name]),
            words(&["resolve", name]),
            words(&["delete", name]),
            words(&["delete", name, "--manifest"]),
            words(&["pull", name, "-o", &back]),
        ]
    };
    let all_gone = |name: &str| {
        for command in commands(name) {
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            assert_eq!(wasm_oci(&command), (3, Value::Null), "{command:?}");
        }
    };
    all_gone(&tagged);
    assert_eq!(wasm_oci(&["resolve", &reference]).0, 0);

    // The manifest goes with every tag.
    let other = format!("{repository}:v2");
    for name in [&tagged, &other] {
        assert_eq!(wasm_oci(&["push", &file, name]).0, 0);
    }
    assert_eq!(wasm_oci(&["delete", "--manifest", &other]), deleted(&other, true));
    for name in [&tagged, &other, &reference] {
        all_gone(name);
    }
}

#[test]
fn the_older_format_is_written_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello.wasm");
    std::fs::write(&file, wat::parse_str(r#"(module (func (export "_start")))"#).unwrap()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let tagged = format!("{}/wasm-oci/older-{now}:v1", registry());
    let (code, pushed) = wasm_oci(&["push", file.to_str().unwrap(), &tagged, "--format", "wasm-to-oci"]);
    assert_eq!((code, &pushed["mediaType"]), (0, &json!("application/vnd.wasm.content.layer.v1+wasm")));
    let (_, found) = wasm_oci(&["inspect", &tagged]);
    assert_eq!(found["configMediaType"], json!("application/vnd.wasm.config.v1+json"));
}
