//! What a pod wants, and with which logins.

use std::fmt;

use krustlet_core::lifecycle::not_started::{NotStarted, Reason};
use krustlet_oci::{Client, Keyring, Reference};
use sha2::{Digest, Sha256};

use super::turns::Who;
use super::{PullPolicy, index};

/// What a request has to wait for, behind others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Its registry's turn to be asked, or its own to be fetched.
    Fetching,
    /// Its turn to be compiled.
    Compiling,
}

/// A wish for a module.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The namespace of the pod: the node is shared fairly between these.
    pub tenant: &'a str,
    /// Told when it has to wait for others.
    pub on_wait: Option<&'a (dyn Fn(Wait) + Sync)>,
    /// `image` of the container.
    pub name: &'a str,
    /// `imagePullPolicy` of the container, if there is one.
    pub policy: Option<&'a str>,
    /// The Secrets that `imagePullSecrets` of the pod names.
    pub pull_secrets: &'a [PullSecret],
}

/// A Secret with logins of registries
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets>).
#[derive(Clone)]
pub enum PullSecret {
    /// `.dockerconfigjson` of one of type `kubernetes.io/dockerconfigjson`.
    DockerConfigJson(Vec<u8>),
    /// `.dockercfg` of one of type `kubernetes.io/dockercfg`.
    DockerCfg(Vec<u8>),
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DockerConfigJson(_) => "DockerConfigJson(…)",
            Self::DockerCfg(_) => "DockerCfg(…)",
        })
    }
}

impl Request<'_> {
    pub(super) fn waits(&self, wait: Wait) {
        if let Some(told) = self.on_wait {
            told(wait);
        }
    }

    /// A client that asks with the pod's logins before the node's.
    ///
    /// # Errors
    /// A Secret that cannot be read.
    pub(super) fn client(&self, node: &Client) -> Result<Client, NotStarted> {
        if self.pull_secrets.is_empty() {
            return Ok(node.clone());
        }
        let mut keyring = Keyring::default();
        for (number, secret) in self.pull_secrets.iter().enumerate() {
            keyring.set_source(&format!("image pull secret {} of {}", number + 1, self.pull_secrets.len()));
            let added = match secret {
                PullSecret::DockerConfigJson(content) => keyring.add_docker_config_json(content),
                PullSecret::DockerCfg(content) => keyring.add_docker_cfg(content),
            };
            added.map_err(|error| {
                let (number, all) = (number + 1, self.pull_secrets.len());
                NotStarted::new(
                    Reason::ErrImagePull,
                    format!("image pull secret {number} of {all} cannot be used: {error}"),
                )
            })?;
        }
        Ok(node.with_keyring(keyring))
    }

    /// The same for two requests exactly when they would ask a registry with the same pull secrets; empty where there are none, and
    /// the node asks for itself.
    pub fn credential(&self) -> String {
        if self.pull_secrets.is_empty() {
            return String::new();
        }
        let mut hash = Sha256::new();
        for secret in self.pull_secrets {
            let (kind, content) = match secret {
                PullSecret::DockerConfigJson(content) => ("json", content),
                PullSecret::DockerCfg(content) => ("cfg", content),
            };
            hash.update(kind);
            hash.update(Sha256::digest(content));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same for two requests exactly when one may take the failure of the other for its own: they would ask the same registry the
    /// same way, or both ask none.
    pub(super) fn who(&self, reference: &Reference, policy: PullPolicy) -> Who {
        let asks = if policy == PullPolicy::Never { "never" } else { "asks" };
        let words = [asks, &index::repository(reference), &self.credential()];
        Sha256::digest(words.join(" ")).into()
    }
}
