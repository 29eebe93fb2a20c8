//! `hostPath`: folders of this machine, where the node's administrator allows it.
//!
//! <https://kubernetes.io/docs/concepts/storage/volumes/#hostpath>
//!
//! An allowed folder is the one that its path led to when it was first looked for: it is known by its inode from then on, and held open,
//! so that no other can become it. What is below one is open to guests, links in it included, so that an allowed folder that is reached
//! through another one is none of its own: a guest could have it lead anywhere. Nothing is given away that is the agent's own.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use krustlet_core::lifecycle::not_started::NotStarted;

use super::on_way;
use super::walk::{Id, Walk};

/// The folders below which hostPath volumes may be. All methods do blocking I/O.
#[derive(Debug)]
pub struct HostPaths {
    own: Own,
    folders: Mutex<Folders>,
}

#[derive(Debug, Default)]
struct Folders {
    roots: Vec<Root>,
    /// Those that were not there yet when they were last looked for.
    missing: Vec<PathBuf>,
}

/// An allowed folder.
#[derive(Debug)]
struct Root {
    id: Id,
    /// Held, so that its inode is not another one's after it was removed.
    _folder: OwnedFd,
}

/// What of this machine is the agent's, and no guest's.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// The folder where it keeps everything.
    pub data_dir: PathBuf,
    /// Files with its keys and logins, wherever they are.
    pub files: Vec<PathBuf>,
}

impl Own {
    /// Why a folder may not be given away: it is the agent's, or there is a way to what is the agent's from it.
    ///
    /// # Errors
    /// The reason, for people.
    fn refuse(&self, walk: &Walk) -> Result<(), NotStarted> {
        let data_dir = self.data_dir.display();
        let no = |why: String| Err(NotStarted::config(why));
        let lost = |error: io::Error| {
            NotStarted::from(error).context(format_args!("the agent cannot look for its own folder {data_dir}"))
        };
        let (own, rest) = Walk::to(&self.data_dir).map_err(lost)?;
        if rest.as_os_str().is_empty() && walk.is_in(own.id()) {
            return no(format!("it is in the agent's own folder {data_dir}, and the node's keys are there"));
        }
        // Who may write to a folder on the way could have the agent itself led elsewhere.
        if own.passed().contains(&walk.id()) {
            return no(format!("the agent's own folder {data_dir} is below it, and the node's keys are there"));
        }
        for file in &self.files {
            // To its folder, and where it is a link to that of the file itself: there the way ends.
            let mut around = Walk::begin()?;
            let _ = around.on(file);
            if around.passed().contains(&walk.id()) {
                return no(format!("the agent's own file {} is below it", file.display()));
            }
        }
        Ok(())
    }
}

/// A folder that may be given to a guest.
#[derive(Debug)]
pub struct Place {
    /// The way to it, as far as it is there.
    pub walk: Walk,
    /// What of it has to be made; empty if nothing has.
    pub rest: PathBuf,
}

impl HostPaths {
    /// Looks for the folders that are allowed. One that is not there is looked for again.
    ///
    /// # Errors
    /// Which of them would open what is the agent's own to guests.
    pub fn open(allowed: &[PathBuf], own: Own) -> Result<Self, Vec<String>> {
        let folders = Mutex::new(Folders { roots: Vec::new(), missing: allowed.to_vec() });
        let paths = Self { own, folders };
        let faults = paths.look(&mut paths.folders.lock().unwrap_or_else(PoisonError::into_inner));
        if faults.is_empty() { Ok(paths) } else { Err(faults) }
    }

    /// Looks for those that are missing.
    fn look(&self, folders: &mut Folders) -> Vec<String> {
        let (mut faults, mut found) = (Vec::new(), Vec::new());
        for path in std::mem::take(&mut folders.missing) {
            let walked = Walk::to(&path);
            match walked {
                Ok((walk, rest)) if rest.as_os_str().is_empty() => match self.own.refuse(&walk) {
                    Ok(()) => found.push((path, walk)),
                    Err(why) => {
                        faults.push(format!("{path:?} cannot be opened to pods: {why}"));
                        folders.missing.push(path);
                    }
                },
                Ok(_) => folders.missing.push(path),
                Err(error) => {
                    tracing::warn!("--allowed-host-paths: {}: {error}", path.display());
                    folders.missing.push(path);
                }
            }
        }
        // First those that are reached through none of the others. What then remains goes round in circles.
        let through = |walk: &Walk, id: Id| walk.id() != id && walk.passed().contains(&id);
        while let Some(at) =
            found.iter().position(|(_, walk)| !found.iter().any(|(_, other)| through(walk, other.id())))
        {
            let (path, walk) = found.swap_remove(at);
            if folders.roots.iter().any(|root| through(&walk, root.id)) {
                tracing::info!("--allowed-host-paths: {} is reached through another one", path.display());
            } else {
                folders.roots.push(Root { id: walk.id(), _folder: walk.into_folder() });
            }
        }
        for (path, _) in found {
            tracing::warn!("--allowed-host-paths: {} leads through others, and they through it", path.display());
        }
        faults
    }

