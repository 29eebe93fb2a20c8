//! `krustlet-wasi run` and `serve`: with files and, with the feature `registry-tests`, a real registry.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

mod run;
#[cfg(feature = "registry-tests")]
mod run_registry;
mod serve;
mod support;
