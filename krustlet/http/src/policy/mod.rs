//! Where a request may go: what a pod asks for, and what the node lets it.

pub mod address;
pub mod allowed;
pub mod egress;
pub mod network;
pub mod origin;
