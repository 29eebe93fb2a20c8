//! Whether a client may do what it asks for.
//!
//! The kubelet's rules: <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/#kubelet-authorization>

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// What a client would need to be allowed: `verb` on this subresource of `nodes`, of the Node of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    verb: &'static str,
    subresource: &'static str,
}

impl Access {
    /// What a request needs.
    fn of(method: &Method, path: &str) -> Self {
        let verb = match *method {
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let subresource = match first {
            "stats" => "stats",
            "metrics" => "metrics",
            // Of the machine, not of pods; this node serves none.
            "logs" => "log",
            _ => "proxy",
        };
        Self { verb, subresource }
    }
}

/// Comes before every route, those that are not there included.
pub async fn authorize(request: Request, next: Next) -> Result<Response, (StatusCode, String)> {
    review(Access::of(request.method(), request.uri().path())).await?;
    Ok(next.run(request).await)
}

/// Every client has proved by then that the cluster's CA vouches for it; asking the API server whether it may do just this is
/// to come here.
async fn review(access: Access) -> Result<(), (StatusCode, String)> {
    tracing::trace!(verb = access.verb, subresource = access.subresource, "a client that the cluster's CA vouches for");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_the_kubelets_subresource() {
        let table = [
            (Method::GET, "/metrics", "get", "metrics"),
            (Method::GET, "/metrics/resource", "get", "metrics"),
            (Method::GET, "/stats/summary", "get", "stats"),
            (Method::GET, "/logs/syslog", "get", "log"),
            (Method::HEAD, "/healthz", "get", "proxy"),
            (Method::GET, "/pods", "get", "proxy"),
            (Method::GET, "/containerLogs/n/p/c", "get", "proxy"),
            (Method::POST, "/exec/n/p/c", "create", "proxy"),
            (Method::GET, "/metricsx", "get", "proxy"),
            (Method::OPTIONS, "/", "", "proxy"),
        ];
        for (method, path, verb, subresource) in table {
            assert_eq!(Access::of(&method, path), Access { verb, subresource }, "{path}");
        }
    }
}
