//! Ids of traces and spans: random ones, of which each is given once.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes them: the words of a keyed hash, whose key is the system's, over a number that counts.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    key: RandomState,
    last: AtomicU64,
}

impl Ids {
    pub(crate) fn trace(&self) -> [u8; 16] {
        let mut id = [0; 16];
        let (first, second) = id.split_at_mut(8);
        first.copy_from_slice(&self.word().to_be_bytes());
        second.copy_from_slice(&self.word().to_be_bytes());
        id
    }

    pub(crate) fn span(&self) -> [u8; 8] {
        self.word().to_be_bytes()
    }

    /// All zeros mean that there is no id.
    fn word(&self) -> u64 {
        self.key.hash_one(self.last.fetch_add(1, Ordering::Relaxed)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_id_is_given_twice() {
        let (one, two) = (Ids::default(), Ids::default());
        let spans: HashSet<_> = (0..10_000).flat_map(|_| [one.span(), two.span()]).collect();
        let traces: HashSet<_> = (0..10_000).flat_map(|_| [one.trace(), two.trace()]).collect();
        assert_eq!((spans.len(), traces.len()), (20_000, 20_000));
    }
}
