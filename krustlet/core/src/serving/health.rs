//! What probes say of a container. Pure.
//!
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>

/// What its status shows of a container that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its startup probe has succeeded, or it has none.
    pub started: bool,
    /// Its readiness probe succeeds, or it has none.
    pub ready: bool,
}

impl Health {
    /// Of a container without probes.
    pub const GOOD: Self = Self { started: true, ready: true };

    /// Whether requests are to be sent to it.
    pub fn serves(self) -> bool {
        self.started && self.ready
    }
}

/// The three kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whether it has started; until then nothing else is asked.
    Startup,
    /// Whether requests are to be sent to it.
    Readiness,
    /// Whether it is to go on.
    Liveness,
}

impl Kind {
    /// As the kubelet's events name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// What the results of a probe come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Same,
    /// It has started.
    Started,
    /// It is ready from now on, or is not.
    Ready(bool),
    /// It is to be killed.
    Kill,
}

/// Counts the results of one probe.
#[derive(Clone, Debug)]
pub struct Tally {
    kind: Kind,
    successes_wanted: u32,
    failures_allowed: u32,
    /// In a row, of the same kind as the last one.
    successes: u32,
    failures: u32,
    ready: bool,
}

impl Tally {
    /// With the thresholds of its spec.
    pub fn new(kind: Kind, successes_wanted: u32, failures_allowed: u32) -> Self {
        Self { kind, successes_wanted, failures_allowed, successes: 0, failures: 0, ready: false }
    }

    /// Counts a result.
    pub fn count(&mut self, success: bool) -> Verdict {
        (self.successes, self.failures) = match success {
            true => (self.successes.saturating_add(1), 0),
            false => (0, self.failures.saturating_add(1)),
        };
        let (good, bad) = (self.successes >= self.successes_wanted, self.failures >= self.failures_allowed);
        match self.kind {
            Kind::Startup if good => Verdict::Started,
            Kind::Startup | Kind::Liveness if bad => Verdict::Kill,
            Kind::Readiness if good && !self.ready || bad && self.ready => {
                self.ready = good;
                Verdict::Ready(good)
            }
            _ => Verdict::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(kind: Kind, wanted: u32, allowed: u32, results: &str) -> Vec<Verdict> {
        let mut tally = Tally::new(kind, wanted, allowed);
        results.chars().map(|result| tally.count(result == '+')).collect()
    }

    #[test]
    fn a_startup_probe_starts_or_kills() {
        use Verdict::{Kill, Same, Started};
        assert_eq!(verdicts(Kind::Startup, 1, 3, "--+"), [Same, Same, Started]);
        assert_eq!(verdicts(Kind::Startup, 1, 3, "---"), [Same, Same, Kill]);
    }

    #[test]
    fn readiness_changes_after_so_many_in_a_row() {
        use Verdict::{Ready, Same};
        assert_eq!(verdicts(Kind::Readiness, 2, 2, "-+-++"), [Same, Same, Same, Same, Ready(true)]);
        assert_eq!(
            verdicts(Kind::Readiness, 1, 2, "+-+--+"),
            [Ready(true), Same, Same, Same, Ready(false), Ready(true)]
        );
    }

    #[test]
    fn liveness_kills_after_so_many_in_a_row_and_starts_nothing() {
        use Verdict::{Kill, Same};
        assert_eq!(verdicts(Kind::Liveness, 1, 2, "+-+--"), [Same, Same, Same, Same, Kill]);
    }
}
