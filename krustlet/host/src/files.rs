//! Files that hold secrets or state: private from the first byte, never half written.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

mod tree;

#[cfg(any(test, feature = "testing"))]
pub use self::tree::nest;
pub use self::tree::open_folder;

/// Makes `path` and its missing parents, mode 0700.
///
/// # Errors
/// As [`std::fs::create_dir_all`], the path named.
pub fn private_dir(path: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| named(path, &error))
}

/// Writes `bytes` to `path` in one step: whoever reads sees the old content or the new one, mode 0600 in either case.
///
/// # Errors
/// Any I/O error, the path named; nothing is left behind then.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().ok_or_else(|| io::Error::other(format!("{}: no folder", path.display())))?;
    private_dir(folder)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{}.{}.{count}", file_name(path), std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    written.map_err(|error| {
        // Best effort: the error that matters is the one being reported.
        let _ = fs::remove_file(&temporary);
        named(path, &error)
    })
}

/// The file's content, or `None` when there is no such file.
///
/// # Errors
/// Any other I/O error, the path named.
pub fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(path, &error)),
    }
}

/// When the file was last written.
///
/// # Errors
/// Any I/O error, the path named.
pub fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(|error| named(path, &error))
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// Any other I/O error, the path named.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, &error)),
        _ => Ok(()),
    }
}

/// Removes a folder and all in it, whatever a guest has made of it; a folder that is not there is fine. It may take minutes.
///
/// # Errors
/// The first I/O error of those that kept something from going, the path named; the rest is gone.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    tree::remove(path).map_err(|error| named(path, &error))
}

/// Lets this process open as many files as it may at all: each running container holds some, and by default there are 1024.
///
/// # Errors
/// What the kernel says.
pub fn raise_open_files_limit() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// How many files this process may have open; `None` where there is no limit.
pub fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folders_are_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/key.pem");
        write_private(&path, b"secret").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&root.path().join("a")), 0o700);
        assert_eq!(read_optional(&path).unwrap().unwrap(), b"secret");
    }

    #[test]
    fn a_second_write_replaces_the_first_and_leaves_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_path() {
        let root = tempfile::tempdir().unwrap();
        let blocked = root.path().join("file");
        fs::write(&blocked, b"").unwrap();
        let message = write_private(&blocked.join("x"), b"").unwrap_err().to_string();
        assert!(message.contains("file"), "{message}");
    }

    #[test]
    fn what_is_absent_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(read_optional(&root.path().join("none")).unwrap().is_none());
        remove_tree(&root.path().join("none")).unwrap();
        remove_file(&root.path().join("none")).unwrap();
    }
}
