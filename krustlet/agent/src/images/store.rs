//! Modules on disk, by digest: two names of one digest are one file, and a name that moved is seen.
//!
//! ```text
//! .oci/blobs/sha256/<hex>       the module itself, named by the digest of its bytes
//! .oci/manifests/<hex>.json     which blob a manifest digest stands for
//! .oci/names/<hex>.json         which manifest digest a name meant when it was last asked for; <hex> is the name's hash
//! ```

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files;

/// The content store. All methods do blocking I/O.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    blob: String,
    media_type: String,
}

#[derive(Serialize, Deserialize)]
struct Name {
    name: String,
    digest: String,
}

impl Store {
    /// The store in the agent's data folder.
    pub fn new(data_dir: &Path) -> Self {
        Self { root: data_dir.join(".oci") }
    }

    /// Keeps a module under its manifest's digest (`sha256:…`).
    ///
    /// # Errors
    /// Any I/O error.
    pub fn put(&self, digest: &str, media_type: &str, bytes: &[u8]) -> io::Result<()> {
        let blob = hex_sha256(bytes);
        files::write_private(&self.blob(&blob), bytes)?;
        write_json(&self.manifest(digest)?, &Manifest { blob, media_type: media_type.into() })
    }

    /// The module of a manifest digest. One whose bytes are not what they were when they came is dropped and counts as absent.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn load(&self, digest: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(manifest) = read_json::<Manifest>(&self.manifest(digest)?)? else { return Ok(None) };
        let path = self.blob(&manifest.blob);
        let Some(bytes) = files::read_optional(&path)? else { return Ok(None) };
        if hex_sha256(&bytes) == manifest.blob {
            return Ok(Some(bytes));
        }
        tracing::warn!(digest, "a stored module is damaged and will be fetched again");
        std::fs::remove_file(&path)?;
        Ok(None)
    }

    /// Remembers what `name` means.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn set_name(&self, name: &str, digest: &str) -> io::Result<()> {
        write_json(&self.name(name), &Name { name: name.into(), digest: digest.into() })
    }

    /// The manifest digest that `name` meant when it was last asked for.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn digest_of(&self, name: &str) -> io::Result<Option<String>> {
        Ok(read_json::<Name>(&self.name(name))?.map(|entry| entry.digest))
    }

    fn blob(&self, hex: &str) -> PathBuf {
        self.root.join("blobs/sha256").join(hex)
    }

    fn manifest(&self, digest: &str) -> io::Result<PathBuf> {
        // The digest comes from a registry: nothing but hexadecimal digits may become a path.
        match digest.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(self.root.join("manifests").join(format!("{hex}.json")))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{digest:?} is no sha256 digest"))),
        }
    }

    fn name(&self, name: &str) -> PathBuf {
        self.root.join("names").join(format!("{}.json", hex_sha256(name.as_bytes())))
    }
}

/// SHA-256 in hexadecimal digits.
pub fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    files::write_private(path, &serde_json::to_vec(value)?)
}

/// What cannot be parsed counts as absent: it is only a cache.
fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    Ok(files::read_optional(path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(c: char) -> String {
        format!("sha256:{}", c.to_string().repeat(64))
    }

    #[test]
    fn two_digests_of_the_same_bytes_are_one_file() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        store.put(&digest('a'), "application/wasm", b"module").unwrap();
        store.put(&digest('b'), "application/wasm", b"module").unwrap();
        assert_eq!(store.load(&digest('a')).unwrap().unwrap(), b"module");
        assert_eq!(store.load(&digest('b')).unwrap().unwrap(), b"module");
        assert_eq!(store.load(&digest('c')).unwrap(), None);
        assert_eq!(std::fs::read_dir(root.path().join(".oci/blobs/sha256")).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        store.put(&digest('a'), "application/wasm", b"module").unwrap();
        std::fs::write(store.blob(&hex_sha256(b"module")), b"evil").unwrap();
        assert_eq!(store.load(&digest('a')).unwrap(), None);
        assert!(!store.blob(&hex_sha256(b"module")).exists());
    }

    #[test]
    fn names_can_move() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        assert_eq!(store.digest_of("r/a:v1").unwrap(), None);
        store.set_name("r/a:v1", &digest('a')).unwrap();
        store.set_name("r/a:v1", &digest('b')).unwrap();
        assert_eq!(store.digest_of("r/a:v1").unwrap(), Some(digest('b')));
    }

    #[test]
    fn a_digest_cannot_leave_the_store() {
        let store = Store::new(Path::new("/nowhere"));
        for bad in ["sha256:../../etc/passwd", "sha512:00", "", "sha256:zz"] {
            assert!(store.load(bad).is_err(), "{bad}");
        }
    }
}
