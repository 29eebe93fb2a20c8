//! The errors of this crate. Each message says what to do; none holds a secret or a URL's query.

use std::error::Error;
use std::time::Duration;

use crate::Reference;
use crate::auth::login::Login;
use crate::transport::advice;
pub(crate) use crate::transport::words::{own_words, said, words};

/// Why an artifact could not be named, read, written or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// What was given is no reference.
    #[error(
        "\"{given}\" is not a reference to an artifact: {problem}; write registry/repository:tag or registry/repository@sha256:…"
    )]
    Reference {
        /// What was given.
        given: String,
        /// Which part is wrong, and how.
        problem: String,
    },

    /// No answer, or none that is HTTP: the address, the network, TLS, or a timeout.
    #[error(
        "the registry {registry} cannot be reached: {cause}; {}", advice::reach(.cause)
    )]
    Unreachable {
        /// Host and port.
        registry: String,
        /// What the network said.
        cause: String,
    },

    /// No end came in the time that was given.
    #[error(
        "the registry {registry} is too slow: {reference} took more than {seconds} s; try again when the network is faster"
    )]
    TimedOut {
        /// Host and port.
        registry: String,
        /// What was asked for.
        reference: String,
        /// The limit, [`ClientConfig::pull_timeout`](crate::ClientConfig::pull_timeout), in seconds.
        seconds: u64,
    },

    /// The registry has no such repository, tag or digest.
    #[error(
        "{reference} is not in the registry{}; see that the repository and the tag or digest are right, and that it was \
         pushed", in_brackets(.message)
    )]
    NotFound {
        /// What was asked for.
        reference: String,
        /// The registry's own words; may be empty.
        message: String,
    },

    /// The registry wants to know who asks, or does not believe it.
    #[error(
        "the registry {registry} wants other credentials for {repository}{}{}; {}",
        in_brackets(.message), asked_by(.asker), advice::log_in(.registry)
    )]
    Unauthorized {
        /// Host and port.
        registry: String,
        /// The repository within the registry.
        repository: String,
        /// The registry's own words; may be empty.
        message: String,
        /// As whom it was asked: user and source of the login, never its secret.
        asker: String,
    },

    /// The registry knows who asks, and does not allow it.
    #[error(
        "the registry does not allow this for {reference}: {message}{}; ask for the right to it, or see that the repository is \
         right; {}",
        asked_by(.asker), advice::log_in(registry_of(.reference))
    )]
    Denied {
        /// What was asked for.
        reference: String,
        /// The registry's own words.
        message: String,
        /// As whom it was asked: user and source of the login, never its secret.
        asker: String,
    },

    /// There is no such repository, and this registry makes none by a push.
    #[error("the registry has no repository for {reference}: {message}; {}", advice::create(registry_of(.reference)))]
    NoRepository {
        /// What was to be pushed.
        reference: String,
        /// The registry's own words.
        message: String,
    },

    /// Something else than a WebAssembly module is there.
    #[error("{reference} is not a WebAssembly artifact: {found}; push a module there with `wasm-oci push`")]
    NotAnArtifact {
        /// What was asked for.
        reference: String,
        /// What is there.
        found: String,
    },

    /// The bytes that were to be pushed are no module.
    #[error("{0}")]
    NotAModule(String),

    /// The module is larger than a node takes.
    #[error("the module has {size} bytes; {limit} are allowed: build it smaller (opt-level \"s\", lto, strip)")]
    TooLarge {
        /// The module's size in bytes.
        size: u64,
        /// [`MAX_MODULE_BYTES`](crate::MAX_MODULE_BYTES).
        limit: u64,
    },

    /// What came, or what is there, is not what the digest says.
    #[error("the digest of {what} is {actual}, not {expected}; do not use it: it was damaged or exchanged on its way")]
    DigestMismatch {
        /// Which thing.
        what: String,
        /// The digest that it should have.
        expected: String,
        /// The digest that it has.
        actual: String,
    },

    /// The registry deletes nothing.
    #[error(
        "the registry refuses to delete {reference}: {message}; allow deletion in the registry's own settings (for \
         distribution: REGISTRY_STORAGE_DELETE_ENABLED=true), or delete it there by hand"
    )]
    DeleteRefused {
        /// What was to be deleted.
        reference: String,
        /// The registry's own words.
        message: String,
    },

    /// The registry deletes no tags, and the tag's manifest is not this tag's alone.
    #[error(
        "the registry cannot delete the tag of {reference} ({message}), and its manifest is in use under {others}, too: \
         nothing was deleted; delete those first, or the manifest with all of its tags (wasm-oci delete --manifest)"
    )]
    TagShared {
        /// What was to be deleted.
        reference: String,
        /// The registry's own words.
        message: String,
        /// What else leads to the manifest.
        others: String,
    },

    /// Any other refusal or fault of the registry.
    #[error("the registry {registry} failed: {message}; try again later, or look into the registry's log")]
    Registry {
        /// Host and port.
        registry: String,
        /// The registry's own words.
        message: String,
    },

    /// The docker config file is there, but cannot be used.
    #[error("the docker config file {path} cannot be used: {problem}; mend it, or log in anew with `docker login`")]
    Credentials {
        /// The file.
        path: String,
        /// What is wrong with it, without its content.
        problem: String,
    },

    /// A credential helper that the docker config file names does not work.
    #[error(
        "the credential helper docker-credential-{name}, which {path} names for {registry}, cannot be used: {problem}; install or \
         mend it, or take it out of credHelpers and credsStore and log in anew with `docker login`"
    )]
    Helper {
        /// What follows `docker-credential-` in its name.
        name: String,
        /// The registry that it was asked for.
        registry: String,
        /// The docker config file.
        path: String,
        /// What is wrong with it, without anything that it keeps.
        problem: String,
    },

    /// The file of the private authority cannot be used.
    #[error(
        "the file of trusted certificates {path} cannot be used: {problem}; give the authority's certificate as PEM"
    )]
    TrustedCa {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },

    /// What should hold logins does not.
    #[error("the logins cannot be read: {0}")]
    Keyring(String),

    /// The module came, but could not be kept.
    #[error("the module cannot be written: {0}")]
    Write(std::io::Error),

    /// The HTTP client cannot be made on this host.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

