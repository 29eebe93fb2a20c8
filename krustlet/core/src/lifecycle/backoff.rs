//! Growing pauses between attempts.

use std::time::Duration;

/// The kubelet's pauses: 10 s, doubling, 5 min at most. It has the same ones for pulls and for restarts.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// After a run of this length a restart counts as the first again.
pub const RESET_AFTER: Duration = Duration::from_secs(10 * 60);

/// Volumes are tried again sooner: what they wait for is often made in the same breath as the pod.
const FIRST_MOUNT: Duration = Duration::from_millis(500);
const LONGEST_MOUNT: Duration = Duration::from_secs(30);

/// The pause before volumes are tried again, after so many failures before the last one: 0.5 s, doubling, 30 s at most.
pub fn mount_pause(failures_before: u32) -> Duration {
    FIRST_MOUNT.saturating_mul(2u32.saturating_pow(failures_before)).min(LONGEST_MOUNT)
}

/// How many attempts have failed in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after a failure: 10 s, 20 s, … 5 min.
    pub fn pause(&mut self) -> Duration {
        let pause = after(self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// The pause before a restart: none the first time, then as [`pause`](Self::pause).
    pub fn restart_pause(&mut self, ran_for: Duration) -> Duration {
        if ran_for >= RESET_AFTER {
            self.reset();
        }
        let pause = self.failures.checked_sub(1).map_or(Duration::ZERO, after);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Starts from the beginning.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

fn after(failures: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_start_with_ten_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..7).map(|_| backoff.pause().as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn the_first_restart_is_at_once() {
        let mut backoff = Backoff::default();
        let mut pause = |seconds| backoff.restart_pause(Duration::from_secs(seconds)).as_secs();
        let pauses: Vec<u64> = (0..8).map(|_| pause(1)).collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!([pause(600), pause(599), pause(1)], [0, 10, 20]);
    }

    #[test]
    fn volumes_are_tried_again_sooner() {
        let pauses: Vec<u128> = (0..8).map(|failures| mount_pause(failures).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(mount_pause(u32::MAX), LONGEST_MOUNT);
    }

    #[test]
    fn it_never_overflows() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.pause(), LONGEST);
        assert_eq!(backoff.restart_pause(Duration::ZERO), LONGEST);
    }
}
