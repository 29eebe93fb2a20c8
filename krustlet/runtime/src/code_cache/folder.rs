//! The folder of the compiled code cache.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::entry::Entry;

const SUFFIX: &str = ".code";
const SCRATCH_PREFIX: &str = "scratch-";
const TEMPORARY_PREFIX: &str = "new-";

/// Only the process's own user may read or write what is here.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// A folder that belongs to this user alone.
pub(super) struct Folder(PathBuf);

/// What is known of an entry without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    name: String,
    bytes: u64,
    used: SystemTime,
}

impl Folder {
    /// # Errors
    /// When the folder cannot be made, or when others could have put something into it: code is run as it is found.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&path)?;
        let metadata = fs::metadata(&path)?;
        if !metadata.is_dir() || !is_private(&metadata) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others than the owner may use the folder, so nothing in it can be trusted: remove it, or give it to the \
                 agent's user with mode 0700",
            ));
        }
        let folder = Self(path);
        folder.remove_leftovers()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A private, empty folder that is removed with the value.
    pub(super) fn scratch(&self) -> io::Result<TempDir> {
        use std::os::unix::fs::PermissionsExt;
        let permissions = fs::Permissions::from_mode(FOLDER_MODE);
        tempfile::Builder::new().prefix(SCRATCH_PREFIX).permissions(permissions).tempdir_in(&self.0)
    }

    /// What a process left that was killed. Another one that uses the folder at the same time loses what it has in the
    /// making, and compiles once more.
    fn remove_leftovers(&self) -> io::Result<()> {
        for item in fs::read_dir(&self.0)? {
            let item = item?;
            let name = item.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(SCRATCH_PREFIX) {
                let _ = fs::remove_dir_all(item.path());
            } else if name.starts_with(TEMPORARY_PREFIX) {
                let _ = fs::remove_file(item.path());
            }
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}{SUFFIX}"))
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.file(name).is_file()
    }

    /// Takes an entry from another folder of this file system. It is verified when it is read.
    ///
    /// # Errors
    /// Any I/O error.
    pub(super) fn adopt(&self, other: &Path, name: &str) -> io::Result<()> {
        fs::rename(other.join(format!("{name}{SUFFIX}")), self.file(name))
    }

    /// Reads and verifies an entry, and notes that it was used. `None` when there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when it is damaged, or not this user's alone.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Entry>> {
        let mut file = match File::open(self.file(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || !is_private(&metadata) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file of this user alone"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        file.read_to_end(&mut bytes)?;
        let entry = Entry::decode(&bytes)?;
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(entry))
    }

    /// Writes an entry whole or not at all.
    pub(super) fn write(&self, name: &str, entry: &Entry) -> io::Result<()> {
        // The mode of such a file is 0600.
        let mut file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(&self.0)?;
        file.write_all(&entry.encode()?)?;
        file.persist(self.file(name))?;
        Ok(())
    }

    pub(super) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.file(name));
    }

    /// Removes entries that are too old, and the least used ones while all are too large, but for those that are `kept`, by name.
    pub(super) fn prune(&self, max_age: Duration, max_bytes: u64, kept: impl Fn(&str) -> bool) -> io::Result<()> {
        let victims = victims(self.held()?, SystemTime::now(), max_age, max_bytes);
        for name in victims.into_iter().filter(|name| !kept(name)) {
            tracing::debug!(entry = name, "removed from the compiled code cache");
            self.remove(&name);
        }
        Ok(())
    }

    fn held(&self) -> io::Result<Vec<Held>> {
        let mut held = Vec::new();
        for item in fs::read_dir(&self.0)? {
            let item = item?;
            let Some(name) = item.file_name().to_str().and_then(|name| name.strip_suffix(SUFFIX)).map(str::to_owned)
            else {
                continue;
            };
            // It may go while we look.
            if let Ok(metadata) = item.metadata() {
                held.push(Held { name, bytes: metadata.len(), used: metadata.modified()? });
            }
        }
        Ok(held)
    }
}

/// Which entries are to go.
fn victims(mut held: Vec<Held>, now: SystemTime, max_age: Duration, max_bytes: u64) -> Vec<String> {
    held.sort_by_key(|entry| std::cmp::Reverse(entry.used));
    let mut total = 0_u64;
    let mut victims = Vec::new();
    for entry in held {
        // A time in the future, by a clock that was set back, is as good as now.
        let age = now.duration_since(entry.used).unwrap_or_default();
        total = total.saturating_add(entry.bytes);
        if age > max_age || total > max_bytes {
            total = total.saturating_sub(entry.bytes);
            victims.push(entry.name);
        }
    }
    victims
}

fn is_private(metadata: &fs::Metadata) -> bool {
    metadata.mode() & OTHERS == 0 && metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Writes a file that was not there, with its folders, for this user alone.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?.write_all(bytes)
}

/// All files below a folder.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            files.extend(self::files(&item.path())?);
        } else {
            files.push(item.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_go_first_and_then_the_least_used() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let held = |name: &str, bytes, seconds_ago: i64| {
            let age = Duration::from_secs(seconds_ago.unsigned_abs());
            Held { name: name.into(), bytes, used: if seconds_ago < 0 { now + age } else { now - age } }
        };
        let entries = vec![held("b", 40, 20), held("a", 40, 10), held("d", 10, 40), held("c", 40, 30)];
        let victims = |max_age, max_bytes| victims(entries.clone(), now, Duration::from_secs(max_age), max_bytes);
        assert_eq!(victims(100, 130), [""; 0]);
        assert_eq!(victims(35, 130), ["d"]);
        assert_eq!(victims(15, 130), ["b", "c", "d"]);
        assert_eq!(victims(100, 129), ["d"]);
        assert_eq!(victims(100, 100), ["c"], "a small one may stay where a large one has to go");
        assert_eq!(victims(100, 50), ["b", "c"]);
        assert_eq!(victims(100, 0), ["a", "b", "c", "d"]);
        let future = vec![held("future", 1, -1000)];
        assert_eq!(super::victims(future, now, Duration::ZERO, 1), [""; 0]);
    }
}