impl OciError {
    /// What reqwest said: a status, or that there was no answer.
    pub(crate) fn from_http(error: reqwest::Error, reference: &Reference) -> Self {
        let error = error.without_url();
        if let Some(status) = error.status() {
            return Self::from_status(status.as_u16(), &error.to_string(), reference);
        }
        let mut causes = Vec::new();
        let mut next: Option<&dyn Error> = Some(&error);
        while let Some(error) = next {
            let cause = error.to_string();
            // Many layers of the stack repeat the one below.
            if causes.last().is_none_or(|last: &String| !last.contains(&cause)) {
                causes.push(cause);
            }
            next = error.source();
        }
        Self::Unreachable { registry: reference.registry().to_owned(), cause: causes.join(": ") }
    }

    /// What was sent was not taken for too long.
    pub(crate) fn stalled(reference: &Reference, limit: Duration) -> Self {
        let cause = format!("it took and said nothing for {} s", limit.as_secs());
        Self::Unreachable { registry: reference.registry().to_owned(), cause }
    }

    /// An HTTP status outside of 200 to 299, with the body or a sentence that came with it.
    pub(crate) fn from_status(status: u16, message: &str, reference: &Reference) -> Self {
        match status {
            401 => Self::unauthorized(reference, &own_words(message)),
            403 => Self::denied(reference, &said(status, message)),
            404 => Self::not_found(reference, &own_words(message)),
            _ => Self::registry(reference, &said(status, message)),
        }
    }

    pub(crate) fn not_an_artifact(reference: &Reference, found: &str) -> Self {
        Self::NotAnArtifact { reference: reference.to_string(), found: words(found) }
    }

    pub(crate) fn not_found(reference: &Reference, message: &str) -> Self {
        Self::NotFound { reference: reference.to_string(), message: words(message) }
    }

    pub(crate) fn unauthorized(reference: &Reference, message: &str) -> Self {
        Self::Unauthorized {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            message: words(message),
            asker: String::new(),
        }
    }

    /// The same, telling as whom the registry was asked.
    pub(crate) fn asked_as(mut self, login: &Login) -> Self {
        if let Self::Unauthorized { asker, .. } | Self::Denied { asker, .. } = &mut self {
            *asker = login.described();
        }
        self
    }

    /// Whether the registry refused who asked, or, which many registries do not tell apart, has no such thing.
    pub(crate) fn may_be_the_login(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Denied { .. } | Self::NotFound { .. })
    }

    pub(crate) fn denied(reference: &Reference, message: &str) -> Self {
        Self::Denied { reference: reference.to_string(), message: words(message), asker: String::new() }
    }

    pub(crate) fn no_repository(reference: &Reference, message: &str) -> Self {
        Self::NoRepository { reference: reference.to_string(), message: words(message) }
    }

    pub(crate) fn registry(reference: &Reference, message: &str) -> Self {
        Self::Registry { registry: reference.registry().to_owned(), message: words(message) }
    }
}

fn in_brackets(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

fn asked_by(asker: &str) -> String {
    if asker.is_empty() { String::new() } else { format!("; it was asked as {asker}") }
}

/// The registry of a reference that was printed.
fn registry_of(reference: &str) -> &str {
    reference.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_own_words_are_in_the_message() {
        let reference: Reference = "r.io/a/b:v1".parse().unwrap();
        let json = r#"{"errors":[{"code":"X","message":"no such\n thing"},{"code":"OTHER"}]}"#;
        let table = [
            (401, json, "the registry r.io wants other credentials for a/b (no such thing; OTHER);"),
            (401, "", "the registry r.io wants other credentials for a/b;"),
            (403, json, "the registry does not allow this for r.io/a/b:v1: HTTP status 403 no such thing; OTHER;"),
            (403, "", "the registry does not allow this for r.io/a/b:v1: HTTP status 403 Forbidden;"),
            (404, json, "r.io/a/b:v1 is not in the registry (no such thing; OTHER);"),
            (404, "<h1>gone</h1>", "r.io/a/b:v1 is not in the registry (<h1>gone</h1>);"),
            (429, json, "the registry r.io failed: HTTP status 429 no such thing; OTHER;"),
            (503, "", "the registry r.io failed: HTTP status 503 Service Unavailable;"),
            (599, "", "the registry r.io failed: HTTP status 599;"),
            (500, r#"{"errors":"odd"}"#, r#"the registry r.io failed: HTTP status 500 {"errors":"odd"};"#),
        ];
        for (status, body, expected) in table {
            let message = OciError::from_status(status, body, &reference).to_string();
            assert!(message.starts_with(expected), "{message}");
        }
        let long = OciError::from_status(500, &"x".repeat(10_000), &reference).to_string();
        assert!(long.len() < 500, "{}", long.len());
    }
}
