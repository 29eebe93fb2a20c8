//! Asking the API server for as long as it takes: one that is silent or not there, as after a reboot of everything, comes back.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use krustlet_core::errors::chain;
use kube::runtime::utils::Backoff;
use tokio::time::{Instant, sleep, timeout};

/// Pauses between attempts to reach the API server.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// They grow up to this, so that a node is back within seconds of its API server.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// An attempt that hangs for longer is given up, and tried again.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);

/// How long a refusal (401, 403) is taken for a token or a role that the API server has not seen yet.
const GRACE_FOR_REFUSALS: Duration = Duration::from_secs(30);

/// Growing pauses, each shortened at random by up to a quarter: nodes, and watches of a node, that lost their API server at the same time come
/// back one by one.
#[derive(Debug)]
pub struct Patience {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Patience {
    /// Pauses that begin with `first` and double up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The next one.
    pub fn pause(&mut self) -> Duration {
        let pause = self.first.saturating_mul(2u32.saturating_pow(self.failures)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        // Every state is seeded at random.
        let random = RandomState::new().hash_one(0) % 256;
        pause - pause / 1024 * u32::try_from(random).unwrap_or(0)
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new(FIRST_PAUSE, LONGEST_PAUSE)
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pause())
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        Self::reset(self);
    }
}

/// What an attempt may fail with.
pub trait Answered: std::error::Error + 'static {
    /// What came from the API server, or from the way there, if it is that which is behind it.
    fn answer(&self) -> Option<&kube::Error>;
}

impl Answered for kube::Error {
    fn answer(&self) -> Option<&kube::Error> {
        Some(self)
    }
}

/// Does something at the API server, again and again until it has answered. `doing` is for the log: "register the node".
///
/// # Errors
/// What the API server refused for good: a refusal for want of rights (401, 403) after half a minute, any other at once.
pub async fn persist<T, E: Answered>(doing: &str, attempt: impl AsyncFnMut() -> Result<T, E>) -> Result<T, E> {
    persist_with(doing, attempt, ATTEMPT_LIMIT, Patience::default()).await
}

async fn persist_with<T, E: Answered>(
    doing: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    limit: Duration,
    mut pauses: impl Iterator<Item = Duration>,
) -> Result<T, E> {
    let refusals_until = Instant::now() + GRACE_FOR_REFUSALS;
    loop {
        let why = match timeout(limit, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) if is_final(&error, Instant::now() >= refusals_until) => return Err(error),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("the API server did not answer within {} s", limit.as_secs()),
        };
        tracing::warn!("cannot {doing} yet, trying again: {why}");
        sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

fn is_final(error: &impl Answered, is_late: bool) -> bool {
    match error.answer() {
        Some(kube::Error::Api(status)) if status.code == 401 || status.code == 403 => is_late,
        Some(kube::Error::Api(status)) => status.code < 500 && status.code != 429,
        // Nothing was refused.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

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

    fn refusal(code: u16) -> kube::Error {
        kube::Error::Api(Status { code, ..Status::failure("no", "No") }.boxed())
    }

    #[test]
    fn what_the_api_server_says_for_good_is_final() {
        for (code, early, late) in
            [(401, false, true), (403, false, true), (422, true, true), (429, false, false), (500, false, false)]
        {
            let error = refusal(code);
            assert_eq!((is_final(&error, false), is_final(&error, true)), (early, late), "{code}");
        }
        assert!(!is_final(&kube::Error::TlsRequired, true), "nothing was refused");
    }

    #[tokio::test]
    async fn silence_and_faults_are_outlasted() {
        let mut attempts = 0;
        let attempt = async || {
            attempts += 1;
            match attempts {
                1 => std::future::pending().await,
                2..50 => Err(refusal(503)),
                _ => Ok(attempts),
            }
        };
        let done = persist_with("wait", attempt, Duration::from_millis(10), std::iter::repeat(Duration::ZERO));
        assert_eq!(done.await.unwrap(), 50);
    }
}
