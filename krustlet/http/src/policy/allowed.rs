//! Lists of origins.

use std::collections::BTreeSet;

use crate::{Origin, OriginError};

/// The origins that a guest may send requests to, and what it may connect sockets to. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(BTreeSet<Origin>);

/// Why a list of origins could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedOriginsError {
    /// It is no JSON array of strings.
    #[error("this is no JSON array of origins: {0}; give for example [\"https://catfact.ninja\"]")]
    NoList(String),
    /// One element is no string.
    #[error("element {0} of the list of origins is no string")]
    NoString(
        /// Its place, counted from 1.
        usize,
    ),
    /// One element is no origin.
    #[error("element {0} of the list of origins: {1}")]
    Element(
        /// Its place, counted from 1.
        usize,
        /// What is wrong with it.
        OriginError,
    ),
}

impl AllowedOrigins {
    /// Reads a JSON array of origins: `["https://catfact.ninja","http://10.0.0.7:8080"]`. The empty array allows nothing.
    ///
    /// # Errors
    ///
    /// [`AllowedOriginsError`], with the number of the first element that is wrong.
    pub fn from_json(text: &str) -> Result<Self, AllowedOriginsError> {
        let elements: Vec<serde_json::Value> =
            serde_json::from_str(text).map_err(|error| AllowedOriginsError::NoList(error.to_string()))?;
        let mut origins = BTreeSet::new();
        for (index, element) in elements.iter().enumerate() {
            let text = element.as_str().ok_or(AllowedOriginsError::NoString(index + 1))?;
            origins.insert(text.parse().map_err(|error| AllowedOriginsError::Element(index + 1, error))?);
        }
        Ok(Self(origins))
    }

    /// Whether the origin is among them: scheme, host and port, all three.
    pub fn allows(&self, origin: &Origin) -> bool {
        self.0.contains(origin)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of scheme, host and port.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }
}

impl FromIterator<Origin> for AllowedOrigins {
    fn from_iter<T: IntoIterator<Item = Origin>>(origins: T) -> Self {
        Self(origins.into_iter().collect())
    }
}
