//! Why a container is not started, or not yet: what its status tells of that, and when it is tried again.

use std::fmt::Display;
use std::io;

/// The kubelet's words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The image's name cannot be read.
    InvalidImageName,
    /// The image is not here, and `imagePullPolicy` is `Never`.
    ErrImageNeverPull,
    /// The image cannot be had.
    ErrImagePull,
    /// The spec is wrong, or what it names is not there.
    CreateContainerConfigError,
    /// The host cannot give what it takes: a full disk, no more open files, a module whose compilation takes too much.
    CreateContainerError,
    /// Its module came, but cannot run.
    StartError,
}

/// When it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After a pause, which grows.
    BackOff,
    /// Soon, and at once when something has changed that its spec names.
    Soon,
    /// As one that has run and has ended: if the pod's restart policy says so.
    Restart,
}

impl Reason {
    /// What comes of it.
    pub fn retry(self) -> Retry {
        match self {
            Self::InvalidImageName | Self::ErrImageNeverPull | Self::ErrImagePull => Retry::BackOff,
            Self::CreateContainerConfigError | Self::CreateContainerError => Retry::Soon,
            Self::StartError => Retry::Restart,
        }
    }

    /// As the status has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidImageName => "InvalidImageName",
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::ErrImagePull => "ErrImagePull",
            Self::CreateContainerConfigError => "CreateContainerConfigError",
            Self::CreateContainerError => "CreateContainerError",
            Self::StartError => "StartError",
        }
    }
}

/// Why a container is not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotStarted {
    /// In one word.
    pub reason: Reason,
    /// For people, without any secret.
    pub message: String,
}

impl NotStarted {
    /// For this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// What the pod's author has wrong, or what is not there.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Reason::CreateContainerConfigError, message)
    }

    /// A fault of the host.
    pub fn host(message: impl Into<String>) -> Self {
        Self::new(Reason::CreateContainerError, message)
    }

    /// The same, and before its message what it is about.
    #[must_use]
    pub fn context(self, what: impl Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

/// What the host's files and sockets say is the host's, unless whoever asked knows better.
impl From<io::Error> for NotStarted {
    fn from(error: io::Error) -> Self {
        Self::host(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_says_when_it_is_tried_again() {
        for (reason, retry) in [
            (Reason::InvalidImageName, Retry::BackOff),
            (Reason::ErrImageNeverPull, Retry::BackOff),
            (Reason::ErrImagePull, Retry::BackOff),
            (Reason::CreateContainerConfigError, Retry::Soon),
            (Reason::CreateContainerError, Retry::Soon),
            (Reason::StartError, Retry::Restart),
        ] {
            assert_eq!(reason.retry(), retry, "{}", reason.word());
        }
    }
}
