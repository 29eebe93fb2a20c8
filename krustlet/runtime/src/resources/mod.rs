//! What a guest may take of the host, and what it has taken.

pub mod limits;
pub mod memory;
pub mod usage;
