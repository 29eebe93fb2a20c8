//! What a registry wants to see before it answers (<https://distribution.github.io/distribution/spec/auth/token/>).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::said;
use crate::keyring::Login;
use crate::retry::{self, Again, Failure};
use crate::transport::{self, Place};
use crate::{OciError, Reference};

/// How long a token is good for whose server does not say it: what the specification says.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// How much earlier a token is given up: it must still be good when it arrives.
const TOKEN_MARGIN: Duration = Duration::from_secs(10);

/// The longest that anything is remembered, so that a right that was taken away is noticed.
const MEMORY: Duration = Duration::from_secs(300);

/// The largest answer of a token server that is read, in bytes.
const TOKEN_LIMIT: usize = 1 << 20;

/// `Authorization` headers that a registry took not long ago.
///
/// Each is for one registry, repository, kind of request and login: what one pod's login has opened stays closed to a pod that
/// has another one. The keys are hashes, as they hold passwords.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<Key, (HeaderValue, Instant)>>);

pub(crate) type Key = [u8; 32];

/// `kind` tells requests apart that need different rights.
pub(crate) fn key(place: &Place<'_>, kind: &str) -> Key {
    let (which, user, password) = match place.login {
        Login::Anonymous => ("anonymous", "", ""),
        Login::Basic { user, password } => ("basic", user.as_str(), password.as_str()),
        Login::Token(token) => ("token", token.as_str(), ""),
    };
    let mut hash = Sha256::new();
    for part in [place.reference.registry(), place.reference.repository(), kind, which, user, password] {
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

/// The header that answers the challenge of a 401, and how long it is good for. `None` where there is no answer to it.
pub(crate) async fn answer(
    http: &Client,
    place: &Place<'_>,
    refusal: &Response,
    insecure: bool,
) -> Result<Option<(HeaderValue, Duration)>, Failure> {
    if let Login::Token(token) = place.login {
        return Ok(Some((header("Bearer", token, place.reference)?, MEMORY)));
    }
    let challenges = refusal.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    for challenge in challenges.flat_map(|value| ChallengeParser::new(value).flatten()) {
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            let (token, lifetime) = token(http, place, &challenge, insecure).await?;
            return Ok(Some((header("Bearer", &token, place.reference)?, lifetime)));
        }
        if let (true, Login::Basic { user, password }) = (challenge.scheme.eq_ignore_ascii_case("basic"), place.login) {
            return Ok(Some((basic(user, password, place.reference)?, MEMORY)));
        }
    }
    Ok(None)
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

/// What a token server answers: the token by one of two names, and its lifetime in seconds.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Gets a token for just what the challenge asks.
async fn token(
    http: &Client,
    place: &Place<'_>,
    challenge: &ChallengeRef<'_>,
    insecure: bool,
) -> Result<(String, Duration), Failure> {
    let broken = |problem: &str| Failure::last(OciError::registry(place.reference, problem));
    let failed = |error| {
        let again = retry::of_http(&error);
        Failure { error: OciError::from_http(error, place.reference), again }
    };
    let value = |name: &str| {
        let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    let realm = value("realm").and_then(|realm| Url::parse(&realm).ok());
    let realm = realm.ok_or_else(|| broken("it asks for a token without an address to get it from"))?;
    if realm.scheme() != "https" && !insecure {
        return Err(broken("it wants the password sent in the clear, to get a token over plain HTTP"));
    }
    let scope = value("scope").unwrap_or_else(|| format!("repository:{}:pull", place.reference.repository()));
    let query: Vec<_> =
        value("service").map(|service| ("service", service)).into_iter().chain([("scope", scope)]).collect();
    let mut request = http.get(realm).query(&query);
    if let Login::Basic { user, password } = place.login {
        request = request.basic_auth(user, Some(password));
    }
    let answer = request.send().await.map_err(failed)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = transport::body(answer, TOKEN_LIMIT).await.map_err(failed)?;
    let body = body.ok_or_else(|| broken("its token server sent more than a token"))?;
    if !status.is_success() {
        let again = retry::of_status(status, &headers, std::time::SystemTime::now()).unwrap_or(Again::Never);
        return Err(Failure { error: refused(status.as_u16(), &String::from_utf8_lossy(&body), place), again });
    }
    let token: Option<Token> = serde_json::from_slice(&body).ok();
    let lifetime = token.as_ref().and_then(|token| token.expires_in).map_or(TOKEN_LIFETIME, Duration::from_secs);
    let token = token.and_then(|token| token.token.or(token.access_token));
    let token = token.ok_or_else(|| broken("its token server sent no token"))?;
    Ok((token, lifetime.saturating_sub(TOKEN_MARGIN)))
}

fn refused(status: u16, body: &str, place: &Place<'_>) -> OciError {
    let words = format!("its token server says: {}", said(status, body));
    match status {
        400..=404 => OciError::unauthorized(place.reference, &words),
        _ => OciError::registry(place.reference, &words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_login_opened_stays_closed_to_another() {
        let reference: Reference = "r.io/a:v1".parse().unwrap();
        let other: Reference = "r.io/b:v1".parse().unwrap();
        let login = |user: &str, password: &str| Login::Basic { user: user.into(), password: password.into() };
        let logins = [Login::Anonymous, login("a", "bc"), login("ab", "c"), login("a", "x"), Login::Token("a".into())];
        let remembered = Remembered::default();
        let first = key(&Place { reference: &reference, login: &logins[1] }, "read");
        remembered.keep(first, HeaderValue::from_static("Bearer t"), Duration::from_secs(50));
        for reference in [&reference, &other] {
            for login in &logins {
                for kind in ["read", "delete"] {
                    let same = reference == &"r.io/a:v1".parse().unwrap() && *login == logins[1] && kind == "read";
                    let found = remembered.get(&key(&Place { reference, login }, kind));
                    assert_eq!(found.is_some(), same, "{reference} {login:?} {kind}");
                }
            }
        }
        remembered.forget(&first);
        assert_eq!(remembered.get(&first), None);
        remembered.keep(first, HeaderValue::from_static("Bearer t"), Duration::ZERO);
        assert_eq!(remembered.get(&first), None, "its time is over");
    }
}
