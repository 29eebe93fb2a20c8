//! Requests to a registry: where to, as whom, and once more when the connection broke.
//!
//! The crate oci-client would not do: it keeps one login for each registry and one token for each repository, where a node must
//! ask for each pod as that pod; it knows no identity tokens; and it drops `Retry-After` and some of the registry's words.

pub(crate) mod advice;
pub(crate) mod proxy;
pub(crate) mod retry;
pub(crate) mod stall;
pub(crate) mod trust;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Proxy, Response, StatusCode, Url};

use crate::auth::login::Login;
use crate::auth::scope::Right;
use crate::auth::{self, Remembered, Tried};
use crate::error::said;
use crate::transport::proxy::Proxies;
use crate::transport::retry::Failure;
use crate::{ClientConfig, OciError, Reference};

/// The most of an error's body that is read, in bytes.
const WORDS_LIMIT: usize = 64 * 1024;

/// The most redirects that are followed in a row.
const REDIRECTS: usize = 10;

/// Which artifact, and as whom.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) login: &'a Login,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) target: Target,
    /// What the request needs.
    pub(crate) right: Right,
    pub(crate) accept: Option<&'static str>,
    /// How many bytes at the beginning are not needed.
    pub(crate) skip: u64,
    /// What is sent with it.
    pub(crate) payload: Option<Payload>,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// What follows `/v2/<repository>/`.
    Path(String),
    /// An address that the registry gave.
    Address(Url),
}

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Arc<Vec<u8>>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: String) -> Self {
        let right = match method {
            Method::DELETE => Right::Delete,
            _ => Right::Read,
        };
        Self { method, target: Target::Path(path), right, accept: None, skip: 0, payload: None }
    }
}

pub(crate) struct Transport {
    http: Client,
    /// For requests with a body: without a limit for the time until the answer begins, as the body is sent first.
    sending: Client,
    read_timeout: Duration,
    insecure_registries: Vec<String>,
    mirrors: BTreeMap<String, String>,
    remembered: Remembered,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, OciError> {
        let builder = || {
            let redirects = Policy::custom(|attempt| {
                let from = attempt.previous().last().map_or("", |url| url.scheme());
                match may_follow(from, attempt.url().scheme(), attempt.previous().len()) {
                    Ok(()) => attempt.follow(),
                    Err(problem) => attempt.error(problem),
                }
            });
            Client::builder()
                .connect_timeout(config.connect_timeout)
                .user_agent(concat!("krustlet-oci/", env!("CARGO_PKG_VERSION")))
                .redirect(redirects)
        };
        let proxies = Proxies::of(|name| std::env::var(name).ok())?.except(config.mirrors.values());
        let trusted = config.trusted_ca_file.as_deref().map(trust::certificates).transpose()?.unwrap_or_default();
        let build = |builder: reqwest::ClientBuilder| {
            // Not reqwest's own reading of the environment: it would ask a proxy for this machine's registries.
            let proxies = proxies.clone();
            let builder = builder.no_proxy().proxy(Proxy::custom(move |url| proxies.proxy_of(url)));
            let builder = builder.tls_certs_merge(trusted.iter().cloned());
            builder.build().map_err(|error| OciError::Setup(error.to_string()))
        };
        Ok(Self {
            http: build(builder().read_timeout(config.read_timeout))?,
            sending: build(builder())?,
            read_timeout: config.read_timeout,
            insecure_registries: config.insecure_registries.clone(),
            mirrors: config.mirrors.clone(),
            remembered: Remembered::default(),
        })
    }

