//! Listings for components of WASI 0.2, by streams that they keep.

use rustix::fs::FileType;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use super::{Unread, folder_of, list};
use crate::opening::p2::TYPES;
use crate::run::State;

/// In the place of the stock functions.
pub(super) fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, State>, (folder,): (Resource<Descriptor>,)| {
            Box::new(async move { Ok((read_directory(store.data_mut(), folder).await?,)) })
        },
    )?;
    types.func_wrap(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store: StoreContextMut<'_, State>, (stream,): (Resource<Unread>,)| {
            let entry = store.data_mut().ctx().table.get_mut(&stream)?.entries.next();
            let entry = entry.map(|entry| DirectoryEntry { type_: kind(entry.kind), name: entry.name });
            Ok((Ok::<_, ErrorCode>(entry),))
        },
    )?;
    types.resource("directory-entry-stream", ResourceType::host::<Unread>(), |mut store, handle| {
        store.data_mut().ctx().table.delete(Resource::<Unread>::new_own(handle))?;
        Ok(())
    })
}

pub(super) async fn read_directory(
    state: &mut State,
    folder: Resource<Descriptor>,
) -> wasmtime::Result<Result<Resource<Unread>, ErrorCode>> {
    let Some(folder) = folder_of(state, &folder)? else { return Ok(Err(ErrorCode::NotDirectory)) };
    match list(&state.limits, &folder, false).await? {
        Ok(Some(listing)) => Ok(Ok(state.ctx().table.push(Unread::from(listing))?)),
        Ok(None) => Ok(Err(ErrorCode::InsufficientMemory)),
        Err(error) => Ok(Err(error.into())),
    }
}

fn kind(kind: FileType) -> DescriptorType {
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::Unknown => DescriptorType::Unknown,
    }
}
