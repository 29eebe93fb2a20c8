//! When the machine runs short of something.
//!
//! The kubelet's default thresholds: <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#hard-eviction-thresholds>

use std::path::Path;
use std::time::{Duration, Instant};

use super::readings::{self, FileSystem, Memory};

/// Less available memory than this is too little: bytes.
const LEAST_MEMORY_BYTES: u64 = 100 << 20;
/// Less free space than this is too little: percent of the file system.
const LEAST_DISK_PERCENT: u64 = 10;
/// Fewer free inodes than this are too few: percent of all.
const LEAST_INODES_PERCENT: u64 = 5;
/// Pressure is over when it was not seen for so long: the kubelet's `--eviction-pressure-transition-period`. Otherwise a value
/// at the edge would have pods come and go with each heartbeat.
const TRANSITION: Duration = Duration::from_secs(5 * 60);

/// What is measured. What could not be is not short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// The machine's, or the tightest control group's.
    pub memory: Option<Memory>,
    /// The file system that holds the agent's data.
    pub disk: Option<FileSystem>,
}

impl Signals {
    /// Measures this machine.
    pub fn now(data_dir: &Path) -> Self {
        Self { memory: readings::memory(), disk: readings::file_system(data_dir).ok() }
    }

    fn memory_is_short(&self) -> bool {
        self.memory.is_some_and(|memory| memory.available_bytes < LEAST_MEMORY_BYTES)
    }

    fn disk_is_short(&self) -> bool {
        let below = |free: u64, all: u64, percent: u64| u128::from(free) * 100 < u128::from(all) * u128::from(percent);
        self.disk.is_some_and(|disk| {
            below(disk.available_bytes, disk.capacity_bytes, LEAST_DISK_PERCENT)
                || below(disk.inodes_free, disk.inodes, LEAST_INODES_PERCENT)
        })
    }
}

/// What the machine is short of, to be told to the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressed {
    /// MemoryPressure.
    pub memory: bool,
    /// DiskPressure.
    pub disk: bool,
}

/// Remembers when the machine was short of something last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pressure {
    memory: Option<Instant>,
    disk: Option<Instant>,
}

impl Pressure {
    /// Takes a measurement.
    pub fn observe(&mut self, signals: &Signals, now: Instant) -> Pressed {
        Pressed {
            memory: holds(&mut self.memory, signals.memory_is_short(), now),
            disk: holds(&mut self.disk, signals.disk_is_short(), now),
        }
    }
}

fn holds(last: &mut Option<Instant>, short: bool, now: Instant) -> bool {
    if short {
        *last = Some(now);
    }
    last.is_some_and(|last| now.duration_since(last) < TRANSITION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(available_bytes: u64) -> Signals {
        let memory = Memory { capacity_bytes: 1 << 30, available_bytes, used_bytes: 0 };
        Signals { memory: Some(memory), ..Signals::default() }
    }

    fn disk(available_bytes: u64, inodes_free: u64, inodes: u64) -> Signals {
        let disk = FileSystem { capacity_bytes: 1000, available_bytes, used_bytes: 0, inodes, inodes_free };
        Signals { disk: Some(disk), ..Signals::default() }
    }

    #[test]
    fn thresholds() {
        const MI: u64 = 1 << 20;
        let (none, m, d) =
            (Pressed::default(), Pressed { memory: true, disk: false }, Pressed { memory: false, disk: true });
        let table = [
            (Signals::default(), none),
            (memory(100 * MI), none),
            (memory(100 * MI - 1), m),
            (disk(100, 100, 1000), none),
            (disk(99, 100, 1000), d),
            (disk(100, 50, 1000), none),
            (disk(100, 49, 1000), d),
            // btrfs has no such number.
            (disk(100, 0, 0), none),
            (Signals { memory: memory(0).memory, ..disk(0, 0, 1) }, Pressed { memory: true, disk: true }),
        ];
        for (signals, wanted) in table {
            assert_eq!(Pressure::default().observe(&signals, Instant::now()), wanted, "{signals:?}");
        }
    }

    #[test]
    fn pressure_goes_when_it_was_not_seen_for_five_minutes() {
        let mut pressure = Pressure::default();
        let start = Instant::now();
        let table = [
            (0, 500, false),
            (10, 50, true),
            (20, 500, true),
            (200, 50, true),
            (499, 500, true),
            (500, 500, false),
            (510, 500, false),
            (520, 50, true),
        ];
        for (second, mebibytes, wanted) in table {
            let at = start + Duration::from_secs(second);
            assert_eq!(pressure.observe(&memory(mebibytes << 20), at).memory, wanted, "{second}");
        }
    }
}
