//! What is answered to whom.

use std::fmt::Display;

use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};

use super::forward::{Forwarder, port_forward};
use super::metrics::process::Process;
use super::metrics::usage::{Usage, Usages};
use super::metrics::{self, exposition, serving, stats};
use super::{Site, logs, pods};

/// What is not there on a WebAssembly node, and why.
const ABSENT: [(&str, &str); 3] = [
    (
        "/exec/{*rest}",
        "exec: a WebAssembly module is the only program in its container, so there is nothing to run a command in",
    ),
    ("/attach/{*rest}", "attach: a module's input cannot be attached to; read its output with kubectl logs -f"),
    (
        "/run/{*rest}",
        "run: a WebAssembly module is the only program in its container, so there is nothing to run a command in",
    ),
];

/// All routes, open to everyone: who may ask is decided before.
pub fn router(site: Site, usages: Usages) -> Router {
    let node_name = site.node_name.clone();
    let (agent, resource, summary) = (usages.clone(), usages.clone(), usages);
    let mut router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/pods", get(|State(site): State<Site>| async move { Json(pods::list(&site.directory)) }))
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs::container_logs))
        .route(
            "/metrics",
            get(|State(site): State<Site>| async move {
                let others = metrics::budgets(&site.compiler, &site.memory, &site.evictions)
                    + &serving::metrics(&site.directory)
                    + &site.tracer.map_or_else(String::new, |tracer| metrics::traces(tracer.counts()));
                text(agent, move |usage| metrics::agent(usage, &site.node_name, Process::now().as_ref()) + &others)
                    .await
            }),
        )
        .route("/metrics/resource", get(|| text(resource, metrics::resource)))
        .route(
            "/stats/summary",
            get(|Query(parameters): Query<Vec<(String, String)>>| async move {
                let only = parameters.iter().any(|(name, value)| name == "only_cpu_and_memory" && value == "true");
                let usage = measure(summary).await?;
                Ok::<_, (StatusCode, String)>(Json(stats::summary(&usage, &node_name, only)))
            }),
        );
    let forwarder = Forwarder::default();
    router = router.route(
        "/portForward/{*pod}",
        any(|State(site): State<Site>, Path(pod): Path<String>, request: Request| async move {
            port_forward(&site, &pod, forwarder, request)
        }),
    );
    for (path, what) in ABSENT {
        router = router.route(path, any(move || async move { refuse(StatusCode::NOT_IMPLEMENTED, what) }));
    }
    router
        .fallback(|| async {
            let there = "/containerLogs, /portForward, /pods, /metrics, /metrics/resource, /stats/summary and /healthz";
            refuse(StatusCode::NOT_FOUND, format_args!("this node serves {there}"))
        })
        .method_not_allowed_fallback(|method: Method| async move {
            refuse(StatusCode::METHOD_NOT_ALLOWED, format_args!("{method}: this can only be read, with GET"))
        })
        .with_state(site)
}

/// Measures on a thread that may wait: a file system may take its time.
async fn measure(usages: Usages) -> Result<Usage, (StatusCode, String)> {
    let measured = tokio::task::spawn_blocking(move || usages.now()).await;
    measured.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("the usage cannot be measured: {error}")))
}

async fn text(usages: Usages, write: impl FnOnce(&Usage) -> String) -> Result<impl IntoResponse, (StatusCode, String)> {
    let usage = measure(usages).await?;
    Ok(([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], write(&usage)))
}

pub fn refuse(status: StatusCode, message: impl Display) -> Response {
    (status, format!("{message}\n")).into_response()
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
