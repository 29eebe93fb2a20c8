//! Containers that answer HTTP requests: where they listen, and how they are probed.
//!
//! All pods that serve listen at the node's own address, so that a port can be one pod's alone.

pub mod check;
pub mod health;
pub mod ports;
pub mod probes;
pub mod watch;
