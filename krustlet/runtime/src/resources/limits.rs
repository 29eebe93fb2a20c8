//! What a guest may take of the host's memory.

use std::sync::Arc;

use wasmtime::{ResourceLimiterAsync, Result};
use wasmtime_wasi::async_trait;

use crate::resources::memory::{Full, Share};
use crate::resources::usage::Meter;

/// The most that a 32-bit linear memory can hold: 65536 pages of 64 KiB.
pub(crate) const WASM32_MEMORY_BYTES: u64 = 4 << 30;

/// A table entry costs the host a pointer: 8 MB of them at most, in all tables of a guest together. Rust and C programs
/// have a few hundred. What they take past [`FREE_TABLE_ELEMENTS`] counts as the guest's memory.
const TABLE_ELEMENTS: usize = 1_000_000;
const TABLE_ELEMENT_BYTES: u64 = 8;

/// 64 KiB, so that a memory limit is for memories wherever tables are as they should be.
const FREE_TABLE_ELEMENTS: usize = 8192;

/// A module is one instance with one memory. A component holds several: a program built for `wasm32-wasip2` has four
/// instances and one memory, one that was composed of a dozen components a few dozen.
const INSTANCES: usize = 256;
const MEMORIES: usize = 32;
const TABLES: usize = 256;

/// A guest wanted more memory than it may have. It is ended by this, not told: a native program is ended so, too, when its
/// control group is full, and this is the only way in which a user of the node learns that it was the limit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutOfMemory {
    #[error("the memory limit is {limit} bytes, and the program asked for {wanted} bytes")]
    Limit { limit: u64, wanted: u64 },
    /// All guests together have all that the host gives them.
    #[error(transparent)]
    Host(Full),
}

/// Keeps one instance of a guest within its limits. The memory limit is that of all who share the meter.
pub(crate) struct Limits {
    memory: u64,
    elements: usize,
    share: Share,
    meter: Arc<Meter>,
}

impl Limits {
    pub(crate) fn new(share: Share, meter: Arc<Meter>) -> Self {
        Self { memory: 0, elements: 0, share, meter }
    }

    /// Takes memory of the host's that a guest keeps besides its own: `None` if it may not have so much.
    pub(crate) async fn take_besides(&self, bytes: u64) -> Result<Option<Besides>> {
        if self.meter.usage().memory_bytes.saturating_add(bytes) > self.meter.memory_limit() {
            return Ok(None);
        }
        let mut share = self.share.another();
        take(&mut share, &self.meter, bytes).await?;
        // Another instance may have been quicker.
        let grown = self.meter.grow(bytes).is_ok();
        Ok(grown.then(|| Besides { share, meter: self.meter.clone(), bytes }))
    }

    /// Takes memory of the guest's own, which is the end of a guest that may not have it.
    async fn grow(&mut self, bytes: u64) -> Result<()> {
        // At once, as nothing that is waited for could help.
        let wanted = self.meter.usage().memory_bytes.saturating_add(bytes);
        if wanted > self.meter.memory_limit() {
            return Err(self.full(wanted).into());
        }
        self.take(bytes).await?;
        // Should the host have no memory after all, the guest is charged for what it did not get. That is better than the
        // opposite, and no call tells reliably which growth has failed.
        if let Err(wanted) = self.meter.grow(bytes) {
            // Another instance was quicker.
            self.share.shrink(bytes);
            return Err(self.full(wanted).into());
        }
        self.memory = self.memory.saturating_add(bytes);
        Ok(())
    }

    async fn take(&mut self, bytes: u64) -> Result<()> {
        take(&mut self.share, &self.meter, bytes).await
    }

    fn full(&self, wanted: u64) -> OutOfMemory {
        OutOfMemory::Limit { limit: self.meter.memory_limit(), wanted }
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        // In this order: whoever sees that the guest has nothing any more finds that others may have it.
        self.share.shrink(u64::MAX);
        self.meter.shrink(self.memory);
    }
}

