//! What happens when in the life of a pod and of its containers.

pub mod backoff;
pub mod course;
pub mod machine;
pub mod not_started;
pub mod policy;
pub mod termination;
pub mod turns;
