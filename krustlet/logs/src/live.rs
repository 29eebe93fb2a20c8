//! What the writer and the readers of an attempt share while both are there.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use super::files::{self, Limits};
use super::{ContainerLog, Query};

/// Folder of a container, and number of an attempt.
type Attempt = (PathBuf, u32);

/// The logs of this agent's containers. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    limits: Limits,
    live: Arc<Mutex<HashMap<Attempt, Weak<Live>>>>,
}

/// An attempt whose log somebody writes or reads.
#[derive(Debug)]
pub struct Live {
    /// How often its files were rotated since this was made. Held while they are, and while a reader opens them: otherwise a
    /// name could come to mean another file in between.
    rotations: Mutex<u64>,
    /// Tells followers that there is more to read.
    news: watch::Sender<()>,
}

impl Logs {
    /// Logs that may get as large as `limits` say.
    pub fn new(limits: Limits) -> Self {
        Self { limits, live: Arc::default() }
    }

    /// Begins the log of `attempt`. Of earlier ones only the last is kept, for `kubectl logs --previous`.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn create(&self, container_dir: &Path, attempt: u32) -> io::Result<ContainerLog> {
        ContainerLog::create(container_dir, attempt, self.limits, self.live(container_dir, attempt))
    }

    /// The newest attempt that has a log, of those up to `attempt`.
    pub fn newest_until(&self, container_dir: &Path, attempt: u32) -> Option<u32> {
        files::newest_until(container_dir, attempt)
    }

    /// What all that write or read this attempt share.
    pub(super) fn live(&self, container_dir: &Path, attempt: u32) -> Arc<Live> {
        let mut all = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (container_dir.to_path_buf(), attempt);
        if let Some(live) = all.get(&key).and_then(Weak::upgrade) {
            return live;
        }
        all.retain(|_, live| live.strong_count() > 0);
        let live = Arc::new(Live { rotations: Mutex::new(0), news: watch::Sender::new(()) });
        all.insert(key, Arc::downgrade(&live));
        live
    }

    /// Reads a log. See `reader::stream`.
    ///
    /// # Errors
    /// When the attempt has no file, or it cannot be opened.
    pub async fn stream(
        &self,
        container_dir: PathBuf,
        attempt: u32,
        query: Query,
        progress: impl Fn() -> Option<super::Progress> + Send + 'static,
        changed: watch::Receiver<()>,
    ) -> io::Result<impl futures::Stream<Item = io::Result<bytes::Bytes>> + Send + 'static> {
        super::reader::stream(self.clone(), container_dir, attempt, query, progress, changed).await
    }
}

impl Live {
    /// To be called by the writer after it has written.
    pub fn tell(&self) {
        self.news.send_replace(());
    }

    /// Becomes changed with each [`tell`](Self::tell).
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Rotates the files, out of the readers' way.
    ///
    /// # Errors
    /// See [`files::rotate`].
    pub fn rotate(&self, container_dir: &Path, attempt: u32, max_files: u32) -> io::Result<File> {
        let mut rotations = self.rotations.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files::rotate(container_dir, attempt, max_files)?;
        *rotations += 1;
        Ok(file)
    }

    /// All files, the oldest first, and how often they had been rotated by then.
    ///
    /// # Errors
    /// See [`files::open_all`].
    pub fn open_all(&self, container_dir: &Path, attempt: u32) -> io::Result<(Vec<File>, u64)> {
        let rotations = self.rotations.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((files::open_all(container_dir, attempt)?, *rotations))
    }

    /// The files that have come since there had been `known` rotations, the oldest first, and how many there are now.
    ///
    /// # Errors
    /// See [`files::open_newest`].
    pub fn open_since(&self, container_dir: &Path, attempt: u32, known: u64) -> io::Result<(Vec<File>, u64)> {
        let rotations = self.rotations.lock().unwrap_or_else(PoisonError::into_inner);
        match *rotations - known {
            0 => Ok((Vec::new(), known)),
            more => Ok((files::open_newest(container_dir, attempt, more)?, *rotations)),
        }
    }

    /// How often the files were rotated.
    pub fn rotations(&self) -> u64 {
        *self.rotations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_at_an_attempt_shares_it_and_nothing_stays_behind() {
        let logs = Logs::default();
        let one = logs.live(Path::new("/a"), 1);
        assert!(Arc::ptr_eq(&one, &logs.clone().live(Path::new("/a"), 1)));
        assert!(!Arc::ptr_eq(&one, &logs.live(Path::new("/a"), 2)));
        drop(one);
        let _other = logs.live(Path::new("/b"), 1);
        assert_eq!(logs.live.lock().unwrap().len(), 1);
    }
}
