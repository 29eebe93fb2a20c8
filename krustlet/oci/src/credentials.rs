//! Who we are to a registry, from the docker config file.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

use crate::OciError;

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

/// The logins of one docker config file, by registry.
///
/// Only its `auths` are read. What a credential helper holds (`credsStore`, `credHelpers`) would be asked for in
/// [`for_registry`](Self::for_registry), which is therefore the one way to a login.
#[derive(Default)]
pub(crate) struct Credentials(HashMap<String, RegistryAuth>);

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Login>,
}

/// One entry; the file's format is docker's own
/// (<https://docs.docker.com/reference/cli/docker/#sample-configuration-file>).
#[derive(Deserialize)]
struct Login {
    /// Base64 of `user:password`.
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    registrytoken: Option<String>,
}

impl Credentials {
    /// Reads the file; one that is not there holds no logins.
    pub(crate) fn read(path: &Path) -> Result<Self, OciError> {
        let problem = |problem: String| OciError::Credentials { path: path.display().to_string(), problem };
        match std::fs::read(path) {
            Ok(content) => Self::parse(&content).map_err(problem),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Self::default()),
            Err(error) => Err(problem(error.to_string())),
        }
    }

    fn parse(content: &[u8]) -> Result<Self, String> {
        // Only where, not what: serde's own message may repeat a value.
        let file: ConfigFile = serde_json::from_slice(content)
            .map_err(|error| format!("it is not the JSON that docker writes (line {})", error.line()))?;
        let mut logins = HashMap::new();
        for (key, login) in file.auths {
            if let Some(auth) = login.auth().map_err(|problem| format!("{problem} of \"{key}\""))? {
                logins.insert(registry_of(&key).to_owned(), auth);
            }
        }
        Ok(Self(logins))
    }

    /// The login for a registry, named as [`Reference::registry`](crate::Reference::registry) names it.
    pub(crate) fn for_registry(&self, registry: &str) -> RegistryAuth {
        self.0.get(registry_of(registry)).cloned().unwrap_or(RegistryAuth::Anonymous)
    }
}

impl Login {
    fn auth(self) -> Result<Option<RegistryAuth>, String> {
        let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
        if let Some(token) = filled(self.registrytoken) {
            return Ok(Some(RegistryAuth::Bearer(token)));
        }
        if let Some(encoded) = filled(self.auth) {
            let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            return match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
                // Docker pads with NUL at times.
                Some((user, password)) => {
                    Ok(Some(RegistryAuth::Basic(user.to_owned(), password.trim_end_matches('\0').to_owned())))
                }
                None => Err("there is no user:password in base64 in the \"auth\"".into()),
            };
        }
        Ok(match (filled(self.username), filled(self.password)) {
            (Some(user), Some(password)) => Some(RegistryAuth::Basic(user, password)),
            _ => None,
        })
    }
}

/// The registry that a key means. Keys are hosts, or URLs as in `https://index.docker.io/v1/`, the one of Docker Hub.
fn registry_of(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = key.split_once('/').map_or(key, |(host, _)| host);
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> RegistryAuth {
        RegistryAuth::Basic(user.into(), password.into())
    }

    #[test]
    fn logins_are_found_under_every_form_of_a_registrys_name() {
        let credentials = Credentials::parse(
            br#"{
                "auths": {
                    "https://index.docker.io/v1/": { "auth": "bWU6aHVudGVyMg==" },
                    "ghcr.io": { "auth": "bWU6YTpi" },
                    "localhost:5000": { "username": "me", "password": "plain" },
                    "token.example": { "registrytoken": "t0ken" },
                    "empty.example": {}
                },
                "credsStore": "desktop"
            }"#,
        )
        .unwrap();
        let cases = [
            ("docker.io", basic("me", "hunter2")),
            ("ghcr.io", basic("me", "a:b")),
            ("localhost:5000", basic("me", "plain")),
            ("token.example", RegistryAuth::Bearer("t0ken".into())),
            ("empty.example", RegistryAuth::Anonymous),
            ("localhost:5001", RegistryAuth::Anonymous),
        ];
        for (registry, expected) in cases {
            assert_eq!(credentials.for_registry(registry), expected, "{registry}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_holds_no_logins() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::read(&folder.path().join("config.json")).unwrap();
        assert_eq!(credentials.for_registry("ghcr.io"), RegistryAuth::Anonymous);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_tells_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let cases = [
            (r#"{ "auths": { "ghcr.io": { "auth": 12345 } } }"#, "not the JSON that docker writes (line 1)"),
            (r#"{ "auths": { "ghcr.io": { "auth": "aHVudGVyMg==" } } }"#, "in the \"auth\" of \"ghcr.io\""),
            (r#"{ "auths": "hunter2" }"#, "not the JSON that docker writes"),
        ];
        for (content, expected) in cases {
            std::fs::write(&path, content).unwrap();
            let error = Credentials::read(&path).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains(&path.display().to_string()), "{error}");
            for secret in ["12345", "hunter2", "aHVudGVyMg"] {
                assert!(!error.contains(secret), "{error}");
            }
        }
    }
}
