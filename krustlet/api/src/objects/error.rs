//! Why the API server has not given what a pod refers to. What it refers to and is not there is no error here.

use std::time::Duration;

use krustlet_core::content::Kind;
use krustlet_core::lifecycle::not_started::NotStarted;

/// What the API server has not answered yet, with what it, or the network, said last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// An object, in this time.
    #[error("{} {name:?}: no answer from the API server in {patience:?}{}", .kind.word(), because(.last))]
    Object {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// How long it was waited for.
        patience: Duration,
        /// What was said last.
        last: Option<String>,
    },
    /// The services, for one that a program asks for.
    #[error("services have not yet been read at least once{}", because(.0))]
    Services(Option<String>),
    /// The services, for the variables of a pod; the kubelet's words.
    #[error("services have not yet been read at least once, cannot construct envvars{}", because(.0))]
    Variables(Option<String>),
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The API server refuses it, or is not to be reached.
    #[error("failed to fetch token: {0}")]
    Refused(kube::Error),
    /// Nothing came within this time.
    #[error("failed to fetch token: no answer from the API server in {} s", .0.as_secs())]
    Silent(Duration),
    /// An answer came without one.
    #[error("failed to fetch token: the answer holds none")]
    Empty,
}

fn because(last: &Option<String>) -> String {
    last.as_ref().map(|last| format!(": {last}")).unwrap_or_default()
}

impl From<Unread> for NotStarted {
    fn from(error: Unread) -> Self {
        Self::config(error.to_string())
    }
}

impl From<TokenError> for NotStarted {
    fn from(error: TokenError) -> Self {
        Self::config(error.to_string())
    }
}