/// Takes it from what all guests have together.
async fn take(share: &mut Share, meter: &Meter, bytes: u64) -> Result<()> {
    // Whoever looks for the one who takes the most finds this one by what it asks for.
    let _want = meter.want(bytes);
    share.grow(bytes).await.map_err(|full| OutOfMemory::Host(full).into())
}

/// Memory of the host's that a guest keeps besides its own, until this goes.
pub(crate) struct Besides {
    share: Share,
    meter: Arc<Meter>,
    bytes: u64,
}

impl Besides {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back what is more than that.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let more = self.bytes.saturating_sub(bytes);
        self.bytes -= more;
        self.share.shrink(more);
        self.meter.shrink(more);
    }
}

impl Drop for Besides {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[async_trait]
impl ResourceLimiterAsync for Limits {
    async fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        // Past the memory's own end there is nothing to be had, whatever the limit: the guest is told so, as everywhere.
        if maximum.is_some_and(|maximum| desired > maximum) || desired as u64 > WASM32_MEMORY_BYTES {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64).await?;
        Ok(true)
    }

    async fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let wanted = self.elements.saturating_add(more);
        if wanted > TABLE_ELEMENTS || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let counted = |elements: usize| elements.saturating_sub(FREE_TABLE_ELEMENTS);
        let counted = counted(wanted).saturating_sub(counted(self.elements));
        self.take(more.saturating_sub(counted) as u64 * TABLE_ELEMENT_BYTES).await?;
        self.grow(counted as u64 * TABLE_ELEMENT_BYTES).await?;
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::memory::MemoryBudget;

    const PAGE: usize = 64 * 1024;

    fn limits(pages: usize) -> Limits {
        Limits::new(MemoryBudget::new(u64::MAX).share(), Arc::new(Meter::new((pages * PAGE) as u64)))
    }

    #[tokio::test]
    async fn growth_up_to_the_limit_is_allowed_and_past_it_the_end() {
        let mut limits = limits(2);
        assert!(limits.memory_growing(0, 2 * PAGE, None).await.unwrap());
        let error = limits.memory_growing(2 * PAGE, 3 * PAGE, None).await.unwrap_err();
        let error = error.downcast_ref::<OutOfMemory>().unwrap();
        assert_eq!(error.to_string(), "the memory limit is 131072 bytes, and the program asked for 196608 bytes");
        assert_eq!(limits.meter.usage().memory_bytes, 131072);
    }

    #[tokio::test]
    async fn all_memories_count_together() {
        let mut limits = limits(3);
        assert!(limits.memory_growing(0, PAGE, None).await.unwrap());
        assert!(limits.memory_growing(0, PAGE, None).await.unwrap());
        assert!(limits.memory_growing(PAGE, 2 * PAGE, None).await.unwrap());
        assert_eq!(limits.meter.usage().memory_bytes, 3 * PAGE as u64);
        assert!(limits.memory_growing(0, PAGE, None).await.is_err());
    }

    #[tokio::test]
    async fn instances_of_one_guest_have_the_limit_together_and_give_back_what_they_had() {
        let (budget, meter) = (MemoryBudget::new(u64::MAX), Arc::new(Meter::new(3 * PAGE as u64)));
        let instance = || Limits::new(budget.share(), meter.clone());
        let (mut one, mut two) = (instance(), instance());
        assert!(one.memory_growing(0, 2 * PAGE, None).await.unwrap());
        assert!(two.memory_growing(0, PAGE, None).await.unwrap());
        let error = two.memory_growing(PAGE, 2 * PAGE, None).await.unwrap_err();
        assert_eq!(error.to_string(), "the memory limit is 196608 bytes, and the program asked for 262144 bytes");
        drop(one);
        assert_eq!(meter.usage().memory_bytes, PAGE as u64);
        assert!(two.memory_growing(PAGE, 3 * PAGE, None).await.unwrap());
        drop(two);
        assert_eq!((meter.usage().memory_bytes, budget.used_bytes()), (0, 0));
    }

