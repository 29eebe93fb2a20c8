//! Asking the API server whether a client may do something, and remembering the answers for a while.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::timeout;

use super::peer::Peer;

/// Why it is not known what a client may do.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// No answer.
    #[error("the API server did not answer in time")]
    Silent,
    /// The API server refuses to say, or is not to be reached.
    #[error(transparent)]
    Refused(#[from] kube::Error),
    /// An answer that is none.
    #[error("the API server's answer has no status")]
    NoStatus,
}

/// How long things may take and hold.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long "allowed" is remembered.
    pub allowed: Duration,
    /// How long "denied" is remembered.
    pub denied: Duration,
    /// How long the API server may take for an answer.
    pub answer: Duration,
}

impl Times {
    /// The kubelet's: 5 min and 30 s (`authorization.webhook.cacheAuthorizedTTL` and `cacheUnauthorizedTTL`), and 10 s.
    pub const DEFAULT: Self =
        Self { allowed: Duration::from_secs(5 * 60), denied: Duration::from_secs(30), answer: Duration::from_secs(10) };
}

/// May `peer` do `verb` on this subresource of the Node?
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    peer: Peer,
    verb: &'static str,
    subresource: &'static str,
}

/// Asks, and remembers.
pub struct Reviewer {
    reviews: Api<SubjectAccessReview>,
    node_name: String,
    patience: Duration,
    answers: Mutex<Answers>,
}

impl Reviewer {
    /// Asks with `client`, about the Node of this name.
    pub fn new(client: Client, node_name: &str, times: Times) -> Self {
        let answers = Mutex::new(Answers { times, known: HashMap::new() });
        Self { reviews: Api::all(client), node_name: node_name.into(), patience: times.answer, answers }
    }

    /// Whether `peer` may do `verb` on `nodes/<subresource>` of this Node.
    ///
    /// # Errors
    /// The API server gave no answer; then nobody may.
    pub async fn allows(
        &self,
        peer: &Peer,
        verb: &'static str,
        subresource: &'static str,
    ) -> Result<bool, ReviewError> {
        let question = Question { peer: peer.clone(), verb, subresource };
        if let Some(allowed) = self.answers().get(&question, Instant::now()) {
            return Ok(allowed);
        }
        let review = self.object(&question);
        let answer = timeout(self.patience, self.reviews.create(&PostParams::default(), &review)).await;
        let answer = answer.map_err(|_| ReviewError::Silent)??;
        let status = answer.status.ok_or(ReviewError::NoStatus)?;
        let allowed = status.allowed && status.denied != Some(true);
        self.answers().put(question, allowed, Instant::now());
        Ok(allowed)
    }

    fn object(&self, question: &Question) -> SubjectAccessReview {
        let peer = &question.peer;
        let credential = ("authentication.kubernetes.io/credential-id".into(), vec![peer.credential_id.clone()]);
        let attributes = ResourceAttributes {
            name: Some(self.node_name.clone()),
            resource: Some("nodes".into()),
            subresource: Some(question.subresource.into()),
            verb: Some(question.verb.into()),
            version: Some("v1".into()),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(peer.user.clone()),
            uid: peer.uid.clone(),
            groups: Some(peer.groups.clone()),
            extra: Some(BTreeMap::from([credential])),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        SubjectAccessReview { spec, ..SubjectAccessReview::default() }
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers and until when each holds.
struct Answers {
    times: Times,
    known: HashMap<Question, (bool, Instant)>,
}

impl Answers {
    /// No more than so many are remembered.
    const MOST: usize = 1024;

    fn get(&self, question: &Question, now: Instant) -> Option<bool> {
        self.known.get(question).filter(|(_, until)| now < *until).map(|(allowed, _)| *allowed)
    }

    fn put(&mut self, question: Question, allowed: bool, now: Instant) {
        if self.known.len() >= Self::MOST {
            self.known.retain(|_, (_, until)| now < *until);
        }
        if self.known.len() >= Self::MOST {
            let soonest = self.known.iter().min_by_key(|(_, (_, until))| *until).map(|(question, _)| question.clone());
            soonest.map(|question| self.known.remove(&question));
        }
        let life = if allowed { self.times.allowed } else { self.times.denied };
        self.known.insert(question, (allowed, now + life));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krustlet_join::testing::Authority;

    fn questions() -> impl FnMut() -> Question {
        let ca = Authority::new();
        move || {
            let peer = Peer::read(&ca.client_der("somebody", &["team"], 1000)).unwrap();
            Question { peer, verb: "get", subresource: "proxy" }
        }
    }

    #[test]
    fn answers_hold_for_their_time() {
        let mut question = questions();
        let mut answers = Answers { times: Times::DEFAULT, known: HashMap::new() };
        let (may, may_not, now) = (question(), question(), Instant::now());
        answers.put(may.clone(), true, now);
        answers.put(may_not.clone(), false, now);
        for (seconds, first, second) in [
            (0, Some(true), Some(false)),
            (29, Some(true), Some(false)),
            (30, Some(true), None),
            (299, Some(true), None),
            (300, None, None),
        ] {
            let now = now + Duration::from_secs(seconds);
            assert_eq!((answers.get(&may, now), answers.get(&may_not, now)), (first, second), "after {seconds} s");
        }
        // Each answer is to its question alone.
        for other in
            [Question { verb: "create", ..may.clone() }, Question { subresource: "metrics", ..may }, question()]
        {
            assert_eq!(answers.get(&other, now), None);
        }
    }

    #[tokio::test]
    async fn without_an_answer_nobody_may() {
        let silent = axum::Router::new().fallback(std::future::pending::<()>);
        let times = Times { answer: Duration::from_millis(50), ..Times::DEFAULT };
        let reviewer = Reviewer::new(Client::new(silent, "default"), "n", times);
        let error = reviewer.allows(&questions()().peer, "get", "proxy").await.unwrap_err();
        assert!(matches!(error, ReviewError::Silent), "{error}");
        assert!(reviewer.answers().known.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut question = questions();
        let mut answers = Answers { times: Times::DEFAULT, known: HashMap::new() };
        let (now, first, second) = (Instant::now(), question(), question());
        let numbered = |number: usize| {
            let mut question = first.clone();
            question.peer.user = number.to_string();
            question
        };
        answers.put(second.clone(), false, now);
        for number in 0..Answers::MOST {
            answers.put(numbered(number), true, now + Duration::from_millis(number as u64));
        }
        assert_eq!(answers.known.len(), Answers::MOST);
        assert_eq!((answers.get(&second, now), answers.get(&numbered(0), now)), (None, Some(true)));
        let later = now + Duration::from_secs(3600);
        answers.put(second, true, later);
        assert_eq!(answers.known.len(), 1);
    }
}
