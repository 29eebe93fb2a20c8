//! Volumes as a guest sees them: the real engine on the folders that are made for a pod.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};

use krustlet_api::objects::testing::Fake;
use krustlet_runtime::{Engine, EngineConfig, LogSink, RunSpec, Stream};
use serde_json::{Value, json};

use crate::resources::tests::{Site, pod};

#[derive(Default)]
struct Memory(Mutex<Vec<u8>>);

impl LogSink for Memory {
    fn write(&self, _: Stream, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().extend(bytes);
        Ok(())
    }
}

/// Prints what is in a file, or `-`; for an attempt to make a file, `W` or `R`.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "key")
    (data (i32.const 16) "new")
    (data (i32.const 32) "one.conf")
    (data (i32.const 48) "W")
    (data (i32.const 49) "R")
    (data (i32.const 50) "-")
    (func $print (param $at i32) (param $len i32)
        (i32.store (i32.const 224) (local.get $at))
        (i32.store (i32.const 228) (local.get $len))
        (drop (call $write (i32.const 1) (i32.const 224) (i32.const 1) (i32.const 232))))
    (func $cat (param $folder i32) (param $path i32) (param $len i32)
        (if (call $open (local.get $folder) (i32.const 1) (local.get $path) (local.get $len)
                (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 200))
            (then (call $print (i32.const 50) (i32.const 1)) (return)))
        (i32.store (i32.const 208) (i32.const 1024))
        (i32.store (i32.const 212) (i32.const 1024))
        (drop (call $read (i32.load (i32.const 200)) (i32.const 208) (i32.const 1) (i32.const 216)))
        (call $print (i32.const 1024) (i32.load (i32.const 216))))
    (func $create (param $folder i32)
        (if (call $open (local.get $folder) (i32.const 1) (i32.const 16) (i32.const 3)
                (i32.const 1) (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 200))
            (then (call $print (i32.const 49) (i32.const 1)))
            (else (call $print (i32.const 48) (i32.const 1)))))
    (func (export "_start") ACTS))"#;

async fn output(site: &Site, name: &str, mounts: Value, acts: &str) -> String {
    let spec = json!({
        "containers": [{ "name": "c", "volumeMounts": mounts }],
        "volumes": [
            { "name": "cm", "configMap": { "name": "cm" } },
            { "name": "scratch", "emptyDir": {} },
            { "name": "host", "hostPath": { "path": site.share(), "type": "DirectoryOrCreate" } },
        ],
    });
    let resources = site.resources(pod(name, spec, json!({})));
    resources.mount().await.unwrap();
    let container = resources.pod().spec.as_ref().unwrap().containers[0].clone();
    let mounted = resources.mounts(&container, &vec![]).await.unwrap();
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let module = engine.compile(&wat::parse_str(PROGRAM.replace("ACTS", acts)).unwrap()).unwrap();
    let memory = Arc::new(Memory::default());
    let mut spec = RunSpec::new(memory.clone());
    spec.mounts = mounted.mounts;
    let status = engine.start(&module, spec).unwrap().wait().await;
    assert_eq!(status.code, 0, "{status:?}");
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn site() -> Site {
    let site = Site::new();
    let fake: &Fake = &site.fake;
    fake.set("configmaps", "ns", "cm", json!({ "data": { "key": "value" } }));
    fs::create_dir(site.share()).unwrap();
    site
}

#[tokio::test]
async fn files_are_read_through_the_links_and_only_read() {
    let mounts = json!([
        { "name": "cm", "mountPath": "/cm" },
        { "name": "cm", "mountPath": "/etc/one.conf", "subPath": "key" },
    ]);
    let acts = "(call $cat (i32.const 3) (i32.const 0) (i32.const 3)) (call $create (i32.const 3))
        (call $cat (i32.const 4) (i32.const 32) (i32.const 8)) (call $cat (i32.const 4) (i32.const 0) (i32.const 3))
        (call $create (i32.const 4))";
    assert_eq!(output(&site(), "p", mounts, acts).await, "valueRvalue-R");
}

#[tokio::test]
async fn shared_folders_can_be_written_unless_the_mount_says_no() {
    let site = site();
    let mounts = json!([
        { "name": "scratch", "mountPath": "/a" },
        { "name": "scratch", "mountPath": "/b", "subPath": "part" },
        { "name": "scratch", "mountPath": "/c", "readOnly": true },
        { "name": "host", "mountPath": "/d" },
        { "name": "host", "mountPath": "/e", "readOnly": true },
    ]);
    let acts: String = (3..8).map(|folder| format!("(call $create (i32.const {folder}))")).collect();
    assert_eq!(output(&site, "p", mounts, &acts).await, "WWRWR");
    assert!(site.volume("p", "scratch/new").exists() && site.volume("p", "scratch/part/new").exists());
    assert!(site.share().join("new").exists());
}
