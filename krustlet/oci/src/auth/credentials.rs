//! The docker config file of this machine.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use crate::auth::helper::{self, Helpers};
use crate::auth::login::Login;
use crate::auth::registry_key::RegistryKey;
use crate::{Keyring, OciError, Reference};

/// Under which name docker keeps the login of Docker Hub.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

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

/// What a docker config file says about logins.
#[derive(Debug, Default)]
pub(crate) struct DockerConfig {
    /// Its `auths`.
    pub(crate) keyring: Keyring,
    /// Its `credHelpers`, the most specific one first.
    helpers: Vec<(RegistryKey, Result<String, String>)>,
    /// Its `credsStore`.
    store: Option<String>,
}

/// Where a docker config file names helpers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HelperFields {
    creds_store: Option<String>,
    cred_helpers: Option<HashMap<String, Value>>,
}

impl DockerConfig {
    fn parse(content: &[u8], source: &str) -> Result<Self, OciError> {
        let mut keyring = Keyring::default();
        keyring.set_source(source);
        keyring.add_docker_config_json(content)?;
        let fields: HelperFields = serde_json::from_slice(content)
            .map_err(|_| OciError::Keyring("its credsStore or credHelpers are not names of helpers".into()))?;
        let mut helpers: Vec<_> = fields.cred_helpers.unwrap_or_default().into_iter().collect();
        helpers.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut helpers: Vec<_> =
            helpers.into_iter().map(|(key, name)| (RegistryKey::new(&key), name_of(&key, name))).collect();
        helpers.sort_by_key(|(key, _)| key.order());
        Ok(Self { keyring, helpers, store: fields.creds_store })
    }

    /// The one helper that is for an artifact: the registry's own, else the store for all of them.
    ///
    /// # Errors
    /// [`OciError::Keyring`] when what stands there for the artifact is no name.
    pub(crate) fn helper(&self, reference: &Reference) -> Result<Option<&str>, OciError> {
        let own = match self.helpers.iter().find(|(key, _)| key.is_for(reference)) {
            Some((_, Err(problem))) => return Err(OciError::Keyring(problem.clone())),
            Some((_, Ok(name))) => Some(name.as_str()),
            None => None,
        };
        Ok(own.or(self.store.as_deref()).filter(|name| !name.is_empty()))
    }
}

/// The name of a helper; what is wrong with it matters only to whoever asks for its registry.
fn name_of(key: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(name) => Ok(name),
        Value::Null => Ok(String::new()),
        _ => Err(format!("the credHelpers of \"{key}\" is not the name of a helper")),
    }
}

/// By which name a helper knows a registry.
pub(crate) fn server(reference: &Reference) -> &str {
    match reference.registry() {
        "docker.io" => DOCKER_HUB_SERVER,
        registry => registry,
    }
}

/// The logins of one docker config file, which is read again when it has changed, and of the helpers that it names.
pub(crate) struct LoginFile {
    path: PathBuf,
    last: Mutex<(Option<Stamp>, Arc<DockerConfig>)>,
    helpers: Helpers,
}

/// By which a change is seen: time of the last one in seconds and nanoseconds, length, inode (docker writes a new file).
type Stamp = (i64, i64, u64, u64);

