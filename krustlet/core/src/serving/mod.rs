//! Containers that answer HTTP requests: where they listen, and how they are to be probed.
//!
//! Pods that have the node's own address share its ports, so that each can be one pod's alone.

pub mod health;
pub mod ports;
pub mod probes;
