//! How much of the disk an emptyDir takes.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Volume;

use crate::quantity;

/// What `st_blocks` counts in.
const BLOCK: u64 = 512;

/// An emptyDir that may not grow without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The volume.
    pub volume: String,
    /// The most that it may take.
    pub bytes: u64,
    /// The same as written in the spec.
    pub text: String,
}

impl Limit {
    /// `None` for volumes without a limit; one of zero is none.
    pub fn of(volume: &Volume) -> Option<Self> {
        let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
        let bytes = quantity::bytes(&limit.0).filter(|bytes| *bytes > 0)?;
        Some(Self { volume: volume.name.clone(), bytes, text: limit.0.clone() })
    }

    /// Why a pod that went over it is evicted; the kubelet's sentence.
    pub fn message(&self) -> String {
        format!("Usage of EmptyDir volume {:?} exceeds the limit {:?}. ", self.volume, self.text)
    }
}

/// Whether the files in `folder` take more than `bytes` of the disk. Blocking I/O. What goes while it looks counts for nothing.
pub fn exceeds(folder: &Path, bytes: u64) -> bool {
    let mut open: Vec<PathBuf> = vec![folder.to_path_buf()];
    let mut linked = HashSet::new();
    let mut total: u64 = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // Of the link itself, not of what it leads to.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.nlink() > 1 && !meta.is_dir() && !linked.insert(meta.ino()) {
                continue;
            }
            total = total.saturating_add(meta.blocks().saturating_mul(BLOCK));
            if meta.is_dir() {
                open.push(entry.path());
            }
            if total > bytes {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn limits() {
        let of = |source: Value| {
            let mut volume = json!({ "name": "v" });
            volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
            Limit::of(&serde_json::from_value(volume).unwrap())
        };
        let limit = of(json!({ "emptyDir": { "sizeLimit": "1Mi" } })).unwrap();
        assert_eq!(limit.bytes, 1 << 20);
        assert_eq!(limit.message(), "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ");
        for none in [
            json!({ "emptyDir": {} }),
            json!({ "emptyDir": { "sizeLimit": "0" } }),
            json!({ "configMap": { "name": "x" } }),
        ] {
            assert_eq!(of(none), None);
        }
    }

    #[test]
    fn all_files_count_and_links_do_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("v");
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(root.path().join("outside"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink("../outside", folder.join("link")).unwrap();
        std::os::unix::fs::symlink("..", folder.join("a/up")).unwrap();
        fs::write(folder.join("a/b/file"), vec![1; 200_000]).unwrap();
        fs::hard_link(folder.join("a/b/file"), folder.join("a/same")).unwrap();
        assert!(!exceeds(&folder, 350_000));
        assert!(exceeds(&folder, 190_000));
        fs::write(folder.join("more"), vec![1; 200_000]).unwrap();
        assert!(exceeds(&folder, 350_000));
        assert!(!exceeds(&root.path().join("none"), 0));
    }
}
