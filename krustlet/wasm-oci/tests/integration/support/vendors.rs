//! Who may do what, and how each vendor says so. The words and ways are those that the vendors' registries use.

use std::collections::HashMap;

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::State;
use super::registry::{Call, refuse};

/// The user of Azure's refresh tokens.
pub const AZURE_USER: &str = "00000000-0000-0000-0000-000000000000";

/// A key of a service account: JSON with lines of its own.
pub const JSON_KEY: &str = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----s3cret-----\\n\"\n}\n";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Pull,
    Push,
    Delete,
}

impl Right {
    fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

/// What of a repository may be done by whom; `None`: the login is wrong.
fn granted(host: &str, user: Option<(&str, &str)>, repository: &str) -> Option<&'static [&'static str]> {
    let public = repository.contains("public");
    let for_all: &[_] = if public { &["pull"] } else { &[] };
    let all: &[_] = &["pull", "push", "delete"];
    match (host, user) {
        (_, None) => Some(for_all),
        ("ghcr.io", Some(("me", "s3cret-write"))) => Some(&["pull", "push"]),
        ("ghcr.io", Some(("me", "s3cret-read"))) => Some(&["pull"]),
        ("me.azurecr.io", Some(("admin", "s3cret"))) => Some(all),
        ("me.azurecr.io", Some((AZURE_USER, "s3cret-refresh"))) => Some(all),
        ("europe-docker.pkg.dev", Some(("_json_key", JSON_KEY))) => Some(all),
        ("europe-docker.pkg.dev", Some(("_json_key_base64", key))) if key == STANDARD.encode(JSON_KEY) => Some(all),
        ("europe-docker.pkg.dev", Some(("oauth2accesstoken", "s3cret-ya29"))) => Some(all),
        // A user of Docker Hub owns what has the user's name, and reads the library.
        ("auth.docker.io", Some(("me", "s3cret"))) if repository.starts_with("me/") => Some(&["pull", "push"]),
        ("auth.docker.io", Some(("me", "s3cret"))) => Some(for_all),
        ("scopes.example.com" | "basic.example.com", Some(("me", "s3cret"))) => Some(all),
        _ => None,
    }
}

/// Where each registry sends for tokens, and as which service.
fn realm(host: &str) -> Option<(&'static str, &'static str)> {
    Some(match host {
        "ghcr.io" => ("https://ghcr.io/token", "ghcr.io"),
        "me.azurecr.io" => ("https://me.azurecr.io/oauth2/token", "me.azurecr.io"),
        "europe-docker.pkg.dev" => ("https://europe-docker.pkg.dev/v2/token", "europe-docker.pkg.dev"),
        "registry-1.docker.io" => ("https://auth.docker.io/token", "registry.docker.io"),
        "scopes.example.com" => ("https://scopes.example.com/token", "scopes"),
        _ => return None,
    })
}

/// Deletion by tag is what most do not have; GitHub and Docker Hub have none by this API.
pub fn refuses_deletion(host: &str, is_tag: bool) -> bool {
    match host {
        "ghcr.io" | "registry-1.docker.io" => true,
        "me.azurecr.io" => is_tag,
        _ => false,
    }
}

fn fields(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (decode(name), decode(value)));
    text.split('&').filter_map(pair).collect()
}