    #[tokio::test]
    async fn another_limit_holds_from_the_next_growth_on() {
        let mut limits = limits(2);
        assert!(limits.memory_growing(0, 2 * PAGE, None).await.unwrap());
        limits.meter.set_memory_limit(4 * PAGE as u64);
        assert!(limits.memory_growing(2 * PAGE, 4 * PAGE, None).await.unwrap());
        limits.meter.set_memory_limit(PAGE as u64);
        assert_eq!(limits.meter.usage().memory_bytes, 4 * PAGE as u64, "what it has it keeps");
        let error = limits.memory_growing(4 * PAGE, 5 * PAGE, None).await.unwrap_err();
        assert_eq!(error.to_string(), "the memory limit is 65536 bytes, and the program asked for 327680 bytes");
    }

    #[tokio::test]
    async fn what_the_host_keeps_for_it_counts_until_it_goes() {
        let mut limits = limits(3);
        assert!(limits.memory_growing(0, PAGE, None).await.unwrap());
        let kept = limits.take_besides(2 * PAGE as u64).await.unwrap();
        assert!(limits.take_besides(1).await.unwrap().is_none(), "it is told, and not ended");
        assert_eq!(limits.meter.usage().memory_bytes, 3 * PAGE as u64);
        assert!(limits.memory_growing(PAGE, 2 * PAGE, None).await.is_err());
        drop(kept);
        assert_eq!(limits.meter.usage().memory_bytes, PAGE as u64);
        assert!(limits.memory_growing(PAGE, 3 * PAGE, None).await.unwrap());
    }

    #[tokio::test]
    async fn growth_past_the_memorys_own_end_is_refused_and_not_charged() {
        let mut limits = limits(4);
        assert!(!limits.memory_growing(0, 3 * PAGE, Some(2 * PAGE)).await.unwrap());
        assert!(limits.memory_growing(0, 4 * PAGE, None).await.unwrap());
        assert!(!limits.memory_growing(4 * PAGE, (4 << 30) + PAGE, None).await.unwrap());
    }

    #[tokio::test]
    async fn the_tables_of_a_guest_are_bounded_together() {
        let mut limits = limits(200);
        assert!(limits.table_growing(0, TABLE_ELEMENTS - 10, None).await.unwrap());
        assert!(limits.table_growing(0, 5, None).await.unwrap());
        assert!(!limits.table_growing(5, 11, None).await.unwrap());
        assert!(!limits.table_growing(5, 7, Some(6)).await.unwrap());
        assert!(limits.table_growing(5, 10, None).await.unwrap());
    }

    #[tokio::test]
    async fn large_tables_are_memory() {
        let (budget, meter) = (MemoryBudget::new(u64::MAX), Arc::new(Meter::new(PAGE as u64)));
        let mut limits = Limits::new(budget.share(), meter.clone());
        assert!(limits.table_growing(0, 8000, None).await.unwrap());
        assert_eq!((meter.usage().memory_bytes, budget.used_bytes()), (0, 64_000));
        assert!(limits.table_growing(8000, 8192 + 4096, None).await.unwrap());
        assert_eq!((meter.usage().memory_bytes, budget.used_bytes()), (32_768, 98_304));
        let error = limits.table_growing(8192 + 4096, 20_000, None).await.unwrap_err();
        assert_eq!(error.to_string(), "the memory limit is 65536 bytes, and the program asked for 94464 bytes");
        assert_eq!(budget.used_bytes(), 98_304, "it is not taken, either");
        assert!(limits.memory_growing(0, PAGE, None).await.is_err());
        drop(limits);
        assert_eq!((meter.usage().memory_bytes, budget.used_bytes()), (0, 0));
    }
}
