//! What is answered to whom.

use std::fmt::Display;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query as QueryString, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use k8s_openapi::jiff::Timestamp;

use crate::logs::{self, Query};
use crate::pods::Directory;

/// All routes.
pub fn router(directory: Directory) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/containerLogs/{namespace}/{pod}/{container}", get(container_logs));
    for (path, what) in [
        (
            "/exec/{*rest}",
            "exec: a WebAssembly module is the only program in its container, so there is nothing to run a command in",
        ),
        ("/attach/{*rest}", "attach: a module's input cannot be attached to; read its output with kubectl logs -f"),
        ("/portForward/{*rest}", "port-forward: a module has no network, so there is no port to forward to"),
        (
            "/run/{*rest}",
            "run: a WebAssembly module is the only program in its container, so there is nothing to run a command in",
        ),
    ] {
        router = router.route(path, any(move || async move { refuse(StatusCode::NOT_IMPLEMENTED, what) }));
    }
    router
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "this node serves logs (/containerLogs) and /healthz") })
        .with_state(directory)
}

/// Whether the client may do this. Every client has proved by then that the cluster's CA vouches for it; asking the API server
/// whether it may do just this (`nodes/log`, as the kubelet asks) is to come here.
fn authorize() -> Result<(), (StatusCode, String)> {
    Ok(())
}

async fn container_logs(
    State(directory): State<Directory>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    QueryString(parameters): QueryString<Vec<(String, String)>>,
) -> Result<Response, (StatusCode, String)> {
    authorize()?;
    let query = Query::parse(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())), Timestamp::now());
    let query = query.map_err(|message| (StatusCode::BAD_REQUEST, message))?;
    let known = directory.get(&namespace, &pod);
    let known = known.ok_or_else(|| (StatusCode::NOT_FOUND, format!("pod {namespace}/{pod} is not on this node")))?;
    let view = known.container(&container);
    let view = view.ok_or_else(|| (StatusCode::NOT_FOUND, format!("container {container:?} is not in pod {pod:?}")))?;
    let progress = view.progress.ok_or_else(|| {
        let reason = view.waiting.as_deref().unwrap_or("it never started");
        (StatusCode::BAD_REQUEST, format!("container {container:?} in pod {pod:?} is waiting to start: {reason}"))
    })?;
    let no_previous =
        || (StatusCode::BAD_REQUEST, format!("previous terminated container {container:?} in pod {pod:?} not found"));
    let (attempt, query) = match query.previous {
        true => (progress.attempt.checked_sub(1).ok_or_else(no_previous)?, Query { follow: false, ..query }),
        false => (progress.attempt, query),
    };
    let (previous, missing) = (query.previous, no_previous());
    let (uid, name, dir) = (known.uid.clone(), container.clone(), known.container_dir(&container));
    let now = move || {
        let view = directory.get(&namespace, &pod).filter(|view| view.uid == uid)?;
        view.container(&name)?.progress
    };
    match logs::stream(dir, attempt, query, now).await {
        Ok(stream) => Ok(([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(stream)).into_response()),
        Err(_) if previous => Err(missing),
        // An attempt that could not even be started has written nothing.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok("".into_response()),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("the log cannot be read: {error}"))),
    }
}

fn refuse(status: StatusCode, message: impl Display) -> Response {
    (status, format!("{message}\n")).into_response()
}
