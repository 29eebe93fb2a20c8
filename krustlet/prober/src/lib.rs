//! The prober: asks containers by HTTP, gRPC and TCP whether they are well, and gives them what their `preStop` says before they end.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod check;
mod error;
mod grpc;
mod hook;
mod http;
mod watch;

pub use self::error::ProbeError;
pub use self::hook::{Hook, pre_stop};
pub use self::watch::{Found, watch};
