//! Which pods must go, and why.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>

pub mod local_storage;

#[cfg(test)]
mod local_storage_tests;