fn basic(call: &Call<'_>) -> Option<(String, String)> {
    let value = call.headers.get(header::AUTHORIZATION)?.to_str().unwrap().strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
    pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// The answer of a token server; `None` if the call is not for one.
pub fn token(state: &mut State, call: &Call<'_>) -> Option<Response> {
    let post: HashMap<_, _> = fields(std::str::from_utf8(call.body).unwrap_or_default()).into_iter().collect();
    let post = |name: &str| post.get(name).cloned().unwrap_or_default();
    let query = fields(call.query);
    let registry = if call.host == "auth.docker.io" { "registry-1.docker.io" } else { call.host };
    let (address, service) = realm(registry)?;
    if format!("https://{}{}", call.host, call.path) != address {
        return None;
    }
    let (scopes, asked, user) = match (call.method, call.host) {
        (&Method::POST, "me.azurecr.io") if post("grant_type") == "refresh_token" => {
            let scopes: Vec<_> = post("scope").split(' ').map(str::to_owned).collect();
            (scopes, post("service"), Some((AZURE_USER.to_owned(), post("refresh_token"))))
        }
        (&Method::GET, _) => {
            let all =
                |name: &'static str| query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.clone());
            (all("scope").collect(), all("service").next().unwrap_or_default(), basic(call))
        }
        _ => return Some(refuse(405, "UNSUPPORTED", "The operation is unsupported.")),
    };
    assert_eq!(asked, service);
    let user = user.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
    // Azure's own clients POST a refresh token; a GET is for user and password.
    if call.method == Method::GET && user.is_some_and(|(user, _)| user == AZURE_USER) {
        return Some(refuse(401, "UNAUTHORIZED", "authentication required"));
    }
    let mut actions = Vec::new();
    for scope in &scopes {
        let (repository, wanted) = scope.strip_prefix("repository:").unwrap().rsplit_once(':').unwrap();
        let Some(granted) = granted(call.host, user, repository) else {
            return Some(match call.host {
                "ghcr.io" => refuse(403, "DENIED", "denied"),
                "auth.docker.io" => {
                    (StatusCode::UNAUTHORIZED, r#"{"details":"incorrect username or password"}"#).into_response()
                }
                "europe-docker.pkg.dev" => refuse(401, "UNAUTHORIZED", "authentication failed"),
                _ => refuse(401, "UNAUTHORIZED", "authentication required"),
            });
        };
        if call.host == "ghcr.io" && granted.is_empty() {
            return Some(refuse(403, "DENIED", "requested access to the resource is denied"));
        }
        let wanted: Vec<_> = wanted.split(',').collect();
        actions.extend(
            wanted
                .iter()
                .filter(|w| granted.contains(w) || **w == "metadata_read")
                .map(|w| format!("{repository}:{w}")),
        );
    }
    let token = format!("t{}", state.tokens.len());
    state.tokens.insert(token.clone(), actions);
    let name = if call.host == "me.azurecr.io" { "access_token" } else { "token" };
    Some(json!({ name: token, "expires_in": 300 }).to_string().into_response())
}

fn challenge(call: &Call<'_>, scope: &str, error: &str, refusal: Response) -> Response {
    let mut refusal = refusal;
    let value = match realm(call.host) {
        Some((realm, service)) => format!(r#"Bearer realm="{realm}",service="{service}",scope="{scope}"{error}"#),
        None => r#"Basic realm="basic""#.to_owned(),
    };
    refusal.headers_mut().insert(header::WWW_AUTHENTICATE, value.parse().unwrap());
    refusal
}

/// Why a call to a registry is refused; `None` if it is not.
pub fn check(state: &State, call: &Call<'_>, repository: &str, right: Right) -> Option<Response> {
    let bearer =
        call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().unwrap().strip_prefix("Bearer "));
    let unauthorized = || refuse(401, "UNAUTHORIZED", "authentication required");
    let actions = match (call.host, right) {
        // GitHub asks for pull, whatever is about to be done.
        ("ghcr.io", _) | (_, Right::Pull) => "pull",
        (_, Right::Push) => "pull,push",
        (_, Right::Delete) => "delete",
    };
    let scope = format!("repository:{repository}:{actions}");
    if call.host == "basic.example.com" {
        let user = basic(call);
        let user = user.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        let ok = granted(call.host, user, repository).is_some_and(|granted| granted.contains(&right.name()));
        return (!ok).then(|| challenge(call, "", "", unauthorized()));
    }
    let Some(granted) = bearer.and_then(|token| state.tokens.get(token)) else {
        return Some(challenge(call, &scope, "", unauthorized()));
    };
    let has = |action: &str| granted.iter().any(|known| *known == format!("{repository}:{action}"));
    match call.host {
        "scopes.example.com" if right == Right::Pull && !has("metadata_read") => {
            let scope = format!("repository:{repository}:pull,metadata_read");
            let refusal = refuse(403, "DENIED", "insufficient scope");
            Some(challenge(call, &scope, r#",error="insufficient_scope""#, refusal))
        }
        "europe-docker.pkg.dev" if right == Right::Push && !repository.starts_with("project/repo/") => {
            Some(refuse(404, "NAME_UNKNOWN", "Repository \"other\" not found"))
        }
        _ if has(right.name()) => None,
        // That is refused to everybody, by another answer.
        _ if right == Right::Delete && refuses_deletion(call.host, false) => None,
        "ghcr.io" => {
            Some(refuse(403, "DENIED", "permission_denied: The token provided does not match expected scopes."))
        }
        "europe-docker.pkg.dev" => {
            Some(refuse(403, "DENIED", "Permission \"artifactregistry.repositories.uploadArtifacts\" denied"))
        }
        _ => Some(challenge(call, &scope, r#",error="insufficient_scope""#, unauthorized())),
    }
}
