//! Listings of folders, of which a component may keep many: each is the host's memory, and counts as the guest's.
//!
//! The stock `read-directory` reads a folder to its end and keeps what it has read until the stream is dropped. It is done here once it is
//! known that the guest may have that much, and told with `insufficient-memory` otherwise. A module of preview 1 keeps no listing beyond a
//! call.

use std::fs::File;
use std::sync::Arc;

use rustix::fs::{Dir, Mode, OFlags, openat};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::ReaddirIterator;
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor, HostDirectoryEntryStream};

use crate::run::State;

/// The interface, in the version that the stock functions have.
const TYPES: &str = "wasi:filesystem/types@0.2.12";
/// What an entry takes besides its name: itself twice, as its list grows by doubling, and what the allocator adds to a name.
const ENTRY_BYTES: u64 = 96;

/// In the place of the stock functions.
pub(crate) fn add_to_components(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, State>, (folder,): (Resource<Descriptor>,)| {
            Box::new(async move { Ok((read_directory(store.data_mut(), folder).await?,)) })
        },
    )?;
    types.resource("directory-entry-stream", ResourceType::host::<ReaddirIterator>(), |mut store, handle| {
        drop_stream(store.data_mut(), handle)
    })
}

async fn read_directory(
    state: &mut State,
    folder: Resource<Descriptor>,
) -> wasmtime::Result<Result<Resource<ReaddirIterator>, ErrorCode>> {
    // Of what is no folder, or cannot be read, the stock function knows what to say.
    let file = match state.ctx().table.get(&folder)? {
        Descriptor::Dir(folder) => Some(folder.dir.clone()),
        Descriptor::File(_) => None,
    };
    let bytes = match file {
        Some(file) => tokio::task::spawn_blocking(move || size(&file)).await?,
        None => 0,
    };
    if !state.limits.take_besides(bytes).await? {
        return Ok(Err(ErrorCode::InsufficientMemory));
    }
    match state.filesystem().read_directory(folder).await {
        Ok(stream) => {
            state.listings.insert(stream.rep(), bytes);
            Ok(Ok(stream))
        }
        Err(error) => {
            state.limits.give_back(bytes);
            error.downcast().map(Err)
        }
    }
}

fn drop_stream(state: &mut State, handle: u32) -> wasmtime::Result<()> {
    HostDirectoryEntryStream::drop(&mut state.filesystem(), Resource::new_own(handle))?;
    let bytes = state.listings.remove(&handle).unwrap_or(0);
    state.limits.give_back(bytes);
    Ok(())
}

/// What a listing of the folder would take.
fn size(folder: &Arc<File>) -> u64 {
    // The handle itself may be one by which nothing can be read (O_PATH).
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(entries) = openat(folder, c".", flags, Mode::empty()).and_then(Dir::new) else { return 0 };
    let names = entries.map_while(Result::ok).map(|entry| entry.file_name().to_bytes().len() as u64);
    names.fold(0, |sum, name| sum.saturating_add(name + ENTRY_BYTES))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use krustlet_http::{Client, Egress, HostNetwork, HttpAccess};
    use wasmtime_wasi::p2::bindings::filesystem::preopens::Host;
    use wasmtime_wasi::{FsPerms, WasiCtx};

    use super::*;
    use crate::http::{GuestHttp, Side};
    use crate::limits::Limits;
    use crate::memory::MemoryBudget;

    #[tokio::test]
    async fn listings_that_a_guest_keeps_are_its_memory() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..1000 {
            fs::write(root.path().join(format!("{number:0>200}")), "").unwrap();
        }
        let wasi = WasiCtx::builder().preopened_dir(root.path(), "/d", FsPerms::ReadOnly).unwrap().build_p1();
        let http = Client::new(None, Arc::new(HostNetwork::default()), Egress::default()).unwrap();
        let http = GuestHttp::new(http.session(HttpAccess::default()), Side::Client);
        let budget = MemoryBudget::new(10 << 20);
        let mut state = State::new(wasi, http, Limits::new(1 << 20, budget.share(), Arc::default()));
        let folders = Host::get_directories(&mut state.filesystem()).unwrap();
        let folder = || Resource::new_own(folders[0].0.rep());

        let mut streams = Vec::new();
        // Were nothing counted, this would go on until the machine has no memory left.
        while let Ok(stream) = read_directory(&mut state, folder()).await.unwrap() {
            streams.push(stream.rep());
            assert!(streams.len() < 100);
        }
        // Each is some 300 KB.
        assert_eq!(streams.len(), 3);
        let full = budget.used_bytes();
        assert!(full > 800_000 && full <= 1 << 20, "{full}");
        let refused = read_directory(&mut state, folder()).await.unwrap();
        assert!(matches!(refused, Err(ErrorCode::InsufficientMemory)));
        drop_stream(&mut state, streams[0]).unwrap();
        let again = read_directory(&mut state, folder()).await.unwrap().unwrap();
        assert_eq!(budget.used_bytes(), full);
        for stream in [streams[1], streams[2], again.rep()] {
            drop_stream(&mut state, stream).unwrap();
        }
        assert_eq!(budget.used_bytes(), 0);
    }
}
