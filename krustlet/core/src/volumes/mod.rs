//! What the volumes of a pod hold, and which of them a WebAssembly node can provide.

pub mod paths;
mod payload;
mod support;

pub use self::payload::{File, Payload, Sources, TokenKey, payload, references, token_keys};
pub use self::support::{unsupported_mount, unsupported_volume};

/// The API's default for the life of a projected token, in seconds.
pub const DEFAULT_LIFE_SECONDS: i64 = 3600;
