//! Listings for components, by streams that they keep.

use std::vec::IntoIter;

use rustix::fs::FileType;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use super::{Entry, list};
use crate::run::State;

/// The interface, in the version that the stock functions have.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// What of a listing is still to be told.
pub(super) struct Stream {
    entries: IntoIter<Entry>,
    bytes: u64,
}

/// In the place of the stock functions.
pub(crate) fn add_to_components(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, State>, (folder,): (Resource<Descriptor>,)| {
            Box::new(async move { Ok((read_directory(store.data_mut(), folder).await?,)) })
        },
    )?;
    types.func_wrap(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store: StoreContextMut<'_, State>, (stream,): (Resource<Stream>,)| {
            let entry = store.data_mut().ctx().table.get_mut(&stream)?.entries.next();
            let entry = entry.map(|entry| DirectoryEntry { type_: kind(entry.kind), name: entry.name });
            Ok((Ok::<_, ErrorCode>(entry),))
        },
    )?;
    types.resource("directory-entry-stream", ResourceType::host::<Stream>(), |mut store, handle| {
        drop_stream(store.data_mut(), Resource::new_own(handle))
    })
}

pub(super) async fn read_directory(
    state: &mut State,
    folder: Resource<Descriptor>,
) -> wasmtime::Result<Result<Resource<Stream>, ErrorCode>> {
    let file = match state.ctx().table.get(&folder)? {
        Descriptor::Dir(folder) => folder.dir.clone(),
        Descriptor::File(_) => return Ok(Err(ErrorCode::NotDirectory)),
    };
    match list(&mut state.limits, &file, false).await? {
        Ok(Some(listing)) => {
            let stream = Stream { entries: listing.entries.into_iter(), bytes: listing.bytes };
            let pushed = state.ctx().table.push(stream);
            if pushed.is_err() {
                state.limits.give_back(listing.bytes);
            }
            Ok(Ok(pushed?))
        }
        Ok(None) => Ok(Err(ErrorCode::InsufficientMemory)),
        Err(error) => Ok(Err(error.into())),
    }
}

pub(super) fn drop_stream(state: &mut State, stream: Resource<Stream>) -> wasmtime::Result<()> {
    let stream = state.ctx().table.delete(stream)?;
    state.limits.give_back(stream.bytes);
    Ok(())
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
