//! Paths that come from the API. The API server checks them; they become files of this machine, so they are checked again.

use std::path::{Component, Path, PathBuf};

use crate::lifecycle::not_started::NotStarted;

/// The most bytes that a file system takes for a name.
const LONGEST_NAME: usize = 255;
/// The most bytes of a path in a volume.
const LONGEST_PATH: usize = 4096;

/// A path of a file inside a volume: relative, without `.` and `..`, and not beginning with `..`, where the volume's own
/// bookkeeping is.
///
/// # Errors
/// Which path, and what is wrong with it.
pub fn in_volume(path: &str) -> Result<&str, NotStarted> {
    relative(path)?;
    if path.starts_with("..") {
        return Err(invalid(path, "must not start with '..'"));
    }
    Ok(path)
}

/// A `subPath`: as [`in_volume`], but names that begin with `..` are fine, and so is a separator at the end.
///
/// # Errors
/// Which path, and what is wrong with it.
pub fn sub_path(path: &str) -> Result<PathBuf, NotStarted> {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() && path.starts_with('/') {
        return Err(invalid(path, "must be a relative path"));
    }
    relative(trimmed)?;
    Ok(PathBuf::from(trimmed))
}

/// A single name: of a volume, of a container.
///
/// # Errors
/// Which name.
pub fn name(name: &str) -> Result<&str, NotStarted> {
    relative(name)?;
    if name.contains('/') || name.starts_with('.') {
        return Err(NotStarted::config(format!("invalid name: {name:?}")));
    }
    Ok(name)
}

fn invalid(path: &str, why: &str) -> NotStarted {
    NotStarted::config(format!("invalid path: {path:?} {why}"))
}

fn relative(path: &str) -> Result<(), NotStarted> {
    let wrong = |why: &str| Err(invalid(path, why));
    if path.is_empty() {
        return wrong("must not be empty");
    }
    if path.starts_with('/') {
        return wrong("must be a relative path");
    }
    if path.len() > LONGEST_PATH || path.split('/').any(|part| part.len() > LONGEST_NAME) {
        return wrong("is too long");
    }
    if path.contains('\0') {
        return wrong("must not contain a NUL character");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return wrong("must not contain empty parts, '.' or '..'");
    }
    Ok(())
}

/// A `mountPath` as the guest is to see it: absolute, without a separator at its end, and without `.`, `..` and doubled
/// separators.
pub fn guest(path: &str) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => out.push(part),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_stay_in_their_volume() {
        let long = "x".repeat(256);
        for path in ["a", "a/b", "a.b/..c", "a b", ".hidden", "a/..data"] {
            assert_eq!(in_volume(path), Ok(path));
        }
        for path in [
            "", "/", "/a", "..", ".", "../a", "a/../b", "a/..", "a//b", "a/", "./a", "..data", "..2026/x", "a\0b",
            &long,
        ] {
            assert!(in_volume(path).is_err(), "{path}");
        }
    }

    #[test]
    fn sub_paths() {
        for (path, wanted) in [("a", "a"), ("a/b/", "a/b"), ("..data", "..data")] {
            assert_eq!(sub_path(path), Ok(PathBuf::from(wanted)));
        }
        for path in ["", "/", "/a", "..", "a/../b", "../a", "a//b"] {
            assert!(sub_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(name("kube-api-access-x1"), Ok("kube-api-access-x1"));
        for bad in ["", ".", "..", "a/b", ".staged", "/"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mount_paths() {
        for (path, wanted) in [
            ("/data", "/data"),
            ("/data/", "/data"),
            ("data", "/data"),
            ("/a/./b//c", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/", "/"),
        ] {
            assert_eq!(guest(path), PathBuf::from(wanted), "{path}");
        }
    }

    proptest! {
        /// Whatever passes stays below the folder that it is joined to.
        #[test]
        fn nothing_that_passes_leaves_its_folder(path in "[a./\\\\\0 -]{0,12}|\\PC{0,20}") {
            let checked = [in_volume(&path).map(PathBuf::from), sub_path(&path), name(&path).map(PathBuf::from)];
            for checked in checked.into_iter().flatten() {
                prop_assert!(checked.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(checked.components().count() > 0);
                prop_assert!(Path::new("/v").join(&checked).starts_with("/v"));
            }
        }

        #[test]
        fn mount_paths_are_absolute_and_plain(path in "[a./]{0,12}") {
            let guest = guest(&path);
            prop_assert!(guest.is_absolute());
            prop_assert!(guest.components().skip(1).all(|part| matches!(part, Component::Normal(_))));
        }
    }
}
