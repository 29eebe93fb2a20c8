//! Tokens of service accounts, bound to a pod.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::TokenError;
use super::follow::FIRST_PAUSE;
use crate::patience::Patience;

/// See [`Objects`](super::Objects).
pub const AT_ONCE: usize = 8;
/// A request that hangs longer than this is given up.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// A refusal is tried again for about so long: a pod that was just bound may not be known to all parts of the API server.
const PATIENCE: Duration = Duration::from_secs(3);
/// A token is replaced when it is this old, however long it lives.
const LONGEST_USE: Duration = Duration::from_secs(24 * 3600);
/// Never sooner than this after the last one.
const SHORTEST_USE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequestOf<'a> {
    /// Namespace of the pod and of its service account.
    pub namespace: &'a str,
    /// The service account.
    pub service_account: &'a str,
    /// Name of the pod that the token dies with.
    pub pod: &'a str,
    /// Its uid.
    pub pod_uid: &'a str,
    /// Whom it is to be shown to; empty: the API server.
    pub audience: &'a str,
    /// How long it is to live.
    pub life_seconds: i64,
}

/// A token.
#[derive(Clone)]
pub struct Token {
    /// The token itself.
    pub text: Arc<str>,
    /// When to ask for the next one.
    pub due: Due,
    /// When it is worth nothing any more.
    pub expires: Timestamp,
}

/// A time that comes by whichever of two clocks is first there: one stands still while the machine sleeps, the other may be set back.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    steady: Instant,
    wall: Timestamp,
}

impl Due {
    /// So long from now.
    pub fn after(time: Duration) -> Self {
        let span = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        Self { steady: Instant::now() + time, wall: Timestamp::now().checked_add(span).unwrap_or(Timestamp::MAX) }
    }

    /// How long it still is; nothing if it has come.
    pub fn left(&self) -> Duration {
        self.left_by(Instant::now(), Timestamp::now())
    }

    fn left_by(&self, steady: Instant, wall: Timestamp) -> Duration {
        let by_wall = Duration::try_from(self.wall.duration_since(wall)).unwrap_or_default();
        self.steady.saturating_duration_since(steady).min(by_wall)
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        self.left().is_zero()
    }
}

#[cfg(any(test, feature = "testing"))]
impl Token {
    /// As if the machine had slept for so long.
    pub fn sleep(&mut self, time: Duration) {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        self.expires -= time;
        self.due.wall -= time;
    }
}

impl fmt::Debug for Token {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("due", &self.due).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Asks the API server for a token.
///
/// # Errors
/// What it said, or that it did not answer.
pub async fn request(client: &Client, turns: &Semaphore, wanted: &TokenRequestOf<'_>) -> Result<Token, TokenError> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), wanted.namespace);
    let body = body(wanted);
    let (until, mut pauses) = (Instant::now() + PATIENCE, Patience::new(FIRST_PAUSE, PATIENCE));
    let answer = loop {
        // An error means that the semaphore is closed, which it never is.
        let turn = turns.acquire().await;
        let parameters = PostParams::default();
        let request = accounts.create_token_request(wanted.service_account, &parameters, &body);
        let answer = timeout(REQUEST_LIMIT, request).await;
        drop(turn);
        match answer {
            Ok(Ok(answer)) => break answer,
            Ok(Err(error)) => {
                let pause = pauses.pause();
                let is_early = matches!(&error, kube::Error::Api(status) if status.is_forbidden());
                if !is_early || Instant::now() + pause >= until {
                    return Err(TokenError::Refused(error));
                }
                sleep(pause).await;
            }
            Err(_) => return Err(TokenError::Silent(REQUEST_LIMIT)),
        }
    };
    // The API server may give less, or more, than was asked for.
    let life = answer.spec.as_ref().and_then(|spec| spec.expiration_seconds).unwrap_or(wanted.life_seconds);
    let status = answer.status.ok_or(TokenError::Empty)?;
    let (Some(text), Some(expires)) = (status.token, status.expiration_timestamp) else {
        return Err(TokenError::Empty);
    };
    let due = Due::after(use_for(expires.0, life, Timestamp::now()));
    Ok(Token { text: text.into(), due, expires: expires.0 })
}

fn body(wanted: &TokenRequestOf<'_>) -> TokenRequest {
    TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(
                Some(wanted.audience.to_string()).filter(|audience| !audience.is_empty()).into_iter().collect(),
            ),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: Some(wanted.pod.into()),
                uid: Some(wanted.pod_uid.into()),
            }),
            expiration_seconds: Some(wanted.life_seconds),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    }
}

/// How long a token is used before the next one is asked for: 80 % of its life, a day at most.
fn use_for(expires: Timestamp, life_seconds: i64, now: Timestamp) -> Duration {
    let life = Duration::from_secs(life_seconds.max(0).unsigned_abs());
    let left = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
    let age = life.saturating_sub(left);
    (life * 4 / 5).min(LONGEST_USE).saturating_sub(age).max(SHORTEST_USE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_replaced_at_eighty_percent_and_after_a_day() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let table = [(3600, 3600, 2880), (3607, 3607, 2885), (600, 600, 480), (3600, 1800, 1080), (3600, 100, 1)];
        let seconds = |left: i64, life| use_for(Timestamp::from_second(1_000_000 + left).unwrap(), life, now).as_secs();
        for (life, left, wanted) in table {
            assert_eq!(seconds(left, life), wanted, "{left} of {life}");
        }
        assert_eq!(seconds(30 * 24 * 3600, 30 * 24 * 3600), 24 * 3600);
        assert_eq!(seconds(-50, 3600), 1);
    }

    #[test]
    fn it_is_due_by_the_clock_that_is_first_there() {
        let due = Due::after(Duration::from_secs(2880));
        let (steady, wall) = (Instant::now(), Timestamp::now());
        let left = |steady_seconds: u64, wall_seconds: i64| {
            let wall = wall + SignedDuration::from_secs(wall_seconds);
            due.left_by(steady + Duration::from_secs(steady_seconds), wall).as_secs_f64().round() as u64
        };
        assert_eq!(left(0, 0), 2880);
        assert_eq!(left(1000, 1000), 1880);
        // It slept; its clock was set forward, and back.
        assert_eq!((left(10, 3600), left(10, 2000), left(2000, -100_000), left(2881, -100_000)), (0, 880, 880, 0));
        assert!(!due.has_come() && Due::after(Duration::ZERO).has_come());
    }

    #[test]
    fn it_is_bound_to_the_pod() {
        let wanted = TokenRequestOf {
            namespace: "ns",
            service_account: "sa",
            pod: "p",
            pod_uid: "u",
            audience: "vault",
            life_seconds: 700,
        };
        let spec = body(&wanted).spec.unwrap();
        assert_eq!((spec.audiences, spec.expiration_seconds), (Some(vec!["vault".into()]), Some(700)));
        let bound = spec.bound_object_ref.unwrap();
        assert_eq!(
            (bound.kind.as_deref(), bound.name.as_deref(), bound.uid.as_deref()),
            (Some("Pod"), Some("p"), Some("u"))
        );
        assert_eq!(body(&TokenRequestOf { audience: "", ..wanted }).spec.unwrap().audiences, Some(vec![]));
    }
}
