//! Requests to a registry: where to, as whom, and once more when the connection broke.
//!
//! Reading is done here, and not by oci-client, which pushes: it keeps one login for each registry and one token for each
//! repository, where a node must ask for each pod as that pod; and it drops `Retry-After` and some of the registry's words.

use std::time::SystemTime;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};

use crate::auth::{self, Remembered};
use crate::error::said;
use crate::keyring::Login;
use crate::retry::{self, Failure};
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
    /// After `/v2/<repository>/`.
    pub(crate) path: String,
    pub(crate) accept: Option<&'static str>,
    /// How many bytes at the beginning are not needed.
    pub(crate) skip: u64,
}

impl Ask {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self { method, path, accept: None, skip: 0 }
    }
}

pub(crate) struct Transport {
    http: Client,
    insecure_registries: Vec<String>,
    remembered: Remembered,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, OciError> {
        let redirects = Policy::custom(|attempt| {
            let from = attempt.previous().last().map_or("", |url| url.scheme());
            match may_follow(from, attempt.url().scheme(), attempt.previous().len()) {
                Ok(()) => attempt.follow(),
                Err(problem) => attempt.error(problem),
            }
        });
        let http = Client::builder()
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.read_timeout)
            .user_agent(concat!("krustlet-oci/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects)
            .build()
            .map_err(|error| OciError::Setup(error.to_string()))?;
        Ok(Self { http, insecure_registries: config.insecure_registries.clone(), remembered: Remembered::default() })
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

    async fn once(&self, place: &Place<'_>, ask: &Ask) -> Result<Response, Failure> {
        let key = auth::key(place, if ask.method == Method::DELETE { "delete" } else { "read" });
        let mut answer = self.send(place, ask, self.remembered.get(&key)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.remembered.forget(&key);
            let insecure = self.is_insecure(place.reference);
            if let Some((header, lifetime)) = auth::answer(&self.http, place, &answer, insecure).await? {
                answer = self.send(place, ask, Some(header.clone())).await?;
                if answer.status() != StatusCode::UNAUTHORIZED {
                    self.remembered.keep(key, header, lifetime);
                }
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
        let scheme = if self.is_insecure(place.reference) { "http" } else { "https" };
        let name = place.reference.to_client();
        let (host, repository) = (name.resolve_registry(), place.reference.repository());
        let mut request =
            self.http.request(ask.method.clone(), format!("{scheme}://{host}/v2/{repository}/{}", ask.path));
        if let Some(types) = ask.accept {
            request = request.header(ACCEPT, types);
        }
        if ask.skip > 0 {
            request = request.header(RANGE, format!("bytes={}-", ask.skip));
        }
        if let Some(header) = authorization {
            request = request.header(AUTHORIZATION, header);
        }
        request.send().await.map_err(|error| {
            let again = retry::of_http(&error);
            Failure { error: OciError::from_http(error, place.reference), again }
        })
    }

    fn is_insecure(&self, reference: &Reference) -> bool {
        self.insecure_registries.iter().any(|name| name == reference.registry())
    }
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
