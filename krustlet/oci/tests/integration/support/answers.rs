//! What the tests' registry answers.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Fault, Inner, Scheme, Seen, sha256};

type Shared = Arc<Mutex<Inner>>;

pub(super) async fn serve(State(state): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap().to_owned());
    let (fault, delay) = {
        let mut inner = state.lock().unwrap();
        let (authorization, range) = (text(header::AUTHORIZATION), text(header::RANGE));
        inner.seen.push(Seen { method: method.to_string(), path: path.clone(), authorization, range });
        let at = inner.faults.iter().position(|(part, _)| path.contains(part));
        (at.map(|at| inner.faults.remove(at).1), inner.blob_delay)
    };
    if let Some(Fault::Status(status, retry_after, body)) = fault {
        let mut answer = (StatusCode::from_u16(status).unwrap(), body).into_response();
        answer.headers_mut().extend(retry_after.map(|wait| (header::RETRY_AFTER, wait.parse().unwrap())));
        return answer;
    }
    let is_blob = path.contains("/blobs/");
    if is_blob {
        let mut inner = state.lock().unwrap();
        inner.now += 1;
        inner.most = inner.most.max(inner.now);
    }
    if is_blob {
        tokio::time::sleep(delay).await;
    }
    let mut inner = state.lock().unwrap();
    if is_blob {
        inner.now -= 1;
    }
    if path == "/token" {
        return inner.token(&headers, &query);
    }
    let Some((repository, kind, which)) = split(&path) else {
        return refuse(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "");
    };
    if let Some(refusal) = inner.check(repository, &headers) {
        return refusal;
    }
    match kind {
        "manifests" => inner.manifest(repository, which, &method, fault),
        _ => inner.blob(repository, which, &headers, fault),
    }
}

fn split(path: &str) -> Option<(&str, &str, &str)> {
    let path = path.strip_prefix("/v2/")?;
    ["manifests", "blobs"].into_iter().find_map(|kind| {
        let (repository, which) = path.split_once(&format!("/{kind}/"))?;
        Some((repository, kind, which))
    })
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    (status, json!({ "errors": [{ "code": code, "message": message }] }).to_string()).into_response()
}

impl Inner {
    /// The user of a Basic header, if the password is right; nobody without one.
    fn user(&self, headers: &HeaderMap) -> Result<Option<String>, ()> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").ok_or(())?;
        let pair = String::from_utf8(STANDARD.decode(encoded).map_err(|_| ())?).map_err(|_| ())?;
        let (user, password) = pair.split_once(':').ok_or(())?;
        if self.accounts.get(user).is_some_and(|expected| expected == password) {
            Ok(Some(user.into()))
        } else {
            Err(())
        }
    }

    fn token(&self, headers: &HeaderMap, query: &str) -> Response {
        let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap();
        assert!(query.contains("service=tests"), "{query}");
        match self.user(headers) {
            Err(()) => refuse(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "incorrect username or password"),
            Ok(user) => {
                let token = format!("{}|{scope}", user.unwrap_or_default());
                json!({ "token": token, "expires_in": 300 }).to_string().into_response()
            }
        }
    }

    fn check(&self, repository: &str, headers: &HeaderMap) -> Option<Response> {
        let owner = self.private.get(repository)?;
        let user = match self.scheme {
            Scheme::Basic => self.user(headers).ok().flatten(),
            Scheme::Bearer => {
                let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
                let scope = format!("repository%3A{}%3Apull", repository.replace('/', "%2F"));
                let pair =
                    token.and_then(|token| token.strip_prefix("Bearer ")).and_then(|token| token.split_once('|'));
                pair.filter(|(_, given)| *given == scope).map(|(user, _)| user.to_owned())
            }
        };
        if user.as_ref() == Some(owner) {
            return None;
        }
        let challenge = match self.scheme {
            Scheme::Basic => r#"Basic realm="tests""#.to_owned(),
            Scheme::Bearer => format!(
                r#"Bearer realm="http://{}/token",service="tests",scope="repository:{repository}:pull""#,
                self.host
            ),
        };
        let mut answer = refuse(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        Some(answer)
    }

    fn manifest(&self, repository: &str, which: &str, method: &Method, fault: Option<Fault>) -> Response {
        let name = if which.contains(':') { format!("{repository}@{which}") } else { format!("{repository}:{which}") };
        if let Some(digest) = self.pretended.get(&name).filter(|_| method == Method::HEAD) {
            return [("docker-content-digest", digest.clone())].into_response();
        }
        let Some((media_type, bytes)) = self.manifests.get(&name) else {
            return refuse(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown");
        };
        let digest = sha256(bytes);
        let bytes = if let Some(Fault::Instead(bytes)) = fault { bytes.into() } else { bytes.clone() };
        let body = if method == Method::HEAD { Body::empty() } else { bytes.into() };
        let mut answer = ([(header::CONTENT_TYPE, media_type.clone())], body).into_response();
        if !self.without_digest_header {
            answer.headers_mut().insert("docker-content-digest", digest.parse().unwrap());
        }
        answer
    }

    fn blob(&self, repository: &str, digest: &str, headers: &HeaderMap, fault: Option<Fault>) -> Response {
        if let Some(host) = &self.redirect_blobs_to {
            let to = format!("http://{host}/v2/{repository}/blobs/{digest}");
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response();
        }
        let Some(bytes) = self.blobs.get(digest).cloned() else {
            return refuse(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry");
        };
        let range = headers.get(header::RANGE).filter(|_| !self.without_ranges).map(|value| {
            let range = value.to_str().unwrap().strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap();
            range.parse::<usize>().unwrap()
        });
        let (status, start) = range.map_or((StatusCode::OK, 0), |start| (StatusCode::PARTIAL_CONTENT, start));
        let (all, bytes) = (bytes.len(), bytes.slice(start..));
        let length = bytes.len();
        let (length, body) = match fault {
            Some(Fault::Cut(after)) => (Some(length), cut(bytes.slice(..after))),
            Some(Fault::Short(after)) => (Some(after), Body::from(bytes.slice(..after))),
            Some(Fault::ShortUnannounced(after)) => {
                let stream = futures::stream::iter([Ok::<_, io::Error>(bytes.slice(..after))]);
                (None, Body::from_stream(stream))
            }
            Some(Fault::Instead(bytes)) => (Some(bytes.len()), bytes.into()),
            Some(Fault::Drip(pause)) => (Some(length), drip(bytes, pause)),
            _ => (Some(length), bytes.into()),
        };
        let mut answer = (status, body).into_response();
        answer.headers_mut().extend(length.map(|length| (header::CONTENT_LENGTH, length.into())));
        if range.is_some() {
            let range = format!("bytes {start}-{}/{all}", all - 1);
            answer.headers_mut().insert(header::CONTENT_RANGE, range.parse().unwrap());
        }
        answer
    }
}

/// A body that takes long.
fn drip(bytes: Bytes, pause: Duration) -> Body {
    use futures::StreamExt;
    let drops = (0..bytes.len()).map(move |at| bytes.slice(at..=at));
    Body::from_stream(futures::stream::iter(drops).then(move |drop| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, io::Error>(drop)
    }))
}

/// A body that breaks off.
fn cut(bytes: Bytes) -> Body {
    use futures::StreamExt;
    // The pause lets the bytes go out before the connection goes.
    let end = futures::stream::once(async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(io::Error::other("cut"))
    });
    Body::from_stream(futures::stream::iter([Ok::<_, io::Error>(bytes)]).chain(end))
}
