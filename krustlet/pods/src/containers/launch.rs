//! Starting a container: environment, module, log, guest. The only place where a pod meets registry and runtime.

use std::any::Any;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::jiff::Timestamp;
use krustlet_api::events::Subject;
use krustlet_core::command;
use krustlet_core::lifecycle::not_started::{NotStarted, Reason, Retry};
use krustlet_core::lifecycle::termination::Termination;
use krustlet_core::pod::containers;
use krustlet_core::quantity;
use krustlet_host::files;
use krustlet_images::{Image, Request, Wait};
use krustlet_logs::ContainerLog;
use krustlet_runtime::{Container, Exit, ExitStatus, LogSink, RunSpec, RuntimeError};

use super::begin::{Begun, Listens, Place, begin};
use super::tail::Tail;
use super::{http, share};
use crate::Shared;
use crate::checkpoint::Attempt;
use crate::resources::Resources;

/// The kubelet's code for a container that took more memory than it may: that of a process ended by `SIGKILL`.
const OUT_OF_MEMORY_CODE: i32 = 137;

/// A guest that runs.
pub struct Launched {
    /// The guest. When the last handle goes, it is stopped.
    pub container: Container,
    /// Where it writes.
    pub log: Arc<ContainerLog>,
    /// `registry/repository@sha256:…`
    pub image_id: String,
    /// `wasmtime://…`
    pub container_id: String,
    /// When it was started.
    pub at: Timestamp,
    /// The end of its log, if it wants it in its last status.
    pub tail: Option<Arc<Tail>>,
    /// If it listens.
    pub server: Option<Begun>,
    /// What must stay as long as the guest may run: its module on disk, the folders that it was given.
    pub held: Box<dyn Any + Send + Sync>,
}

/// Makes everything ready and starts the guest. `container_dir` is the folder of its logs. The pod's volumes are ready.
///
/// That it is started, or that it cannot be, is on the disk before this returns.
///
/// # Errors
/// Why there is none, and when that was.
pub async fn launch(
    shared: &Shared,
    resources: &Resources,
    subject: &Subject,
    container: &core::Container,
    container_dir: &Path,
    attempt: u32,
) -> Result<Launched, (NotStarted, Timestamp)> {
    let mut why = match start(shared, resources, subject, container, container_dir, attempt).await {
        Ok(launched) => return Ok(launched),
        Err(why) => why,
    };
    let at = Timestamp::now();
    if why.reason.retry() == Retry::Restart {
        let known = Attempt { ended: Some(Termination::not_started(why.clone(), at)), ..Attempt::default() };
        if let Err(error) = note(container_dir, attempt, known).await {
            why = not_noted(error);
        }
    }
    Err((why, at))
}

async fn start(
    shared: &Shared,
    resources: &Resources,
    subject: &Subject,
    container: &core::Container,
    container_dir: &Path,
    attempt: u32,
) -> Result<Launched, NotStarted> {
    let image = pull(shared, resources, subject, container).await?;
    let memory_limit_bytes = memory_limit(container)?;
    let http = http::access(&resources.pod(), &container.name)?;
    for note in http.notes {
        shared.events.warning(&pod_of(resources), "PathOfOriginIgnored", note);
    }
    let listens = Listens::of(&image.module, container);
    let address = address(shared, resources, listens.is_some()).await;
    let built = resources.environment(container, address).await?;
    for note in built.skipped {
        shared.events.warning(&pod_of(resources), "InvalidEnvironmentVariableNames", note);
    }
    let env = built.environment;
    let mounted = resources.mounts(container, &env).await?;
    let place = Place::find(shared, resources, &http.access.name, container, listens.zip(address))?;
    let log = shared.logs.create(container_dir, attempt);
    let log = Arc::new(log.map_err(|error| NotStarted::from(error).context("cannot open the container's log"))?);
    let tail = Tail::wanted(container, log.clone());
    let output: Arc<dyn LogSink> = match &tail {
        Some(tail) => tail.clone(),
        None => log.clone(),
    };
    let mut spec = RunSpec::new(output);
    spec.args = command::arguments(&image.program, container, &env);
    spec.env = env;
    spec.memory_limit_bytes = memory_limit_bytes;
    spec.open_resources = share::open_resources(files::open_files_limit(), containers(&resources.pod()).count());
    spec.mounts = mounted.mounts;
    spec.tenant = tenant(&resources.pod());
    spec.http = http.access;
    spec.access_log = http.access_log;
    spec.http.discovery = shared.service_names.of(&resources.pod(), &shared.events, subject);
    shared.events.normal(subject, "Created", "Container created".into());
    let uid = resources.pod().metadata.uid.clone().unwrap_or_default();
    let (at, container_id) = (Timestamp::now(), format!("wasmtime://{uid}_{}_{attempt}", container.name));
    let (started_at, id) = (Some(at), Some(container_id.clone()));
    let begun = Attempt { image_id: image.id.clone(), container_id: id, started_at, ended: None };
    note(container_dir, attempt, begun).await.map_err(not_noted)?;
    let (guest, server) = match begin(shared, &image, spec, place).map_err(not_started) {
        Ok(begun) => begun,
        Err(error) => {
            // Should this fail, and the agent end before the next try, the attempt counts as one that may have run.
            let _ = Attempt::take_back(container_dir, attempt);
            return Err(error);
        }
    };
    shared.events.normal(subject, "Started", "Container started".into());
    let held = Box::new((image.held, mounted.held));
    Ok(Launched { container: guest, log, image_id: image.id, container_id, at, tail, server, held })
}

