//! Beginning to watch: the list of pods as they are, and how long to wait after a failure.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::utils::Backoff;

use super::restore;

/// Pauses between attempts to reach the API server.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// They grow up to this, so that a node is back within seconds of its API server.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Pods that are being listed. They are taken up when the list is complete, those that ran before first: new ones get what place they
/// leave.
#[derive(Default)]
pub struct Listing {
    pods: Vec<Pod>,
    ended: bool,
}

impl Listing {
    /// A list begins; what there was of another is void.
    pub fn begin(&mut self) {
        self.pods.clear();
    }

    /// One of the list.
    pub fn add(&mut self, pod: Pod) {
        self.pods.push(pod);
    }

    /// The list is complete: whether it is the first, and the pods in the order in which they are to be taken up.
    pub fn end(&mut self) -> (bool, Vec<Pod>) {
        let first = !std::mem::replace(&mut self.ended, true);
        let mut pods = std::mem::take(&mut self.pods);
        pods.sort_by_cached_key(|pod| {
            (!restore::was_started(pod), pod.creation_timestamp(), pod.namespace(), pod.name_any())
        });
        (first, pods)
    }
}

/// Growing pauses, each shortened at random by up to a quarter: nodes that lost their API server at the same time come back one by one.
#[derive(Debug, Default)]
pub struct Patience {
    failures: u32,
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(self.failures)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        // Every state is seeded at random.
        let random = RandomState::new().hash_one(0) % 256;
        Some(pause - pause / 1024 * u32::try_from(random).unwrap_or(0))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, created: &str, started: bool) -> Pod {
        let status = if started { json!({ "startTime": created }) } else { json!({}) };
        let metadata = json!({ "name": name, "namespace": "n", "creationTimestamp": created });
        serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
    }

    #[test]
    fn those_that_ran_come_first_then_the_oldest() {
        let mut listing = Listing::default();
        listing.begin();
        listing.add(pod("void", "2026-01-01T00:00:00Z", true));
        listing.begin();
        for (name, created, started) in [
            ("new", "2026-01-01T00:00:09Z", false),
            ("older", "2026-01-01T00:00:01Z", false),
            ("ran-b", "2026-01-01T00:00:05Z", true),
            ("ran-a", "2026-01-01T00:00:05Z", true),
            ("ran-first", "2026-01-01T00:00:03Z", true),
        ] {
            listing.add(pod(name, created, started));
        }
        let (first, pods) = listing.end();
        let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
        assert_eq!((first, names), (true, ["ran-first", "ran-a", "ran-b", "older", "new"].map(String::from).to_vec()));
        assert_eq!(listing.end(), (false, Vec::new()));
    }

    #[test]
    fn pauses_grow_up_to_some_seconds_and_begin_anew() {
        let mut patience = Patience::default();
        for whole in [500, 1000, 2000, 4000, 5000, 5000] {
            let pause = u64::try_from(patience.next().unwrap().as_millis()).unwrap();
            assert!((whole * 3 / 4..=whole).contains(&pause), "{pause} of {whole}");
        }
        patience.reset();
        assert!(patience.next().unwrap() <= FIRST_PAUSE);
        patience.failures = u32::MAX;
        assert!(patience.next().unwrap() <= LONGEST_PAUSE);
    }
}
