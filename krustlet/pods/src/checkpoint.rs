//! What has happened to a pod, on this node's disk before the API server hears of it: that may be away when a container ends, and the
//! agent be killed before it is back.
//!
//! | file                               | what it holds                                     |
//! |------------------------------------|---------------------------------------------------|
//! | `<pod>/<container>/<attempt>.json` | an attempt: since when it runs, and how it ended  |
//! | `<pod>/.verdict.json`              | why the pod as a whole fails                      |
//!
//! A guest is started only when its attempt is on the disk: what is there without an end may have run.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;
use krustlet_core::lifecycle::course::Verdict;
use krustlet_core::lifecycle::termination::Termination;
use krustlet_host::files;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// No container has such a name.
const VERDICT: &str = ".verdict.json";
const SUFFIX: &str = ".json";

/// One attempt of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// `registry/repository@sha256:…`
    pub image_id: String,
    /// `wasmtime://…`
    pub container_id: Option<String>,
    /// Since when it runs.
    pub started_at: Option<Timestamp>,
    /// How it ended, if that was seen.
    pub ended: Option<Termination>,
}

/// The newest attempt of a container, and the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// The number of the newest one, from 0.
    pub number: u32,
    /// It.
    pub newest: Attempt,
    /// The one before, if there is one.
    pub before: Option<Attempt>,
}

/// All that is known of a pod from earlier agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Why it fails, if it does.
    pub verdict: Option<Verdict>,
    /// By the names of its containers: those that were started at least once.
    pub containers: HashMap<String, Attempts>,
}

impl Attempt {
    /// Notes the attempt of this number. Of earlier ones the last stays.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn write(&self, container_dir: &Path, number: u32) -> io::Result<()> {
        files::write_private(&path(container_dir, number), &serde_json::to_vec(self)?)?;
        for older in numbers(container_dir)?.into_iter().filter(|found| found.saturating_add(1) < number) {
            files::remove_file(&path(container_dir, older))?;
        }
        Ok(())
    }

    /// Takes back that there was this attempt: nothing of it has run.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn take_back(container_dir: &Path, number: u32) -> io::Result<()> {
        files::remove_file(&path(container_dir, number))
    }
}

impl Attempts {
    fn read(container_dir: &Path) -> io::Result<Option<Self>> {
        let Some(number) = numbers(container_dir)?.into_iter().max() else { return Ok(None) };
        let newest = read(&path(container_dir, number))?.unwrap_or_default();
        let before = match number.checked_sub(1) {
            Some(before) => read(&path(container_dir, before))?,
            None => None,
        };
        Ok(Some(Self { number, newest, before }))
    }
}

impl Checkpoint {
    /// Reads what there is in the folder of a pod with these containers.
    ///
    /// # Errors
    /// Any I/O error. What is not there is none.
    pub fn read(pod_dir: &Path, containers: &[String]) -> io::Result<Self> {
        let mut known = HashMap::new();
        for name in containers {
            if let Some(attempts) = Attempts::read(&pod_dir.join(name))? {
                known.insert(name.clone(), attempts);
            }
        }
        Ok(Self { verdict: read(&pod_dir.join(VERDICT))?, containers: known })
    }

    /// Whether an earlier agent has begun to run the pod.
    pub fn begun(&self) -> bool {
        !self.containers.is_empty() || self.verdict.is_some()
    }
}

/// Notes that the pod fails, and why.
///
/// # Errors
/// Any I/O error.
pub fn note(pod_dir: &Path, verdict: &Verdict) -> io::Result<()> {
    files::write_private(&pod_dir.join(VERDICT), &serde_json::to_vec(verdict)?)
}

fn path(container_dir: &Path, number: u32) -> PathBuf {
    container_dir.join(format!("{number}{SUFFIX}"))
}

/// The attempts that have a file, in no order.
fn numbers(container_dir: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(container_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<u32>().ok()));
    }
    Ok(numbers)
}

/// What cannot be understood was there all the same: of an attempt nothing is known then but that it began.
fn read<T: DeserializeOwned + Default>(path: &Path) -> io::Result<Option<T>> {
    let Some(bytes) = files::read_optional(path)? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!("{}: this checkpoint is damaged: {error}", path.display());
        T::default()
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(id: &str, code: Option<i32>) -> Attempt {
        let end = |exit_code| Termination {
            exit_code,
            reason: "Error".into(),
            message: Some("why".into()),
            started_at: Some(Timestamp::UNIX_EPOCH),
            finished_at: Timestamp::from_second(5).unwrap(),
            container_id: Some(id.into()),
        };
        Attempt {
            image_id: "registry/guest@sha256:00".into(),
            container_id: Some(id.into()),
            started_at: Some(Timestamp::UNIX_EPOCH),
            ended: code.map(end),
        }
    }

    #[test]
    fn the_last_two_attempts_are_read_as_they_were_written() {
        let root = tempfile::tempdir().unwrap();
        let names = ["main".to_string(), "side".to_string()];
        assert_eq!(Checkpoint::read(root.path(), &names).unwrap(), Checkpoint::default());
        let main = root.path().join("main");
        for number in 0..11 {
            attempt(&number.to_string(), None).write(&main, number).unwrap();
            attempt(&number.to_string(), Some(1)).write(&main, number).unwrap();
        }
        attempt("11", None).write(&main, 11).unwrap();
        let known = Checkpoint::read(root.path(), &names).unwrap();
        let wanted = Attempts { number: 11, newest: attempt("11", None), before: Some(attempt("10", Some(1))) };
        assert_eq!((known.containers.get("main"), known.containers.len()), (Some(&wanted), 1));
        assert_eq!(fs::read_dir(&main).unwrap().count(), 2);
        Attempt::take_back(&main, 11).unwrap();
        assert_eq!(Attempts::read(&main).unwrap().unwrap().number, 10);
    }

    #[test]
    fn a_verdict_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let verdict = Verdict { disruption: true, ..Verdict::over_limit("too big") };
        note(root.path(), &verdict).unwrap();
        let known = Checkpoint::read(root.path(), &[]).unwrap();
        assert!(known.begun());
        assert_eq!(known.verdict, Some(verdict));
    }

    #[test]
    fn of_a_damaged_attempt_it_is_known_that_it_began() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("3.json"), "{\"imag").unwrap();
        fs::write(root.path().join("9.log"), "").unwrap();
        let known = Attempts::read(root.path()).unwrap().unwrap();
        assert_eq!((known.number, known.newest), (3, Attempt::default()));
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_no_empty_one() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("main"), "").unwrap();
        assert!(Checkpoint::read(root.path(), &["main".into()]).is_err());
    }
}
