//! Folders in which there are named pipes: to open one waits for who opens its other end, for ever where nobody does.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use krustlet_runtime::{Container, Engine, Mount};
use rustix::fs::{CWD, FileType, Mode, OFlags, RenameFlags, mknodat, renameat_with};
use tokio::time::timeout;

use crate::support::{Memory, TOOLBOXES, args, engine, exited, hold_toolboxes, run};

/// More than there are threads for the files of all guests.
const MANY: usize = 70;
/// For what takes milliseconds, on a machine that is busy.
const LONG: Duration = Duration::from_secs(30);

/// A folder with a file, and a pipe that nobody has open.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "content").unwrap();
        mknodat(CWD, folder.path().join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    /// Frees the threads that wait for the pipe, whatever its name is.
    fn drop(&mut self) {
        for name in ["pipe", "file"] {
            let mut both = OpenOptions::new();
            both.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
            drop(both.open(self.path().join(name)));
        }
    }
}

fn tool(engine: &Engine, wasm: &[u8], tenant: &str, folder: &Path, words: &[&str]) -> (Container, Arc<Memory>) {
    run(engine, wasm, |spec| {
        spec.args = args(words);
        spec.mounts = vec![Mount { host: folder.into(), guest: "/data".into(), read_only: false }];
        spec.tenant = Some(tenant.into());
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opens_a_pipe_is_told_and_holds_up_nobody() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (folder, plain) = (Folder::new(), Folder::new());
    for (kind, wasm) in TOOLBOXES.iter() {
        let many: Vec<_> =
            (0..MANY).map(|_| tool(&engine, wasm, "a", folder.path(), &["read", "/data/pipe"])).collect();
        for (container, sink) in many {
            let status = timeout(LONG, container.wait()).await.expect(kind);
            assert_eq!((status, &*sink.text()), (exited(1), "error: unsupported\n"), "{kind}");
        }
        let (container, sink) = tool(&engine, wasm, "b", plain.path(), &["read", "/data/file"]);
        assert_eq!(timeout(LONG, container.wait()).await.expect(kind), exited(0));
        assert_eq!(sink.text(), "content\n", "{kind}");
        for words in [&["write", "/data/pipe", "x"][..], &["append", "/data/pipe", "x"]] {
            let (container, _) = tool(&engine, wasm, "a", folder.path(), words);
            assert_eq!(timeout(LONG, container.wait()).await.expect(kind), exited(1), "{kind}: {words:?}");
        }
        if *kind == "component of 0.3" {
            let (container, sink) = tool(&engine, wasm, "a", folder.path(), &["touch-at", "/data/pipe"]);
            assert_eq!(timeout(LONG, container.wait()).await.expect(kind), exited(1));
            assert_eq!(sink.text(), "error: unsupported\n");
        }
        // It is there all the same.
        for words in
            [&["list", "/data"][..], &["rename", "/data/pipe", "/data/tube"], &["rename", "/data/tube", "/data/pipe"]]
        {
            let (container, sink) = tool(&engine, wasm, "a", folder.path(), words);
            assert_eq!(timeout(LONG, container.wait()).await.expect(kind), exited(0), "{kind}: {}", sink.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_takes_a_files_place_holds_up_its_own_tenant_alone() {
    let engine = engine();
    let _held = hold_toolboxes(&engine);
    let (folder, plain) = (Folder::new(), Folder::new());
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (folder, stop) = (folder.path().to_owned(), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, folder.join("file"), CWD, folder.join("pipe"), RenameFlags::EXCHANGE).unwrap();
            }
        }
    });
    let (_, wasm) = &TOOLBOXES[0];
    let many: Vec<_> =
        (0..4 * MANY).map(|_| tool(&engine, wasm, "a", folder.path(), &["read", "/data/file"])).collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (container, _) in &many {
        container.stop();
    }
    for (kind, wasm) in TOOLBOXES.iter() {
        let (container, sink) = tool(&engine, wasm, "b", plain.path(), &["read", "/data/file"]);
        assert_eq!(timeout(LONG, container.wait()).await.expect(kind), exited(0));
        assert_eq!(sink.text(), "content\n", "{kind}");
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
}
