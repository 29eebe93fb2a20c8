//! Names of artifacts.

use std::fmt;
use std::str::FromStr;

use crate::OciError;

/// What a name without a registry means, as for every tool of this field.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";
const DOCKER_HUB_OLD_NAME: &str = "index.docker.io";
const DEFAULT_TAG: &str = "latest";

/// The name of an artifact: `registry/repository:tag`, `registry/repository@digest`, or with both.
///
/// Read as Docker and containerd do (<https://pkg.go.dev/github.com/distribution/reference>): the part before the first
/// slash is a registry if it holds a dot or a colon, has an upper-case letter, or is `localhost`; otherwise the registry
/// is `docker.io`, where names of one part are in `library/`. With neither tag nor digest the tag is `latest`. A digest
/// wins over a tag. Repository and tag follow the distribution specification
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>); digests are SHA-256.
///
/// Printing gives the full form, which reads back as the same reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Host, and port if one was given: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry: `library/hello-world`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. There is always a tag or a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, as `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The same repository, by digest alone: `sha256:…`, as this crate gives it.
    pub fn by_digest(&self, digest: String) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository with another tag; `None` if that is no tag.
    pub(crate) fn with_tag(&self, tag: &str) -> Option<Self> {
        Some(Self { tag: Some(check_tag(tag).ok()?), digest: None, ..self.clone() })
    }

    /// The same repository and tag without the digest, if there is a tag.
    pub(crate) fn by_tag(&self) -> Option<Self> {
        self.tag.as_ref()?;
        Some(Self { digest: None, ..self.clone() })
    }

    /// Where the registry's API is: its own host, but for Docker Hub.
    pub(crate) fn api_host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB => DOCKER_HUB_API,
            registry => registry,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = OciError;

    fn from_str(given: &str) -> Result<Self, OciError> {
        parse(given).map_err(|problem| OciError::Reference { given: without_login(given), problem })
    }
}

/// What may be repeated in a message: `user:password@host/…` is a mistake, but one with a password in it.
fn without_login(given: &str) -> String {
    match given.split_once('@') {
        Some((_, host)) if !host.starts_with("sha") => format!("…@{host}"),
        _ => given.to_owned(),
    }
}

fn parse(given: &str) -> Result<Reference, String> {
    if given.is_empty() {
        return Err("it is empty".into());
    }
    if given.contains("://") {
        return Err("a reference has no scheme such as https://".into());
    }
    let (name, digest) = match given.split_once('@') {
        Some((_, rest)) if rest.contains('/') => {
            return Err("it holds no user and password: log in with `docker login`".into());
        }
        Some((name, digest)) => (name, Some(check_digest(digest)?)),
        None => (given, None),
    };
    // A colon after the last slash starts the tag; one before belongs to the registry's port.
    let last_part = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name[last_part..].find(':') {
        Some(colon) => (&name[..last_part + colon], Some(check_tag(&name[last_part + colon + 1..])?)),
        None => (name, None),
    };
    let (registry, repository) = match name.split_once('/') {
        Some((host, path)) if is_registry(host) => (check_registry(host)?, path.to_owned()),
        _ => (DOCKER_HUB.to_owned(), name.to_owned()),
    };
    let repository = match registry.as_str() {
        DOCKER_HUB if !repository.contains('/') => format!("library/{}", check_repository(&repository)?),
        _ => check_repository(&repository)?.to_owned(),
    };
    let tag = match (&tag, &digest) {
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        _ => tag,
    };
    Ok(Reference { registry, repository, tag, digest })
}

fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.contains(|c: char| c.is_ascii_uppercase())
}

fn check_registry(host: &str) -> Result<String, String> {
    let (name, port) = split_port(host)?;
    if let Some(port) = port
        && port.parse::<u16>().unwrap_or(0) == 0
    {
        return Err(format!("the registry's port \"{port}\" is not a number from 1 to 65535"));
    }
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let valid = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        }),
    };
    match valid {
        false => Err(format!("the registry \"{host}\" is not a host name or an address")),
        true if host == DOCKER_HUB_OLD_NAME => Ok(DOCKER_HUB.to_owned()),
        true => Ok(host.to_owned()),
    }
}

/// Splits at the colon of a port, but not within the brackets of an IPv6 address.
fn split_port(host: &str) -> Result<(&str, Option<&str>), String> {
    let after = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    match host[after..].strip_prefix(':') {
        Some(port) => Ok((&host[..after], Some(port))),
        None if after == host.len() => Ok((host, None)),
        None => Err(format!("the registry \"{host}\" is not a host name or an address")),
    }
}

/// Lower-case parts between slashes; within a part, letters and digits with `.`, `_`, `__` or hyphens between them.
fn check_repository(repository: &str) -> Result<&str, String> {
    if repository.is_empty() {
        return Err("the repository is missing".into());
    }
    if repository.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(format!("the repository \"{repository}\" must be in lower case"));
    }
    if repository.len() > 255 {
        return Err("the repository is longer than 255 characters".into());
    }
    match repository.split('/').all(is_path_part) {
        true => Ok(repository),
        false => Err(format!(
            "the repository \"{repository}\" must be parts of letters and digits, which '.', '_', '__' or '-' may join, \
             between slashes"
        )),
    }
}

fn is_path_part(part: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joins = |s: &str| matches!(s, "." | "_" | "__") || (!s.is_empty() && s.chars().all(|c| c == '-'));
    part.starts_with(is_name)
        && part.ends_with(is_name)
        && part.split(is_name).all(|separator| separator.is_empty() || joins(separator))
}

fn check_tag(tag: &str) -> Result<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let valid = tag.len() <= 128 && tag.starts_with(is_word) && tag.chars().all(|c| is_word(c) || c == '.' || c == '-');
    match valid {
        true => Ok(tag.to_owned()),
        false => Err(format!(
            "the tag \"{tag}\" must be 1 to 128 letters, digits, '_', '.' or '-', and not start with '.' or '-'"
        )),
    }
}

fn check_digest(digest: &str) -> Result<String, String> {
    match is_digest(digest) {
        true => Ok(digest.to_owned()),
        false => Err(format!("the digest \"{digest}\" must be sha256: and 64 hexadecimal digits in lower case")),
    }
}

/// Whether this is a SHA-256 digest, which is then safe in a path or a URL, too.
pub(crate) fn is_digest(digest: &str) -> bool {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