/// Writes down what is known of an attempt.
///
/// # Errors
/// Any I/O error.
pub async fn note(container_dir: &Path, attempt: u32, known: Attempt) -> io::Result<()> {
    let dir = container_dir.to_path_buf();
    let written = tokio::task::spawn_blocking(move || known.write(&dir, attempt)).await;
    written.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn not_noted(error: io::Error) -> NotStarted {
    NotStarted::from(error).context("cannot note on disk that the container is started")
}

/// What the pod's author has wrong is the end of the attempt; what the host has not is to be tried again.
fn not_started(error: RuntimeError) -> NotStarted {
    let message = error.to_string();
    match error {
        RuntimeError::Mount { .. } | RuntimeError::Engine(_) => {
            NotStarted::host(message).context("cannot start the container")
        }
        _ => NotStarted::new(Reason::StartError, message),
    }
}

/// The address of a pod with a container that listens.
async fn address(shared: &Shared, resources: &Resources, serves: bool) -> Option<IpAddr> {
    if !serves {
        return None;
    }
    let (address, why) = shared.addresses.take(&resources.pod()).await;
    if let Some(why) = why {
        let note = format!("it has the address of the node, where a port is one container's alone: {why}");
        tracing::warn!(pod = %resources, "{note}");
        shared.events.warning(&pod_of(resources), "NoPodAddress", note);
    }
    Some(address)
}

async fn pull(
    shared: &Shared,
    resources: &Resources,
    subject: &Subject,
    container: &core::Container,
) -> Result<Image, NotStarted> {
    let (pull_secrets, missing) = resources.pull_secrets().await;
    if !missing.is_empty() {
        let names = missing.join(", ");
        let note = format!(
            "Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
        );
        shared.events.warning(&pod_of(resources), "FailedToRetrieveImagePullSecret", note);
    }
    let name = container.image.as_deref().unwrap_or_default();
    let pod = resources.pod();
    let request = Request {
        tenant: pod.metadata.namespace.as_deref().unwrap_or_default(),
        on_wait: Some(&|wait| tell_wait(shared, subject, name, wait)),
        name,
        policy: container.image_pull_policy.as_deref(),
        pull_secrets: &pull_secrets,
    };
    let image = shared.images.ready(&request).await?;
    if image.fetched.is_some() {
        // Only now is it known that there was something to pull.
        shared.events.normal(subject, "Pulling", format!("Pulling image {name:?}"));
    }
    shared.events.normal(subject, "Pulled", pulled_note(name, &image));
    Ok(image)
}

/// Others are before it: that may take a while, and is no fault of the module's.
fn tell_wait(shared: &Shared, subject: &Subject, image: &str, wait: Wait) {
    let note = match wait {
        Wait::Fetching => format!("Image {image:?} waits for its turn to be fetched: this node fetches others"),
        Wait::Compiling => format!("Image {image:?} waits for its turn to be compiled: this node compiles others"),
    };
    shared.events.normal(subject, "Waiting", note);
}

/// Whose files it opens, where there may be files that no guest could have made: in folders of the host, or brought from there by another
/// container of the pod.
fn tenant(pod: &core::Pod) -> Option<String> {
    let mut volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.any(|volume| volume.host_path.is_some()).then(|| pod.metadata.namespace.clone().unwrap_or_default())
}

fn pod_of(resources: &Resources) -> Subject {
    let meta = &resources.pod().metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Subject::pod(&text(&meta.namespace), &text(&meta.name), &text(&meta.uid))
}

/// How an attempt ended, in Kubernetes' words.
pub fn termination(status: ExitStatus, started_at: Timestamp, container_id: String) -> Termination {
    let by_code = if status.code == 0 { "Completed" } else { "Error" };
    let (exit_code, reason, message) = match status.reason {
        Exit::Exited | Exit::Stopped => (status.code, by_code, None),
        Exit::Trapped(why) => (status.code, "Error", Some(why)),
        Exit::OutOfMemory(why) => (OUT_OF_MEMORY_CODE, "OOMKilled", Some(why)),
    };
    Termination {
        exit_code,
        reason: reason.into(),
        message,
        started_at: Some(started_at),
        finished_at: Timestamp::now(),
        container_id: Some(container_id),
    }
}

fn pulled_note(name: &str, image: &Image) -> String {
    match &image.fetched {
        None => format!("Container image {name:?} already present on machine and can be accessed by the pod"),
        Some(fetched) => {
            format!(
                "Successfully pulled image {name:?} in {} ms. Image size: {} bytes.",
                fetched.took.as_millis(),
                fetched.bytes
            )
        }
    }
}

/// `resources.limits.memory` in bytes.
pub fn memory_limit(container: &core::Container) -> Result<Option<u64>, NotStarted> {
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let Some(limit) = limits.and_then(|limits| limits.get("memory")) else { return Ok(None) };
    let bytes = quantity::bytes(&limit.0);
    let none = || NotStarted::config(format!("resources.limits.memory: {:?} is no quantity", limit.0));
    bytes.map(Some).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ends_in_kubernetes_words() {
        let table = [
            (0, Exit::Exited, 0, "Completed", None),
            (3, Exit::Exited, 3, "Error", None),
            (134, Exit::Trapped("unreachable".into()), 134, "Error", Some("unreachable")),
            (134, Exit::OutOfMemory("limit".into()), 137, "OOMKilled", Some("limit")),
            (137, Exit::Stopped, 137, "Error", None),
        ];
        for (code, reason, wanted_code, wanted_reason, message) in table {
            let status = ExitStatus { code, reason };
            let termination = termination(status, Timestamp::UNIX_EPOCH, "id".into());
            assert_eq!((termination.exit_code, termination.reason.as_str()), (wanted_code, wanted_reason));
            assert_eq!(termination.message.as_deref(), message);
            assert_eq!(termination.container_id.as_deref(), Some("id"));
        }
    }

    #[test]
    fn what_the_host_lacks_is_no_end() {
        let mount = RuntimeError::Mount { host: "/d".into(), guest: "/d".into(), reason: "Too many open files".into() };
        for (error, reason) in [
            (mount, Reason::CreateContainerError),
            (RuntimeError::Engine("no thread".into()), Reason::CreateContainerError),
            (RuntimeError::Spec("NUL".into()), Reason::StartError),
            (RuntimeError::NoStart, Reason::StartError),
        ] {
            let why = not_started(error);
            assert_eq!(why.reason, reason, "{why}");
        }
    }

    #[test]
    fn memory_limits() {
        let limit = |text: &str| {
            let container = json!({ "name": "c", "resources": { "limits": { "memory": text } } });
            memory_limit(&serde_json::from_value(container).unwrap())
        };
        assert_eq!(limit("64Mi"), Ok(Some(64 << 20)));
        assert!(limit("much").unwrap_err().message.contains("\"much\" is no quantity"));
        assert_eq!(memory_limit(&core::Container::default()), Ok(None));
    }
}
