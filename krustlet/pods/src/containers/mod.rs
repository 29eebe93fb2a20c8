//! One container: what it is started with, the real thing, and what is left of it.

pub mod begin;
pub mod http;
pub mod launch;
mod share;
pub mod slot;
pub mod tail;
