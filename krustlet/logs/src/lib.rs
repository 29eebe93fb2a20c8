//! Container logs: the files of each attempt, in the format of the container runtime interface.
//!
//! `<data dir>/pods/<namespace>_<name>_<uid>/<container>/<attempt>.log`, each line
//! `<RFC 3339 time> <stdout|stderr> <F|P> <text>`, where `P` marks a piece of a line that goes on. A file that is full becomes
//! `<attempt>.log.1`, the one before it `<attempt>.log.2`, and so on; the oldest goes. Of a container the last two attempts
//! have files.
//!
//! | file    | what it knows                                              |
//! |---------|------------------------------------------------------------|
//! | cri     | one line of a file                                         |
//! | files   | the names of the files, and rotating them                  |
//! | live    | what the writer and the readers of an attempt share        |
//! | writer  | lines out of what a guest writes                           |
//! | query   | what a reader may ask for                                  |
//! | tail    | where the last lines begin                                 |
//! | select  | which lines a reader gets, and how they look               |
//! | reader  | reading on, across files and attempts                      |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cri;
mod files;
mod live;
#[cfg(test)]
mod property_tests;
mod query;
mod reader;
mod select;
mod tail;
mod writer;

pub use self::files::{Limits, remove};
pub use self::live::Logs;
pub use self::query::Query;
pub use self::reader::Progress;
pub use self::writer::ContainerLog;

use krustlet_runtime::Stream;

/// Place of a stream in a pair of things that are kept for each.
fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}
