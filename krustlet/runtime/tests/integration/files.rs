//! The folders that a guest is given.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{TOOLBOXES, args, engine, exited, hold_toolboxes, run, start, try_run};
use krustlet_runtime::{Engine, Mount, RuntimeError};

fn mount(host: &Path, guest: &str) -> Mount {
    Mount { host: host.to_owned(), guest: guest.into(), read_only: false }
}

fn read_only(host: &Path, guest: &str) -> Mount {
    Mount { read_only: true, ..mount(host, guest) }
}

/// Runs the toolbox as every kind of program, which must agree; what it printed.
async fn tool(engine: &Engine, mounts: &[Mount], words: &[&str]) -> String {
    let mut printed = Vec::new();
    for (kind, wasm) in TOOLBOXES.iter() {
        let (container, sink) = run(engine, wasm, |spec| {
            spec.args = args(words);
            spec.mounts = mounts.to_vec();
        });
        let status = container.wait().await;
        let text = sink.text();
        let code = i32::from(text.starts_with("error"));
        assert_eq!(status, exited(code), "{kind}: {words:?} printed {text:?}");
        printed.push(text.trim_end().to_owned());
    }
    assert!(printed.iter().all(|text| *text == printed[0]), "{words:?}: {printed:?}");
    printed.remove(0)
}

/// A folder with `file` ("content"), an empty folder `sub`, and `secret` beside it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("inner");
    fs::create_dir_all(inner.join("sub")).unwrap();
    fs::write(inner.join("file"), "content").unwrap();
    fs::write(outer.path().join("secret"), "secret").unwrap();
    (outer, inner)
}

#[tokio::test]
async fn a_guest_reads_and_writes_what_it_was_given() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (_outer, host) = folder();
    let mounts = [mount(&host, "/data")];
    assert_eq!(tool(&engine, &mounts, &["read", "/data/file"]).await, "content");
    assert_eq!(tool(&engine, &mounts, &["list", "/data"]).await, "file sub");
    assert_eq!(tool(&engine, &mounts, &["write", "/data/sub/new", "new"]).await, "done");
    assert_eq!(fs::read_to_string(host.join("sub/new")).unwrap(), "new");
    assert_eq!(tool(&engine, &mounts, &["rename", "/data/sub/new", "/data/sub/new"]).await, "done");
    assert_eq!(tool(&engine, &mounts, &["append", "/data/file", "+"]).await, "done");
    // Once by each kind.
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "content+++");
    assert_eq!(tool(&engine, &mounts, &["read", "/data/none"]).await, "error: entity not found");
    assert_eq!(tool(&engine, &mounts, &["read", "/elsewhere/file"]).await, "error: entity not found");
    assert_eq!(tool(&engine, &[], &["read", "/data/file"]).await, "error: entity not found");
}

