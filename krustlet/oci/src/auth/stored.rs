//! The logins that this machine has for a registry, for whoever hands them on: to a cluster, as a pull secret.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::auth::credentials::LoginFile;
use crate::auth::login::{Login, Who};
use crate::auth::token::AZURE_TOKEN_USER;
use crate::{OciError, Reference};

/// A login for a registry, or for a part of it.
pub struct StoredLogin {
    /// The key that it has in a docker config file.
    pub key: String,
    login: Login,
}

impl StoredLogin {
    /// Its user and where it comes from, never its secret.
    pub fn described(&self) -> String {
        self.login.described()
    }

    /// It as an entry of `auths` that any kubelet can use. Secret.
    ///
    /// No kubelet knows a refresh token, but the registry that gives them out to docker, Azure's, takes one as the password of a
    /// certain user (<https://learn.microsoft.com/azure/container-registry/container-registry-authentication>).
    pub fn docker_auth(&self) -> Value {
        let basic = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
        match &self.login.who {
            Who::Anonymous => json!({}),
            Who::Basic { user, password } => json!({ "auth": basic(user, password) }),
            Who::Identity { token, .. } => {
                json!({ "auth": basic(AZURE_TOKEN_USER, token), "identitytoken": token })
            }
            Who::Token(token) => json!({ "registrytoken": token }),
        }
    }
}

impl fmt::Debug for StoredLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.described(), self.key)
    }
}

/// The logins for a registry (`host` or `host:port`) that a docker config file holds: the one of the credential helper that it
/// names for the registry, else those that stand in the file, each with its key, which may have a path. None where there is no
/// file.
///
/// # Errors
///
/// [`OciError::Reference`] when that is no registry's name; [`OciError::Credentials`], [`OciError::Keyring`] and
/// [`OciError::Helper`] as with a [`Client`](crate::Client).
pub async fn logins_of(docker_config: &Path, registry: &str) -> Result<Vec<StoredLogin>, OciError> {
    let reference = any_of(registry)?;
    let file = LoginFile::new(docker_config.to_owned());
    if let Some(login) = file.helper_login(&reference).await? {
        return Ok(vec![StoredLogin { key: crate::auth::credentials::server(&reference).to_owned(), login }]);
    }
    let found = file.current()?.keyring.entries_of(&reference)?;
    Ok(found.into_iter().map(|(key, login)| StoredLogin { key, login }).collect())
}

/// A reference in a registry, where only the registry matters.
pub(crate) fn any_of(registry: &str) -> Result<Reference, OciError> {
    let reference: Reference = format!("{registry}/any").parse()?;
    // A name without a dot, a colon or `localhost` is a repository of Docker Hub's.
    let named = match registry.to_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        name => name.to_owned(),
    };
    match reference.repository().ends_with("any") && reference.registry().eq_ignore_ascii_case(&named) {
        true => Ok(reference),
        false => Err(OciError::Reference {
            given: registry.to_owned(),
            problem: "it must be a registry, host or host:port".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn stored(content: &str, registry: &str) -> Result<Vec<(String, Value)>, OciError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, content).unwrap();
        let found = logins_of(&path, registry).await?;
        Ok(found.into_iter().map(|login| (login.key.clone(), login.docker_auth())).collect())
    }

    #[tokio::test]
    async fn each_login_of_a_registry_is_told_with_its_key_in_a_form_that_kubelets_know() {
        let config = r#"{ "auths": {
            "ghcr.io": { "auth": "bWU6aHVudGVyMg==" },
            "https://GHCR.io/org": { "username": "you", "password": "x:y" },
            "*.azurecr.io": { "auth": "bWU6", "identitytoken": "r3fresh" },
            "ghcr.io.example.com": { "auth": "bWU6aHVudGVyMg==" },
            "https://index.docker.io/v1/": { "registrytoken": "t0ken" },
            "localhost:5000": {}, "quay.io": null
        } }"#;
        let azure = STANDARD.encode(format!("{AZURE_TOKEN_USER}:r3fresh"));
        let table = [
            (
                "ghcr.io",
                json!([["https://GHCR.io/org", {"auth": "eW91Ong6eQ=="}], ["ghcr.io", {"auth": "bWU6aHVudGVyMg=="}]]),
            ),
            ("me.azurecr.io", json!([["*.azurecr.io", {"auth": azure, "identitytoken": "r3fresh"}]])),
            ("docker.io", json!([["https://index.docker.io/v1/", {"registrytoken": "t0ken"}]])),
            ("localhost:5000", json!([])),
            ("quay.io", json!([])),
            ("ghcr.io:443", json!([])),
        ];
        for (registry, expected) in table {
            assert_eq!(json!(stored(config, registry).await.unwrap()), expected, "{registry}");
        }
        for none in ["", "{}", "ghcr", "ghcr.io/x", "a b"] {
            assert!(stored(config, none).await.is_err(), "{none:?} is no registry");
        }
        assert!(logins_of(Path::new("/nowhere/config.json"), "ghcr.io").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_wrong_with_another_registrys_login_does_not_matter() {
        let config = r#"{ "credHelpers": { "gcr.io": 5 }, "auths": {
            "ghcr.io": { "auth": "bWU6aHVudGVyMg==" }, "quay.io": { "auth": "hunter2" }, "gcr.io": {} } }"#;
        assert_eq!(stored(config, "ghcr.io").await.unwrap().len(), 1);
        for (registry, said) in [("quay.io", "in the \"auth\" of \"quay.io\""), ("gcr.io", "of \"gcr.io\"")] {
            let error = stored(config, registry).await.unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        }
    }
}
