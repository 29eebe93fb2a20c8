//! Getting a token (<https://distribution.github.io/distribution/spec/auth/token/>,
//! <https://distribution.github.io/distribution/spec/auth/oauth/>).

use std::time::{Duration, SystemTime};

use http_auth::ChallengeRef;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;

use crate::OciError;
use crate::auth;
use crate::auth::login::Who;
use crate::auth::scope::Scopes;
use crate::error::said;
use crate::transport::retry::{self, Again, Failure};
use crate::transport::{self, Place};

/// How long a token is good for whose server does not say it: what the specification says.
const LIFETIME: Duration = Duration::from_secs(60);

/// How much earlier a token is given up: it must still be good when it arrives.
const MARGIN: Duration = Duration::from_secs(10);

/// The largest answer of a token server that is read, in bytes.
const LIMIT: usize = 1 << 20;

/// As which program tokens are asked for.
const CLIENT_ID: &str = "krustlet-oci";

/// The user that Azure's registries give to refresh tokens: with it, the password is no password.
pub(crate) const AZURE_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// What a token server answers: the token by one of two names, and its lifetime in seconds.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// How a token server is asked.
enum Way<'a> {
    /// GET, with user and password or as nobody.
    Basic(Option<(&'a str, &'a str)>),
    /// POST, with a refresh token.
    Refresh(&'a str),
}

/// Gets a token for these scopes, and how long it is good for.
pub(crate) async fn get(
    http: &Client,
    place: &Place<'_>,
    challenge: &ChallengeRef<'_>,
    scopes: &Scopes,
    insecure: bool,
) -> Result<(String, Duration), Failure> {
    let broken = |problem: &str| Failure::last(OciError::registry(place.reference, problem));
    let realm = auth::parameter(challenge, "realm").and_then(|realm| Url::parse(&realm).ok());
    let realm = realm.ok_or_else(|| broken("it asks for a token without an address to get it from"))?;
    if realm.scheme() != "https" && !insecure {
        return Err(broken("it wants the password sent in the clear, to get a token over plain HTTP"));
    }
    let service = auth::parameter(challenge, "service");
    let ask = |way| ask(request(http, &realm, service.as_deref(), scopes, &way), place);
    match &place.login.who {
        Who::Basic { user, password } => match ask(Way::Basic(Some((user, password)))).await {
            Err(failure) if user == AZURE_TOKEN_USER && failure.error.may_be_the_login() => {
                ask(Way::Refresh(password)).await
            }
            answer => answer,
        },
        Who::Identity { token, .. } => ask(Way::Refresh(token)).await,
        Who::Anonymous | Who::Token(_) => ask(Way::Basic(None)).await,
    }
}

fn request(http: &Client, realm: &Url, service: Option<&str>, scopes: &Scopes, way: &Way<'_>) -> RequestBuilder {
    let scopes = scopes.written();
    match *way {
        Way::Basic(login) => {
            let service = service.map(|service| ("service", service));
            let scopes = scopes.iter().map(|scope| ("scope", scope.as_str()));
            let query: Vec<_> = service.into_iter().chain(scopes).collect();
            let request = http.get(realm.clone()).query(&query);
            match login {
                Some((user, password)) => request.basic_auth(user, Some(password)),
                None => request,
            }
        }
        Way::Refresh(token) => http.post(realm.clone()).form(&[
            ("grant_type", "refresh_token"),
            ("service", service.unwrap_or_default()),
            ("client_id", CLIENT_ID),
            ("scope", &scopes.join(" ")),
            ("refresh_token", token),
        ]),
    }
}

async fn ask(request: RequestBuilder, place: &Place<'_>) -> Result<(String, Duration), Failure> {
    let broken = |problem: &str| Failure::last(OciError::registry(place.reference, problem));
    let failed = |error| {
        let again = retry::of_http(&error);
        Failure { error: OciError::from_http(error, place.reference), again }
    };
    let answer = request.send().await.map_err(failed)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = transport::body(answer, LIMIT).await.map_err(failed)?;
    let body = body.ok_or_else(|| broken("its token server sent more than a token"))?;
    if !status.is_success() {
        let again = retry::of_status(status, &headers, SystemTime::now()).unwrap_or(Again::Never);
        return Err(Failure { error: refused(status.as_u16(), &String::from_utf8_lossy(&body), place), again });
    }
    let token: Option<Token> = serde_json::from_slice(&body).ok();
    let lifetime = token.as_ref().and_then(|token| token.expires_in).map_or(LIFETIME, Duration::from_secs);
    let token = token.and_then(|token| token.token.or(token.access_token)).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| broken("its token server sent no token"))?;
    Ok((token, lifetime.saturating_sub(MARGIN)))
}

fn refused(status: u16, body: &str, place: &Place<'_>) -> OciError {
    let words = format!("its token server says: {}", said(status, body));
    match status {
        403 => OciError::denied(place.reference, &words),
        400..=405 => OciError::unauthorized(place.reference, &words),
        _ => OciError::registry(place.reference, &words),
    }
}
