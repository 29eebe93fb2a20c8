//! Removing a folder that a guest has filled: however deep it is, however long its paths are, whatever its names.
//!
//! A folder below a folder is first moved up, to the one that is to go. So nothing is deeper than two, and neither the stack nor
//! open files nor the longest path that the kernel takes are a limit. No link is followed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

/// Removes a folder and all in it; one that is not there is fine. Blocking, and it may take minutes.
///
/// # Errors
/// The first error of those that kept something from going; the rest is gone.
pub fn remove(folder: &Path) -> io::Result<()> {
    let top = match open_folder(CWD, folder) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(unlinkat(CWD, folder, AtFlags::empty())?),
        Err(error) => return Err(error.into()),
    };
    let mut moved = 0;
    loop {
        let pass = sweep(&top, &mut moved);
        match unlinkat(CWD, folder, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // What was moved up while the folder was read may have been missed.
            Err(Errno::NOTEMPTY | Errno::EXIST) if pass.done > 0 => {}
            Err(error) => return Err(pass.error.unwrap_or(error).into()),
        }
    }
}

#[derive(Default)]
struct Pass {
    /// How many entries went, or went up.
    done: u64,
    error: Option<Errno>,
}

impl Pass {
    /// Whether it was done.
    fn note(&mut self, result: Result<(), Errno>) -> bool {
        match result {
            Ok(()) => self.done += 1,
            // Somebody else was faster.
            Err(Errno::NOENT) => {}
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        result.is_ok()
    }
}

/// Removes what is in the folder; of folders in it, what is no folder.
fn sweep(top: &OwnedFd, moved: &mut u64) -> Pass {
    let mut pass = Pass::default();
    each(top, &mut pass, |pass, name, is_folder| {
        if is_folder {
            match open_folder(top, name) {
                Ok(folder) => each(&folder, pass, |pass, name, is_folder| {
                    let gone = if is_folder { lift(&folder, name, top, moved) } else { unlink(&folder, name) };
                    pass.note(gone);
                }),
                Err(error) => {
                    pass.note(Err(error));
                }
            }
            match unlinkat(top, name, AtFlags::REMOVEDIR) {
                // It is the next pass's.
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                result => {
                    pass.note(result);
                }
            }
        } else {
            pass.note(unlink(top, name));
        }
    });
    pass
}

/// Calls `work` for each entry, with whether it is a folder.
fn each(folder: &OwnedFd, pass: &mut Pass, mut work: impl FnMut(&mut Pass, &CStr, bool)) {
    let entries = match Dir::read_from(folder) {
        Ok(entries) => entries,
        Err(error) => {
            pass.note(Err(error));
            return;
        }
    };
    for entry in entries {
        match entry {
            Ok(entry) if [c".", c".."].contains(&entry.file_name()) => {}
            Ok(entry) => {
                let is_folder = match entry.file_type() {
                    FileType::Unknown => open_folder(folder, entry.file_name()).is_ok(),
                    kind => kind == FileType::Directory,
                };
                work(pass, entry.file_name(), is_folder);
            }
            Err(error) => {
                pass.note(Err(error));
                return;
            }
        }
    }
}

/// Moves a folder up, under a name that nobody has; one that is empty goes.
fn lift(from: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    match unlinkat(from, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        result => return result,
    }
    loop {
        *moved += 1;
        match renameat(from, name, top, format!(".{moved}")) {
            // A guest had that name.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            result => return result,
        }
    }
}

fn unlink(folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    unlinkat(folder, name, AtFlags::empty())
}

/// Opens a folder to read what is in it.
///
/// # Errors
/// What the kernel says: `NOTDIR` or `LOOP` where it is a link.
pub fn open_folder(at: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Makes folders in one another, each of that name, with a file beside each; gives the last one.
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used)]
pub fn nest(root: &Path, name: &str, depth: usize) -> OwnedFd {
    let mut folder = open_folder(CWD, root).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&folder, name, Mode::RWXU).unwrap();
        openat(&folder, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
        folder = open_folder(&folder, name).unwrap();
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    /// On a stack as small as they get.
    fn remove_on_a_small_stack(folder: &Path) -> io::Result<()> {
        let folder = folder.to_path_buf();
        std::thread::Builder::new().stack_size(128 << 10).spawn(move || remove(&folder)).unwrap().join().unwrap()
    }

    #[test]
    fn no_depth_is_too_deep_and_no_path_too_long() {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("top");
        for (name, depth) in [("a", 16_000), (&*"n".repeat(250), 40)] {
            fs::create_dir(&top).unwrap();
            nest(&top, name, depth);
            remove_on_a_small_stack(&top).unwrap();
            assert!(!top.exists(), "{depth} folders");
        }
    }

    #[test]
    fn any_name_goes_and_no_link_is_followed() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("stays"), "x").unwrap();
        let top = root.path().join("top");
        fs::create_dir_all(top.join(OsStr::from_bytes(b"\xff\xfe")).join("in")).unwrap();
        fs::write(top.join(OsStr::from_bytes(b"\xff\xfe/in/\xff")), "").unwrap();
        symlink(other.path(), top.join("link")).unwrap();
        fs::create_dir(top.join("a")).unwrap();
        symlink(other.path(), top.join("a/link")).unwrap();
        symlink("nowhere", top.join("a/dangling")).unwrap();
        // The names that folders are moved to.
        fs::create_dir_all(top.join("a/b/c/d")).unwrap();
        fs::create_dir_all(top.join(".1/x/y/z")).unwrap();
        fs::write(top.join(".2"), "").unwrap();
        remove(&top).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(other.path().join("stays").exists());

        symlink(other.path(), &top).unwrap();
        remove(&top).unwrap();
        assert!(fs::symlink_metadata(&top).is_err() && other.path().join("stays").exists());
        remove(&top).unwrap();
    }

    #[test]
    fn what_cannot_go_is_told_and_ends_it() {
        // The kernel's own: nobody can remove anything there.
        assert!(remove(Path::new("/proc/self/task")).is_err());
    }
}
