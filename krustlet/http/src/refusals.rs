//! Notes refused requests in the host's log, so that whoever runs the guest sees what permission it lacks.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::HttpError;

/// How many lines a guest may cause at once, and how long it takes until it may cause one more.
const LINES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(30);

/// The refusals of one guest.
#[derive(Debug)]
pub(crate) struct Refusals {
    name: String,
    budget: Mutex<Budget>,
}

impl Refusals {
    pub(crate) fn new(name: String) -> Self {
        Self { name, budget: Mutex::new(Budget::new(Instant::now())) }
    }

    /// Notes it, if it is a refusal and its turn. `what` was to go to `origin`.
    pub(crate) fn note(&self, what: &'static str, origin: &impl Display, error: &HttpError) {
        if !error.is_refusal() {
            return;
        }
        let silent = self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if let Some(unmentioned) = silent {
            tracing::info!(guest = %self.name, %origin, unmentioned, "refused {what}: {error}");
        }
    }
}

/// A bucket of lines that fills slowly.
#[derive(Debug)]
struct Budget {
    lines: u32,
    filled: Instant,
    unmentioned: u64,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { lines: LINES, filled: now, unmentioned: 0 }
    }

    /// Takes a line: how many went without one since the last, or `None` when there is none left.
    fn take(&mut self, now: Instant) -> Option<u64> {
        while self.lines < LINES && now.saturating_duration_since(self.filled) >= PAUSE {
            self.lines += 1;
            self.filled += PAUSE;
        }
        if self.lines == LINES {
            self.filled = now;
        }
        if self.lines == 0 {
            self.unmentioned += 1;
            return None;
        }
        self.lines -= 1;
        Some(std::mem::take(&mut self.unmentioned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_fill_the_log() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let lines = (0..1000).filter(|_| budget.take(start).is_some()).count();
        assert_eq!(lines, 10);
        assert_eq!(budget.take(start + PAUSE), Some(990));
        assert_eq!(budget.take(start + PAUSE), None);
        // An hour of silence fills it, and not more.
        let later = start + Duration::from_secs(3600);
        assert_eq!(budget.take(later), Some(1));
        assert_eq!((0..1000).filter(|_| budget.take(later).is_some()).count(), 9);
        assert_eq!(budget.take(later + PAUSE / 2), None);
    }
}
