//! Listings for components of WASI 0.3, by streams that the host keeps. The stock function has a thread wait for as long as a guest does not
//! read on.

use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::FileType;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, FutureReader, Linker, Resource, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p3::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use super::{Unread, folder_of, list};
use crate::opening::p3::TYPES;
use crate::run::State;

/// How many entries are told at once where the guest does not say how many.
const AT_ONCE: usize = 32;

/// In the place of the stock function.
pub(super) fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(TYPES)?.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, State>, (folder,): (Resource<Descriptor>,)| {
            Box::new(async move {
                let (stream, end) = match read_directory(store.data_mut(), folder).await? {
                    Ok(stream) => (StreamReader::new(&mut store, stream)?, Ok(())),
                    Err(error) => (StreamReader::new(&mut store, std::iter::empty())?, Err(error)),
                };
                let end = FutureReader::new(&mut store, async move { wasmtime::error::Ok(end) })?;
                Ok(((stream, end),))
            })
        },
    )
}

pub(super) async fn read_directory(
    state: &mut State,
    folder: Resource<Descriptor>,
) -> wasmtime::Result<Result<Unread, ErrorCode>> {
    let Some(folder) = folder_of(state, &folder)? else { return Ok(Err(ErrorCode::NotDirectory)) };
    Ok(match list(&state.limits, &folder, false).await? {
        Ok(Some(listing)) => Ok(listing.into()),
        Ok(None) => Err(ErrorCode::InsufficientMemory),
        Err(error) => Err(error.into()),
    })
}

impl StreamProducer<State> for Unread {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut to: Destination<'a, Self::Item, Self::Buffer>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let room = to.remaining(&mut store).unwrap_or(AT_ONCE);
        if room == 0 {
            // It asks whether there is something to be read.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let entries = self.entries.by_ref().take(room);
        let entries: Vec<_> =
            entries.map(|entry| DirectoryEntry { type_: kind(entry.kind), name: entry.name }).collect();
        to.set_buffer(entries.into());
        Poll::Ready(Ok(if self.entries.len() == 0 { StreamResult::Dropped } else { StreamResult::Completed }))
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
        FileType::Unknown => DescriptorType::Other(None),
    }
}
