//! What the store has, in memory: so that a pod that starts, or a heartbeat, need not read a hundred small files.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use krustlet_oci::Reference;
use serde::{Deserialize, Serialize};

use super::collect::Candidate;

/// Everything by digest, `sha256:…`.
#[derive(Debug, Default)]
pub struct Index {
    /// The modules that are there whole.
    pub blobs: HashMap<String, Blob>,
    /// What manifests stand for.
    pub manifests: HashMap<String, Manifest>,
    /// What a name with a tag meant when it was last asked for: the digest of a manifest.
    pub names: HashMap<String, String>,
    /// How many have each module in use. It may not have come yet.
    pub uses: HashMap<String, usize>,
}

/// A module.
#[derive(Clone, Copy, Debug)]
pub struct Blob {
    /// In bytes.
    pub size: u64,
    /// When it came, or was last let go.
    pub used: SystemTime,
}

/// What a manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The digest of the module.
    pub blob: String,
    /// The repositories, as `registry/repository`, in which it was found, and by whom: credentials as [`Request::credential`] has them,
    /// the newest last.
    ///
    /// [`Request::credential`]: super::Request::credential
    #[serde(default)]
    pub repositories: BTreeMap<String, Vec<String>>,
}

/// So many credentials are remembered of one repository; some are new every few hours.
const CREDENTIALS: usize = 100;

impl Manifest {
    /// It was found in that repository by who shows this credential.
    pub fn note(&mut self, repository: String, credential: &str) {
        let known = self.repositories.entry(repository).or_default();
        if !is_among(known, credential) {
            known.push(credential.to_owned());
        }
        if known.len() > CREDENTIALS {
            known.remove(0);
        }
    }
}

/// Whether who shows this credential may have what these have found. What the node itself may have all pods may.
fn is_among(known: &[String], credential: &str) -> bool {
    known.iter().any(|known| known.is_empty() || known == credential)
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of the manifest.
    pub digest: String,
    /// Of the module.
    pub blob: String,
}

/// A module as `node.status.images` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// `repository@sha256:…` and `repository:tag`, with the registry before.
    pub names: Vec<String>,
    /// Size of the module in bytes.
    pub size_bytes: u64,
}

/// `registry/repository`.
pub fn repository(reference: &Reference) -> String {
    format!("{}/{}", reference.registry(), reference.repository())
}

impl Index {
    /// The module that a name stands for, if it is here and its registry has given it to this credential: a tag means what it meant
    /// last.
    pub fn stored(&self, reference: &Reference, credential: &str) -> Option<Stored> {
        let digest = match reference.digest() {
            Some(digest) => digest,
            None => self.names.get(&reference.to_string())?,
        };
        let known = self.manifests.get(digest)?.repositories.get(&repository(reference))?;
        if is_among(known, credential) { self.found(reference, digest) } else { None }
    }

    /// The module that a manifest stands for, if it is here and was found in the repository of this name.
    pub fn found(&self, reference: &Reference, digest: &str) -> Option<Stored> {
        let Manifest { blob, repositories } = self.manifests.get(digest)?;
        let is_here = self.blobs.contains_key(blob) && repositories.contains_key(&repository(reference));
        is_here.then(|| Stored { digest: digest.into(), blob: blob.clone() })
    }

    /// Whether a module has come from this registry. One that only says that it has it may have heard its digest.
    pub fn came_from(&self, registry: &str, blob: &str) -> bool {
        let is_its = |repository: &String| repository.split('/').next() == Some(registry);
        self.manifests.values().any(|manifest| manifest.blob == blob && manifest.repositories.keys().any(is_its))
    }

    /// All modules that have a name, the largest first.
    pub fn inventory(&self) -> Vec<StoredImage> {
        let mut names: HashMap<&str, Vec<String>> = HashMap::new();
        for (digest, manifest) in &self.manifests {
            let of_blob = names.entry(&manifest.blob).or_default();
            of_blob.extend(manifest.repositories.keys().map(|repository| format!("{repository}@{digest}")));
        }
        for (name, digest) in &self.names {
            if let Some(manifest) = self.manifests.get(digest) {
                names.entry(&manifest.blob).or_default().push(name.clone());
            }
        }
        let images = names.into_iter().filter_map(|(blob, mut names)| {
            // Those with a digest first.
            names.sort_by_key(|name| (!name.contains('@'), name.clone()));
            let size_bytes = self.blobs.get(blob)?.size;
            (!names.is_empty()).then_some(StoredImage { names, size_bytes })
        });
        let mut images: Vec<_> = images.collect();
        images.sort_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.names.cmp(&b.names)));
        images
    }

    /// What may be collected, as of now.
    pub fn candidates(&self, now: SystemTime) -> Vec<Candidate> {
        let candidate = |(digest, blob): (&String, &Blob)| Candidate {
            digest: digest.clone(),
            size: blob.size,
            // A clock that was set back makes it young, not old.
            idle: now.duration_since(blob.used).unwrap_or(Duration::ZERO),
            in_use: self.uses.contains_key(digest),
        };
        self.blobs.iter().map(candidate).collect()
    }

    /// Forgets manifests whose module is gone, and names of such manifests; gives both.
    pub fn sweep(&mut self) -> (Vec<String>, Vec<String>) {
        let (blobs, manifests) = (&self.blobs, &mut self.manifests);
        let gone =
            |(digest, manifest): (&String, &Manifest)| (!blobs.contains_key(&manifest.blob)).then(|| digest.clone());
        let manifests_gone: Vec<String> = manifests.iter().filter_map(gone).collect();
        manifests.retain(|_, manifest| blobs.contains_key(&manifest.blob));
        let names_gone = self.names.iter().filter(|(_, digest)| !manifests.contains_key(*digest));
        let names_gone: Vec<String> = names_gone.map(|(name, _)| name.clone()).collect();
        self.names.retain(|_, digest| manifests.contains_key(digest));
        (manifests_gone, names_gone)
    }
}
