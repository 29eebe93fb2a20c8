//! What the machine has for pods: what is kept from them, and when it is short of something.

mod host;
mod pressure;
pub mod reserve;
mod thresholds;

pub use self::host::{FileSystem, Host, Memory};
pub use self::pressure::{Pressed, Pressure, Signals};
pub use self::reserve::Reserve;
pub use self::thresholds::{Resource, Shortage, Threshold, Thresholds};
