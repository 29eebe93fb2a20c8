//! Whether a client may do what it asks for.
//!
//! The kubelet's rules: <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/#kubelet-authorization>

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use krustlet_core::errors::chain;

use super::peer::Peer;
use super::review::Reviewer;

/// What a client would need to be allowed: `verb` on one of these subresources of `nodes`, of the Node of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    verb: &'static str,
    /// Asked for one after the other.
    subresources: &'static [&'static str],
}

impl Access {
    /// What a request needs.
    fn of(method: &Method, path: &str) -> Self {
        let verb = match *method {
            Method::GET => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            // HEAD included: only who may do everything may do what has no verb.
            _ => "",
        };
        let first = path.strip_prefix('/').unwrap_or_default().split('/').next().unwrap_or_default();
        let subresources: &[&str] = match first {
            "stats" => &["stats"],
            "metrics" => &["metrics"],
            // Of the machine, not of pods; this node serves none.
            "logs" => &["log"],
            "checkpoint" => &["checkpoint"],
            "statusz" => &["statusz"],
            "flagz" => &["configz"],
            "pods" | "runningpods" => &["pods", "proxy"],
            "healthz" => &["healthz", "proxy"],
            "configz" => &["configz", "proxy"],
            _ => &["proxy"],
        };
        Self { verb, subresources }
    }
}

/// Comes before every route, those that are not there included. Without a certificate of the cluster's CA it is 401, without
/// permission 403, and 500 when the API server gives no answer to that.
pub async fn authorize(
    State(reviewer): State<Arc<Reviewer>>,
    request: Request,
    next: Next,
) -> Result<Response, (StatusCode, String)> {
    let peer = request.extensions().get::<Option<Peer>>().and_then(Option::as_ref);
    let peer = peer.filter(|peer| peer.holds(SystemTime::now()));
    let peer = peer.ok_or_else(|| (StatusCode::UNAUTHORIZED, "Unauthorized".into()))?;
    review(&reviewer, peer, Access::of(request.method(), request.uri().path())).await?;
    Ok(next.run(request).await)
}

async fn review(reviewer: &Reviewer, peer: &Peer, access: Access) -> Result<(), (StatusCode, String)> {
    let (user, verb) = (&peer.user, access.verb);
    for subresource in access.subresources {
        match reviewer.allows(peer, verb, subresource).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                let what = format!("(user={user}, verb={verb}, resource=nodes, subresource={subresource})");
                tracing::error!("whether a client may be served is not known {what}: {}", chain(&error));
                return Err((StatusCode::INTERNAL_SERVER_ERROR, format!("Authorization error {what}")));
            }
        }
    }
    let subresources = access.subresources.join(" ");
    tracing::debug!(user, verb, subresources, "forbidden");
    let message = format!("Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[{subresources}])\n");
    Err((StatusCode::FORBIDDEN, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_the_kubelets_subresources() {
        let table: &[(Method, &str, &str, &[&str])] = &[
            (Method::GET, "/metrics", "get", &["metrics"]),
            (Method::GET, "/metrics/resource", "get", &["metrics"]),
            (Method::GET, "/stats/summary", "get", &["stats"]),
            (Method::GET, "/stats/", "get", &["stats"]),
            (Method::GET, "/logs/syslog", "get", &["log"]),
            (Method::POST, "/checkpoint/n/p/c", "create", &["checkpoint"]),
            (Method::GET, "/statusz", "get", &["statusz"]),
            (Method::GET, "/flagz", "get", &["configz"]),
            (Method::GET, "/configz", "get", &["configz", "proxy"]),
            (Method::GET, "/healthz", "get", &["healthz", "proxy"]),
            (Method::GET, "/healthz/ping", "get", &["healthz", "proxy"]),
            (Method::HEAD, "/healthz", "", &["healthz", "proxy"]),
            (Method::GET, "/pods", "get", &["pods", "proxy"]),
            (Method::GET, "/pods/", "get", &["pods", "proxy"]),
            (Method::GET, "/runningpods/", "get", &["pods", "proxy"]),
            (Method::GET, "/containerLogs/n/p/c", "get", &["proxy"]),
            (Method::POST, "/exec/n/p/c", "create", &["proxy"]),
            (Method::PUT, "/exec/n/p/c", "update", &["proxy"]),
            (Method::PATCH, "/exec/n/p/c", "patch", &["proxy"]),
            (Method::DELETE, "/exec/n/p/c", "delete", &["proxy"]),
            (Method::GET, "/metricsx", "get", &["proxy"]),
            (Method::GET, "//metrics", "get", &["proxy"]),
            (Method::GET, "/%6detrics", "get", &["proxy"]),
            (Method::OPTIONS, "/", "", &["proxy"]),
        ];
        for (method, path, verb, subresources) in table {
            assert_eq!(Access::of(method, path), Access { verb, subresources }, "{method} {path}");
        }
    }
}
