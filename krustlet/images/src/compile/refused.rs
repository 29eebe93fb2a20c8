//! Modules that are known not to compile, by digest: on disk, so that neither a new pod nor a new agent tries them again.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use krustlet_core::lifecycle::not_started::{NotStarted, Reason};
use krustlet_host::files;
use serde::{Deserialize, Serialize};

/// What took too much is tried again after so long: the machine may have been busy.
const AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);
/// More than this are not kept: the oldest go.
const MOST: usize = 200;

/// One that does not compile.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Refusal {
    message: String,
    /// It is no program that runs here, and will never be one; else it took too much.
    unusable: bool,
    at: SystemTime,
    /// Another engine may think otherwise.
    engine: String,
}

/// All of them.
pub struct Refused {
    folder: PathBuf,
    known: Mutex<HashMap<String, Refusal>>,
}

fn engine() -> String {
    format!("{} {}", env!("CARGO_PKG_VERSION"), wasmtime_environ::VERSION)
}

impl Refused {
    /// Those that the folder has. Blocking.
    pub fn open(folder: PathBuf) -> Self {
        let mut known = HashMap::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let read = files::read_optional(&path).ok().flatten();
            let refusal = read.and_then(|bytes| serde_json::from_slice::<Refusal>(&bytes).ok());
            match (path.file_stem().and_then(|hex| hex.to_str()), refusal) {
                (Some(hex), Some(refusal)) if refusal.engine == engine() => {
                    known.insert(format!("sha256:{hex}"), refusal);
                }
                _ => drop(files::remove_file(&path)),
            }
        }
        Self { folder, known: Mutex::new(known) }
    }

    /// Why this module is not to be compiled, if it is known.
    pub fn get(&self, digest: &str) -> Option<NotStarted> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = known.get(digest)?;
        if refusal.unusable {
            return Some(NotStarted::new(Reason::StartError, refusal.message.as_str()));
        }
        // A time in the future, by a clock that was set back, is as good as now.
        let fresh = SystemTime::now().duration_since(refusal.at).is_ok_and(|age| age < AGAIN_AFTER);
        fresh.then(|| NotStarted::host(refusal.message.as_str()))
    }

    /// Remembers one. Blocking.
    pub fn add(&self, digest: &str, error: &NotStarted) {
        let (message, unusable) = (error.message.clone(), error.reason == Reason::StartError);
        let refusal = Refusal { message, unusable, at: SystemTime::now(), engine: engine() };
        let written = serde_json::to_vec(&refusal).map_err(Into::into);
        let written = written.and_then(|bytes| files::write_private(&self.path(digest), &bytes));
        if let Err(error) = written {
            tracing::warn!("a module that does not compile cannot be remembered beyond this agent: {error}");
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(digest.into(), refusal);
        while known.len() > MOST
            && let Some(oldest) = known.iter().min_by_key(|(_, refusal)| refusal.at).map(|(digest, _)| digest.clone())
        {
            known.remove(&oldest);
            // At worst it is read again by the next agent.
            let _ = files::remove_file(&self.path(&oldest));
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{}.json", digest.strip_prefix("sha256:").unwrap_or(digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_outlive_the_agent_and_those_that_took_too_much_are_tried_again() {
        let root = tempfile::tempdir().unwrap();
        let refused = Refused::open(root.path().into());
        refused.add("sha256:aa", &NotStarted::new(Reason::StartError, "no program"));
        refused.add("sha256:bb", &NotStarted::host("too long"));
        let refused = Refused::open(root.path().into());
        assert_eq!(refused.get("sha256:aa"), Some(NotStarted::new(Reason::StartError, "no program")));
        assert_eq!(refused.get("sha256:bb"), Some(NotStarted::host("too long")));
        assert!(refused.get("sha256:cc").is_none());
        for refusal in refused.known.lock().unwrap().values_mut() {
            refusal.at -= AGAIN_AFTER;
        }
        assert!(refused.get("sha256:aa").is_some());
        assert!(refused.get("sha256:bb").is_none());
    }

    #[test]
    fn another_engine_tries_anew() {
        let root = tempfile::tempdir().unwrap();
        Refused::open(root.path().into()).add("sha256:aa", &NotStarted::new(Reason::StartError, "no program"));
        let path = root.path().join("aa.json");
        let text = fs::read_to_string(&path).unwrap().replace(&engine(), "0.0.0 1.0.0");
        fs::write(&path, text).unwrap();
        assert!(Refused::open(root.path().into()).get("sha256:aa").is_none());
        assert!(!path.exists());
    }

    #[test]
    fn they_are_not_endless() {
        let root = tempfile::tempdir().unwrap();
        let refused = Refused::open(root.path().into());
        for number in 0..MOST + 5 {
            refused.add(&format!("sha256:{number}"), &NotStarted::host("too long"));
        }
        assert_eq!((refused.known.lock().unwrap().len(), fs::read_dir(root.path()).unwrap().count()), (MOST, MOST));
    }
}
