//! Whether a pod may run on this node, and whether there is room for it.

pub mod admit;
pub mod fit;
pub mod pressure;
