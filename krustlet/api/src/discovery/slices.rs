//! Asking the API server for the endpoints of a Service, when somebody wants them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use krustlet_core::fair::Fair;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use super::choose::Slice;

/// How long an answer is good: less than a pod that is to go serves on, so that its clients hear of it in time.
const LIFE: Duration = Duration::from_secs(3);
/// How long one is kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(60);
/// How many answers the pods of one namespace have kept.
const SERVICES: usize = 64;
/// How many questions may be under way at once; those of one namespace have all of these places but one.
const QUESTIONS: usize = 4;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one takes that is not waited for any longer where there is an earlier answer.
const SOON: Duration = Duration::from_millis(500);
/// As many slices of a Service are looked at, of a hundred endpoints each.
const SLICES: u32 = 8;

/// Whose question it is, and of which Service. An answer is not shared with another namespace, which would wait for this one's turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The namespace of who asks.
    pub tenant: String,
    /// The namespace of the Service.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// This node may not ask.
    #[error("this node may not list its EndpointSlices")]
    Forbidden,
    /// In the words of the API server, or of the way there.
    #[error("no answer from the API server: {0}")]
    Failed(String),
}

type Answer = Result<Arc<Vec<Slice>>, Unanswered>;

/// What was asked for lately.
pub struct Slices {
    client: Client,
    life: Duration,
    turns: Fair,
    known: Mutex<HashMap<Question, Arc<Known>>>,
}

struct Known {
    wanted: Mutex<Instant>,
    /// One asks, and those who want the same wait for that.
    answer: tokio::sync::Mutex<Option<(Instant, Answer)>>,
    /// Counts who was given the answer, by the port that they want of it.
    given: Mutex<HashMap<u16, usize>>,
}

impl Slices {
    pub fn new(client: Client) -> Self {
        Self::with_life(client, LIFE)
    }

    pub(super) fn with_life(client: Client, life: Duration) -> Self {
        Self { client, life, turns: Fair::new(QUESTIONS), known: Mutex::default() }
    }

    /// The slices of a Service, and how often they were given before for this port.
    ///
    /// # Errors
    /// There is no answer, and was none in the last minute or so. One that there was is good as long as the API server cannot be reached.
    pub async fn of(&self, question: Question, port: u16) -> Result<(Arc<Vec<Slice>>, usize), Unanswered> {
        let known = loop {
            match self.known(&question) {
                Ok(known) => break known,
                Err(wait) => sleep(wait).await,
            }
        };
        let mut answer = known.answer.lock().await;
        let fresh = match answer.take() {
            Some((asked, given)) if asked.elapsed() < self.life => (asked, given),
            Some((_, Ok(before))) => {
                let now = match timeout(SOON, self.ask(&question)).await {
                    Err(_) | Ok(Err(Unanswered::Failed(_))) => Ok(before),
                    Ok(now) => now,
                };
                (Instant::now(), now)
            }
            _ => (Instant::now(), self.ask(&question).await),
        };
        let (_, given) = answer.insert(fresh);
        let slices = given.clone()?;
        let mut given = lock(&known.given);
        let turn = given.entry(port).or_default();
        *turn += 1;
        Ok((slices, *turn - 1))
    }

    async fn ask(&self, question: &Question) -> Answer {
        let _turn = self.turns.turn(&question.tenant).await;
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &question.namespace);
        let of = format!("kubernetes.io/service-name={}", question.name);
        match timeout(PATIENCE, api.list(&ListParams::default().labels(&of).limit(SLICES))).await {
            Ok(Ok(list)) => Ok(Arc::new(list.items.iter().map(Slice::of).collect())),
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => Err(Unanswered::Forbidden),
            Ok(Err(error)) => Err(Unanswered::Failed(error.to_string())),
            Err(_) => Err(Unanswered::Failed(format!("not within {PATIENCE:?}"))),
        }
    }

    /// # Errors
    /// There is no place, and one for that long: an answer that is still good is not forgotten, so that no namespace asks all the time.
    fn known(&self, question: &Question) -> Result<Arc<Known>, Duration> {
        let mut all = self.lock();
        if !all.contains_key(question) {
            all.retain(|_, known| known.wanted_last().elapsed() < KEPT);
            let own = all.iter().filter(|(other, _)| other.tenant == question.tenant);
            if own.clone().count() >= SERVICES
                && let Some((oldest, wanted)) =
                    own.map(|(other, known)| (other.clone(), known.wanted_last())).min_by_key(|(_, wanted)| *wanted)
            {
                if let Some(wait) = self.life.checked_sub(wanted.elapsed()).filter(|wait| !wait.is_zero()) {
                    return Err(wait);
                }
                all.remove(&oldest);
            }
        }
        match all.entry(question.clone()) {
            Entry::Occupied(known) => {
                *lock(&known.get().wanted) = Instant::now();
                Ok(known.get().clone())
            }
            Entry::Vacant(place) => Ok(place.insert(Arc::new(Known::new())).clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Arc<Known>>> {
        lock(&self.known)
    }

    /// How many answers are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

impl Known {
    fn new() -> Self {
        let (wanted, answer) = (Mutex::new(Instant::now()), tokio::sync::Mutex::default());
        Self { wanted, answer, given: Mutex::default() }
    }

    fn wanted_last(&self) -> Instant {
        *lock(&self.wanted)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
