//! What a server has done, in numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The upper bounds of the histogram's buckets, in milliseconds: those that Prometheus' clients have by default, and two below.
const BOUNDS_MILLISECONDS: [u64; 13] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// What a server has done since its start, and does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerStats {
    /// Requests that have ended, by the status code of their response. 499 stands for those whose client had gone before there was a
    /// response, as it does in nginx, or that were ended with the server. What is no request at all is not among them: bytes that cannot
    /// be read as one, 400, and headers that are too large, 431.
    pub requests: BTreeMap<u16, u64>,
    /// How long these took, from their headers to the last byte of their response.
    pub durations: Durations,
    /// Requests that are under way.
    pub in_flight: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Requests that were answered with 503 because there were too many.
    pub refused_requests: u64,
    /// Connections that were closed at once because there were too many.
    pub refused_connections: u64,
    /// Instances that have been made.
    pub instances: u64,
    /// Requests whose instance trapped, ended itself, gave no response, or left one unfinished: all that is the program's own fault.
    pub traps: u64,
    /// Requests whose instance ran out of memory.
    pub out_of_memory: u64,
}

/// A histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// The upper bound of each bucket in seconds, and how many were not above it. The last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All of them together, in seconds.
    pub sum: f64,
}

/// Counts for one server.
#[derive(Debug, Default)]
pub(in crate::serve) struct Metrics {
    ended: Mutex<Ended>,
    pub(in crate::serve) in_flight: Counter,
    pub(in crate::serve) connections: Counter,
    pub(in crate::serve) refused_requests: Counter,
    pub(in crate::serve) refused_connections: Counter,
    pub(in crate::serve) instances: Counter,
    pub(in crate::serve) traps: Counter,
    pub(in crate::serve) out_of_memory: Counter,
}

#[derive(Debug, Default)]
struct Ended {
    requests: BTreeMap<u16, u64>,
    buckets: [u64; BOUNDS_MILLISECONDS.len() + 1],
    sum: Duration,
}

#[derive(Debug, Default)]
pub(in crate::serve) struct Counter(AtomicU64);

impl Counter {
    pub(in crate::serve) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::serve) fn take(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    pub(in crate::serve) fn ended(&self, code: u16, took: Duration) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended.requests.entry(code).or_default() += 1;
        ended.sum = ended.sum.saturating_add(took);
        let bucket = BOUNDS_MILLISECONDS.partition_point(|bound| Duration::from_millis(*bound) < took);
        if let Some(count) = ended.buckets.get_mut(bucket) {
            *count += 1;
        }
    }

    pub(in crate::serve) fn stats(&self) -> ServerStats {
        let (requests, durations) = {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            (ended.requests.clone(), ended.durations())
        };
        ServerStats {
            requests,
            durations,
            in_flight: self.in_flight.get(),
            connections: self.connections.get(),
            refused_requests: self.refused_requests.get(),
            refused_connections: self.refused_connections.get(),
            instances: self.instances.get(),
            traps: self.traps.get(),
            out_of_memory: self.out_of_memory.get(),
        }
    }
}

impl Ended {
    fn durations(&self) -> Durations {
        let bounds = BOUNDS_MILLISECONDS.iter().map(|bound| Duration::from_millis(*bound).as_secs_f64());
        let mut sum = 0;
        let buckets = bounds.chain([f64::INFINITY]).zip(self.buckets).map(|(bound, count)| {
            sum += count;
            (bound, sum)
        });
        Durations { buckets: buckets.collect(), sum: self.sum.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_in_all_buckets_from_their_own_on() {
        let metrics = Metrics::default();
        for (code, milliseconds) in [(200, 1), (200, 3), (404, 10_000), (502, 10_001)] {
            metrics.ended(code, Duration::from_millis(milliseconds));
        }
        let stats = metrics.stats();
        assert_eq!(stats.requests, [(200, 2), (404, 1), (502, 1)].into());
        let counts: Vec<u64> = stats.durations.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4]);
        assert_eq!((stats.durations.buckets[0].0, stats.durations.buckets[13].0), (0.001, f64::INFINITY));
        assert!((stats.durations.sum - 20.005).abs() < 1e-9);
    }
}
