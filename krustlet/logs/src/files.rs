//! The files of a container's log: their names, and rotating them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How large a container's log may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file is rotated before it would get larger than this: bytes. A single piece of text larger than this still gets a file.
    pub max_file_bytes: u64,
    /// So many files are kept of an attempt, the one that is being written included; at least 2.
    pub max_files: u32,
}

impl Limits {
    /// The kubelet's: five files of 10 MiB.
    pub const DEFAULT: Self = Self { max_file_bytes: 10 << 20, max_files: 5 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A file of an attempt, by its age: 0 is the one that is written to, 1 the one before it.
pub fn path(container_dir: &Path, attempt: u32, age: u32) -> PathBuf {
    container_dir.join(match age {
        0 => format!("{attempt}.log"),
        age => format!("{attempt}.log.{age}"),
    })
}

/// Attempt and age, if it is the name of a log file.
fn parse(name: &str) -> Option<(u32, u32)> {
    let (attempt, rest) = name.split_once(".log")?;
    let age = match rest {
        "" => 0,
        rest => rest.strip_prefix('.')?.parse().ok().filter(|age| *age > 0)?,
    };
    Some((attempt.parse().ok()?, age))
}

/// Attempts and ages of all files, in no order. A folder that is not there has none.
fn list(container_dir: &Path) -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir(container_dir) else { return Vec::new() };
    entries.filter_map(|entry| parse(entry.ok()?.file_name().to_str()?)).collect()
}

/// The newest attempt that has a file, of those up to `attempt`.
pub fn newest_until(container_dir: &Path, attempt: u32) -> Option<u32> {
    list(container_dir).into_iter().map(|(attempt, _)| attempt).filter(|found| *found <= attempt).max()
}

/// Opens the file of `attempt` for writing at its end, made anew if need be.
pub fn open_for_writing(container_dir: &Path, attempt: u32) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path(container_dir, attempt, 0))
}

/// Opens all files of `attempt`, the oldest first.
///
/// # Errors
/// `NotFound` when there is none; any other I/O error.
pub fn open_all(container_dir: &Path, attempt: u32) -> io::Result<Vec<File>> {
    let mut ages: Vec<u32> =
        list(container_dir).into_iter().filter(|(found, _)| *found == attempt).map(|(_, age)| age).collect();
    ages.sort_unstable_by(|a, b| b.cmp(a));
    let files = open(container_dir, attempt, ages.into_iter())?;
    if files.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(files) }
}

/// Opens the `count` newest files of `attempt`, the oldest first; those that have gone already are left out.
///
/// # Errors
/// Any I/O error but `NotFound`.
pub fn open_newest(container_dir: &Path, attempt: u32, count: u64) -> io::Result<Vec<File>> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let oldest = list(container_dir).into_iter().filter(|(found, _)| *found == attempt).map(|(_, age)| age).max();
    let kept = oldest.map_or(0, |oldest| oldest.saturating_add(1));
    open(container_dir, attempt, (0..count.min(kept)).rev())
}

fn open(container_dir: &Path, attempt: u32, ages: impl Iterator<Item = u32>) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for age in ages {
        match File::open(path(container_dir, attempt, age)) {
            Ok(file) => files.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Makes every file of `attempt` one older and opens a new one for writing. The oldest goes when there are `max_files`.
///
/// # Errors
/// Any I/O error. When the new file cannot be made, because the disk is full, say, nothing has changed.
pub fn rotate(container_dir: &Path, attempt: u32, max_files: u32) -> io::Result<File> {
    let fresh = container_dir.join(format!("{attempt}.log.new"));
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&fresh)?;
    file.set_len(0)?;
    // The last of these renames replaces the file that has to go.
    for age in (0..max_files.max(2) - 1).rev() {
        match fs::rename(path(container_dir, attempt, age), path(container_dir, attempt, age + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(fresh, path(container_dir, attempt, 0))?;
    Ok(file)
}

/// Removes the files of all attempts but `attempt` and the one before it, which is there for `kubectl logs --previous`.
pub fn remove_older(container_dir: &Path, attempt: u32) {
    for (found, age) in list(container_dir).into_iter().filter(|(found, _)| found.saturating_add(1) < attempt) {
        let path = path(container_dir, found, age);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!("an old log cannot be removed: {}: {error}", path.display());
        }
    }
}

/// Removes the files of all attempts, of a container that has ended for good.
pub fn remove(container_dir: &Path) {
    for (attempt, age) in list(container_dir) {
        let path = path(container_dir, attempt, age);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!("a log cannot be removed: {}: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn text(dir: &Path, age: u32) -> String {
        fs::read_to_string(path(dir, 3, age)).unwrap()
    }

    #[test]
    fn names_go_there_and_back() {
        let table = [("0.log", Some((0, 0))), ("12.log", Some((12, 0))), ("7.log.4", Some((7, 4)))];
        for (name, wanted) in table {
            assert_eq!(parse(name), wanted);
            let (attempt, age) = wanted.unwrap();
            assert_eq!(path(Path::new(""), attempt, age), Path::new(name));
        }
        for name in ["", "log", ".log", "x.log", "1.log.0", "1.log.new", "1.logx", "1.log.1.gz", "-1.log"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn files_get_older_and_the_oldest_goes() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        let mut file = open_for_writing(dir, 3).unwrap();
        for n in 0..5 {
            write!(file, "{n}").unwrap();
            file = rotate(dir, 3, 3).unwrap();
        }
        assert_eq!(names(dir), ["3.log", "3.log.1", "3.log.2"]);
        assert_eq!((text(dir, 0).as_str(), text(dir, 1).as_str(), text(dir, 2).as_str()), ("", "4", "3"));
        write!(file, "5").unwrap();
        assert_eq!(text(dir, 0), "5");
    }

    #[test]
    fn a_file_that_is_missing_in_the_row_stops_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::write(path(root.path(), 3, 1), "1").unwrap();
        rotate(root.path(), 3, 5).unwrap();
        assert_eq!(names(root.path()), ["3.log", "3.log.2"]);
        assert_eq!(open_all(root.path(), 3).unwrap().len(), 2);
        assert_eq!(open_newest(root.path(), 3, 2).unwrap().len(), 1);
        assert_eq!(open_newest(root.path(), 3, u64::MAX).unwrap().len(), 2);
    }

    #[test]
    fn a_rotation_that_cannot_be_made_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::write(path(root.path(), 3, 0), "x").unwrap();
        // In the way of the new file.
        fs::create_dir(root.path().join("3.log.new")).unwrap();
        rotate(root.path(), 3, 5).unwrap_err();
        assert_eq!(text(root.path(), 0), "x");
        assert!(!path(root.path(), 3, 1).exists());
    }

    #[test]
    fn the_last_two_attempts_stay_with_all_their_files() {
        let root = tempfile::tempdir().unwrap();
        for name in ["0.log", "0.log.1", "2.log", "3.log", "3.log.1", "4.log", "other"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        assert_eq!((newest_until(root.path(), u32::MAX), newest_until(root.path(), 1)), (Some(4), Some(0)));
        remove_older(root.path(), 4);
        assert_eq!(names(root.path()), ["3.log", "3.log.1", "4.log", "other"]);
        assert_eq!(newest_until(root.path(), 2), None);
        assert_eq!(newest_until(&root.path().join("none"), u32::MAX), None);
        remove(root.path());
        assert_eq!(names(root.path()), ["other"]);
    }
}
