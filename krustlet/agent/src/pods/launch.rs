//! Starting a container: environment, module, log, guest. The only place where a pod meets registry and runtime.

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::jiff::Timestamp;
use krustlet_runtime::{Container, Exit, ExitStatus, RunSpec};

use super::command;
use super::events::{Events, Subject};
use super::machine::Termination;
use crate::images::{Image, ImageError, Images};
use crate::logs::ContainerLog;
use crate::quantity;

/// The kubelet's code for a container that could not be started.
const START_ERROR_CODE: i32 = 128;

/// A guest that runs.
pub struct Launched {
    /// The guest. When the last handle goes, it is stopped.
    pub container: Container,
    /// Where it writes.
    pub log: Arc<ContainerLog>,
    /// `registry/repository@sha256:…`
    pub image_id: String,
    /// When it was started.
    pub at: Timestamp,
}

/// Why there is none.
#[derive(Debug)]
pub enum LaunchError {
    /// Reason and message; to be tried again.
    Pull(&'static str, String),
    /// The spec names what is not there; to be looked at again.
    Config(String),
    /// The module came, but cannot run: the end of this attempt.
    Start(String),
}

impl LaunchError {
    /// The end of an attempt that never began.
    pub fn termination(message: String) -> Termination {
        Termination {
            exit_code: START_ERROR_CODE,
            reason: "StartError".into(),
            message: Some(message),
            started_at: None,
            finished_at: Timestamp::now(),
            container_id: None,
        }
    }
}

/// Makes everything ready and starts the guest. `container_dir` is the folder of its logs.
///
/// # Errors
/// See [`LaunchError`].
pub async fn launch(
    images: &Images,
    events: &Events,
    subject: &Subject,
    container: &core::Container,
    container_dir: &Path,
    attempt: u32,
) -> Result<Launched, LaunchError> {
    let env = command::environment(container).map_err(LaunchError::Config)?;
    let memory_limit_bytes = memory_limit(container).map_err(LaunchError::Config)?;
    let name = container.image.as_deref().unwrap_or_default();
    let image = images.ready(name, container.image_pull_policy.as_deref()).await.map_err(pull_error)?;
    events.normal(subject, "Pulled", pulled_note(name, &image));
    let log = ContainerLog::create(container_dir, attempt);
    let log = Arc::new(log.map_err(|error| LaunchError::Start(format!("cannot open the container's log: {error}")))?);
    let mut spec = RunSpec::new(log.clone());
    spec.args = command::arguments(&image.program, container, &env);
    spec.env = env;
    spec.memory_limit_bytes = memory_limit_bytes;
    events.normal(subject, "Created", format!("Created container {}", container.name));
    let at = Timestamp::now();
    let guest = images.engine().start(&image.module, spec).map_err(|error| LaunchError::Start(error.to_string()))?;
    events.normal(subject, "Started", format!("Started container {}", container.name));
    Ok(Launched { container: guest, log, image_id: image.id, at })
}

/// How an attempt ended, in Kubernetes' words.
pub fn termination(status: ExitStatus, started_at: Timestamp, container_id: String) -> Termination {
    let message = match status.reason {
        Exit::Exited => None,
        Exit::Trapped(why) => Some(why),
        Exit::Stopped => Some("stopped by the node agent".into()),
    };
    Termination {
        exit_code: status.code,
        reason: if status.code == 0 { "Completed" } else { "Error" }.into(),
        message,
        started_at: Some(started_at),
        finished_at: Timestamp::now(),
        container_id: Some(container_id),
    }
}

fn pull_error(error: ImageError) -> LaunchError {
    let message = error.to_string();
    match error {
        ImageError::InvalidName(_) => LaunchError::Pull("InvalidImageName", message),
        ImageError::NeverPull(_) => LaunchError::Pull("ErrImageNeverPull", message),
        ImageError::Pull(_) => LaunchError::Pull("ErrImagePull", message),
        ImageError::Unusable(_) => LaunchError::Start(message),
    }
}

fn pulled_note(name: &str, image: &Image) -> String {
    match &image.fetched {
        None => format!("Container image {name:?} already present on machine"),
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
fn memory_limit(container: &core::Container) -> Result<Option<u64>, String> {
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let Some(limit) = limits.and_then(|limits| limits.get("memory")) else { return Ok(None) };
    let bytes = quantity::bytes(&limit.0);
    bytes.map(Some).ok_or_else(|| format!("resources.limits.memory: {:?} is no quantity", limit.0))
}
