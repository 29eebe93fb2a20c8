//! Outgoing HTTP for guests that are not trusted: where a request may go, and a client that keeps to it.
//!
//! Nothing is allowed by default. [`HttpAccess`] names the [`Origin`]s that a guest may send requests to, and `docs/http.md` says
//! what it gets, with a table of hostile requests and their answers. Nothing here knows of WebAssembly.

mod access;
mod address;
mod origin;

pub use access::{DEFAULT_MAX_CONCURRENT_REQUESTS, HttpAccess, HttpLimits};
pub use origin::{AllowedOrigins, AllowedOriginsError, Origin, OriginError, Scheme};
