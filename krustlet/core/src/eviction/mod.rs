//! Which pods must go: those that take more than they may, and, when the node is short of something, who goes first.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>

pub mod local_storage;
pub mod rank;
