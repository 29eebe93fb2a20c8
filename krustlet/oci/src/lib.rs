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

mod advice;
mod artifact;
mod auth;
mod blob;
mod client;
mod component;
mod credentials;
mod delete;
mod error;
mod helper;
mod in_turn;
mod keyring;
mod login;
mod manifest;
pub mod media_types;
mod metadata;
mod proxy;
mod push;
mod reference;
mod registry_key;
mod retry;
mod scope;
mod stall;
mod stored;
mod tags;
mod token;
mod transport;
mod trust;
mod upload;
mod words;

pub use artifact::{Format, MAX_MODULE_BYTES};
pub use client::{Client, ClientConfig, Inspected, Pulled};
pub use credentials::default_docker_config;
pub use delete::Deleted;
pub use error::OciError;
pub use keyring::Keyring;
pub use manifest::Found;
pub use push::Pushed;
pub use reference::Reference;
pub use stored::{StoredLogin, logins_of};
pub use trust::check_ca_file;
