//! The machine that the agent runs on: its files, and what of it is in use.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod files;
pub mod readings;
