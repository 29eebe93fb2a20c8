//! Folders below a folder in which others may write while we look: a guest could put a link in the way between a check and its use.
//! So each step is opened from the one before it, without following links, and what was opened is what the guest is given.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, open as open_path, openat};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens `relative` below `root`. `create` is the mode of folders on the way that are not there; without it they must be.
///
/// # Errors
/// Any I/O error; `NotADirectory` too where a step is a link.
pub fn open(root: &Path, relative: &Path, create: Option<u32>) -> io::Result<OwnedFd> {
    let mut folder = open_path(root, FOLDER, Mode::empty())?;
    for component in relative.components() {
        let Component::Normal(name) = component else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}: no plain path", relative.display())));
        };
        let step = || openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        let next = match (step(), create) {
            (Err(Errno::NOENT), Some(mode)) => {
                match mkdirat(&folder, name, Mode::from_raw_mode(mode)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                step()?
            }
            (step, _) => step?,
        };
        folder = next;
    }
    Ok(folder)
}

/// A path to a folder that was opened. It leads there as long as the folder is held open, wherever it is moved to.
pub fn path(folder: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn folders_are_opened_and_made() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/file"), "x").unwrap();
        let folder = open(root.path(), Path::new("a/b"), None).unwrap();
        assert_eq!(fs::read(path(&folder).join("file")).unwrap(), b"x");
        assert_eq!(open(root.path(), Path::new("c"), None).unwrap_err().kind(), io::ErrorKind::NotFound);
        open(root.path(), Path::new("c/d"), Some(0o700)).unwrap();
        assert_eq!(fs::metadata(root.path().join("c/d")).unwrap().permissions().mode() & 0o777, 0o700);
        let same = open(root.path(), Path::new(""), None).unwrap();
        assert!(path(&same).join("a").is_dir());
    }

    #[test]
    fn links_are_not_followed() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(other.path().join("in")).unwrap();
        symlink(other.path(), root.path().join("out")).unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        for relative in ["out", "out/in", "out/new", "dangling", "dangling/new", "file", "..", "../x", "/etc"] {
            assert!(open(root.path(), Path::new(relative), Some(0o700)).is_err(), "{relative}");
        }
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
        assert!(!root.path().join("nowhere").exists());
    }

    #[test]
    fn what_was_opened_stays_what_it_is() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(root.path().join("a")).unwrap();
        let folder = open(root.path(), Path::new("a"), None).unwrap();
        fs::rename(root.path().join("a"), root.path().join("b")).unwrap();
        symlink(other.path(), root.path().join("a")).unwrap();
        fs::write(path(&folder).join("file"), "x").unwrap();
        assert!(root.path().join("b/file").exists() && !other.path().join("file").exists());
    }
}
