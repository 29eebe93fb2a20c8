//! Credential helpers: programs that keep logins (<https://github.com/docker/docker-credential-helpers#usage>).
//!
//! Which one is asked is what the docker config file of this machine says; nothing else may name a program.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::auth::keyring;
use crate::auth::login::Who;
use crate::error::words;

/// How long a helper may take: some ask a cloud, none asks a person.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// How long an answer is kept, so that a node that starts many pods does not start as many helpers.
const KEPT: Duration = Duration::from_secs(60);

/// How long it is kept that a helper failed.
const FAILURE_KEPT: Duration = Duration::from_secs(10);

/// The most that is read of an answer, in bytes. A key of a service account has some 2500.
const ANSWER_LIMIT: u64 = 1 << 20;

/// What every helper says when it has no login, with exit code 1.
const NOT_FOUND: &str = "credentials not found";

/// Asks helpers, and keeps what they said for a while. Who asks for the same at the same time waits for one answer.
pub(crate) struct Helpers {
    limit: Duration,
    /// Where the programs are; `None`: on this process's own PATH.
    path: Option<OsString>,
    slots: Mutex<HashMap<(String, String), Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

struct Kept {
    answer: Result<Option<Who>, String>,
    until: Instant,
}

impl Helpers {
    pub(crate) fn new(limit: Duration, path: Option<OsString>) -> Self {
        Self { limit, path, slots: Mutex::default() }
    }

    /// The login that `docker-credential-<name>` holds for a server, if it holds one.
    ///
    /// # Errors
    /// What is wrong with the helper, without anything that it may have kept.
    pub(crate) async fn get(&self, name: &str, server: &str) -> Result<Option<Who>, String> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry((name.to_owned(), server.to_owned())).or_default().clone()
        };
        let mut kept = slot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.until) {
            return kept.answer.clone();
        }
        let answer = match timeout(self.limit, run(name, server, self.path.as_deref())).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("it gave no answer within {} s", self.limit.as_secs())),
        };
        let lifetime = if answer.is_ok() { KEPT } else { FAILURE_KEPT };
        *kept = Some(Kept { answer: answer.clone(), until: Instant::now() + lifetime });
        answer
    }
}

/// Ends a helper with all that it has started, unless it ended by itself.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may be over by now, which is as good.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

async fn run(name: &str, server: &str, path: Option<&OsStr>) -> Result<Option<Who>, String> {
    let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if !named {
        return Err("its name may have letters, digits, '.', '_' and '-', and nothing else".into());
    }
    let mut child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .envs(path.map(|path| ("PATH", path)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => "there is no such program on PATH".to_owned(),
            _ => format!("it cannot be started: {error}"),
        })?;
    let mut group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ask = async {
        if let Some(mut stdin) = stdin {
            // One that does not read its input says more by its answer.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
    };
    let ((), out, err) = tokio::join!(ask, read(stdout), read(stderr));
    let status = child.wait().await.map_err(|error| error.to_string())?;
    group.0 = None;
    login(status.success(), &out?, &err?)
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(ANSWER_LIMIT + 1).read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
    }
    match bytes.len() as u64 > ANSWER_LIMIT {
        true => Err(format!("it said more than {ANSWER_LIMIT} bytes")),
        false => Ok(bytes),
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    user: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

/// What a helper's end means.
fn login(success: bool, stdout: &[u8], stderr: &[u8]) -> Result<Option<Who>, String> {
    if success {
        // Not serde's own message: it may repeat a value.
        let answer: Answer =
            serde_json::from_slice(stdout).map_err(|_| "its answer is not JSON with Username and Secret".to_owned())?;
        return Ok((!answer.secret.is_empty()).then(|| keyring::who(answer.user, answer.secret)));
    }
    // Helpers say on standard output why they failed.
    let said = [stdout, stderr].into_iter().map(first_line).find(|line| !line.is_empty()).unwrap_or_default();
    match said.as_str() {
        said if said.contains(NOT_FOUND) => Ok(None),
        "" => Err("it failed without a word".into()),
        // Whatever has the form of an answer may have a secret in it.
        said if said.contains(['{', '}']) => Err("it failed".into()),
        said => Err(format!("it says: {said}")),
    }
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    words(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

#[cfg(test)]
#[path = "helper_tests.rs"]
mod tests;
