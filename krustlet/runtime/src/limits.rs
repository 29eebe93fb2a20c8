//! What a guest may take of the host's memory.

use wasmtime::{ResourceLimiter, Result};

/// The most that a 32-bit linear memory can hold: 65536 pages of 64 KiB.
pub(crate) const WASM32_MEMORY_BYTES: u64 = 4 << 30;

/// A table entry costs the host a pointer: 8 MB of them at most. Rust and C programs have a few hundred.
const TABLE_ELEMENTS: usize = 1_000_000;

/// Keeps one guest within its memory limit and remembers that it ran into it.
pub(crate) struct Limits {
    memory_bytes: u64,
    refused: bool,
}

impl Limits {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self { memory_bytes, refused: false }
    }

    /// The limit in bytes, if the guest was refused memory because of it.
    pub(crate) fn refused(&self) -> Option<u64> {
        self.refused.then_some(self.memory_bytes)
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        // The module's own maximum is its own affair: only the container's limit is to be reported.
        let allowed = desired as u64 <= self.memory_bytes;
        if !allowed && maximum.is_none_or(|maximum| desired <= maximum) {
            self.refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    // One program is one instance with one memory. Several tables are allowed by the standard, but not without end.
    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        16
    }

    fn memories(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_up_to_the_limit_is_allowed_and_past_it_refused_and_remembered() {
        let mut limits = Limits::new(128 * 1024);
        assert!(limits.memory_growing(0, 128 * 1024, None).unwrap());
        assert_eq!(limits.refused(), None);
        assert!(!limits.memory_growing(128 * 1024, 192 * 1024, None).unwrap());
        assert_eq!(limits.refused(), Some(128 * 1024));
    }

    #[test]
    fn growth_past_the_modules_own_maximum_is_not_laid_to_the_containers_limit() {
        let mut limits = Limits::new(128 * 1024);
        assert!(!limits.memory_growing(0, 192 * 1024, Some(64 * 1024)).unwrap());
        assert_eq!(limits.refused(), None);
    }

    #[test]
    fn tables_are_bounded() {
        let mut limits = Limits::new(0);
        assert!(limits.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(!limits.table_growing(0, TABLE_ELEMENTS + 1, None).unwrap());
    }
}
