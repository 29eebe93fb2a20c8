use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use krustlet_http::{Client, Egress, HostNetwork, HttpAccess};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode as ErrorCode3;
use wasmtime_wasi::{FsPerms, WasiCtx};

use super::*;
use crate::http::{GuestHttp, Side};
use crate::resources::memory::MemoryBudget;
use crate::resources::usage::Meter;
use crate::run::State;

fn state(root: &Path, limit: u64, budget: &MemoryBudget) -> State {
    let wasi = WasiCtx::builder().preopened_dir(root, "/d", FsPerms::ReadOnly).unwrap().build_p1();
    let http = Client::new(None, Arc::new(HostNetwork::default()), Egress::default(), usize::MAX).unwrap();
    let http = GuestHttp::new(http.session(HttpAccess::default()), Side::Client, None);
    State::new(wasi, http, Limits::new(budget.share(), Arc::new(Meter::new(limit))))
}

fn thousand() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for number in 0..1000 {
        fs::write(root.path().join(format!("{number:0>200}")), "").unwrap();
    }
    root
}

/// The folder that the guest was given.
fn folder(state: &mut State) -> Resource<Descriptor> {
    Host::get_directories(&mut state.filesystem()).unwrap().remove(0).0
}

#[tokio::test]
async fn listings_that_a_component_keeps_are_its_memory() {
    let (root, budget) = (thousand(), MemoryBudget::new(10 << 20));
    let mut state = state(root.path(), 1 << 20, &budget);
    let folder = folder(&mut state).rep();
    let folder = || Resource::new_own(folder);

    let mut streams = Vec::new();
    // Were nothing counted, this would go on until the machine has no memory left.
    while let Ok(stream) = p2::read_directory(&mut state, folder()).await.unwrap() {
        streams.push(stream.rep());
        assert!(streams.len() < 100);
    }
    // Each is some 340 KB.
    assert_eq!(streams.len(), 3);
    let full = budget.used_bytes();
    assert!(full > 800_000 && full <= 1 << 20, "{full}");
    let refused = p2::read_directory(&mut state, folder()).await.unwrap();
    assert!(matches!(refused, Err(ErrorCode::InsufficientMemory)));
    let drop_stream = |state: &mut State, stream| {
        drop(state.ctx().table.delete(Resource::<Unread>::new_own(stream)).unwrap());
    };
    drop_stream(&mut state, streams[0]);
    let again = p2::read_directory(&mut state, folder()).await.unwrap().unwrap();
    assert_eq!(budget.used_bytes(), full);
    for stream in [streams[1], streams[2], again.rep()] {
        drop_stream(&mut state, stream);
    }
    assert_eq!(budget.used_bytes(), 0);
}

#[tokio::test]
async fn so_are_those_of_a_component_of_wasi_0_3() {
    let (root, budget) = (thousand(), MemoryBudget::new(10 << 20));
    let mut state = state(root.path(), 1 << 20, &budget);
    let folder = folder(&mut state).rep();
    let mut streams = Vec::new();
    while let Ok(stream) = p3::read_directory(&mut state, Resource::new_own(folder)).await.unwrap() {
        streams.push(stream);
        assert!(streams.len() < 100);
    }
    assert_eq!(streams.len(), 3);
    let refused = p3::read_directory(&mut state, Resource::new_own(folder)).await.unwrap();
    assert!(matches!(refused, Err(ErrorCode3::InsufficientMemory)));
    // It outlives what it was taken from, as it does where a guest is ended.
    drop(state);
    assert!(budget.used_bytes() > 800_000, "{}", budget.used_bytes());
    drop(streams);
    assert_eq!(budget.used_bytes(), 0);
}

#[tokio::test]
async fn listings_that_a_module_has_not_seen_to_their_end_are_its_memory_and_give_way_to_others() {
    let (root, budget) = (thousand(), MemoryBudget::new(10 << 20));
    let mut state = state(root.path(), 1 << 20, &budget);
    let folder = Arc::new(fs::File::open(root.path()).unwrap());
    for id in 0..10 {
        let part = p1::part(&mut state, id, &folder, 0, 1000).await.unwrap().unwrap();
        assert_eq!(part.len(), 1000);
        assert!(budget.used_bytes() <= 1 << 20);
    }
    assert!(budget.used_bytes() > 800_000);
    // To the end, each.
    for id in 0..10 {
        let part = p1::part(&mut state, id, &folder, 2, 1 << 20).await.unwrap().unwrap();
        assert_eq!(part.len(), 1000 * 224);
    }
    assert_eq!(budget.used_bytes(), 0);

    let mut poor = self::state(root.path(), 100_000, &budget);
    let refused = p1::part(&mut poor, 1, &folder, 0, 1000).await.unwrap();
    assert!(matches!(refused, Err(wasmtime_wasi::p1::types::Errno::Nomem)));
}

#[test]
fn a_name_that_nobody_could_say_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    fs::write(root.path().join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    let folder = fs::File::open(root.path()).unwrap();
    for identities in [false, true] {
        let mut entries = read(&folder, size(&folder).unwrap(), identities).unwrap().unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<_> = entries.iter().map(|entry| (&*entry.name, entry.kind)).collect();
        assert_eq!(names, [("file", FileType::RegularFile), ("folder", FileType::Directory)]);
        assert!(entries.iter().all(|entry| (entry.identity != 0) == identities));
    }
    // Somebody filled it meanwhile.
    assert!(read(&folder, size(&folder).unwrap() - 1, false).unwrap().is_none());
}