    /// Asks, and gives any answer that stands: those that another try may better are followed by one, up to three in all.
    pub(crate) async fn ask(&self, place: &Place<'_>, ask: &Ask) -> Result<Response, OciError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.once(place, ask).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(pause) = retry::pause(failure.again, tries) else { return Err(failure.error) };
            tracing::debug!(reference = %place.reference, "asking again in {pause:?}: {}", failure.error);
            tokio::time::sleep(pause).await;
        }
    }

    /// As [`ask`](Self::ask), but what is no success is an error with the registry's words.
    pub(crate) async fn get(&self, place: &Place<'_>, ask: &Ask) -> Result<Response, OciError> {
        let answer = self.ask(place, ask).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refusal(answer, place.reference).await)
    }

    /// One try: at most three requests, as a login or a larger token may have to follow.
    pub(crate) async fn once(&self, place: &Place<'_>, ask: &Ask) -> Result<Response, Failure> {
        let key = auth::key(place, ask.right);
        let insecure = self.is_insecure(place.reference);
        let mut tried = Tried::default();
        let mut answer = self.send(place, ask, self.remembered.get(&key)).await?;
        for _ in 0..2 {
            if !auth::asks(&answer) {
                break;
            }
            self.remembered.forget(&key);
            let given = auth::answer(&self.http, place, ask.right, &answer, insecure, &mut tried).await?;
            let Some((header, lifetime)) = given else { break };
            answer = self.send(place, ask, Some(header.clone())).await?;
            if !auth::asks(&answer) {
                self.remembered.keep(key, header, lifetime);
            }
        }
        match retry::of_status(answer.status(), answer.headers(), SystemTime::now()) {
            None => Ok(answer),
            Some(again) => Err(Failure { error: refusal(answer, place.reference).await, again }),
        }
    }

    async fn send(
        &self,
        place: &Place<'_>,
        ask: &Ask,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, Failure> {
        let base = self.base(place.reference)?;
        let url = match &ask.target {
            Target::Path(path) => base.join(path).map_err(|error| broken(place.reference, &error.to_string()))?,
            Target::Address(url) => url.clone(),
        };
        // A registry may keep uploads elsewhere; whoever is there is not to have the login.
        let authorization = authorization.filter(|_| url.origin() == base.origin());
        let http = if ask.payload.is_some() { &self.sending } else { &self.http };
        let mut request = http.request(ask.method.clone(), url);
        if let Some(types) = ask.accept {
            request = request.header(ACCEPT, types);
        }
        if ask.skip > 0 {
            request = request.header(RANGE, format!("bytes={}-", ask.skip));
        }
        if let Some(header) = authorization {
            request = request.header(AUTHORIZATION, header);
        }
        let failed = |error| {
            let again = retry::of_http(&error);
            Failure { error: OciError::from_http(error, place.reference), again }
        };
        let Some(payload) = &ask.payload else { return request.send().await.map_err(failed) };
        let (body, progress) = stall::body(payload.bytes.clone());
        let request =
            request.header(CONTENT_TYPE, payload.media_type).header(CONTENT_LENGTH, payload.bytes.len()).body(body);
        match stall::watched(request.send(), &progress, self.read_timeout).await {
            Some(answer) => answer.map_err(failed),
            None => Err(Failure::last(OciError::stalled(place.reference, self.read_timeout))),
        }
    }

    /// `https://<host>/v2/<repository>/`.
    fn base(&self, reference: &Reference) -> Result<Url, Failure> {
        let base = format!("{}/v2/{}/", self.server(reference), reference.repository());
        Url::parse(&base).map_err(|error| broken(reference, &error.to_string()))
    }

    /// `https://<host>`: where the registry of a reference is.
    fn server(&self, reference: &Reference) -> String {
        let scheme = if self.is_insecure(reference) { "http" } else { "https" };
        let host = self.mirrors.get(reference.registry()).map_or(reference.api_host(), String::as_str);
        format!("{scheme}://{host}")
    }

    /// An address that an answer gave, seen from the address that was asked; never one that gives up encryption.
    pub(crate) fn follow(answer: &Response, address: &str, reference: &Reference) -> Result<Url, Failure> {
        let url = answer.url().join(address).map_err(|_| broken(reference, "it names an address that is none"))?;
        match may_follow(answer.url().scheme(), url.scheme(), 0) {
            Ok(()) => Ok(url),
            Err(problem) => Err(broken(reference, &format!("it names an address that cannot be used: {problem}"))),
        }
    }

    /// Whether there is a registry at all, asking for a login or not: the status of its answer at `/v2/`
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support>).
    pub(crate) async fn ping(&self, reference: &Reference) -> Result<StatusCode, OciError> {
        let asked = self.http.get(format!("{}/v2/", self.server(reference))).send().await;
        asked.map(|answer| answer.status()).map_err(|error| OciError::from_http(error, reference))
    }

    fn is_insecure(&self, reference: &Reference) -> bool {
        self.insecure_registries.iter().any(|name| name == reference.registry())
    }
}

fn broken(reference: &Reference, problem: &str) -> Failure {
    Failure::last(OciError::registry(reference, problem))
}

/// An answer that is no success, as an error with the registry's own words.
pub(crate) async fn refusal(answer: Response, reference: &Reference) -> OciError {
    let (status, wait) = (answer.status(), retry::retry_after(answer.headers(), SystemTime::now()));
    let words = words(answer).await;
    if let (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(wait)) = (status, wait) {
        let problem = said(status.as_u16(), &words);
        return OciError::registry(reference, &format!("{problem} (come again in {} s)", wait.as_secs()));
    }
    OciError::from_status(status.as_u16(), &words, reference)
}

/// The body of an error as text; empty where there is none that can be read.
pub(crate) async fn words(answer: Response) -> String {
    let body = body(answer, WORDS_LIMIT).await.ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&body).into_owned()
}

/// A whole body of at most `limit` bytes; `None` if it has more.
pub(crate) async fn body(mut answer: Response, limit: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(more) = answer.chunk().await? {
        if bytes.len() + more.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&more);
    }
    Ok(Some(bytes))
}

/// Registries send readers on to where the blobs are; never from HTTPS to plain HTTP. (A login is not sent on to another
/// host: reqwest sees to that.)
fn may_follow(from: &str, to: &str, done: usize) -> Result<(), &'static str> {
    match (from, to) {
        ("https", "http") => Err("it leads from HTTPS to plain HTTP"),
        _ if done > REDIRECTS => Err("it leads from address to address without an end"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_gives_up_encryption() {
        let table = [
            ("https", "https", 1, true),
            ("http", "http", 1, true),
            ("http", "https", 1, true),
            ("https", "http", 1, false),
            ("https", "https", 10, true),
            ("https", "https", 11, false),
        ];
        for (from, to, done, expected) in table {
            assert_eq!(may_follow(from, to, done).is_ok(), expected, "{from} {to} {done}");
        }
    }
}