impl LoginFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::default(), helpers: Helpers::new(helper::LIMIT, None) }
    }

    /// The logins as they are now; a file that is not there holds none.
    pub(crate) fn current(&self) -> Result<Arc<DockerConfig>, OciError> {
        let stamp = match std::fs::metadata(&self.path) {
            Ok(metadata) => Some(stamp(&metadata)),
            Err(error) if is_absent(error.kind()) => None,
            Err(error) => return Err(self.problem(error.to_string())),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != stamp {
            let config = Arc::new(self.read()?);
            *last = (stamp, config);
        }
        Ok(last.1.clone())
    }

    /// The login that the file's helper for an artifact holds, if there is such a helper and it holds one.
    pub(crate) async fn helper_login(&self, reference: &Reference) -> Result<Option<Login>, OciError> {
        let config = self.current()?;
        let helper = config.helper(reference).map_err(|error| self.located(error))?;
        let Some(name) = helper else { return Ok(None) };
        match self.helpers.get(name, server(reference)).await {
            Ok(who) => Ok(who.map(|who| Login::new(who, format!("the credential helper docker-credential-{name}")))),
            Err(problem) => Err(OciError::Helper {
                name: name.to_owned(),
                registry: reference.registry().to_owned(),
                path: self.path.display().to_string(),
                problem,
            }),
        }
    }

    /// The logins for an artifact that stand in the file itself.
    pub(crate) fn logins(&self, reference: &Reference) -> Result<Vec<Login>, OciError> {
        self.current()?.keyring.logins(reference)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<DockerConfig, OciError> {
        match std::fs::read(&self.path) {
            Ok(content) => {
                let parsed = DockerConfig::parse(&content, &self.path.display().to_string());
                parsed.map_err(|error| self.located(error))
            }
            Err(error) if is_absent(error.kind()) => Ok(DockerConfig::default()),
            Err(error) => Err(self.problem(error.to_string())),
        }
    }

    /// An error of what stands in the file, with the file.
    fn located(&self, error: OciError) -> OciError {
        match error {
            OciError::Keyring(problem) => self.problem(problem),
            error => error,
        }
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
    use crate::auth::login::Who;

    fn users(file: &LoginFile) -> Vec<Who> {
        let logins = file.logins(&"ghcr.io/x".parse().unwrap());
        logins.unwrap().into_iter().map(|login| login.who).collect()
    }

    #[test]
    fn a_registry_has_one_helper_its_own_or_the_store() {
        let content = br#"{
            "credsStore": "desktop",
            "credHelpers": {
                "gcr.io": "gcloud", "localhost:5000": "local", "*.example.com": "wide", "ghcr.io": "",
                "https://index.docker.io/v1/": "hub"
            }
        }"#;
        let config = DockerConfig::parse(content, "f").unwrap();
        let table = [
            ("gcr.io/a/b", Some("gcloud"), "gcr.io"),
            ("localhost:5000/a", Some("local"), "localhost:5000"),
            ("localhost:5001/a", Some("desktop"), "localhost:5001"),
            ("x.example.com/a", Some("wide"), "x.example.com"),
            ("ghcr.io/a/b", None, "ghcr.io"),
            ("hello-world", Some("hub"), "https://index.docker.io/v1/"),
            ("quay.io/a/b", Some("desktop"), "quay.io"),
        ];
        for (image, name, at) in table {
            let reference = image.parse().unwrap();
            assert_eq!((config.helper(&reference).unwrap(), server(&reference)), (name, at), "{image}");
        }
        let without = DockerConfig::parse(br#"{ "credHelpers": { "gcr.io": "gcloud" } }"#, "f").unwrap();
        assert_eq!(without.helper(&"ghcr.io/a".parse().unwrap()).unwrap(), None);
        let nothing = br#"{ "auths": null, "credsStore": null, "credHelpers": null }"#;
        assert_eq!(DockerConfig::parse(nothing, "f").unwrap().helper(&"ghcr.io/a".parse().unwrap()).unwrap(), None);
        // One that is no name is told of for its own registry alone.
        let damaged = DockerConfig::parse(br#"{ "credHelpers": { "gcr.io": 5, "r.io": null } }"#, "f").unwrap();
        let error = damaged.helper(&"gcr.io/a".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("credHelpers of \"gcr.io\" is not the name of a helper"), "{error}");
        for image in ["ghcr.io/a", "r.io/a"] {
            assert_eq!(damaged.helper(&image.parse().unwrap()).unwrap(), None);
        }
        for bad in [r#"{ "credsStore": 5 }"#, r#"{ "credHelpers": ["gcloud"] }"#] {
            let error = DockerConfig::parse(bad.as_bytes(), "f").err().unwrap().to_string();
            assert!(error.contains("are not names of helpers"), "{error}");
        }
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
            assert_eq!(users(&file), [Who::Basic { user: user.into(), password: "p".into() }]);
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
