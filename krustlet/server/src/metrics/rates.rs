//! How busy something is, from how much it has worked so far.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Two readings that lie closer together than this say nothing.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The last readings of many things, and the rates between them.
#[derive(Debug)]
pub struct Rates<Key> {
    samples: HashMap<Key, Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    cpu: Duration,
    nano_cores: Option<u64>,
}

impl<Key> Default for Rates<Key> {
    fn default() -> Self {
        Self { samples: HashMap::new() }
    }
}

impl<Key: Eq + Hash> Rates<Key> {
    /// Takes readings of the processor time of all there is. What is not among them is forgotten.
    pub fn take(&mut self, readings: impl Iterator<Item = (Key, Duration)>, now: Instant) {
        let before = std::mem::take(&mut self.samples);
        self.samples = readings
            .map(|(key, cpu)| {
                let sample = match before.get(&key) {
                    Some(before) if now.duration_since(before.at) < LEAST_INTERVAL => *before,
                    before => {
                        let nano_cores = before.and_then(|before| rate(now.duration_since(before.at), before.cpu, cpu));
                        Sample { at: now, cpu, nano_cores }
                    }
                };
                (key, sample)
            })
            .collect();
    }

    /// Billionths of a processor, as of the last readings; `None` before there are two.
    pub fn nano_cores(&self, key: &Key) -> Option<u64> {
        self.samples.get(key)?.nano_cores
    }
}

/// `None` when it has worked less than before: it is not the same thing.
fn rate(interval: Duration, before: Duration, now: Duration) -> Option<u64> {
    let worked = now.checked_sub(before)?;
    u64::try_from(worked.as_nanos() * 1_000_000_000 / interval.as_nanos().max(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_the_last_two_readings() {
        let mut rates = Rates::default();
        let start = Instant::now();
        let ms = Duration::from_millis;
        // Time of the reading, processor time, rate.
        let table = [
            (0, 100, None),
            (10_000, 600, Some(50_000_000)),
            // Too soon: the rate stays.
            (10_500, 1100, Some(50_000_000)),
            (20_000, 20_600, Some(2_000_000_000)),
            (30_000, 20_600, Some(0)),
            // Another of that name.
            (40_000, 1, None),
        ];
        for (at, cpu, wanted) in table {
            rates.take([("a", ms(cpu))].into_iter(), start + ms(at));
            assert_eq!(rates.nano_cores(&"a"), wanted, "{at}");
        }
        rates.take([("b", ms(1))].into_iter(), start + ms(50_000));
        assert_eq!(rates.nano_cores(&"a"), None);
    }
}
