//! The errors of this crate. Each message says what to do; none holds a secret or a URL's query.

use std::error::Error;

use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::Reference;

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
        "the registry {registry} cannot be reached: {cause}; see that the address is right and that the registry runs; \
         if it speaks plain HTTP, name it as an insecure registry"
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
        "the registry {registry} wants other credentials for {repository}{}; give the pod an imagePullSecret for it, or \
         log in with `docker login {registry}` (read are the `auths` of the docker config file; credential helpers are not)",
        in_brackets(.message)
    )]
    Unauthorized {
        /// Host and port.
        registry: String,
        /// The repository within the registry.
        repository: String,
        /// The registry's own words; may be empty.
        message: String,
    },

    /// The registry knows who asks, and does not allow it.
    #[error(
        "the registry does not allow this for {reference}: {message}; ask for the right to it, or see that the repository is right"
    )]
    Denied {
        /// What was asked for.
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

/// How much of a registry's own words is kept: enough for a sentence, not for a page of HTML.
const WORDS: usize = 300;

impl OciError {
    /// What oci-client said, in the words of this crate. `reference` is what was asked for.
    pub(crate) fn from_client(error: OciDistributionError, reference: &Reference) -> Self {
        use OciDistributionError as E;
        match error {
            E::RequestError(error) => Self::from_http(error, reference),
            E::UnauthorizedError { .. } => Self::unauthorized(reference, ""),
            E::AuthenticationFailure(message) => Self::unauthorized(reference, &message),
            E::ServerError { code, message, .. } => Self::from_status(code, &message, reference),
            E::RegistryError { envelope, .. } => {
                let words = envelope.errors.iter().map(|e| match e.message.as_str() {
                    "" => format!("{:?}", e.code),
                    message => message.to_owned(),
                });
                let message = words.collect::<Vec<_>>().join("; ");
                match envelope.errors.first().map(|e| &e.code) {
                    Some(
                        OciErrorCode::ManifestUnknown
                        | OciErrorCode::NameUnknown
                        | OciErrorCode::NotFound
                        | OciErrorCode::BlobUnknown,
                    ) => Self::not_found(reference, &message),
                    Some(OciErrorCode::Unauthorized) => Self::unauthorized(reference, &message),
                    Some(OciErrorCode::Denied) => Self::denied(reference, &message),
                    _ => Self::registry(reference, &message),
                }
            }
            E::DigestError(DigestError::VerificationError { expected, actual }) => {
                Self::DigestMismatch { what: format!("what the registry sent for {reference}"), expected, actual }
            }
            error => Self::registry(reference, &error.to_string()),
        }
    }

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
        }
    }

    /// Whether the registry refused who asked, or, which many registries do not tell apart, has no such thing.
    pub(crate) fn may_be_the_login(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Denied { .. } | Self::NotFound { .. })
    }

    fn denied(reference: &Reference, message: &str) -> Self {
        Self::Denied { reference: reference.to_string(), message: words(message) }
    }

    pub(crate) fn registry(reference: &Reference, message: &str) -> Self {
        Self::Registry { registry: reference.registry().to_owned(), message: words(message) }
    }
}

/// The status, and what the registry said with it.
pub(crate) fn said(status: u16, body: &str) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    match own_words(body).as_str() {
        "" => format!("HTTP status {status} {reason}").trim_end().to_owned(),
        words => format!("HTTP status {status} {words}"),
    }
}

/// What is meant for people in the body of an error
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>).
fn own_words(body: &str) -> String {
    let Ok(Envelope { errors }) = serde_json::from_str(body) else { return words(body) };
    let said = errors.into_iter().map(|e| if e.message.is_empty() { e.code } else { e.message });
    words(&said.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; "))
}

#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

fn in_brackets(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

/// A registry's own words on one line, cut to a sensible length.
pub(crate) fn words(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
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
