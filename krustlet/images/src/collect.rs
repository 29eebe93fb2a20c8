//! Which modules go when the store is tidied up: <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>

use std::time::Duration;

/// The youngest that a module may be to go: what came for a pod must still be there when the pod starts.
const SPARED: Duration = Duration::from_secs(120);

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What was not used for this long goes. Default: a week.
    pub max_age: Duration,
    /// When the modules have more bytes than this, the least recently used ones go first. Default: 10 GiB.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(168 * 3600), max_bytes: 10 << 30 }
    }
}

/// A module, as the decision sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Of its bytes.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// How long ago it was last used, or came.
    pub idle: Duration,
    /// A container has it.
    pub in_use: bool,
}

/// The digests of those that go, the least recently used first.
pub fn doomed(mut candidates: Vec<Candidate>, limits: &Limits) -> Vec<String> {
    let mut bytes: u64 = candidates.iter().map(|candidate| candidate.size).sum();
    candidates.retain(|candidate| !candidate.in_use && candidate.idle >= SPARED);
    candidates.sort_by(|a, b| b.idle.cmp(&a.idle).then_with(|| a.digest.cmp(&b.digest)));
    let mut gone = Vec::new();
    for candidate in candidates {
        if candidate.idle > limits.max_age || bytes > limits.max_bytes {
            bytes -= candidate.size;
            gone.push(candidate.digest);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_and_then_what_is_too_much() {
        let limits = Limits { max_age: Duration::from_secs(3600), max_bytes: 100 };
        // Digest, size, seconds idle, in use.
        type Row = (&'static str, u64, u64, bool);
        let table: [(&str, &[Row], &[&str]); 11] = [
            ("nothing", &[], &[]),
            ("fresh and small", &[("a", 50, 300, false), ("b", 50, 300, false)], &[]),
            ("old", &[("a", 1, 3600, false), ("b", 1, 3601, false)], &["b"]),
            ("old, but in use", &[("a", 1, 9999, true)], &[]),
            ("too much: the one used longest ago", &[("a", 60, 300, false), ("b", 60, 600, false)], &["b"]),
            ("until it fits", &[("a", 60, 300, false), ("b", 30, 600, false), ("c", 20, 900, false)], &["c"]),
            (
                "no more than needed",
                &[("a", 60, 200, false), ("b", 60, 300, false), ("c", 60, 400, false)],
                &["c", "b"],
            ),
            ("what is in use counts, and stays", &[("a", 90, 9999, true), ("b", 20, 300, false)], &["b"]),
            ("too much in use", &[("a", 90, 9999, true), ("b", 90, 1, true)], &[]),
            ("too young", &[("a", 200, 119, false), ("b", 1, 120, false)], &["b"]),
            ("the old ones make room", &[("a", 60, 300, false), ("b", 60, 9999, false)], &["b"]),
        ];
        for (what, rows, expected) in table {
            let candidates = rows.iter().map(|&(digest, size, idle, in_use)| Candidate {
                digest: digest.into(),
                size,
                idle: Duration::from_secs(idle),
                in_use,
            });
            assert_eq!(doomed(candidates.collect(), &limits), expected, "{what}");
        }
    }

    #[test]
    fn nothing_unused_is_kept_when_no_bytes_are_allowed() {
        let limits = Limits { max_bytes: 0, ..Limits::default() };
        let candidate = |digest: &str, size| Candidate {
            digest: digest.into(),
            size,
            idle: Duration::from_secs(300),
            in_use: false,
        };
        assert_eq!(doomed(vec![candidate("b", 1), candidate("a", 1)], &limits), ["a", "b"]);
        assert_eq!(doomed(vec![candidate("a", u64::from(u32::MAX))], &Limits::default()), [""; 0]);
    }
}
