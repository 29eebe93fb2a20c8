//! One at a time: who wants what another one is just getting waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use krustlet_core::lifecycle::not_started::{NotStarted, Reason};

/// Whose attempt a failure was: only those who would have asked the same way share it.
pub type Who = [u8; 32];

type Turn = Arc<tokio::sync::Mutex<Option<Failure>>>;

/// The last failure of a turn.
struct Failure {
    at: Instant,
    who: Who,
    error: NotStarted,
}

/// Turns by what they are for.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<String, Weak<tokio::sync::Mutex<Option<Failure>>>>>);

impl Turns {
    /// Does the work when nobody else is at the same thing. When an attempt of the same `who` fails while this one waits, its
    /// failure is this one's, too: a hundred pods do not wait for a hundred timeouts one after the other.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn take<T>(
        &self,
        key: String,
        who: Who,
        work: impl Future<Output = Result<T, NotStarted>>,
    ) -> Result<T, NotStarted> {
        let since = Instant::now();
        let turn = self.turn(key);
        let mut last = turn.lock().await;
        if let Some(failure) = last.as_ref().filter(|failure| failure.at >= since && failure.who == who) {
            return Err(failure.error.clone());
        }
        let result = work.await;
        if let Err(error) = &result
            && error.reason == Reason::ErrImagePull
        {
            *last = Some(Failure { at: Instant::now(), who, error: error.clone() });
        }
        result
    }

    fn turn(&self, key: String) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = turns.get(&key).and_then(Weak::upgrade).unwrap_or_default();
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    async fn attempt(turns: &Turns, who: u8, result: Result<u8, NotStarted>) -> (Result<u8, NotStarted>, bool) {
        let mut worked = false;
        let work = async {
            worked = true;
            tokio::time::sleep(Duration::from_millis(50)).await;
            result
        };
        let result = turns.take("key".into(), [who; 32], work).await;
        (result, worked)
    }

    fn pull(message: &str) -> Result<u8, NotStarted> {
        Err(NotStarted::new(Reason::ErrImagePull, message))
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_waited_for_it_and_would_have_asked_the_same() {
        let turns = Turns::default();
        let (ended, has_ended) = oneshot::channel();
        let (first, same, other, after) = tokio::join!(
            async {
                let first = attempt(&turns, 1, pull("down")).await;
                ended.send(()).unwrap();
                first
            },
            attempt(&turns, 1, Ok(2)),
            attempt(&turns, 2, Ok(3)),
            async {
                has_ended.await.unwrap();
                attempt(&turns, 1, Ok(4)).await
            },
        );
        assert!(first.1 && first.0 == pull("down"));
        assert!(!same.1 && same.0 == pull("down"));
        assert!(matches!(other, (Ok(3), true)), "another one has another login");
        assert!(matches!(after, (Ok(4), true)), "who came later asks anew");
        assert!(turns.0.lock().unwrap().len() <= 1);
    }

    #[tokio::test]
    async fn only_one_works_at_a_time_and_what_is_no_failed_pull_is_not_shared() {
        let turns = Turns::default();
        let start = Instant::now();
        let unusable = Err(NotStarted::new(Reason::StartError, "x"));
        let (a, b, c) =
            tokio::join!(attempt(&turns, 1, unusable), attempt(&turns, 1, Ok(1)), attempt(&turns, 1, Ok(2)));
        assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
        assert_eq!(a.0.err().map(|error| error.reason), Some(Reason::StartError));
        assert!(matches!((b, c), ((Ok(1), true), (Ok(2), true))));
    }
}
