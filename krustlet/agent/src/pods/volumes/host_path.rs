//! `hostPath`: folders of this machine, where the node's administrator allows it.
//!
//! <https://kubernetes.io/docs/concepts/storage/volumes/#hostpath>

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

/// A folder that may be given to a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The allowed folder, with all links followed: its administrator's own.
    pub root: PathBuf,
    /// Where it is below that, without links when it was looked at. Empty: the allowed folder itself.
    pub relative: PathBuf,
    /// Whether it has to be made.
    pub missing: bool,
}

/// Finds the folder that a volume means, and checks that it may be given away and is what its `type` says. Blocking I/O.
///
/// # Errors
/// Why not, for people.
pub fn find(source: &HostPathVolumeSource, allowed: &[PathBuf]) -> Result<Place, String> {
    let path = Path::new(&source.path);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("hostPath {:?} must be absolute and must not contain '..'", source.path));
    }
    let (existing, rest) = resolve(path).map_err(|error| format!("hostPath {:?}: {error}", source.path))?;
    let roots = allowed.iter().filter_map(|folder| fs::canonicalize(folder).ok());
    // The longest, should one be inside another.
    let root = roots.filter(|root| existing.starts_with(root)).max_by_key(|root| root.components().count());
    let Some(root) = root else {
        return Err(format!(
            "hostPath {:?} is in none of the folders that this node's --allowed-host-paths names",
            source.path
        ));
    };
    let missing = !rest.as_os_str().is_empty();
    let wrong = || Err(format!("hostPath type check failed: {} is not a directory", source.path));
    match source.type_.as_deref().unwrap_or_default() {
        // Without a type nothing is checked, and what is not there is made, as containerd does.
        "" | "DirectoryOrCreate" => {}
        "Directory" if missing => return wrong(),
        "Directory" => {}
        other => return Err(format!("hostPath type {other} is not supported: a module can be given folders only")),
    }
    if !existing.is_dir() {
        return wrong();
    }
    let inner = existing.strip_prefix(&root).map_err(|error| error.to_string())?;
    let relative = if missing { inner.join(&rest) } else { inner.to_path_buf() };
    Ok(Place { root, relative, missing })
}

/// The part of a path that is there, with all links followed, and the rest.
fn resolve(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let mut rest: Vec<OsString> = Vec::new();
    let mut existing = path;
    loop {
        match fs::canonicalize(existing) {
            Ok(existing) => return Ok((existing, rest.iter().rev().collect())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(error) => match (existing.file_name(), existing.parent()) {
                (Some(name), Some(parent)) => {
                    rest.push(name.to_os_string());
                    existing = parent;
                }
                _ => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_below_allowed_folders() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().canonicalize().unwrap().join(path);
        for folder in ["share/in", "share2", "private", "share/deep/er"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("share/file"), "").unwrap();
        symlink(at("private"), at("share/out")).unwrap();
        symlink("../private/none", at("share/dangling-out")).unwrap();
        symlink("in", at("share/link")).unwrap();
        symlink(at("share"), at("alias")).unwrap();
        let ask = |path: &str, type_: &str, allowed: &[PathBuf]| {
            let path = if path.starts_with('/') { path.to_string() } else { at(path).to_str().unwrap().to_string() };
            find(&HostPathVolumeSource { path, type_: Some(type_.into()) }, allowed)
        };
        let share = [at("share")];
        let fine = [
            ("share", "", "", false),
            ("share/in", "", "in", false),
            ("share/in/", "Directory", "in", false),
            ("share/link", "Directory", "in", false),
            ("alias/in", "", "in", false),
            ("share/new/er", "DirectoryOrCreate", "new/er", true),
            ("share/new", "", "new", true),
            ("share/link/new", "", "in/new", true),
        ];
        for (path, type_, relative, missing) in fine {
            let wanted = Place { root: at("share"), relative: relative.into(), missing };
            assert_eq!(ask(path, type_, &share), Ok(wanted), "{path}");
        }
        assert_eq!(ask("share/in", "", &[at("alias")]).unwrap().root, at("share"));
        assert_eq!(ask("share/deep/er", "", &[at("share"), at("share/deep")]).unwrap().root, at("share/deep"));
        let refused = [
            ("private", "", "is in none of the folders"),
            ("share2", "", "is in none of the folders"),
            ("share/out", "", "is in none of the folders"),
            ("share/out/new", "", "is in none of the folders"),
            ("/", "", "is in none of the folders"),
            ("share/../private", "", "must not contain '..'"),
            ("share/new", "Directory", "is not a directory"),
            ("share/file", "", "is not a directory"),
            ("share/file", "Directory", "is not a directory"),
            ("share/file/x", "", "Not a directory"),
            ("share/file", "File", "folders only"),
            ("share/in", "Socket", "folders only"),
        ];
        for (path, type_, why) in refused {
            let message = ask(path, type_, &share).unwrap_err();
            assert!(message.contains(why), "{path}: {message}");
        }
        assert!(ask("share", "", &[]).unwrap_err().contains("is in none of the folders"));
        let relative = HostPathVolumeSource { path: "etc".into(), type_: None };
        assert!(find(&relative, &share).unwrap_err().contains("must be absolute"));
        // What is behind the link is not there, so the name looks free: opening it without following links is what refuses it.
        let place = ask("share/dangling-out", "", &share).unwrap();
        assert!(super::super::beneath::open(&place.root, &place.relative, Some(0o755)).is_err());
    }
}
