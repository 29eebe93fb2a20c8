//! Listings for modules of preview 1, which ask for a part at a time, by the number of the entry that it begins with.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustix::fs::FileType;
use wasmtime::{Caller, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p1::types::{Errno, Fd, Filetype};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as preview1, WasiSnapshotPreview1};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wiggle::GuestPtr;

use super::{Entry, Listing, identity, list};
use crate::opening::{PREVIEW1, parts};
use crate::run::State;

/// How many listings are kept of a guest that has not seen their end: who goes through a tree has one for each level.
const KEPT: usize = 16;

/// Listings that were not told to their end, by the identity of the folder, the last used one at the end.
#[derive(Default)]
pub(crate) struct Kept(VecDeque<(u64, Listing)>);

impl Kept {
    fn take(&mut self, folder: u64) -> Option<Listing> {
        let at = self.0.iter().position(|(of, _)| *of == folder)?;
        self.0.remove(at).map(|(_, listing)| listing)
    }

    fn keep(&mut self, folder: u64, listing: Listing) {
        while self.0.len() >= KEPT && self.drop_one() {}
        self.0.push_back((folder, listing));
    }

    /// Drops the one that was not used for the longest time; false if there is none.
    fn drop_one(&mut self) -> bool {
        self.0.pop_front().is_some()
    }
}

/// In the place of the stock function.
pub(crate) fn add_to_modules(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        PREVIEW1,
        "fd_readdir",
        |mut caller: Caller<'_, State>, (fd, to, length, from, told): (i32, i32, i32, i64, i32)| {
            Box::new(async move {
                let (mut memory, state) = parts(&mut caller)?;
                let stat = state.wasi.fd_filestat_get(&mut memory, Fd::from(fd)).await;
                let id = stat.ok().filter(|stat| stat.filetype == Filetype::Directory).map(|stat| stat.ino);
                let Some((id, folder)) = id.and_then(|id| Some((id, folder(state, id)?))) else {
                    // Of what is no folder the stock function knows what to say.
                    return preview1::fd_readdir(&mut state.wasi, &mut memory, fd, to, length, from, told).await;
                };
                let part = match part(state, id, &folder, from as u64, length as u32 as usize).await? {
                    Ok(part) => part,
                    Err(error) => return Ok(error as i32),
                };
                let size = part.len() as u32;
                let place = GuestPtr::<[u8]>::new((to as u32, size));
                let written = memory.copy_from_slice(&part, place);
                let written = written.and_then(|()| memory.write(GuestPtr::<u32>::new(told as u32), size));
                Ok(if written.is_ok() { Errno::Success } else { Errno::Fault } as i32)
            })
        },
    )?;
    Ok(())
}

/// An open folder of the guest's. Preview 1 does not tell which of them a descriptor is, but its identity; the same folder has the same
/// entries, whichever way it was opened.
fn folder(state: &mut State, id: u64) -> Option<Arc<File>> {
    state.ctx().table.iter_mut().find_map(|resource| match resource.downcast_ref::<Descriptor>()? {
        Descriptor::Dir(folder) => {
            let metadata = folder.dir.metadata().ok()?;
            (identity(metadata.dev(), metadata.ino()) == id).then(|| folder.dir.clone())
        }
        Descriptor::File(_) => None,
    })
}

/// The entries from the one of that number on, as many as have room; the last one may be cut off, and is told anew with the next part.
pub(super) async fn part(
    state: &mut State,
    id: u64,
    folder: &Arc<File>,
    from: u64,
    room: usize,
) -> wasmtime::Result<Result<Vec<u8>, Errno>> {
    let known = state.listings.take(id);
    let listing = match known {
        Some(known) if from > 0 => known,
        known => {
            drop(known);
            loop {
                match list(&state.limits, folder, true).await? {
                    Ok(Some(listing)) => break listing,
                    // What it keeps it can do without.
                    Ok(None) if state.listings.drop_one() => {}
                    Ok(None) => return Ok(Err(Errno::Nomem)),
                    Err(error) => return Ok(Err(ErrorCode::from(error).into())),
                }
            }
        }
    };
    let (part, is_last) = encode(&listing.entries, id, from, room);
    if !is_last {
        state.listings.keep(id, listing);
    }
    Ok(Ok(part))
}

/// A part, and whether there is none after it.
fn encode(entries: &[Entry], id: u64, from: u64, room: usize) -> (Vec<u8>, bool) {
    let own = [".", ".."].into_iter().map(|name| (name, FileType::Directory, id));
    let all = own.chain(entries.iter().map(|entry| (&*entry.name, entry.kind, entry.identity)));
    let mut part = Vec::new();
    for ((name, kind, identity), next) in all.zip(1_u64..).skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        part.extend(next.to_le_bytes());
        part.extend(identity.to_le_bytes());
        part.extend((name.len() as u32).to_le_bytes());
        part.extend([filetype(kind) as u8, 0, 0, 0]);
        part.extend(name.as_bytes());
        if part.len() >= room {
            part.truncate(room);
            return (part, false);
        }
    }
    (part, true)
}

fn filetype(kind: FileType) -> Filetype {
    match kind {
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Directory => Filetype::Directory,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::BlockDevice => Filetype::BlockDevice,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        FileType::Fifo | FileType::Socket | FileType::Unknown => Filetype::Unknown,
    }
}
