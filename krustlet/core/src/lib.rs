//! What the node agent decides, and what it decides on: pure types and rules, which do nothing by themselves.
//!
//! Kubernetes' own objects come in as the types of `k8s-openapi`. Nothing here reads a file, a clock or a socket, or knows the API server's
//! client: who asks has looked, and does what the answer says.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod admission;
pub mod command;
pub mod content;
pub mod env;
pub mod errors;
pub mod eviction;
pub mod fair;
pub mod labels;
pub mod lifecycle;
pub mod node;
pub mod pod;
#[cfg(test)]
mod property_tests;
pub mod quantity;
pub mod references;
pub mod serving;
pub mod status;
pub mod traces;
pub mod volumes;
