//! How much of the disk a folder takes that a guest may write to.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;

use krustlet_host::files;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Stat, fstat, statat};
use rustix::io::Errno;

/// What `st_blocks` counts in.
const BLOCK: u64 = 512;
/// What a file takes besides its blocks, in bytes: an empty one has none, and a disk has room for so many.
const INODE: u64 = 256;
/// How many folders in one another are held open: nobody's programs have more. Below that the way back is by `..`.
const HELD: usize = 64;

/// How many bytes of the disk the files in `folder` take; [`u64::MAX`] where that is more than `most`. Blocking I/O. What goes while it
/// looks counts for nothing; what cannot be looked at counts as more, but where the host lacks what it takes to look: then it is `None`.
///
/// A guest may change it all meanwhile, so that each folder is opened from the one that it is in, without following links.
pub fn used(folder: &Path, most: u64) -> Option<u64> {
    measure(folder, most).map(|taken| taken.bytes)
}

/// What the files in a folder take of the disk. Of both it is [`u64::MAX`] where that cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// As [`used`].
    pub bytes: u64,
    /// Files and folders in it.
    pub files: u64,
}

/// All that the files in `folder` take, as [`used`].
pub fn taken(folder: &Path) -> Option<Taken> {
    measure(folder, u64::MAX)
}

fn measure(folder: &Path, most: u64) -> Option<Taken> {
    let mut count = Count { left: most, files: 0, linked: HashSet::new() };
    let looked_at = match files::open_folder(CWD, folder) {
        Ok(top) => walk(top, &mut count),
        Err(error) if is_gone(error) => Ok(()),
        Err(error) => Err(error.into()),
    };
    match looked_at {
        Ok(()) => Some(Taken { bytes: most - count.left, files: count.files }),
        Err(Halt::Over) => Some(Taken { bytes: u64::MAX, files: u64::MAX }),
        Err(Halt::Host) => None,
    }
}

/// Why it is not looked at to the end.
enum Halt {
    /// It is more than the limit, or more than can be looked at.
    Over,
    /// The host has no open files or no memory left.
    Host,
}

impl From<Errno> for Halt {
    fn from(error: Errno) -> Self {
        match error {
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Host,
            _ => Self::Over,
        }
    }
}

struct Count {
    left: u64,
    files: u64,
    /// Files with several names that were counted already.
    linked: HashSet<u64>,
}

impl Count {
    fn take(&mut self, file: &Stat) -> Result<(), Halt> {
        let is_folder = FileType::from_raw_mode(file.st_mode) == FileType::Directory;
        if file.st_nlink > 1 && !is_folder && !self.linked.insert(file.st_ino) {
            return Ok(());
        }
        self.files += 1;
        let blocks = u64::try_from(file.st_blocks).unwrap_or(0);
        self.left = self.left.checked_sub(blocks.saturating_mul(BLOCK).saturating_add(INODE)).ok_or(Halt::Over)?;
        Ok(())
    }
}

/// A folder on the way to the one that is looked at.
struct Level {
    /// None when there are too many open; then it is found again from below.
    folder: Option<OwnedFd>,
    id: (u64, u64),
    /// Folders in it that are still to be looked at.
    rest: Vec<CString>,
}

fn walk(top: OwnedFd, count: &mut Count) -> Result<(), Halt> {
    let mut levels = vec![level(top, count)?];
    while let Some(current) = levels.last_mut() {
        let folder = current.folder.as_ref().ok_or(Halt::Over)?;
        if let Some(name) = current.rest.pop() {
            match files::open_folder(folder, &*name) {
                Ok(next) => levels.push(level(next, count)?),
                Err(error) if is_gone(error) => continue,
                Err(error) => return Err(error.into()),
            }
            if let Some(far) = levels.len().checked_sub(HELD) {
                levels[far].folder = None;
            }
        } else {
            let done = levels.pop().and_then(|level| level.folder);
            if let (Some(above), Some(done)) = (levels.last_mut().filter(|above| above.folder.is_none()), done) {
                let parent = files::open_folder(&done, "..")?;
                // Moved away by the guest: nobody who means well does that so far down.
                if id(&fstat(&parent)?) != above.id {
                    return Err(Halt::Over);
                }
                above.folder = Some(parent);
            }
        }
    }
    Ok(())
}

/// Counts what is in a folder itself.
fn level(folder: OwnedFd, count: &mut Count) -> Result<Level, Halt> {
    let own = fstat(&folder)?;
    let mut rest = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        // Of the link itself, not of what it leads to.
        let Ok(file) = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        count.take(&file)?;
        if FileType::from_raw_mode(file.st_mode) == FileType::Directory {
            rest.push(name.to_owned());
        }
    }
    Ok(Level { folder: Some(folder), id: id(&own), rest })
}

fn id(file: &Stat) -> (u64, u64) {
    (file.st_dev, file.st_ino)
}

/// It went, or is no folder any more.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    use rustix::fs::{Mode, OFlags, openat};

    fn exceeds(folder: &Path, bytes: u64) -> bool {
        used(folder, bytes) == Some(u64::MAX)
    }

    #[test]
    fn all_files_count_and_links_do_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("v");
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(root.path().join("outside"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink("../outside", folder.join("link")).unwrap();
        std::os::unix::fs::symlink("..", folder.join("a/up")).unwrap();
        fs::write(folder.join("a/b/file"), vec![1; 200_000]).unwrap();
        fs::hard_link(folder.join("a/b/file"), folder.join("a/same")).unwrap();
        assert!(!exceeds(&folder, 350_000));
        assert!(exceeds(&folder, 190_000));
        fs::write(folder.join("more"), vec![1; 200_000]).unwrap();
        assert!(exceeds(&folder, 350_000));
        assert_eq!(used(&root.path().join("none"), 0), Some(0));
        let exact = used(&folder, u64::MAX - 1).unwrap();
        // Two folders, two files, one of them with two names, and two links.
        assert_eq!(taken(&folder), Some(Taken { bytes: exact, files: 6 }));
        assert!(exact > 400_000 && !exceeds(&folder, exact) && exceeds(&folder, exact - 1), "{exact}");
    }

    #[test]
    fn what_the_host_lacks_is_nobodys_usage() {
        let halts = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::ACCESS, Errno::IO].map(Halt::from);
        assert_eq!(halts.map(|halt| matches!(halt, Halt::Host)), [true, true, true, false, false]);
    }

    #[test]
    fn what_is_far_down_counts() {
        for (name, depth) in [(&*"n".repeat(250), 40), ("a", 5000)] {
            let root = tempfile::tempdir().unwrap();
            let limit = 10_000 * depth as u64;
            let last = files::nest(root.path(), name, depth);
            assert!(!exceeds(root.path(), limit), "{depth} folders");
            let file = openat(&last, "much", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            fs::File::from(file).write_all(&vec![1; 10_000 * depth]).unwrap();
            assert!(exceeds(root.path(), limit), "{depth} folders");
            files::remove_tree(root.path()).unwrap();
        }
    }

    #[test]
    fn files_without_bytes_count() {
        let root = tempfile::tempdir().unwrap();
        for at in 0..2000 {
            fs::write(root.path().join(at.to_string()), "").unwrap();
        }
        assert!(exceeds(root.path(), 400_000));
        assert!(!exceeds(root.path(), 600_000));
    }
}
