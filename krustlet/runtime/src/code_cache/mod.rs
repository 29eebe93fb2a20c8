//! Machine code on the local disk, so that a program which was compiled once need not be compiled again.
//!
//! Wasmtime has a cache of its own, which reads and runs whatever it finds under the right name. Here it is given a folder
//! that is private and empty: an entry is laid there only for the moment of one compilation, by this process, after its
//! checksum was verified in memory; and what Wasmtime leaves there after it had to compile is taken away to the real store.
//! Loading machine code by Wasmtime's own interface instead would take `unsafe`, and nobody to verify the code first.
//! See `docs/decisions/0008-compiled-code-cache.md`.

mod entry;
mod folder;

use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wasmtime::{Cache, CacheConfig};

use self::entry::Entry;
use self::folder::Folder;
use crate::module::hex;

/// Entries that nobody has used for so long are removed: 30 days.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// All entries together: 512 MiB. Past that those go which have not been used for the longest time.
const MAX_BYTES: u64 = 512 << 20;

/// How long an entry may wait for who has it made, when all that nobody uses is to go.
const IN_DEMAND: Duration = Duration::from_secs(60);

/// Wasmtime compresses code before it writes it. The least level: code is written in a user's waiting time.
const COMPRESSION_LEVEL: i32 = 1;

/// The cache of one engine. Every failure of it costs time and nothing else.
pub(crate) struct CodeCache {
    folder: Folder,
    /// Where Wasmtime looks; it goes with this value.
    scratch: TempDir,
    wasmtime: Cache,
    /// Entries of one engine are of no use to another.
    engine: String,
    warned: AtomicBool,
}

