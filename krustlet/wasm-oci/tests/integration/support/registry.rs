//! The distribution API, the same for every host; who may do what is in `vendors`.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::vendors::{self, Right};
use super::{State, sha256};

/// A request, taken apart.
pub struct Call<'a> {
    pub host: &'a str,
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a Bytes,
}

pub async fn serve(Extract(state): Extract<Arc<Mutex<State>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let call = Call {
        host: parts.headers.get(header::HOST).unwrap().to_str().unwrap(),
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    let mut state = state.lock().unwrap();
    state.seen.push(format!("{} {}{}", call.method, call.host, call.path));
    if let Some(answer) = vendors::token(&mut state, &call) {
        return answer;
    }
    if call.path == "/v2/" {
        return refuse(401, "UNAUTHORIZED", "");
    }
    let Some((repository, kind, which)) = split(call.path) else {
        return refuse(404, "NAME_UNKNOWN", "");
    };
    let right = match *call.method {
        Method::GET | Method::HEAD if kind != "uploads" => Right::Pull,
        Method::DELETE => Right::Delete,
        // The HEAD before an upload is a reader's, too.
        _ => Right::Push,
    };
    if let Some(refusal) = vendors::check(&state, &call, repository, right) {
        return refusal;
    }
    if *call.method == Method::PUT && kind == "manifests" && state.failures > 0 {
        state.failures -= 1;
        return refuse(503, "UNAVAILABLE", "come again");
    }
    match (call.method, kind) {
        (&Method::POST, "uploads") => {
            // With a query of its own, as some registries have it.
            let to = format!("/v2/{repository}/blobs/uploads/1?_state=a%2Bb");
            (StatusCode::ACCEPTED, [(header::LOCATION, to)]).into_response()
        }
        (&Method::PUT, "uploads") => state.store_blob(&call, repository),
        (&Method::PUT, "manifests") => state.store_manifest(&call, repository, which),
        (&Method::DELETE, "manifests") => state.delete(&call, repository, which),
        (_, "manifests") => {
            found(state.manifests.get(&name(call.host, repository, which)), call.method, "MANIFEST_UNKNOWN")
        }
        (_, "blobs") => {
            found(state.blobs.get(&format!("{}/{repository}@{which}", call.host)), call.method, "BLOB_UNKNOWN")
        }
        (_, "tags") => state.tags(&call, repository),
        _ => refuse(404, "NAME_UNKNOWN", ""),
    }
}

pub fn refuse(status: u16, code: &str, message: &str) -> Response {
    let body = json!({ "errors": [{ "code": code, "message": message }] }).to_string();
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

/// Repository, kind, and which one.
fn split(path: &str) -> Option<(&str, &str, &str)> {
    let path = path.strip_prefix("/v2/")?;
    [("/blobs/uploads/", "uploads"), ("/manifests/", "manifests"), ("/blobs/", "blobs"), ("/tags/", "tags")]
        .into_iter()
        .find_map(|(part, kind)| path.split_once(part).map(|(repository, which)| (repository, kind, which)))
}

fn name(host: &str, repository: &str, which: &str) -> String {
    let separator = if which.contains(':') { '@' } else { ':' };
    format!("{host}/{repository}{separator}{which}")
}

fn found(bytes: Option<&Bytes>, method: &Method, code: &str) -> Response {
    let Some(bytes) = bytes else { return refuse(404, code, "not known here") };
    let body = if method == Method::HEAD { Body::empty() } else { bytes.clone().into() };
    let mut answer = body.into_response();
    answer.headers_mut().insert("docker-content-digest", sha256(bytes).parse().unwrap());
    answer
}

impl State {
    fn store_blob(&mut self, call: &Call<'_>, repository: &str) -> Response {
        let digest = call.query.split('&').find_map(|pair| pair.strip_prefix("digest=")).unwrap().replace("%3A", ":");
        assert!(call.query.contains("_state=a%2Bb"), "{}", call.query);
        let length = call.headers.get(header::CONTENT_LENGTH).map(|value| value.to_str().unwrap().parse().unwrap());
        assert_eq!(length, Some(call.body.len()), "the length of a whole blob has to be there");
        if digest != sha256(call.body) {
            return refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
        }
        self.blobs.insert(format!("{}/{repository}@{digest}", call.host), call.body.clone());
        StatusCode::CREATED.into_response()
    }

    fn store_manifest(&mut self, call: &Call<'_>, repository: &str, which: &str) -> Response {
        let manifest: serde_json::Value = serde_json::from_slice(call.body).unwrap();
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let digest = part["digest"].as_str().unwrap();
            if !self.blobs.contains_key(&format!("{}/{repository}@{digest}", call.host)) {
                return refuse(400, "MANIFEST_BLOB_UNKNOWN", digest);
            }
        }
        let bytes = match std::mem::take(&mut self.exchange) {
            true => [call.body, &b"\n"[..]].concat().into(),
            false => call.body.clone(),
        };
        for which in [which, &sha256(&bytes)] {
            self.manifests.insert(name(call.host, repository, which), bytes.clone());
        }
        StatusCode::CREATED.into_response()
    }

    fn delete(&mut self, call: &Call<'_>, repository: &str, which: &str) -> Response {
        let is_tag = !which.contains(':');
        if vendors::refuses_deletion(call.host, is_tag) {
            return refuse(405, "UNSUPPORTED", "The operation is unsupported.");
        }
        let Some(bytes) = self.manifests.remove(&name(call.host, repository, which)) else {
            return refuse(404, "MANIFEST_UNKNOWN", "not known here");
        };
        if !is_tag {
            let repository = format!("{}/{repository}:", call.host);
            self.manifests.retain(|name, other| !name.starts_with(&repository) || *other != bytes);
        }
        StatusCode::ACCEPTED.into_response()
    }

    /// Two tags a page.
    fn tags(&self, call: &Call<'_>, repository: &str) -> Response {
        let prefix = format!("{}/{repository}:", call.host);
        let mut tags: Vec<_> = self.manifests.keys().filter_map(|name| name.strip_prefix(&prefix)).collect();
        tags.sort_unstable();
        let after = call.query.split('&').find_map(|pair| pair.strip_prefix("last=")).unwrap_or_default();
        let page: Vec<_> = tags.iter().filter(|tag| **tag > after).take(2).collect();
        let mut answer = json!({ "name": repository, "tags": page }).to_string().into_response();
        if let Some(last) = page.last().filter(|last| tags.last() != Some(last)) {
            let link = format!("</v2/{repository}/tags/list?last={last}&n=2>; rel=\"next\"");
            answer.headers_mut().insert(header::LINK, link.parse().unwrap());
        }
        answer
    }
}