#[tokio::test]
async fn every_change_of_a_read_only_folder_is_refused() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (_outer, host) = folder();
    let mounts = [read_only(&host, "/data")];
    assert_eq!(tool(&engine, &mounts, &["read", "/data/file"]).await, "content");
    assert_eq!(tool(&engine, &mounts, &["list", "/data"]).await, "file sub");
    for change in [
        &["write", "/data/file", "x"][..],
        &["write", "/data/new", "x"],
        &["append", "/data/file", "x"],
        &["truncate", "/data/file"],
        &["touch", "/data/file"],
        &["mkdir", "/data/new"],
        &["rmdir", "/data/sub"],
        &["remove", "/data/file"],
        &["rename", "/data/file", "/data/new"],
        &["link", "/data/file", "/data/new"],
        &["write", "/data/sub/new", "x"],
    ] {
        assert_eq!(tool(&engine, &mounts, change).await, "error: permission denied", "{change:?}");
    }
    let left: Vec<_> = fs::read_dir(&host).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "content");
    let modified = fs::metadata(host.join("file")).unwrap().modified().unwrap();
    assert!(modified.elapsed().unwrap() < Duration::from_secs(600));
    // Nor by a way around, from a folder that may be changed.
    let (_outer, other) = folder();
    let mounts = [read_only(&host, "/data"), mount(&other, "/other")];
    for change in [&["rename", "/data/file", "/other/new"], &["link", "/data/file", "/other/new"]] {
        assert_eq!(tool(&engine, &mounts, change).await, "error: permission denied", "{change:?}");
    }
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (outer, host) = folder();
    symlink("../secret", host.join("relative")).unwrap();
    symlink(outer.path().join("secret"), host.join("absolute")).unwrap();
    symlink("..", host.join("up")).unwrap();
    symlink("up/secret", host.join("sub/two-steps")).unwrap();
    symlink("/", host.join("root")).unwrap();
    symlink("loop", host.join("loop")).unwrap();
    for mounts in [[mount(&host, "/data")], [read_only(&host, "/data")]] {
        for path in
            ["relative", "absolute", "up/secret", "../secret", "sub/../../secret", "sub/two-steps", "root/etc/passwd"]
        {
            let printed = tool(&engine, &mounts, &["read", &format!("/data/{path}")]).await;
            assert!(printed.starts_with("error: "), "{path}: {printed}");
            let printed = tool(&engine, &mounts, &["write", &format!("/data/{path}"), "x"]).await;
            assert!(printed.starts_with("error: "), "{path}: {printed}");
        }
        for (path, names) in [("up", "error: "), ("root", "error: "), ("sub/..", "absolute"), ("..", "error: ")] {
            let printed = tool(&engine, &mounts, &["list", &format!("/data/{path}")]).await;
            assert!(printed.starts_with(names), "{path}: {printed}");
        }
        assert!(tool(&engine, &mounts, &["read", "/data/loop"]).await.starts_with("error: "));
        // The links themselves can be seen.
        assert_eq!(tool(&engine, &mounts, &["list", "/data"]).await, "absolute file loop relative root sub up");
    }
    assert_eq!(fs::read_to_string(outer.path().join("secret")).unwrap(), "secret");
}

/// A volume as the kubelet lays it out: `key` → `..data/key`, `..data` → the folder of the moment.
fn volume(host: &Path, version: &str) {
    let data = host.join(format!("..{version}"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("key"), version).unwrap();
    symlink(format!("..{version}"), host.join("..data_tmp")).unwrap();
    fs::rename(host.join("..data_tmp"), host.join("..data")).unwrap();
    if !host.join("key").is_symlink() {
        symlink("..data/key", host.join("key")).unwrap();
    }
}

#[tokio::test]
async fn a_running_guest_sees_that_a_volume_was_swapped() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    for (kind, wasm) in TOOLBOXES.iter() {
        let host = tempfile::tempdir().unwrap();
        volume(host.path(), "one");
        let (container, sink) = run(&engine, wasm, |spec| {
            spec.args = args(&["watch", "/etc/config/key", "three"]);
            spec.mounts = vec![read_only(host.path(), "/etc/config")];
        });
        let start = Instant::now();
        for (version, seen) in [("two", "one\n"), ("three", "one\ntwo\n")] {
            while sink.text() != seen {
                assert!(start.elapsed() < Duration::from_secs(20), "{kind}: {}", sink.text());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            volume(host.path(), version);
        }
        assert_eq!(container.wait().await, exited(0));
        assert_eq!(sink.text(), "one\ntwo\nthree\nseen\n", "{kind}");
    }
}

#[tokio::test]
async fn mounts_may_lie_below_each_other() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (_outer, above) = folder();
    let (_other, below) = folder();
    fs::write(below.join("file"), "below").unwrap();
    // In whichever order they are given.
    let above = read_only(&above, "/data");
    let below = mount(&below, "/data/sub/");
    for mounts in [[above.clone(), below.clone()], [below, above]] {
        assert_eq!(tool(&engine, &mounts, &["read", "/data/file"]).await, "content");
        assert_eq!(tool(&engine, &mounts, &["read", "/data/sub/file"]).await, "below");
        assert_eq!(tool(&engine, &mounts, &["write", "/data/new", "x"]).await, "error: permission denied");
        assert_eq!(tool(&engine, &mounts, &["write", "/data/sub/new", "x"]).await, "done");
    }
    let root = [mount(&mounts_root(), "/"), read_only(Path::new("/proc/self"), "/proc/self")];
    assert_eq!(tool(&engine, &root, &["read", "/hello"]).await, "root");
    assert_eq!(tool(&engine, &root, &["read", "hello"]).await, "root");
    assert!(tool(&engine, &root, &["read", "/proc/self/comm"]).await.len() > 1);
}

