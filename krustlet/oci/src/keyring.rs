//! Logins of registries, and which of them are for which artifact.
//!
//! The files are docker's (<https://docs.docker.com/reference/cli/docker/#sample-configuration-file>), the meaning of
//! their keys is Kubernetes' (<https://kubernetes.io/docs/concepts/containers/images/#config-json>).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{OciError, Reference};

/// Who asks a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Anonymous,
    Basic {
        user: String,
        password: String,
    },
    /// A token that the registry itself gave out, sent as it is.
    Token(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// Logins by the registries that they are for.
///
/// A key is `host`, `host:port` or either with a path; `https://` before it, and docker's `/v1/` and `/v2/` after it, mean
/// nothing. It is for the artifacts of just this host and port whose repository begins with the path. In each part of the
/// host between dots `*` stands for any characters, `?` for one, `[a-c]` for one of some; a pattern never spans a dot, so
/// `*.example.com` is not for `example.com`. The most specific login comes first: the longest path, then hosts without
/// patterns, then the order in which they were added.
///
/// Only the entries themselves are read. What a credential helper holds (`credsStore`, `credHelpers`) is not.
#[derive(Clone, Default)]
pub struct Keyring {
    entries: Vec<Entry>,
    names_helpers: bool,
}

#[derive(Clone)]
struct Entry {
    host: String,
    port: String,
    path: String,
    login: Login,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Fields>,
    creds_store: Option<IgnoredAny>,
    cred_helpers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Fields {
    /// Base64 of `user:password`.
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    registrytoken: Option<String>,
}

impl Keyring {
    /// Adds the logins of a docker `config.json`, which is also what a Secret of type `kubernetes.io/dockerconfigjson`
    /// holds: an object with `auths`.
    ///
    /// # Errors
    ///
    /// [`OciError::Keyring`], which repeats nothing of the content.
    pub fn add_docker_config_json(&mut self, content: &[u8]) -> Result<(), OciError> {
        let file: ConfigFile = parse(content)?;
        self.names_helpers |= file.creds_store.is_some() || file.cred_helpers.is_some();
        self.add(file.auths)
    }

    /// Adds the logins of docker's older `.dockercfg`, which is also what a Secret of type `kubernetes.io/dockercfg`
    /// holds: the entries alone.
    ///
    /// # Errors
    ///
    /// [`OciError::Keyring`], which repeats nothing of the content.
    pub fn add_docker_cfg(&mut self, content: &[u8]) -> Result<(), OciError> {
        self.add(parse(content)?)
    }

    /// Whether one of the files named a credential helper.
    pub(crate) fn names_helpers(&self) -> bool {
        self.names_helpers
    }

    fn add(&mut self, fields: HashMap<String, Fields>) -> Result<(), OciError> {
        let mut fields: Vec<_> = fields.into_iter().collect();
        // The order of a map is no order: where two entries are equally specific, let it be the same every time.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, fields) in fields {
            let login = fields.login().map_err(|problem| OciError::Keyring(format!("{problem} of \"{key}\"")))?;
            self.entries.extend(login.map(|login| Entry::new(&key, login)));
        }
        self.entries.sort_by_key(Entry::order);
        Ok(())
    }

    /// The logins for an artifact, the most specific one first, each once.
    pub(crate) fn logins(&self, reference: &Reference) -> Vec<Login> {
        let (host, port) = split_port(reference.registry());
        let (host, path) = (hub(&host.to_lowercase()), format!("/{}", reference.repository()));
        let mut logins = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.is_for(&host, port, &path)) {
            if !logins.contains(&entry.login) {
                logins.push(entry.login.clone());
            }
        }
        logins
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|e| format!("{}:{}{}", e.host, e.port, e.path))).finish()
    }
}

impl Entry {
    fn new(key: &str, login: Login) -> Self {
        let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        let (host, path) = key.find('/').map_or((key, ""), |slash| key.split_at(slash));
        let path = ["/v1/", "/v2/"].iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path);
        let path = path.trim_matches('/');
        let (host, port) = split_port(host);
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Self { host: hub(&host.to_lowercase()), port: port.to_owned(), path, login }
    }

    fn order(&self) -> (Reverse<usize>, bool) {
        (Reverse(self.path.len()), self.host.contains(['*', '?']))
    }

    fn is_for(&self, host: &str, port: &str, path: &str) -> bool {
        let (patterns, parts) = (self.host.split('.'), host.split('.'));
        self.port == port
            && path.starts_with(&self.path)
            && (self.host == host
                || patterns.clone().count() == parts.clone().count()
                    && patterns.zip(parts).all(|(pattern, part)| matches(pattern, part)))
    }
}

impl Fields {
    fn login(self) -> Result<Option<Login>, &'static str> {
        // Docker writes padding, Kubernetes takes it as it comes.
        const BASE64: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
        if let Some(token) = filled(self.registrytoken) {
            return Ok(Some(Login::Token(token)));
        }
        if let Some(encoded) = filled(self.auth) {
            let decoded = BASE64.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            return match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
                // Docker pads with NUL at times.
                Some((user, password)) => {
                    let password = password.trim_end_matches('\0').to_owned();
                    Ok(Some(Login::Basic { user: user.to_owned(), password }))
                }
                None => Err("there is no user:password in base64 in the \"auth\""),
            };
        }
        Ok(match (filled(self.username), filled(self.password)) {
            (Some(user), Some(password)) => Some(Login::Basic { user, password }),
            _ => None,
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<T, OciError> {
    // Only where, not what: serde's own message may repeat a value.
    serde_json::from_slice(content)
        .map_err(|error| OciError::Keyring(format!("it is not the JSON that docker writes (line {})", error.line())))
}

/// Docker Hub has several names.
fn hub(host: &str) -> String {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

/// Host and port; the port is empty where there is none. The colons of an IPv6 address are within brackets.
fn split_port(host: &str) -> (&str, &str) {
    let after = host.rfind(']').map_or(0, |bracket| bracket + 1);
    match host[after..].find(':') {
        Some(colon) => (&host[..after + colon], &host[after + colon + 1..]),
        None => (host, ""),
    }
}

/// Whether a pattern takes a text. Never more than `pattern × text` steps, as patterns are for anybody to write.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            star = Some((p, t));
        } else if let Some(length) = pattern.get(p..).and_then(|pattern| element(pattern, text[t])) {
            p += length;
            t += 1;
        } else if let Some((after, taken)) = star {
            // The last star takes one character more.
            (p, t) = (after, taken + 1);
            star = Some((after, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// How long the pattern's first element is, if it takes this character.
fn element(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let (negated, set) = match rest {
                ['^', set @ ..] => (true, set),
                set => (false, set),
            };
            let end = set.iter().position(|&c| c == ']').filter(|&end| end > 0)?;
            let found = in_set(&set[..end], c);
            (found != negated).then_some(1 + usize::from(negated) + end + 1)
        }
        [first, ..] if *first == c => Some(1),
        _ => None,
    }
}

fn in_set(set: &[char], c: char) -> bool {
    match set {
        [low, '-', high, rest @ ..] => (*low..=*high).contains(&c) || in_set(rest, c),
        [one, rest @ ..] => *one == c || in_set(rest, c),
        [] => false,
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
