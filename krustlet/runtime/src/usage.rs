//! What a guest uses of the host.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What a guest has used, and uses now. Reading it costs two atomic loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The processor time that the guest has taken: its own code and the host's work in its name, but for file operations,
    /// which run on other threads. It is brought up to date whenever the guest gives its thread back, at each tick of
    /// the epoch (10 ms) at the latest. It stays when the guest has ended.
    pub cpu: Duration,
    /// The size of the guest's linear memory now, in bytes; of a component, of all its memories together. This is what the
    /// memory limit limits; less of it may be resident. 0 once the guest has ended.
    pub memory_bytes: u64,
    /// What the guest waits for besides, because all guests together have all that there is: bytes. 0 most of the time.
    pub wanted_memory_bytes: u64,
}

/// Counts for one guest. Its parts are independent of each other, so that no order among them is needed.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    cpu_nanoseconds: AtomicU64,
    memory_bytes: AtomicU64,
    wanted_memory_bytes: AtomicU64,
}

impl Meter {
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            cpu: Duration::from_nanos(self.cpu_nanoseconds.load(Ordering::Relaxed)),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            wanted_memory_bytes: self.wanted_memory_bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_wanted_memory(&self, bytes: u64) {
        self.wanted_memory_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Runs `guest` to its end and counts the time of the thread that polls it.
    ///
    /// The thread's own clock stands still while the thread has to wait for a processor, so that a crowded host makes no
    /// guest look busier than it is.
    pub(crate) async fn count<F: Future>(&self, guest: F) -> F::Output {
        let mut guest = pin!(guest);
        std::future::poll_fn(|context| {
            let start = thread_nanoseconds();
            let poll = guest.as_mut().poll(context);
            let took = thread_nanoseconds().saturating_sub(start);
            self.cpu_nanoseconds.fetch_add(took, Ordering::Relaxed);
            poll
        })
        .await
    }
}

fn thread_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}
