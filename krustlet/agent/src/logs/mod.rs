//! Container logs: one file for each attempt, in the format of the container runtime interface.
//!
//! `<data dir>/pods/<namespace>_<name>_<uid>/<container>/<attempt>.log`, each line
//! `<RFC 3339 time> <stdout|stderr> <F|P> <text>`, where `P` marks a piece of a line that goes on.

mod cri;
mod query;
mod reader;
mod writer;

pub use self::query::Query;
pub use self::reader::{Progress, stream};
pub use self::writer::ContainerLog;

use std::path::{Path, PathBuf};

/// The file of one attempt, counted from 0.
pub fn path(container_dir: &Path, attempt: u32) -> PathBuf {
    container_dir.join(format!("{attempt}.log"))
}

/// The newest attempt that has a file.
pub fn newest(container_dir: &Path) -> Option<u32> {
    let entries = std::fs::read_dir(container_dir).ok()?;
    let attempt = |name: std::ffi::OsString| name.to_str()?.strip_suffix(".log")?.parse().ok();
    entries.filter_map(|entry| attempt(entry.ok()?.file_name())).max()
}
