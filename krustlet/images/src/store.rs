//! Modules on disk, by digest: two names of one digest are one file, and a name that moved is seen.
//!
//! ```text
//! .oci/blobs/sha256/<hex>       the module itself, named by the digest of its bytes; changed last when it was used last
//! .oci/manifests/<hex>.json     which blob a manifest digest stands for, and where it was found by whom
//! .oci/names/<hex>.json         which manifest digest a name meant when it was last asked for; <hex> is the name's hash
//! .oci/incoming/                what is still coming
//! ```
//!
//! The folder belongs to one agent, which reads it once, when it starts. Files 0600, folders 0700.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use krustlet_host::files;
use krustlet_oci::Reference;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::collect::{self, Limits};
use super::index::{self, Blob, Index, Stored, StoredImage};

/// The content store. Clones are the same store. Methods that say so do blocking I/O.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    index: Mutex<Index>,
    /// Held while small files are written or swept, so that the two never meet.
    writing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
struct Name {
    name: String,
    digest: String,
}

/// A file that is being filled. It goes when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    /// To be written to.
    pub file: File,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Best effort: it is swept at the next start, too. After `keep` there is nothing under this name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Keeps a module from being collected for as long as it, or a clone of it, lives.
#[derive(Clone, Debug)]
pub struct Held(#[expect(dead_code, reason = "it works by being dropped")] Arc<Use>);

#[derive(Debug)]
struct Use {
    store: Store,
    blob: String,
}

impl Drop for Use {
    fn drop(&mut self) {
        self.store.let_go(&self.blob);
    }
}

impl Store {
    /// The store in the agent's data folder; sweeps out what a killed agent left half done. Blocking.
    pub fn open(data_dir: &Path) -> Self {
        let root = data_dir.join(".oci");
        let index = Index::default();
        let store = Self(Arc::new(Inner { root, index: Mutex::new(index), writing: Mutex::default() }));
        if let Err(error) = store.load_index() {
            tracing::warn!("the module store cannot be read, and counts as empty: {error}");
        }
        store
    }

    /// A new file for a module that is coming. Blocking.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn incoming(&self) -> io::Result<Incoming> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = self.0.root.join("incoming");
        files::private_dir(&folder)?;
        let path = folder.join(format!("{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Incoming { path, file })
    }

    /// Keeps a module that has come whole and was verified. Blocking.
    ///
    /// # Errors
    /// Any I/O error; the module is not kept then.
    pub fn keep(&self, incoming: Incoming, blob: &str) -> io::Result<()> {
        let path = self.blob(blob)?;
        let folder = path.parent().unwrap_or(&self.0.root);
        files::private_dir(folder)?;
        incoming.file.sync_all()?;
        let size = incoming.file.metadata()?.len();
        fs::rename(&incoming.path, &path)?;
        // The name itself must outlive a power cut, too.
        File::open(folder)?.sync_all()?;
        self.index().blobs.insert(blob.into(), Blob { size, used: SystemTime::now() });
        Ok(())
    }

    /// The bytes of a module. One whose bytes are not what its name says is dropped and counts as absent. Blocking.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn load(&self, blob: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.blob(blob)?;
        let bytes = files::read_optional(&path)?;
        if bytes.as_ref().is_some_and(|bytes| format!("sha256:{}", hex_sha256(bytes)) == blob) {
            return Ok(bytes);
        }
        let mut index = self.index();
        if bytes.is_some() {
            tracing::warn!(blob, "a stored module is damaged and will be fetched again");
            fs::remove_file(&path)?;
        }
        index.blobs.remove(blob);
        Ok(None)
    }

    /// The file of a module, which may not be there.
    ///
    /// # Errors
    /// It is no digest.
    pub fn path(&self, blob: &str) -> io::Result<PathBuf> {
        self.blob(blob)
    }

    /// Remembers what a name means, and who has found it, if it is news. Blocking.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn remember(&self, reference: &Reference, stored: &Stored, credential: &str) -> io::Result<()> {
        let _writing = lock(&self.0.writing);
        let (known, named) = {
            let index = self.index();
            (index.manifests.get(&stored.digest).cloned(), index.names.get(&reference.to_string()).cloned())
        };
        let mut manifest = known.clone().unwrap_or_default();
        manifest.blob.clone_from(&stored.blob);
        manifest.note(index::repository(reference), credential);
        if known.as_ref() != Some(&manifest) {
            write_json(&self.manifest(&stored.digest)?, &manifest)?;
            self.index().manifests.insert(stored.digest.clone(), manifest);
        }
        if reference.digest().is_none() && named.as_ref() != Some(&stored.digest) {
            let name = Name { name: reference.to_string(), digest: stored.digest.clone() };
            write_json(&self.name(&name.name), &name)?;
            self.index().names.insert(name.name, name.digest);
        }
        Ok(())
    }

    /// See [`Index::stored`].
    pub fn stored(&self, reference: &Reference, credential: &str) -> Option<Stored> {
        self.index().stored(reference, credential)
    }

    /// See [`Index::found`].
    pub fn found(&self, reference: &Reference, digest: &str) -> Option<Stored> {
        self.index().found(reference, digest)
    }

    /// See [`Index::came_from`].
    pub fn came_from(&self, registry: &str, blob: &str) -> bool {
        self.index().came_from(registry, blob)
    }

    /// See [`Index::inventory`].
    pub fn inventory(&self) -> Vec<StoredImage> {
        self.index().inventory()
    }

    /// Keeps a module, which may still be coming, from being collected.
    pub fn hold(&self, blob: &str) -> Held {
        *self.index().uses.entry(blob.into()).or_default() += 1;
        Held(Arc::new(Use { store: self.clone(), blob: blob.into() }))
    }

    /// Removes modules that are unused for too long or are too much; how many, and their bytes. Blocking.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn collect(&self, limits: &Limits, now: SystemTime) -> io::Result<(usize, u64)> {
        let _writing = lock(&self.0.writing);
        let (mut count, mut bytes) = (0, 0);
        {
            // Under the lock to the last file: nobody can begin to use what is about to go.
            let mut index = self.index();
            for digest in collect::doomed(index.candidates(now), limits) {
                remove(&self.blob(&digest)?)?;
                count += 1;
                bytes += index.blobs.remove(&digest).map_or(0, |blob| blob.size);
            }
            let used: Vec<_> = index.uses.keys().cloned().collect();
            for digest in used {
                self.touch(&mut index, &digest, now);
            }
        }
        let (manifests, names) = self.index().sweep();
        for digest in manifests {
            remove(&self.manifest(&digest)?)?;
        }
        for name in names {
            remove(&self.name(&name))?;
        }
        Ok((count, bytes))
    }

    fn let_go(&self, blob: &str) {
        let mut index = self.index();
        let left = index.uses.get_mut(blob).map_or(0, |uses| {
            *uses -= 1;
            *uses
        });
        if left == 0 {
            index.uses.remove(blob);
            self.touch(&mut index, blob, SystemTime::now());
        }
    }

    /// Writes down that a module was used: on disk, too, where it outlives the agent.
    fn touch(&self, index: &mut Index, digest: &str, now: SystemTime) {
        let Some(blob) = index.blobs.get_mut(digest) else { return };
        blob.used = now;
        let touched = self.blob(digest).and_then(File::open).and_then(|file| file.set_modified(now));
        if let Err(error) = touched {
            tracing::debug!(digest, "the time of a module's last use cannot be kept: {error}");
        }
    }

    fn load_index(&self) -> io::Result<()> {
        let root = &self.0.root;
        files::remove_tree(&root.join("incoming"))?;
        let mut index = Index::default();
        for path in entries(&root.join("blobs/sha256"))? {
            let digest = format!("sha256:{}", file_name(&path));
            let metadata = fs::metadata(&path)?;
            if self.blob(&digest).is_ok() && metadata.is_file() {
                index.blobs.insert(digest, Blob { size: metadata.len(), used: metadata.modified()? });
            }
        }
        for path in entries(&root.join("manifests"))? {
            if let (Some(hex), Some(manifest)) = (file_name(&path).strip_suffix(".json"), read_json(&path)?) {
                index.manifests.insert(format!("sha256:{hex}"), manifest);
            }
        }
        for path in entries(&root.join("names"))? {
            if let Some(Name { name, digest }) = read_json(&path)? {
                index.names.insert(name, digest);
            }
        }
        *self.index() = index;
        Ok(())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.0.index)
    }

    fn blob(&self, digest: &str) -> io::Result<PathBuf> {
        Ok(self.0.root.join("blobs/sha256").join(hex(digest)?))
    }

    fn manifest(&self, digest: &str) -> io::Result<PathBuf> {
        Ok(self.0.root.join("manifests").join(format!("{}.json", hex(digest)?)))
    }

    fn name(&self, name: &str) -> PathBuf {
        self.0.root.join("names").join(format!("{}.json", hex_sha256(name.as_bytes())))
    }
}

/// A digest comes from a registry: nothing but hexadecimal digits may become a path.
fn hex(digest: &str) -> io::Result<&str> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(hex),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, format!("{digest:?} is no sha256 digest"))),
    }
}

/// SHA-256 in hexadecimal digits.
pub fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A panic of another thread leaves at worst a use that is counted for ever.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The files of a folder, without those that were never finished: those are removed.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in found {
        let path = entry?.path();
        match file_name(&path).starts_with('.') {
            true => remove(&path)?,
            false => paths.push(path),
        }
    }
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    files::write_private(path, &serde_json::to_vec(value)?)
}

/// What cannot be parsed counts as absent: it is only a cache.
fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    Ok(files::read_optional(path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
