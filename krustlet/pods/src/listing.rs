//! Beginning to watch: the list of pods as they are.

use k8s_openapi::api::core::v1::Pod;
use krustlet_core::pod;
use kube::ResourceExt;

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
            (!pod::was_started(pod), pod.creation_timestamp(), pod.namespace(), pod.name_any())
        });
        (first, pods)
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
}
