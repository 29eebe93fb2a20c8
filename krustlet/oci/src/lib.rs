//! WebAssembly modules in OCI registries: names, formats, push, pull, delete.
//!
//! A [`Reference`] names an artifact, a [`Client`] moves it. Two formats are read and written; see [`media_types`].
//!
//! ```no_run
//! # use krustlet_oci::{Client, ClientConfig, Format, OciError, Reference};
//! # async fn example(wasm: Vec<u8>) -> Result<(), OciError> {
//! let client = Client::new(ClientConfig {
//!     insecure_registries: vec!["localhost:5000".into()],
//!     ..ClientConfig::default()
//! })?;
//! let reference: Reference = "localhost:5000/hello-world:v1".parse()?;
//! let pushed = client.push(&reference, wasm, Format::Wasm).await?;
//! let pulled = client.pull(&pushed.reference_with_digest).await?;
//! assert_eq!(pulled.digest, pushed.digest);
//! # Ok(())
//! # }
//! ```

mod auth;
mod blob;
mod client;
mod delete;
mod error;
mod manifest;
#[cfg(test)]
mod property_tests;
mod push;
mod reference;
mod tags;
mod transport;

pub use auth::credentials::default_docker_config;
pub use auth::keyring::Keyring;
pub use auth::stored::{StoredLogin, logins_of};
pub use client::{Client, ClientConfig, Inspected, Pulled};
pub use delete::Deleted;
pub use error::OciError;
pub use manifest::artifact::{Format, MAX_MODULE_BYTES};
pub use manifest::{Found, media_types};
pub use push::Pushed;
pub use reference::Reference;
pub use transport::trust::check_ca_file;
