//! What is kept of a ConfigMap or a Secret.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use crate::lifecycle::not_started::NotStarted;

/// Which kind of object is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A `ConfigMap`.
    ConfigMap,
    /// A `Secret`.
    Secret,
}

impl Kind {
    /// As the kubelet names it inside a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }

    /// As the API names it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// The data of an object, without metadata.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// `data`.
    pub values: BTreeMap<String, Vec<u8>>,
    /// `binaryData` of a ConfigMap: for files only, never for variables.
    pub binary: BTreeMap<String, Vec<u8>>,
    /// `type` of a Secret.
    pub type_: String,
}

impl Content {
    /// The bytes of a key, for a file.
    pub fn file(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).or_else(|| self.binary.get(key)).map(Vec::as_slice)
    }

    /// All keys with their bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.values.iter().chain(&self.binary).map(|(key, bytes)| (key.as_str(), bytes.as_slice()))
    }
}

impl fmt::Debug for Content {
    /// Without the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files().map(|(key, _)| key)).finish()
    }
}

impl From<ConfigMap> for Content {
    fn from(object: ConfigMap) -> Self {
        let text = object.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
        let binary = object.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
        Self { values: text.collect(), binary: binary.collect(), type_: String::new() }
    }
}

impl From<Secret> for Content {
    fn from(object: Secret) -> Self {
        let values = object.data.into_iter().flatten().map(|(key, value)| (key, value.0));
        Self { values: values.collect(), binary: BTreeMap::new(), type_: object.type_.unwrap_or_default() }
    }
}

/// Objects of one namespace as they were seen: `None` is one that is not there.
pub type Known = BTreeMap<(Kind, String), Option<Arc<Content>>>;

/// Looks an object up; `None` when it is not there and need not be.
///
/// # Errors
/// It is not there, in the kubelet's words.
pub fn find<'a>(
    known: &'a Known,
    kind: Kind,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a Content>, NotStarted> {
    match known.get(&(kind, name.to_string())) {
        Some(Some(content)) => Ok(Some(content)),
        _ if optional == Some(true) => Ok(None),
        _ => Err(NotStarted::config(format!("{} {name:?} not found", kind.word()))),
    }
}
