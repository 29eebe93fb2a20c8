//! The way to a folder, gone step by step: what is on it may be changed by guests while we look, who could put a link in the way between
//! a check and its use.
//!
//! Each folder is opened from the one before it, and never through a link: where there is one, its text is read, and the way goes on along
//! that. So it is known, of the very folder that was opened, in which folders it is; and what was opened is what a guest is given.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, mkdirat, openat, readlinkat};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// So many links are followed at most, as by the kernel.
const LINKS: usize = 40;
/// So deep a folder may be: each on the way is held open while it is gone.
const DEPTH: usize = 128;
/// So many folders it may come through, where links lead about.
const LONGEST: usize = 4096;

/// What tells a folder from every other: its device and its inode.
pub type Id = (u64, u64);

/// A way that began at `/`, and where it has come to.
#[derive(Debug)]
pub struct Walk {
    /// `/`.
    top: (OwnedFd, Id),
    /// The folders in one another, from the one in `/` to the last.
    way: Vec<(OwnedFd, Id)>,
    /// All folders that it came through, those included from which a link or `..` led away.
    passed: Vec<Id>,
    links: usize,
}

impl Walk {
    /// One that is at `/`.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn begin() -> io::Result<Self> {
        let top = openat(CWD, "/", FOLDER, Mode::empty())?;
        let id = id(&top)?;
        Ok(Self { top: (top, id), way: Vec::new(), passed: vec![id], links: 0 })
    }

    /// Goes to `path`, which is absolute, as [`on`](Self::on).
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn to(path: &Path) -> io::Result<(Self, PathBuf)> {
        let mut walk = Self::begin()?;
        let rest = walk.on(path)?;
        Ok((walk, rest))
    }

    /// Goes on along `path`, as far as it is there. The rest, empty if all is there, is a plain relative path.
    ///
    /// # Errors
    /// Any I/O error: of `NotADirectory` where it leads through a file, or to one. Then it is where it could not go on.
    pub fn on(&mut self, path: &Path) -> io::Result<PathBuf> {
        let mut steps = VecDeque::new();
        prepend(&mut steps, path);
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Top => self.way.clear(),
                // The folder above `/` is `/` itself.
                Step::Up => drop(self.way.pop()),
                Step::Down(name) => match self.enter(&name) {
                    Ok(()) => {}
                    Err(Errno::NOENT) => return rest(name, steps),
                    Err(Errno::NOTDIR | Errno::LOOP) => {
                        self.links += 1;
                        if self.links > LINKS {
                            return Err(Errno::LOOP.into());
                        }
                        prepend(&mut steps, &self.link(&name)?);
                    }
                    Err(error) => return Err(error.into()),
                },
            }
        }
        Ok(PathBuf::new())
    }

    /// Makes the rest of the way, of folders with this mode. Others may be doing the same.
    ///
    /// # Errors
    /// Any I/O error: of `NotADirectory` where there is something else meanwhile.
    pub fn make(&mut self, rest: &Path, mode: u32) -> io::Result<()> {
        for component in rest.components() {
            let Component::Normal(name) = component else { return Err(Errno::INVAL.into()) };
            match mkdirat(&self.last().0, name, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => self.enter(name)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What it has come to.
    pub fn id(&self) -> Id {
        self.last().1
    }

    /// Whether it has come to that folder, or into it.
    pub fn is_in(&self, folder: Id) -> bool {
        self.top.1 == folder || self.way.iter().any(|(_, id)| *id == folder)
    }

    /// All folders that it came through on the way, and the last.
    pub fn passed(&self) -> &[Id] {
        &self.passed
    }

    /// The last folder.
    pub fn into_folder(mut self) -> OwnedFd {
        self.way.pop().unwrap_or(self.top).0
    }

    fn enter(&mut self, name: &OsStr) -> Result<(), Errno> {
        let folder = openat(&self.last().0, name, FOLDER, Mode::empty())?;
        if self.way.len() >= DEPTH || self.passed.len() >= LONGEST {
            return Err(Errno::NAMETOOLONG);
        }
        let id = id(&folder)?;
        self.way.push((folder, id));
        self.passed.push(id);
        Ok(())
    }

    fn link(&self, name: &OsStr) -> io::Result<PathBuf> {
        match readlinkat(&self.last().0, name, Vec::new()) {
            Ok(target) => Ok(OsString::from_vec(target.into_bytes()).into()),
            // It is no link.
            Err(Errno::INVAL) => Err(Errno::NOTDIR.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn last(&self) -> &(OwnedFd, Id) {
        self.way.last().unwrap_or(&self.top)
    }
}

/// A path to a folder that was opened. It leads there as long as the folder is held open, wherever it is moved to.
pub fn path(folder: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

enum Step {
    Top,
    Up,
    Down(OsString),
}

fn prepend(steps: &mut VecDeque<Step>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::RootDir => steps.push_front(Step::Top),
            Component::ParentDir => steps.push_front(Step::Up),
            Component::Normal(name) => steps.push_front(Step::Down(name.to_owned())),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// What is not there: a plain path, or the kernel would not find it either.
fn rest(first: OsString, steps: VecDeque<Step>) -> io::Result<PathBuf> {
    let mut rest = PathBuf::from(first);
    for step in steps {
        match step {
            Step::Down(name) => rest.push(name),
            Step::Up | Step::Top => return Err(Errno::NOENT.into()),
        }
    }
    Ok(rest)
}

fn id(folder: &OwnedFd) -> Result<Id, Errno> {
    fstat(folder).map(|stat| (stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn id_of(path: &Path) -> Id {
        fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).unwrap()
    }

    #[test]
    fn it_comes_to_where_the_kernel_would_and_knows_what_it_came_through() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::create_dir_all(other.path().join("in/deep")).unwrap();
        symlink(other.path().join("in"), root.path().join("out")).unwrap();
        symlink("../a", root.path().join("a/self")).unwrap();
        for path in ["a/b", "out", "out/deep", "a/self/self/b", "out/..", "a/../out/deep", "/", "/proc/self/task"] {
            let path = root.path().join(path);
            let (walk, rest) = Walk::to(&path).unwrap();
            assert_eq!((walk.id(), rest), (id_of(&path), PathBuf::new()), "{}", path.display());
        }
        let (walk, _) = Walk::to(&root.path().join("out/deep")).unwrap();
        assert!(walk.is_in(id_of(other.path())) && walk.is_in(id_of(Path::new("/"))));
        assert!(!walk.is_in(id_of(root.path())));
        assert!(walk.passed().contains(&id_of(root.path())) && walk.passed().contains(&id_of(other.path())));
    }

    #[test]
    fn what_is_not_there_is_told_and_made() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        symlink("a/new", root.path().join("dangling")).unwrap();
        symlink("a/none/..", root.path().join("through-nothing")).unwrap();
        let rest_of = |path: &str| Walk::to(&root.path().join(path)).map(|(_, rest)| rest);
        assert_eq!(rest_of("a/b/c").unwrap(), Path::new("b/c"));
        assert_eq!(rest_of("dangling/x").unwrap(), Path::new("new/x"));
        assert_eq!(rest_of("through-nothing").unwrap_err().kind(), io::ErrorKind::NotFound);
        let (mut walk, rest) = Walk::to(&root.path().join("a/b/c")).unwrap();
        let mut second = Walk::to(&root.path().join("a/b/c")).unwrap().0;
        for walk in [&mut walk, &mut second] {
            walk.make(&rest, 0o700).unwrap();
            assert_eq!(walk.id(), id_of(&root.path().join("a/b/c")));
        }
        assert_eq!(fs::metadata(root.path().join("a/b/c")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn no_link_that_comes_meanwhile_is_followed() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(root.path().join("a")).unwrap();
        let (mut walk, rest) = Walk::to(&root.path().join("a/new")).unwrap();
        symlink(other.path(), root.path().join("a/new")).unwrap();
        assert!(walk.make(&rest.join("x"), 0o700).is_err());
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);

        let folder = Walk::to(&root.path().join("a")).unwrap().0.into_folder();
        fs::rename(root.path().join("a"), root.path().join("b")).unwrap();
        symlink(other.path(), root.path().join("a")).unwrap();
        fs::write(path(&folder).join("file"), "x").unwrap();
        assert!(root.path().join("b/file").exists() && !other.path().join("file").exists());
    }

    #[test]
    fn files_circles_and_depths_end_it() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        let kind = |path: &str| Walk::to(&root.path().join(path)).unwrap_err().kind();
        assert_eq!([kind("file"), kind("file/x")], [io::ErrorKind::NotADirectory; 2]);
        assert_eq!(Walk::to(&root.path().join("a")).unwrap_err().raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        krustlet_host::files::nest(root.path(), "n", 200);
        assert!(Walk::to(&root.path().join("n/".repeat(100))).is_ok());
        assert!(Walk::to(&root.path().join("n/".repeat(200))).is_err());
    }
}
