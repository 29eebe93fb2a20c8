//! Outgoing HTTP for guests that are not trusted: where a request may go, and a client that keeps to it; and where their sockets may go.
//!
//! Nothing is allowed by default. [`HttpAccess`] names the [`Origin`]s that a guest may send requests to, and `docs/http.md` says
//! what it gets, with a table of hostile requests and their answers. Nothing here knows of WebAssembly.

mod access;
mod body;
mod client;
mod connect;
mod discovery;
mod error;
mod policy;
#[cfg(test)]
mod property_tests;
mod refusals;
mod request;
mod served;
mod sockets;
mod target;
mod tls;

pub use access::{DEFAULT_MAX_CONCURRENT_REQUESTS, HttpAccess, HttpLimits, Lease, Leases, MOST_SOCKETS};
pub use body::{BoxError, RequestBody, ResponseBody};
pub use client::{Client, MAX_RESPONSE_HEADER_BYTES, MAX_RESPONSE_HEADERS, Prepared, Session};
pub use discovery::{Discovery, Endpoint, Found};
pub use error::HttpError;
pub use policy::allowed::{AllowedOrigins, AllowedOriginsError};
pub use policy::egress::{Cidr, CidrError, Egress};
pub use policy::network::{HostNetwork, Network};
pub use policy::origin::{Origin, OriginError, Scheme};
pub use request::{MAX_METHOD_BYTES, MAX_REDIRECTS, MAX_REQUEST_HEADER_BYTES, MAX_REQUEST_HEADERS, fits, is_the_hosts};
pub use served::Serving;
pub use sockets::{BindError, Listening, SocketPermit};
pub use target::MAX_URL_BYTES;
pub use tls::CaFileError;
