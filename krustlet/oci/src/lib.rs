//! WebAssembly modules in OCI registries: names, formats, push, pull, delete.
//!
//! A [`Reference`] names an artifact, a [`Client`] moves it. Two formats are read, one is written; see [`media_types`].
//!
//! ```no_run
//! # use krustlet_oci::{Client, ClientConfig, OciError, Reference};
//! # async fn example(wasm: Vec<u8>) -> Result<(), OciError> {
//! let client = Client::new(ClientConfig {
//!     insecure_registries: vec!["localhost:5000".into()],
//!     ..ClientConfig::default()
//! })?;
//! let reference: Reference = "localhost:5000/hello-world:v1".parse()?;
//! let pushed = client.push(&reference, wasm).await?;
//! let pulled = client.pull(&pushed.reference_with_digest).await?;
//! assert_eq!(pulled.digest, pushed.digest);
//! # Ok(())
//! # }
//! ```

mod artifact;
mod auth;
mod blob;
mod client;
mod component;
mod credentials;
mod delete;
mod error;
mod keyring;
mod manifest;
pub mod media_types;
mod push;
mod reference;
mod retry;
mod transport;

pub use artifact::MAX_MODULE_BYTES;
pub use client::{Client, ClientConfig, Inspected, Pulled};
pub use credentials::default_docker_config;
pub use error::OciError;
pub use keyring::Keyring;
pub use manifest::Found;
pub use push::Pushed;
pub use reference::Reference;
