//! Deleting a manifest, which oci-client has no call for.

use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
use oci_client::secrets::RegistryAuth;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use crate::error::words;
use crate::{OciError, Reference};

/// Deletes a manifest by its digest
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#deleting-manifests>).
pub(crate) async fn manifest(
    http: &Client,
    pinned: &Reference,
    insecure: bool,
    login: &RegistryAuth,
) -> Result<(), OciError> {
    let scheme = if insecure { "http" } else { "https" };
    let name = pinned.to_client();
    let url = format!(
        "{scheme}://{}/v2/{}/manifests/{}",
        name.resolve_registry(),
        pinned.repository(),
        pinned.digest().unwrap_or_default()
    );
    let failed = |error| OciError::from_http(error, pinned);
    let mut answer = http.delete(&url).send().await.map_err(failed)?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        let request = http.delete(&url);
        if let Some(request) = authorize(http, request, &answer, insecure, login, pinned).await? {
            answer = request.send().await.map_err(failed)?;
        }
    }
    match answer.status() {
        status if status.is_success() => Ok(()),
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Err(refused(pinned, answer).await),
        status => {
            let message = answer.text().await.unwrap_or_default();
            match message.contains("UNSUPPORTED") {
                true => Err(OciError::DeleteRefused { reference: pinned.to_string(), message: words(&message) }),
                false => Err(OciError::from_status(status.as_u16(), &message, pinned)),
            }
        }
    }
}

async fn refused(pinned: &Reference, answer: Response) -> OciError {
    let status = answer.status();
    OciError::DeleteRefused {
        reference: pinned.to_string(),
        message: match answer.text().await.unwrap_or_default().as_str() {
            "" => format!("HTTP status {status}"),
            message => words(message),
        },
    }
}

/// Answers the challenge of a 401, or `None` where we have no answer to it
/// (<https://distribution.github.io/distribution/spec/auth/token/>).
async fn authorize(
    http: &Client,
    request: RequestBuilder,
    answer: &Response,
    insecure: bool,
    login: &RegistryAuth,
    pinned: &Reference,
) -> Result<Option<RequestBuilder>, OciError> {
    if let RegistryAuth::Bearer(token) = login {
        return Ok(Some(request.bearer_auth(token)));
    }
    let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    for header in headers.filter_map(|value| value.to_str().ok()) {
        for challenge in ChallengeParser::new(header).flatten() {
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let token = token(http, &challenge, insecure, login, pinned).await?;
                return Ok(Some(request.bearer_auth(token)));
            }
            if let (true, RegistryAuth::Basic(user, password)) = (challenge.scheme.eq_ignore_ascii_case("basic"), login)
            {
                return Ok(Some(request.basic_auth(user, Some(password))));
            }
        }
    }
    Ok(None)
}

/// What a token server answers: one of the two names, by its age.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Gets a token for just what the challenge asks.
async fn token(
    http: &Client,
    challenge: &ChallengeRef<'_>,
    insecure: bool,
    login: &RegistryAuth,
    pinned: &Reference,
) -> Result<String, OciError> {
    let broken = |problem: &str| OciError::registry(pinned, problem);
    let value = |name: &str| {
        let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    let realm = value("realm").and_then(|realm| Url::parse(&realm).ok());
    let realm = realm.ok_or_else(|| broken("it asks for a token without an address to get it from"))?;
    if realm.scheme() != "https" && !insecure {
        return Err(broken("it wants the password sent in the clear, to get a token over plain HTTP"));
    }
    let query: Vec<_> = ["service", "scope"].iter().filter_map(|name| Some((*name, value(name)?))).collect();
    let mut request = http.get(realm).query(&query);
    if let RegistryAuth::Basic(user, password) = login {
        request = request.basic_auth(user, Some(password));
    }
    let failed = |error| OciError::from_http(error, pinned);
    let answer = request.send().await.and_then(Response::error_for_status).map_err(failed)?;
    let token: Token = answer.json().await.map_err(|_| broken("its token server sent no token"))?;
    token.token.or(token.access_token).ok_or_else(|| broken("its token server sent no token"))
}
