//! What a guest uses of the host.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::ready;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::yield_now;
use wasmtime::UpdateDeadline;

/// How long a turn is at least that a tick ends. It lasts a tick longer at most, which is 10 ms: how long a guest may compute before it has to
/// give its thread to the next one, and about how long it takes to stop it.
const TURN: Duration = Duration::from_millis(5);

thread_local! {
    /// When the turn began of the guest that is on this thread.
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// How long a turn may be that changes nothing for others.
const SHORT: Duration = Duration::from_millis(1);

/// What a guest does at a tick. One that has only just begun is not sent to the end of the queue by it: most requests are over sooner.
pub(crate) fn at_tick() -> UpdateDeadline {
    match BEGUN.get() {
        Some(begun) if begun.elapsed() < TURN => UpdateDeadline::Continue(1),
        _ => UpdateDeadline::Yield(1),
    }
}

/// What a guest has used, and uses now. Reading it costs two atomic loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The processor time that the guest has taken: its own code and the host's work in its name, but for file operations,
    /// which run on other threads. It is brought up to date whenever the guest gives its thread back, after
    /// 10 ms at the latest. It stays when the guest has ended.
    pub cpu: Duration,
    /// The size of the guest's linear memory now, in bytes, and what its tables take past 64 KiB; of a component, of all its memories and
    /// tables together, and of the listings of folders that the host keeps for it; of a server, of all its instances together. This is
    /// what the memory limit limits; less of it may be resident. 0 once the guest has ended.
    pub memory_bytes: u64,
    /// What the guest waits for besides, because all guests together have all that there is: bytes. 0 most of the time.
    pub wanted_memory_bytes: u64,
}

/// Counts for one guest, or for all instances of a server. Its parts are independent of each other, so that no order among them is needed.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    memory_limit_bytes: AtomicU64,
    cpu_nanoseconds: AtomicU64,
    memory_bytes: AtomicU64,
    wanted_memory_bytes: AtomicU64,
}

impl Meter {
    pub(crate) fn new(memory_limit_bytes: u64) -> Self {
        Self { memory_limit_bytes: memory_limit_bytes.into(), ..Self::default() }
    }

    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory_limit_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_memory_limit(&self, bytes: u64) {
        self.memory_limit_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            cpu: Duration::from_nanos(self.cpu_nanoseconds.load(Ordering::Relaxed)),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            wanted_memory_bytes: self.wanted_memory_bytes.load(Ordering::Relaxed),
        }
    }

    /// Adds to the memory of all instances of the guest together.
    ///
    /// # Errors
    /// What they would have together, when that is more than the limit. Nothing is added then.
    pub(crate) fn grow(&self, bytes: u64) -> Result<(), u64> {
        let limit = self.memory_limit();
        let add = |memory: u64| memory.checked_add(bytes).filter(|sum| *sum <= limit);
        match self.memory_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(memory) => Err(memory.saturating_add(bytes)),
        }
    }

    /// Takes away what an instance had.
    pub(crate) fn shrink(&self, bytes: u64) {
        self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Notes that an instance waits for memory, until the value goes.
    pub(crate) fn want(&self, bytes: u64) -> Want<'_> {
        self.wanted_memory_bytes.fetch_add(bytes, Ordering::Relaxed);
        Want { meter: self, bytes }
    }

    /// Runs `guest` to its end and counts the time of the thread that polls it.
    ///
    /// Before a guest goes on that had a long turn, its thread sees to timers and sockets. Left to itself it does after 61 turns, which are
    /// meant to be short; when each takes as long as it may, a guest that sleeps would be woken half a second late.
    ///
    /// The thread's own clock stands still while the thread has to wait for a processor, so that a crowded host makes no
    /// guest look busier than it is.
    pub(crate) async fn count<F: Future>(&self, guest: F) -> F::Output {
        let mut guest = pin!(guest);
        let mut rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        std::future::poll_fn(|context| {
            if let Some(resting) = &mut rest {
                ready!(resting.as_mut().poll(context));
                rest = None;
            }
            let begun = Instant::now();
            BEGUN.set(Some(begun));
            let start = thread_nanoseconds();
            let poll = guest.as_mut().poll(context);
            let took = thread_nanoseconds().saturating_sub(start);
            self.cpu_nanoseconds.fetch_add(took, Ordering::Relaxed);
            if poll.is_pending() && begun.elapsed() >= SHORT {
                rest = Some(Box::pin(yield_now()));
            }
            poll
        })
        .await
    }
}

/// Memory that an instance waits for, as long as it does.
pub(crate) struct Want<'a> {
    meter: &'a Meter,
    bytes: u64,
}

impl Drop for Want<'_> {
    fn drop(&mut self) {
        self.meter.wanted_memory_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn thread_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Poll;

    use tokio::runtime::Builder;
    use tokio::time::sleep;

    use super::*;

    /// Computes, and gives its thread back by itself, for ever.
    async fn spin(turns: Arc<AtomicU64>) {
        loop {
            let begun = Instant::now();
            while begun.elapsed() < 2 * SHORT {
                std::hint::spin_loop();
            }
            turns.fetch_add(1, Ordering::Relaxed);
            let mut is_over = false;
            std::future::poll_fn(|context| {
                if std::mem::replace(&mut is_over, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }

    #[test]
    fn who_sleeps_is_woken_between_the_long_turns_of_others() {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let most = runtime.block_on(async {
            let sleeps = tokio::spawn(async {
                let turns = Arc::<AtomicU64>::default();
                for _ in 0..2 {
                    let turns = turns.clone();
                    tokio::spawn(async move { Meter::default().count(spin(turns)).await });
                }
                let mut most = 0;
                for _ in 0..20 {
                    let before = turns.load(Ordering::Relaxed);
                    sleep(Duration::from_millis(1)).await;
                    most = most.max(turns.load(Ordering::Relaxed) - before);
                }
                most
            });
            sleeps.await.unwrap()
        });
        runtime.shutdown_background();
        // Two in a round; 61 where nobody sees to the timers.
        assert!(most < 20, "{most}");
    }
}
