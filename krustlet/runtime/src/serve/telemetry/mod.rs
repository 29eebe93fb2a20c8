//! What is told of requests: a line of the log, counts, a span; and the id by which each is called in all of them.

pub mod access;
pub mod id;
pub mod stats;
pub mod trace;