impl CodeCache {
    /// Opens the folder, and makes it where it is not there; `None`, with a warning, where it cannot be used. To be bound to an
    /// engine which was configured with [`wasmtime`](Self::wasmtime).
    pub(crate) fn open(path: &Path) -> Option<Self> {
        match Self::try_open(path) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(
                    folder = %path.display(), %error,
                    "compiled code cannot be kept on disk; each program is compiled anew after a restart"
                );
                None
            }
        }
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        let folder = Folder::open(path)?;
        let scratch = folder.scratch()?;
        let mut config = CacheConfig::new();
        config
            .with_directory(scratch.path())
            .with_baseline_compression_level(COMPRESSION_LEVEL)
            // An entry that is used often would be compressed harder, in a place from where it is never taken.
            .with_optimized_compression_usage_counter_threshold(u64::MAX);
        let wasmtime = Cache::new(config).map_err(|error| io::Error::other(format!("{error:#}")))?;
        let cache = Self { folder, scratch, wasmtime, engine: String::new(), warned: AtomicBool::new(false) };
        cache.prune();
        Ok(cache)
    }

    /// What the engine is to be configured with.
    pub(crate) fn wasmtime(&self) -> Cache {
        self.wasmtime.clone()
    }

    /// Names the entries by the engine: the version of Wasmtime, its configuration, and what the processor can do.
    pub(crate) fn bind(&mut self, engine: &wasmtime::Engine) {
        let mut hasher = Sha256Hasher::default();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.engine = hex(&hasher.0.finalize()[..8]);
    }

    /// Whether there is an entry of this program, by the digest of its bytes in hexadecimal.
    pub(crate) fn holds(&self, digest: &str) -> bool {
        self.folder.holds(&self.name(digest))
    }

    /// Takes the entry of a program from the folder of another cache, where another process has left it.
    ///
    /// # Errors
    /// Any I/O error; there is no such entry.
    pub(crate) fn adopt(&self, folder: &Path, digest: &str) -> io::Result<()> {
        let name = self.name(digest);
        self.folder.adopt(folder, &name)?;
        self.prune();
        Ok(())
    }

    /// Makes a program of its machine code by `compile`, if that is here and sound.
    pub(crate) fn load<T, E>(&self, digest: &str, compile: impl FnOnce() -> Result<T, E>) -> Option<Result<T, E>> {
        let path = self.lay_out(&self.name(digest))?;
        let compiled = compile();
        let _ = std::fs::remove_file(path);
        Some(compiled)
    }

    fn name(&self, digest: &str) -> String {
        format!("{digest}-{}", self.engine)
    }

    /// Compiles a program by `compile`, with its machine code from the cache if it is there and sound, and keeps the code
    /// otherwise; `digest` is that of the program's bytes, in hexadecimal. Runs of different programs do not wait for each
    /// other; the same program is not to be compiled twice at the same time.
    pub(crate) fn around<T, E>(
        &self,
        digest: &str,
        compile: impl FnOnce() -> Result<T, E>,
        serialize: impl FnOnce(&T) -> wasmtime::Result<Vec<u8>>,
    ) -> Result<T, E> {
        let name = self.name(digest);
        let laid_out = self.lay_out(&name);
        let misses = self.wasmtime.cache_misses();
        let compiled = compile();
        // Wasmtime does not tell whose miss it was, so this may be another program's. It does no harm to look.
        if let Ok(compiled) = &compiled
            && (laid_out.is_none() || self.wasmtime.cache_misses() != misses)
            && let Err(error) = self.keep(&name, || serialize(compiled).map_err(io::Error::other))
        {
            self.warn_once(&error);
        }
        if let Some(path) = laid_out {
            let _ = std::fs::remove_file(path);
        }
        compiled
    }

    /// Lays a sound entry where Wasmtime will look for it.
    fn lay_out(&self, name: &str) -> Option<PathBuf> {
        let entry = match self.folder.read(name) {
            Ok(Some(entry)) => entry,
            Ok(None) => return None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(entry = name, %error, "dropped an entry of the compiled code cache");
                self.folder.remove(name);
                return None;
            }
            Err(error) => {
                self.warn_once(&error);
                return None;
            }
        };
        let path = self.scratch.path().join(&entry.path);
        match folder::write_private(&path, &entry.code) {
            Ok(()) => Some(path),
            Err(error) => {
                self.warn_once(&error);
                None
            }
        }
    }

    /// Takes away the file that Wasmtime made of this code. Others may be there, of programs that are compiled at the same
    /// time: only the content tells whose it is.
    fn keep(&self, name: &str, serialize: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<()> {
        let files = folder::files(self.scratch.path())?;
        // Wasmtime notes beside each file how often it was used.
        for notes in files.iter().filter(|path| path.extension().is_some_and(|suffix| suffix == "stats")) {
            let _ = std::fs::remove_file(notes);
        }
        let mut files = files.into_iter().filter(|path| path.extension().is_none()).peekable();
        if files.peek().is_none() {
            return Err(io::Error::other("Wasmtime could not write there"));
        }
        let serialized = serialize()?;
        let Some(path) = files.find(|path| entry::holds(path, &serialized).unwrap_or(false)) else {
            return Ok(());
        };
        let code = std::fs::read(&path)?;
        // Whatever comes next: Wasmtime is to find nothing that was not verified just before.
        std::fs::remove_file(&path)?;
        let relative = path.strip_prefix(self.scratch.path()).map_err(io::Error::other)?;
        self.folder.write(name, &Entry { path: relative.to_owned(), code })?;
        self.prune();
        Ok(())
    }

    /// Removes what is not of a program in use, by the digest of its bytes in hexadecimal: the disk is full.
    pub(crate) fn reclaim(&self, is_used: impl Fn(&str) -> bool) {
        let used = |name: &str| name.strip_suffix(&format!("-{}", self.engine)).is_some_and(&is_used);
        if let Err(error) = self.folder.prune(IN_DEMAND, u64::MAX, used) {
            tracing::warn!(folder = %self.folder.path().display(), %error, "unused machine code cannot be removed");
        }
    }

    fn prune(&self) {
        if let Err(error) = self.folder.prune(MAX_AGE, MAX_BYTES, |_| false) {
            self.warn_once(&error);
        }
    }

    fn warn_once(&self, error: &io::Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                folder = %self.folder.path().display(), %error,
                "compiled code cannot be kept on disk; this is said once"
            );
        }
    }

    #[cfg(test)]
    pub(crate) fn hits(&self) -> usize {
        self.wasmtime.cache_hits()
    }
}

#[derive(Default)]
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests;
