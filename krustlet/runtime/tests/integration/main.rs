//! What guests get and what they cannot do: the tests that can share a process, and are linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by it")]

mod components;
mod discovery;
mod files;
mod guests;
mod http;
mod http_rules;
mod limits;
mod p3;
mod pipes;
mod serve;
mod sockets;
mod stop;
mod support;
mod usage;
mod web;
mod workloads;
