//! The command line: its refusals, vendors' registries within the test and, with the feature `registry-tests`, a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

mod asking;
mod cli;
#[cfg(feature = "registry-tests")]
mod registry;
mod support;
mod vendors;
