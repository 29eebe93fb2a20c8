//! The client against registries within the test and, with the feature `registry-tests`, a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

mod logins;
mod pull;
#[cfg(feature = "registry-tests")]
mod registry;
mod support;
