//! Whether the machine is short of something, to be told to the cluster.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::host::{FileSystem, Memory};
use super::thresholds::{Resource, Thresholds};

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

/// What the machine is short of, to be told to the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressed {
    /// MemoryPressure.
    pub memory: bool,
    /// DiskPressure.
    pub disk: bool,
}

/// Remembers when the machine was short of something last. Clones are the same.
#[derive(Clone, Debug)]
pub struct Pressure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    thresholds: Thresholds,
    seen: Mutex<Seen>,
    news: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    memory: Option<Instant>,
    disk: Option<Instant>,
}

impl Seen {
    fn of(&mut self, resource: Resource) -> &mut Option<Instant> {
        match resource {
            Resource::Memory => &mut self.memory,
            Resource::Storage | Resource::Inodes => &mut self.disk,
        }
    }
}

impl Pressure {
    /// Below these thresholds.
    pub fn new(thresholds: Thresholds) -> Self {
        Self(Arc::new(Inner { thresholds, seen: Mutex::default(), news: watch::Sender::new(()) }))
    }

    /// From where on there is pressure.
    pub fn thresholds(&self) -> &Thresholds {
        &self.0.thresholds
    }

    /// Takes a measurement.
    pub fn observe(&self, signals: &Signals, now: Instant) -> Pressed {
        let thresholds = &self.0.thresholds;
        let memory = signals.memory.as_ref().and_then(|memory| thresholds.memory_shortage(memory));
        let disk = signals.disk.as_ref().and_then(|disk| thresholds.disk_shortage(disk));
        for shortage in memory.into_iter().chain(disk) {
            *self.seen().of(shortage.resource) = Some(now);
        }
        self.known(now)
    }

    /// What is known of it, without another measurement.
    pub fn known(&self, now: Instant) -> Pressed {
        let seen = self.seen();
        Pressed { memory: holds(seen.memory, now), disk: holds(seen.disk, now) }
    }

    /// Takes what somebody else has seen: a shortage that is over before the next measurement is one, too.
    pub fn note(&self, resource: Resource, now: Instant) {
        let known = holds(self.seen().of(resource).replace(now), now);
        if !known {
            self.0.news.send_replace(());
        }
    }

    /// Becomes changed when there is pressure that [`observe`](Self::observe) has not told of yet.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.0.news.subscribe()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holds(last: Option<Instant>, now: Instant) -> bool {
    last.is_some_and(|last| now.duration_since(last) < TRANSITION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(available_bytes: u64) -> Signals {
        let memory = Memory { capacity_bytes: 1 << 30, available_bytes, used_bytes: 0 };
        Signals { memory: Some(memory), ..Signals::default() }
    }

    fn disk(available_bytes: u64) -> Signals {
        let disk = FileSystem { capacity_bytes: 1000, available_bytes, used_bytes: 0, inodes: 0, inodes_free: 0 };
        Signals { disk: Some(disk), ..Signals::default() }
    }

    fn pressure() -> Pressure {
        Pressure::new(Thresholds::default())
    }

    #[test]
    fn each_has_its_own_condition() {
        let (none, m, d) =
            (Pressed::default(), Pressed { memory: true, disk: false }, Pressed { memory: false, disk: true });
        let table = [
            (Signals::default(), none),
            (memory(100 << 20), none),
            (memory(50 << 20), m),
            (disk(100), none),
            (disk(99), d),
            (Signals { memory: memory(0).memory, ..disk(0) }, Pressed { memory: true, disk: true }),
        ];
        for (signals, wanted) in table {
            assert_eq!(pressure().observe(&signals, Instant::now()), wanted, "{signals:?}");
        }
    }

    #[test]
    fn pressure_goes_when_it_was_not_seen_for_five_minutes() {
        let pressure = pressure();
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

    #[test]
    fn what_was_over_soon_is_pressure_and_news_once() {
        let (pressure, start) = (pressure(), Instant::now());
        let mut news = pressure.clone().subscribe();
        let mut told = |resource, second| {
            pressure.note(resource, start + Duration::from_secs(second));
            let told = news.has_changed().unwrap();
            news.mark_unchanged();
            told
        };
        assert_eq!(
            [told(Resource::Memory, 0), told(Resource::Memory, 1), told(Resource::Inodes, 2)],
            [true, false, true]
        );
        let at = |second| pressure.observe(&memory(500 << 20), start + Duration::from_secs(second));
        assert_eq!((at(300).memory, at(300).disk, at(302).disk), (true, true, false));
        assert!(told(Resource::Memory, 400), "it had gone");
    }
}
