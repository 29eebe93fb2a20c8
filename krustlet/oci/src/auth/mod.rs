//! What a registry wants to see before it answers (<https://distribution.github.io/distribution/spec/auth/token/>).

pub(crate) mod credentials;
pub(crate) mod helper;
pub(crate) mod in_turn;
pub(crate) mod keyring;
pub(crate) mod login;
pub(crate) mod registry_key;
pub(crate) mod scope;
pub(crate) mod stored;
pub(crate) mod token;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::auth::login::Who;
use crate::auth::scope::{Right, Scopes};
use crate::transport::retry::Failure;

use crate::transport::Place;
use crate::{OciError, Reference};

/// The longest that anything is remembered, so that a right that was taken away is noticed.
const MEMORY: Duration = Duration::from_secs(300);

/// `Authorization` headers that a registry took not long ago.
///
/// Each is for one registry, repository, kind of request and login: what one pod's login has opened stays closed to a pod that
/// has another one. The keys are hashes, as they hold passwords.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<Key, (HeaderValue, Instant)>>);

pub(crate) type Key = [u8; 32];

pub(crate) fn key(place: &Place<'_>, right: Right) -> Key {
    let (which, user, password) = match &place.login.who {
        Who::Anonymous => ("anonymous", "", ""),
        Who::Basic { user, password } => ("basic", user.as_str(), password.as_str()),
        Who::Identity { token, .. } => ("identity", token.as_str(), ""),
        Who::Token(token) => ("token", token.as_str(), ""),
    };
    let mut hash = Sha256::new();
    for part in [place.reference.registry(), place.reference.repository(), right.name(), which, user, password] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Remembered {
    pub(crate) fn get(&self, key: &Key) -> Option<HeaderValue> {
        let headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        headers.get(key).filter(|(_, until)| Instant::now() < *until).map(|(header, _)| header.clone())
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub(crate) fn keep(&self, key: Key, header: HeaderValue, lifetime: Duration) {
        let mut headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        headers.retain(|_, (_, until)| now < *until);
        headers.insert(key, (header, now + lifetime.min(MEMORY)));
    }
}

/// Whether an answer asks for a login, or for one more token that is for more: status 401, or a 403 that says so
/// (<https://www.rfc-editor.org/rfc/rfc6750#section-3.1>).
pub(crate) fn asks(answer: &Response) -> bool {
    match answer.status() {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN => challenges(answer).any(|value| value.contains("insufficient_scope")),
        _ => false,
    }
}

fn challenges(answer: &Response) -> impl Iterator<Item = &str> {
    answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok())
}

/// What was tried for one request.
#[derive(Default)]
pub(crate) struct Tried {
    login: bool,
    scopes: Scopes,
}

/// The header that answers a challenge, and how long it is good for. `None` where there is no answer to it, or none that was
/// not given before.
pub(crate) async fn answer(
    http: &Client,
    place: &Place<'_>,
    right: Right,
    refusal: &Response,
    insecure: bool,
    tried: &mut Tried,
) -> Result<Option<(HeaderValue, Duration)>, Failure> {
    let first = !std::mem::replace(&mut tried.login, true);
    if let Who::Token(token) = &place.login.who {
        return if first { Ok(Some((header("Bearer", token, place.reference)?, MEMORY))) } else { Ok(None) };
    }
    for challenge in challenges(refusal).flat_map(|value| ChallengeParser::new(value).flatten()) {
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            let wanted = Scopes::wanted(parameter(&challenge, "scope").as_deref(), right, place.reference);
            if !first && tried.scopes.cover(&wanted) {
                return Ok(None);
            }
            tried.scopes.add(&wanted);
            let (token, lifetime) = token::get(http, place, &challenge, &tried.scopes, insecure).await?;
            return Ok(Some((header("Bearer", &token, place.reference)?, lifetime)));
        }
        if let (true, true, Who::Basic { user, password }) =
            (first, challenge.scheme.eq_ignore_ascii_case("basic"), &place.login.who)
        {
            return Ok(Some((basic(user, password, place.reference)?, MEMORY)));
        }
    }
    Ok(None)
}

/// A parameter of a challenge, such as `realm`.
pub(crate) fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_unescaped())
}

fn basic(user: &str, password: &str, reference: &Reference) -> Result<HeaderValue, Failure> {
    header("Basic", &STANDARD.encode(format!("{user}:{password}")), reference)
}

fn header(scheme: &str, value: &str, reference: &Reference) -> Result<HeaderValue, Failure> {
    let mut header = HeaderValue::from_str(&format!("{scheme} {value}")).map_err(|_| {
        Failure::last(OciError::registry(reference, "its token has characters that no header may have"))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::login::Login;

    #[test]
    fn what_one_login_opened_stays_closed_to_another() {
        let reference: Reference = "r.io/a:v1".parse().unwrap();
        let other: Reference = "r.io/b:v1".parse().unwrap();
        let login = |user: &str, password: &str| Who::Basic { user: user.into(), password: password.into() };
        let identity = Who::Identity { user: "a".into(), token: "bc".into() };
        let logins =
            [Who::Anonymous, login("a", "bc"), login("ab", "c"), login("a", "x"), Who::Token("a".into()), identity];
        let logins = logins.map(|who| Login::new(who, "f"));
        let remembered = Remembered::default();
        let first = key(&Place { reference: &reference, login: &logins[1] }, Right::Read);
        remembered.keep(first, HeaderValue::from_static("Bearer t"), Duration::from_secs(50));
        for reference in [&reference, &other] {
            for login in &logins {
                for right in [Right::Read, Right::Write, Right::Delete] {
                    let same =
                        reference == &"r.io/a:v1".parse().unwrap() && *login == logins[1] && right == Right::Read;
                    let found = remembered.get(&key(&Place { reference, login }, right));
                    assert_eq!(found.is_some(), same, "{reference} {login:?} {right:?}");
                }
            }
        }
        remembered.forget(&first);
        assert_eq!(remembered.get(&first), None);
        remembered.keep(first, HeaderValue::from_static("Bearer t"), Duration::ZERO);
        assert_eq!(remembered.get(&first), None, "its time is over");
    }
}
