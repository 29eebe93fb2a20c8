//! The docker config file of this machine.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Keyring, OciError};

/// Where docker and every tool of this field keep logins: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
/// `None` if neither variable names a place.
pub fn default_docker_config() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = match set("DOCKER_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&set("HOME")?).join(".docker"),
    };
    Some(folder.join("config.json"))
}

/// The logins of one docker config file, which is read again when it has changed.
pub(crate) struct LoginFile {
    path: PathBuf,
    last: Mutex<(Option<Stamp>, Arc<Keyring>)>,
}

/// By which a change is seen: time of the last one in seconds and nanoseconds, length, inode (docker writes a new file).
type Stamp = (i64, i64, u64, u64);

impl LoginFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::default() }
    }

    /// The logins as they are now; a file that is not there holds none.
    pub(crate) fn current(&self) -> Result<Arc<Keyring>, OciError> {
        let stamp = match std::fs::metadata(&self.path) {
            Ok(metadata) => Some(stamp(&metadata)),
            Err(error) if is_absent(error.kind()) => None,
            Err(error) => return Err(self.problem(error.to_string())),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != stamp {
            let keyring = Arc::new(self.read()?);
            *last = (stamp, keyring);
        }
        Ok(last.1.clone())
    }

    fn read(&self) -> Result<Keyring, OciError> {
        let mut keyring = Keyring::default();
        match std::fs::read(&self.path) {
            Ok(content) => keyring.add_docker_config_json(&content).map_err(|error| match error {
                OciError::Keyring(problem) => self.problem(problem),
                error => error,
            })?,
            Err(error) if is_absent(error.kind()) => {}
            Err(error) => return Err(self.problem(error.to_string())),
        }
        if keyring.names_helpers() {
            let path = self.path.display();
            tracing::warn!(
                "{path} names credential helpers, which are not asked: only the logins in its auths are used"
            );
        }
        Ok(keyring)
    }

    fn problem(&self, problem: String) -> OciError {
        OciError::Credentials { path: self.path.display().to_string(), problem }
    }
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Login;

    fn users(file: &LoginFile) -> Vec<Login> {
        file.current().unwrap().logins(&"ghcr.io/x".parse().unwrap())
    }

    #[test]
    fn a_change_of_the_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let file = LoginFile::new(path.clone());
        assert_eq!(users(&file), []);
        for user in ["a", "b"] {
            let content = format!(r#"{{ "auths": {{ "ghcr.io": {{ "username": "{user}", "password": "p" }} }} }}"#);
            std::fs::write(&path, content).unwrap();
            // Two writes within one tick of the file system's clock have the same time.
            let times = std::fs::File::options().write(true).open(&path).unwrap();
            let seconds = if user == "a" { 1 } else { 2 };
            times.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
            assert_eq!(users(&file), [Login::Basic { user: user.into(), password: "p".into() }]);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(users(&file), []);
    }

    #[test]
    fn a_damaged_file_is_named_each_time_until_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, "hunter2").unwrap();
        let file = LoginFile::new(path.clone());
        for _ in 0..2 {
            let error = file.current().unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()) && !error.contains("hunter2"), "{error}");
        }
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(users(&file), []);
    }
}