fn mounts_root() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("root-of-a-guest");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("hello"), "root").unwrap();
    root
}

#[test]
fn folders_that_cannot_be_mounted_are_told_at_the_start() {
    let engine = engine();
    let (outer, host) = folder();
    let error = |mounts: Vec<Mount>| try_run(&engine, &start(""), |spec| spec.mounts = mounts).err().unwrap();
    let none = error(vec![mount(&host, "/data"), mount(&outer.path().join("none"), "/none")]);
    assert!(matches!(&none, RuntimeError::Mount { guest, .. } if guest == "/none"), "{none:?}");
    let text = none.to_string();
    assert!(text.starts_with("the folder \"") && text.contains("none\" cannot be mounted at /none"), "{text}");
    assert!(text.contains("No such file or directory"), "{text}");
    let file = error(vec![read_only(&host.join("file"), "/file")]).to_string();
    assert!(file.contains("Not a directory"), "{file}");
    let twice = error(vec![mount(&host, "/data"), mount(&host, "/data/")]).to_string();
    assert_eq!(twice, "two folders are to be mounted at /data in one container");
    let relative = error(vec![mount(&host, "data")]).to_string();
    assert!(relative.contains("must be absolute"), "{relative}");
}

#[tokio::test]
async fn a_guest_cannot_take_all_file_descriptors_of_the_process() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (_outer, host) = folder();
    for (kind, wasm) in TOOLBOXES.iter() {
        let open = |count: &'static str| {
            run(&engine, wasm, |spec| {
                spec.args = args(&["open-many", "/data/file", count]);
                spec.mounts = vec![mount(&host, "/data")];
            })
        };
        let (container, sink) = open("100");
        assert_eq!(container.wait().await, exited(0), "{kind}");
        assert_eq!(sink.text(), "100 files\n", "{kind}");
        let (container, sink) = open("100000");
        let status = container.wait().await;
        assert_ne!(status.code, 0, "{kind}: {}", sink.text());
    }
}

#[tokio::test]
async fn a_listing_leaves_out_the_name_that_a_guest_cannot_say() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (_outer, host) = folder();
    fs::write(host.join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    assert_eq!(tool(&engine, &[mount(&host, "/data")], &["list", "/data"]).await, "file sub");
}

#[tokio::test]
async fn a_folder_of_thousands_is_listed_in_the_time_that_its_entries_take() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (_outer, host) = folder();
    let mut took = Vec::new();
    for (folder, files) in [("few", 500), ("many", 4000)] {
        fs::create_dir(host.join(folder)).unwrap();
        for file in 0..files {
            fs::write(host.join(folder).join(format!("file-{file:0>20}")), "").unwrap();
        }
        let mut least = Duration::MAX;
        // The least of some: whatever else the machine does makes a listing longer, never shorter.
        for _ in 0..5 {
            let start = Instant::now();
            let names = tool(&engine, &[mount(&host, "/data")], &["list", &format!("/data/{folder}")]).await;
            least = least.min(start.elapsed());
            assert_eq!(names.split(' ').count(), files);
        }
        took.push(least);
    }
    // Eight times as many: were each part a listing of its own, it would be sixty times as long.
    assert!(took[1] < took[0] * 25, "{took:?}");
}
