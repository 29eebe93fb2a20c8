//! One container: what it is started with, the real thing, and what is left of it.

pub mod begin;
pub mod http;
pub mod launch;
mod share;
pub mod slot;
pub mod tail;

/// Core does not know the runtime, which says it of a guest that it has stopped.
const _: () = assert!(krustlet_core::lifecycle::termination::STOPPED_CODE == krustlet_runtime::STOPPED_CODE);
