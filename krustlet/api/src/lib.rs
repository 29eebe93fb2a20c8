//! The API server, as the node agent has it: how long it is asked, what of it is watched, and what it is told of.
//!
//! What pods refer to is asked for by need, for a node may see no more: each object has a watch as long as somebody refers to it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod discovery;
pub mod events;
pub mod objects;
pub mod patience;
pub mod traffic;

use std::time::Duration;

/// The API server ends a watch after so long, and a connection that is dead without a word is noticed soon after: seconds.
pub const WATCH_SECONDS: u32 = 30;
/// A watch that has said nothing for so long is begun anew: one that hangs in a request is no watch.
pub const WATCH_SILENCE: Duration = Duration::from_secs(3 * 60);

/// One provider of cryptography for all of rustls, which clients need; a second call changes nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
