//! Which events are worth a request: repeats are counted, and a pod that has much to say is cut short. Pure.
//!
//! The rules are those of the kubelet's recorder (client-go): the same news of the same object within ten minutes raises the
//! count of the event that is there; an object may send 25 at once, and one more every five minutes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// News that was not repeated for so long is told anew.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// What an object may send at once.
const BURST: f64 = 25.0;
/// How long it takes until it may send one more.
const REFILL: Duration = Duration::from_secs(5 * 60);
/// The memory is cleaned up after so many events.
const CLEANING: u32 = 256;

/// What an event says of what.
#[derive(Clone, Copy, Debug, Hash)]
pub struct News<'a> {
    /// Of the object.
    pub uid: &'a str,
    /// The container, or nothing.
    pub field_path: Option<&'a str>,
    /// `Normal` or `Warning`.
    pub type_: &'a str,
    /// In one word.
    pub reason: &'a str,
    /// In a sentence.
    pub message: &'a str,
}

/// What is to be done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Make it, under the name that was offered.
    New,
    /// Set the count of the event of this name.
    Again(String, i32),
    /// Nothing.
    Drop,
}

/// What was told of late.
#[derive(Debug, Default)]
pub struct Correlator {
    told: HashMap<u64, Told>,
    allowances: HashMap<u64, Allowance>,
    taken: u32,
}

#[derive(Debug)]
struct Told {
    name: String,
    count: i32,
    at: Instant,
}

#[derive(Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

impl Correlator {
    /// Decides. `name` is for the event, should it be made.
    pub fn take(&mut self, news: News<'_>, name: &str, now: Instant) -> Telling {
        self.taken += 1;
        if self.taken.is_multiple_of(CLEANING) {
            self.told.retain(|_, told| now.duration_since(told.at) < REMEMBERED);
            self.allowances.retain(|_, allowance| allowance.at(now) < BURST);
        }
        let allowance = self.allowances.entry(hash(news.uid)).or_insert(Allowance { left: BURST, at: now });
        (allowance.left, allowance.at) = (allowance.at(now), now);
        if allowance.left < 1.0 {
            return Telling::Drop;
        }
        allowance.left -= 1.0;
        match self.told.get_mut(&hash(news)) {
            Some(told) if now.duration_since(told.at) < REMEMBERED => {
                told.count = told.count.saturating_add(1);
                told.at = now;
                Telling::Again(told.name.clone(), told.count)
            }
            _ => {
                self.told.insert(hash(news), Told { name: name.into(), count: 1, at: now });
                Telling::New
            }
        }
    }

    /// The event could not be made, or is there no longer: the next of its kind is new.
    pub fn forget(&mut self, news: News<'_>) {
        self.told.remove(&hash(news));
    }
}

impl Allowance {
    fn at(&self, now: Instant) -> f64 {
        (self.left + now.duration_since(self.at).as_secs_f64() / REFILL.as_secs_f64()).min(BURST)
    }
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWS: News<'_> = News { uid: "u", field_path: None, type_: "Normal", reason: "Started", message: "m" };

    #[test]
    fn the_same_again_is_counted() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        assert_eq!(correlator.take(NEWS, "a", now), Telling::New);
        assert_eq!(correlator.take(NEWS, "b", now), Telling::Again("a".into(), 2));
        let later = now + REMEMBERED - Duration::from_secs(1);
        assert_eq!(correlator.take(NEWS, "c", later), Telling::Again("a".into(), 3));
        assert_eq!(correlator.take(NEWS, "d", later + REMEMBERED), Telling::New);
        correlator.forget(NEWS);
        assert_eq!(correlator.take(NEWS, "e", later + REMEMBERED), Telling::New);
    }

    #[test]
    fn what_differs_is_told() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        let different = [
            NEWS,
            News { uid: "v", ..NEWS },
            News { field_path: Some("spec.containers{c}"), ..NEWS },
            News { field_path: Some("spec.initContainers{i}"), ..NEWS },
            News { type_: "Warning", ..NEWS },
            News { reason: "Created", ..NEWS },
            News { message: "n", ..NEWS },
        ];
        for news in different {
            assert_eq!(correlator.take(news, "x", now), Telling::New, "{news:?}");
        }
    }

    #[test]
    fn a_flood_is_cut_short() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        let take = |correlator: &mut Correlator, uid: &str, number: usize, now| {
            let message = number.to_string();
            correlator.take(News { uid, message: &message, ..NEWS }, "x", now)
        };
        let told = (0..40).filter(|number| take(&mut correlator, "u", *number, now) == Telling::New).count();
        assert_eq!(told, 25);
        assert_eq!(take(&mut correlator, "v", 0, now), Telling::New, "others are not cut short for it");
        assert_eq!(take(&mut correlator, "u", 41, now + REFILL), Telling::New);
        assert_eq!(take(&mut correlator, "u", 42, now + REFILL), Telling::Drop);
    }

    #[test]
    fn memory_is_bounded_by_time() {
        let (mut correlator, mut now) = (Correlator::default(), Instant::now());
        for number in 0..5000 {
            now += Duration::from_secs(10);
            let uid = format!("{}", number);
            correlator.take(News { uid: &uid, ..NEWS }, "x", now);
        }
        assert!(correlator.told.len() < 400, "{}", correlator.told.len());
        assert!(correlator.allowances.len() < 400, "{}", correlator.allowances.len());
    }
}
