//! `/containerLogs`: what `kubectl logs` reads.

use std::io::ErrorKind;

use axum::body::Body;
use axum::extract::{Path, Query as QueryString, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use k8s_openapi::jiff::Timestamp;
use krustlet_logs::Query;
use krustlet_pods::{ContainerView, PodView};

use super::Site;

/// A status and what is said to people.
type Refusal = (StatusCode, String);

/// Answers a request for a log, with the kubelet's status codes and messages.
pub async fn container_logs(
    State(site): State<Site>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    QueryString(parameters): QueryString<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let query = Query::parse(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())), Timestamp::now());
    let query = query.map_err(|message| (StatusCode::BAD_REQUEST, message))?;
    // Before the view is taken: no change after it may be missed.
    let changed = site.directory.subscribe();
    let known = site.directory.get(&namespace, &pod);
    let known = known.ok_or_else(|| (StatusCode::NOT_FOUND, format!("pod {namespace}/{pod} is not on this node")))?;
    let view = known.container(&container);
    let view = view.ok_or_else(|| (StatusCode::NOT_FOUND, not_in_pod(&known, &container, &pod)))?;
    let refuse = |message: String| (StatusCode::BAD_REQUEST, message);
    let dir = known.container_dir(&container);
    let wanted = attempt(view, &pod, query.previous).map_err(refuse)?;
    let missing = match query.previous {
        true => no_previous(&container, &pod),
        false => format!("container {container:?} in pod {pod:?} is terminated"),
    };
    // An attempt that could not even be started has written nothing: then the one before it is the last that ran.
    let found = match query.previous {
        true => Some(wanted),
        false => site.logs.newest_until(&dir, wanted),
    };
    let found = found.ok_or_else(|| refuse(missing.clone()))?;
    // What has ended for good will not go on, whatever comes after it.
    let query = Query { follow: query.follow && !query.previous, ..query };
    let (uid, name, directory) = (known.uid.clone(), container.clone(), site.directory.clone());
    let progress = move || {
        let view = directory.get(&namespace, &pod).filter(|view| view.uid == uid)?;
        view.container(&name)?.progress
    };
    match site.logs.stream(dir, found, query, progress, changed).await {
        Ok(stream) => Ok(([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(stream)).into_response()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(refuse(missing)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("the log cannot be read: {error}"))),
    }
}

/// Which attempt's log is meant.
fn attempt(container: &ContainerView, pod: &str, previous: bool) -> Result<u32, String> {
    let name = &container.name;
    let Some(progress) = container.progress else {
        return Err(match (previous, container.waiting.as_deref()) {
            (true, _) => no_previous(name, pod),
            (false, Some("ErrImagePull")) => {
                format!("container {name:?} in pod {pod:?} is waiting to start: image can't be pulled")
            }
            (false, Some("ImagePullBackOff")) => {
                format!("container {name:?} in pod {pod:?} is waiting to start: trying and failing to pull image")
            }
            (false, Some(reason)) => format!("container {name:?} in pod {pod:?} is waiting to start: {reason}"),
            (false, None) => format!("container {name:?} in pod {pod:?} is waiting to start - no logs yet"),
        });
    };
    // While a container waits for its next start, its status has the last run as lastState, and that is the previous one.
    let waits =
        container.waiting.as_deref().is_some_and(|reason| !matches!(reason, "ContainerCreating" | "PodInitializing"));
    match previous && !(progress.ended && waits) {
        false => Ok(progress.attempt),
        true => progress.attempt.checked_sub(1).ok_or_else(|| no_previous(name, pod)),
    }
}

fn not_in_pod(known: &PodView, container: &str, pod: &str) -> String {
    let name = |container: &ContainerView| match container.init {
        true => format!("{} (init)", container.name),
        false => container.name.clone(),
    };
    let names: Vec<String> = known.containers.iter().map(name).collect();
    format!("container {container:?} is not in pod {pod:?}, which has: {}", names.join(", "))
}

fn no_previous(container: &str, pod: &str) -> String {
    format!("previous terminated container {container:?} in pod {pod:?} not found")
}

#[cfg(test)]
mod tests {
    use super::*;
    use krustlet_logs::Progress;

    #[test]
    fn which_attempt_is_meant() {
        let running = |attempt| Some(Progress { attempt, ended: false, finished: false });
        let between = |attempt| Some(Progress { attempt, ended: true, finished: false });
        let over = |attempt| Some(Progress { attempt, ended: true, finished: true });
        let table = [
            (running(0), None, Ok(0), Err("not found")),
            (running(3), None, Ok(3), Ok(2)),
            (between(0), Some("CrashLoopBackOff"), Ok(0), Ok(0)),
            (between(3), Some("CrashLoopBackOff"), Ok(3), Ok(3)),
            (between(3), Some("ImagePullBackOff"), Ok(3), Ok(3)),
            (between(0), Some("ContainerCreating"), Ok(0), Err("not found")),
            (between(3), Some("ContainerCreating"), Ok(3), Ok(2)),
            (over(0), None, Ok(0), Err("not found")),
            (over(2), None, Ok(2), Ok(1)),
            (None, Some("ContainerCreating"), Err("waiting to start: ContainerCreating"), Err("not found")),
            (None, Some("ErrImagePull"), Err("waiting to start: image can't be pulled"), Err("not found")),
            (None, Some("ImagePullBackOff"), Err("trying and failing to pull image"), Err("not found")),
            (None, None, Err("no logs yet"), Err("not found")),
        ];
        for (progress, waiting, now, previous) in table {
            let view = ContainerView {
                name: "c".into(),
                init: false,
                progress,
                ended: progress.is_some_and(|progress| progress.finished),
                waiting: waiting.map(Into::into),
                started_at: None,
                guest: None,
                answering: None,
            };
            for (asked, wanted) in [(false, now), (true, previous)] {
                match (attempt(&view, "p", asked), wanted) {
                    (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{progress:?} {waiting:?} {asked}"),
                    (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
                    (found, _) => panic!("{progress:?} {waiting:?} {asked}: {found:?}"),
                }
            }
        }
    }
}