    /// Whether the folder that a walk has come to may be given away.
    fn allows(&self, walk: &Walk) -> bool {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in self.look(&mut folders) {
            tracing::warn!("--allowed-host-paths: {fault}");
        }
        folders.roots.iter().any(|root| walk.is_in(root.id))
    }

    /// Whether what a walk has come to is the agent's own.
    ///
    /// # Errors
    /// What of it, for people.
    pub fn refuse_own(&self, walk: &Walk) -> Result<(), NotStarted> {
        self.own.refuse(walk)
    }

    /// Finds the folder that a volume means, and checks that it may be given away and is what its `type` says.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn find(&self, source: &HostPathVolumeSource) -> Result<Place, NotStarted> {
        let path = Path::new(&source.path);
        let no = |why: String| Err(NotStarted::config(why));
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return no(format!("hostPath {:?} must be absolute and must not contain '..'", source.path));
        }
        let about = |why: NotStarted| why.context(format_args!("hostPath {:?}", source.path));
        let failed = |error: io::Error| about(on_way(error));
        let mut walk = Walk::begin().map_err(failed)?;
        let rest = walk.on(path);
        // Before anything is told of what is there.
        if !self.allows(&walk) {
            return no(format!(
                "hostPath {:?} is in none of the folders that this node's --allowed-host-paths names",
                source.path
            ));
        }
        self.refuse_own(&walk).map_err(about)?;
        let wrong = || no(format!("hostPath type check failed: {} is not a directory", source.path));
        let rest = match rest {
            Ok(rest) => rest,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return wrong(),
            Err(error) => return Err(failed(error)),
        };
        match source.type_.as_deref().unwrap_or_default() {
            // Without a type nothing is checked, and what is not there is made, as containerd does.
            "" | "DirectoryOrCreate" => {}
            "Directory" if !rest.as_os_str().is_empty() => return wrong(),
            "Directory" => {}
            other => return no(format!("hostPath type {other} is not supported: a module can be given folders only")),
        }
        Ok(Place { walk, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn id_of(path: &Path) -> Id {
        fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).unwrap()
    }

    struct Host(tempfile::TempDir);

    impl Host {
        fn new(folders: &[&str]) -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            folders.iter().for_each(|folder| fs::create_dir_all(host.at(folder)).unwrap());
            host
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn open(&self, allowed: &[&str], files: &[&str]) -> Result<HostPaths, Vec<String>> {
            let all = |paths: &[&str]| paths.iter().map(|path| self.at(path)).collect::<Vec<_>>();
            HostPaths::open(&all(allowed), Own { data_dir: self.at("data"), files: all(files) })
        }

        fn find(&self, paths: &HostPaths, path: &str, type_: &str) -> Result<(Id, PathBuf), NotStarted> {
            let path =
                if path.starts_with('/') { path.to_string() } else { self.at(path).to_str().unwrap().to_string() };
            let place = paths.find(&HostPathVolumeSource { path, type_: Some(type_.into()) })?;
            Ok((place.walk.id(), place.rest))
        }
    }

    #[test]
    fn only_below_allowed_folders() {
        let host = Host::new(&["data", "share/in", "share2", "private", "share/deep/er"]);
        fs::write(host.at("share/file"), "").unwrap();
        fs::write(host.at("private/file"), "").unwrap();
        symlink(host.at("private"), host.at("share/out")).unwrap();
        symlink("../private/none", host.at("share/dangling-out")).unwrap();
        symlink("in", host.at("share/link")).unwrap();
        symlink(host.at("share"), host.at("alias")).unwrap();
        let share = host.open(&["share"], &[]).unwrap();
        let fine = [
            ("share", "", "share", ""),
            ("share/in", "", "share/in", ""),
            ("share/in/", "Directory", "share/in", ""),
            ("share/link", "Directory", "share/in", ""),
            ("alias/in", "", "share/in", ""),
            ("share/new/er", "DirectoryOrCreate", "share", "new/er"),
            ("share/new", "", "share", "new"),
            ("share/link/new", "", "share/in", "new"),
        ];
        for (path, type_, folder, rest) in fine {
            assert_eq!(host.find(&share, path, type_), Ok((id_of(&host.at(folder)), rest.into())), "{path}");
        }
        for allowed in [&["alias"][..], &["share", "share/deep"], &["share/deep", "share"]] {
            let paths = host.open(allowed, &[]).unwrap();
            assert_eq!(host.find(&paths, "share/deep/er", "").unwrap().0, id_of(&host.at("share/deep/er")));
        }
        let refused = [
            ("private", "", "is in none of the folders"),
            ("private/file", "", "is in none of the folders"),
            ("private/file/x", "", "is in none of the folders"),
            ("share2", "", "is in none of the folders"),
            ("share/out", "", "is in none of the folders"),
            ("share/out/new", "", "is in none of the folders"),
            ("share/dangling-out", "", "is in none of the folders"),
            ("/", "", "is in none of the folders"),
            ("share/../private", "", "must not contain '..'"),
            ("share/new", "Directory", "is not a directory"),
            ("share/file", "", "is not a directory"),
            ("share/file", "Directory", "is not a directory"),
            ("share/file/x", "", "is not a directory"),
            ("share/in", "File", "folders only"),
            ("share/in", "Socket", "folders only"),
        ];
        for (path, type_, why) in refused {
            let message = host.find(&share, path, type_).unwrap_err().message;
            assert!(message.contains(why), "{path}: {message}");
        }
        let none = host.open(&[], &[]).unwrap();
        assert!(host.find(&none, "share", "").unwrap_err().message.contains("is in none of the folders"));
        let relative = HostPathVolumeSource { path: "etc".into(), type_: None };
        assert!(share.find(&relative).unwrap_err().message.contains("must be absolute"));
    }

    #[test]
    fn the_agent_does_not_start_where_its_own_would_be_open_to_pods() {
        let host = Host::new(&["state/data/keys", "share", "logins", "state/else"]);
        symlink("state/data", host.at("data")).unwrap();
        for (link, to) in [("share/own", "../data/keys"), ("share/around", "../state"), ("share/logins", "../logins")] {
            symlink(to, host.at(link)).unwrap();
        }
        let refused = [
            ("data", "it is in the agent's own folder"),
            ("share/own", "it is in the agent's own folder"),
            // Where the link is by which the agent finds its own folder.
            ("", "the agent's own folder"),
            ("state", "is below it"),
            ("share/around", "is below it"),
            ("logins", "/logins/config.json is below it"),
            ("share/logins", "/logins/config.json is below it"),
        ];
        for (path, why) in refused {
            let faults = host.open(&["share", path], &["logins/config.json", "none/at/all"]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(why), "{path}: {faults:?}");
        }
        let paths = host.open(&["share", "state/else", "later"], &[]).unwrap();
        assert!(host.find(&paths, "state/else", "").is_ok());
        // What is allowed and comes later is looked at in the same way.
        assert!(host.find(&paths, "later", "").unwrap_err().message.contains("is in none of the folders"));
        symlink("data", host.at("later")).unwrap();
        assert!(host.find(&paths, "later/keys", "").unwrap_err().message.contains("is in none of the folders"));
        fs::remove_file(host.at("later")).unwrap();
        fs::create_dir(host.at("later")).unwrap();
        assert!(host.find(&paths, "later", "").is_ok());
    }

    #[test]
    fn an_allowed_folder_stays_the_one_that_it_was() {
        let host = Host::new(&["data", "a/b", "etc"]);
        let paths = host.open(&["a/b"], &[]).unwrap();
        fs::rename(host.at("a/b"), host.at("a/old")).unwrap();
        symlink("../etc", host.at("a/b")).unwrap();
        assert!(host.find(&paths, "a/b", "").unwrap_err().message.contains("is in none of the folders"));
        assert!(host.find(&paths, "etc", "").unwrap_err().message.contains("is in none of the folders"));
        assert!(host.find(&paths, "a/old", "").is_ok());
    }

    #[test]
    fn folders_that_lead_through_each_other_are_none() {
        let host = Host::new(&["data", "a", "b", "fine"]);
        symlink("../b/x", host.at("a/x")).unwrap();
        fs::create_dir(host.at("b/x")).unwrap();
        // Both are reached through the other one.
        let paths = host.open(&["a", "b", "a/x", "fine"], &[]).unwrap();
        assert!(host.find(&paths, "fine", "").is_ok() && host.find(&paths, "a/x", "").is_ok());
    }
}
