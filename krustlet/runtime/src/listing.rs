//! Listings of folders, of which a guest may keep many: each is the host's memory, and counts as the guest's.
//!
//! The stock functions read a folder to its end and fail as a whole for one name that is no UTF-8, which a guest could not even say; such a
//! name is left out here. And they read it anew for each part of it that a module of preview 1 asks for, so that a folder of thousands
//! takes as long as its square; here it is read once. It is read when it is known that the guest may have that much memory, and told with
//! `insufficient-memory` (`ENOMEM`) otherwise.

mod p1;
mod p2;
mod p3;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::vec::IntoIter;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::Descriptor;

pub(crate) use self::p1::{Kept, add_to_modules};
use crate::resources::limits::{Besides, Limits};
use crate::run::State;

/// What an entry takes besides its name: itself twice, as its list grows by doubling, and what the allocator adds to a name.
const ENTRY_BYTES: u64 = 144;
/// What a folder may grow by while it is read, and a quarter of what is in it: bytes.
const ROOM_BYTES: u64 = 64 * 1024;
/// How often a folder is read that others fill meanwhile.
const TRIES: usize = 3;

/// What is in a folder: not itself, nor the one above it.
struct Listing {
    entries: Vec<Entry>,
    /// What of the host's memory it counts for.
    memory: Besides,
}

/// What of a listing is still to be told.
struct Unread {
    entries: IntoIter<Entry>,
    _memory: Besides,
}

impl From<Listing> for Unread {
    fn from(Listing { entries, memory }: Listing) -> Self {
        Self { entries: entries.into_iter(), _memory: memory }
    }
}

struct Entry {
    name: String,
    kind: FileType,
    /// As [`identity`] of what the name leads to; 0 where it was not asked for.
    identity: u64,
}

/// In the place of the stock functions.
pub(crate) fn add_to_components(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    p2::add(linker)?;
    p3::add(linker)
}

/// An open folder of a component's; `None` where it is a file.
fn folder_of(state: &mut State, folder: &Resource<Descriptor>) -> wasmtime::Result<Option<Arc<File>>> {
    Ok(match state.ctx().table.get(folder)? {
        Descriptor::Dir(folder) => Some(folder.dir.clone()),
        Descriptor::File(_) => None,
    })
}

/// Reads a folder; `None` where the guest may not have so much memory.
async fn list(limits: &Limits, folder: &Arc<File>, identities: bool) -> wasmtime::Result<io::Result<Option<Listing>>> {
    for _ in 0..TRIES {
        let again = folder.clone();
        let least = match tokio::task::spawn_blocking(move || size(&again)).await? {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error.into())),
        };
        // A folder may be filled meanwhile.
        let roomy = least.saturating_add(least / 4).saturating_add(ROOM_BYTES);
        let memory = match limits.take_besides(roomy).await? {
            Some(memory) => Some(memory),
            None => limits.take_besides(least).await?,
        };
        let Some(mut memory) = memory else { return Ok(Ok(None)) };
        let (again, bytes) = (folder.clone(), memory.bytes());
        match tokio::task::spawn_blocking(move || read(&again, bytes, identities)).await? {
            Ok(Some(entries)) => {
                memory.shrink_to(entries.iter().fold(0, |sum, entry| sum + taken(entry.name.len())));
                return Ok(Ok(Some(Listing { entries, memory })));
            }
            Ok(None) => {}
            Err(error) => return Ok(Err(error.into())),
        }
    }
    Ok(Ok(None))
}

/// What a listing of the folder would take.
fn size(folder: &File) -> Result<u64, Errno> {
    names(folder)?.try_fold(0_u64, |sum, entry| Ok(sum.saturating_add(taken(entry?.file_name().to_bytes().len()))))
}

fn taken(name: usize) -> u64 {
    name as u64 + ENTRY_BYTES
}

/// The entries; `None` if they are more than they were.
fn read(folder: &File, most: u64, identities: bool) -> Result<Option<Vec<Entry>>, Errno> {
    let (mut entries, mut left) = (Vec::new(), most);
    for entry in names(folder)? {
        let entry = entry?;
        let Some(rest) = left.checked_sub(taken(entry.file_name().to_bytes().len())) else { return Ok(None) };
        left = rest;
        if [c".", c".."].contains(&entry.file_name()) {
            continue;
        }
        let Ok(name) = entry.file_name().to_str() else { continue };
        let (kind, identity) = match entry.file_type() {
            kind if kind != FileType::Unknown && !identities => (kind, 0),
            _ => match statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => (FileType::from_raw_mode(stat.st_mode), identity(stat.st_dev, stat.st_ino)),
                // It has gone.
                Err(Errno::NOENT) => continue,
                // Its name may be read and no more.
                Err(_) if entry.file_type() != FileType::Unknown => (entry.file_type(), 0),
                Err(error) => return Err(error),
            },
        };
        entries.push(Entry { name: name.to_owned(), kind, identity });
    }
    Ok(Some(entries))
}

fn names(folder: &File) -> Result<Dir, Errno> {
    // The handle itself may be one by which nothing can be read (O_PATH).
    openat(folder, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).and_then(Dir::new)
}

/// What guests know a file by: the same as the stock functions tell of it.
fn identity(device: u64, inode: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (device, inode).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
