//! Whether a pod may run on this node, and whether there is a place for it.

pub mod admit;
pub mod fit;
pub mod places;
pub mod pressure;
