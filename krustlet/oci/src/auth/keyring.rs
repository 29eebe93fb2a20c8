//! Logins of registries, and which of them are for which artifact.
//!
//! The files are docker's (<https://docs.docker.com/reference/cli/docker/#sample-configuration-file>), the meaning of
//! their keys is Kubernetes' (<https://kubernetes.io/docs/concepts/containers/images/#config-json>).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::login::{Login, Who};
use crate::auth::registry_key::RegistryKey;
use crate::{OciError, Reference};

/// Logins by the registries that they are for.
///
/// A key is `host`, `host:port` or either with a path; `https://` before it, and docker's `/v1/` and `/v2/` after it, mean
/// nothing. It is for the artifacts of just this host and port whose repository begins with the path. In each part of the
/// host between dots `*` stands for any characters, `?` for one, `[a-c]` for one of some; a pattern never spans a dot, so
/// `*.example.com` is not for `example.com`. The most specific login comes first: the longest path, then hosts without
/// patterns, then the order in which they were added.
///
/// Only the entries themselves are read. `credsStore` and `credHelpers` mean nothing here: what comes from a cluster must not
/// name programs that a node starts.
#[derive(Clone)]
pub struct Keyring {
    entries: Vec<Entry>,
    /// Of the logins that are added next.
    source: Arc<str>,
}

impl Default for Keyring {
    fn default() -> Self {
        Self { entries: Vec::new(), source: "the docker config that was given".into() }
    }
}

#[derive(Clone)]
struct Entry {
    key: RegistryKey,
    /// The key as it is written.
    written: String,
    /// What is wrong with one that cannot be used matters only to whoever asks for its registry.
    login: Result<Login, String>,
}

#[derive(Deserialize)]
struct ConfigFile {
    auths: Option<HashMap<String, Value>>,
}

#[derive(Deserialize)]
struct Fields {
    /// Base64 of `user:password`.
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    /// An OAuth 2 refresh token, as `az acr login` leaves it.
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Keyring {
    /// Where the logins that are added from now on come from, as errors name it: `imagePullSecret 1 of 2`.
    pub fn set_source(&mut self, source: &str) {
        self.source = source.into();
    }

    /// Adds the logins of a docker `config.json`, which is also what a Secret of type `kubernetes.io/dockerconfigjson`
    /// holds: an object with `auths`.
    ///
    /// # Errors
    ///
    /// [`OciError::Keyring`], which repeats nothing of the content.
    pub fn add_docker_config_json(&mut self, content: &[u8]) -> Result<(), OciError> {
        let file: ConfigFile = parse(content)?;
        self.add(file.auths.unwrap_or_default());
        Ok(())
    }

    /// Adds the logins of docker's older `.dockercfg`, which is also what a Secret of type `kubernetes.io/dockercfg`
    /// holds: the entries alone.
    ///
    /// # Errors
    ///
    /// [`OciError::Keyring`], which repeats nothing of the content.
    pub fn add_docker_cfg(&mut self, content: &[u8]) -> Result<(), OciError> {
        self.add(parse(content)?);
        Ok(())
    }

    fn add(&mut self, entries: HashMap<String, Value>) {
        let mut fields: Vec<_> = entries.into_iter().collect();
        // The order of a map is no order: where two entries are equally specific, let it be the same every time.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, fields) in fields {
            let login = match serde_json::from_value::<Option<Fields>>(fields) {
                Ok(fields) => fields.map_or(Ok(None), Fields::login),
                // Not serde's own message: it may repeat a value.
                Err(_) => Err("there is no JSON of docker's in the entry"),
            };
            let login = match login {
                Ok(None) => continue,
                Ok(Some(who)) => Ok(Login::new(who, self.source.clone())),
                Err(problem) => Err(format!("{problem} of \"{key}\" in {}", self.source)),
            };
            self.entries.push(Entry { key: RegistryKey::new(&key), written: key, login });
        }
        self.entries.sort_by_key(|entry| entry.key.order());
    }

    /// The logins for an artifact, the most specific one first, each once.
    ///
    /// # Errors
    /// [`OciError::Keyring`] when there are entries for it, and none that can be used.
    pub(crate) fn logins(&self, reference: &Reference) -> Result<Vec<Login>, OciError> {
        let found = self.usable(|key| key.is_for(reference))?;
        let mut logins = Vec::new();
        for (_, login) in found {
            if !logins.contains(login) {
                logins.push(login.clone());
            }
        }
        Ok(logins)
    }

    /// The logins for an artifact's registry, whatever part of it they are for, each with its key.
    ///
    /// # Errors
    /// As [`logins`](Self::logins).
    pub(crate) fn entries_of(&self, reference: &Reference) -> Result<Vec<(String, Login)>, OciError> {
        let found = self.usable(|key| key.is_of_registry(reference))?;
        Ok(found.into_iter().map(|(key, login)| (key.to_owned(), login.clone())).collect())
    }

    fn usable(&self, wanted: impl Fn(&RegistryKey) -> bool) -> Result<Vec<(&str, &Login)>, OciError> {
        let (mut usable, mut broken) = (Vec::new(), None);
        for entry in self.entries.iter().filter(|entry| wanted(&entry.key)) {
            match &entry.login {
                Ok(login) => usable.push((entry.written.as_str(), login)),
                Err(problem) => broken = broken.or(Some(problem)),
            }
        }
        match (usable.is_empty(), broken) {
            (true, Some(problem)) => Err(OciError::Keyring(problem.clone())),
            _ => Ok(usable),
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| entry.key.to_string())).finish()
    }
}

impl Fields {
    fn login(self) -> Result<Option<Who>, &'static str> {
        // Docker writes padding, Kubernetes takes it as it comes.
        const BASE64: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
        if let Some(token) = filled(self.registrytoken) {
            return Ok(Some(Who::Token(token)));
        }
        let pair = match filled(self.auth) {
            Some(encoded) => {
                let decoded = BASE64.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
                let (user, password) = pair.ok_or("there is no user:password in base64 in the \"auth\"")?;
                // Docker pads with NUL at times.
                Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
            }
            None => filled(self.username).map(|user| (user, self.password.unwrap_or_default())),
        };
        if let Some(token) = filled(self.identitytoken) {
            let user = pair.map(|(user, _)| user).unwrap_or_default();
            return Ok(Some(Who::Identity { user, token }));
        }
        let pair = pair.filter(|(_, password)| !password.is_empty());
        Ok(pair.map(|(user, password)| who(user, password)))
    }
}

/// What a pair of name and secret means: docker calls an identity token's user `<token>`.
pub(crate) fn who(user: String, secret: String) -> Who {
    match user.as_str() {
        "" | "<token>" => Who::Identity { user: String::new(), token: secret },
        _ => Who::Basic { user, password: secret },
    }
}

fn parse<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<T, OciError> {
    // Only where, not what: serde's own message may repeat a value.
    serde_json::from_slice(content)
        .map_err(|error| OciError::Keyring(format!("it is not the JSON that docker writes (line {})", error.line())))
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
