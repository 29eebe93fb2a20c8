//! Files that change all at once, in the layout of the kubelet, which programs know:
//!
//! ```text
//! <volume>/..2026_11_24_13_52_57.123456789/key    the files, in a folder with the time of their making
//! <volume>/..data -> ..2026_11_24_13_52_57.123456789
//! <volume>/key -> ..data/key
//! ```
//!
//! A new state is a new folder; then `..data` is swapped by a rename. Whoever reads through `..data` sees the old state or the new
//! one. Nothing is synced to disk: after a crash all of it is made anew.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use k8s_openapi::jiff::Timestamp;
use krustlet_core::volumes::{File, Payload};
use krustlet_host::files;
use sha2::{Digest, Sha256};

const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";
/// All bits of a private file: those of a file with another mode are set after it was written.
const PRIVATE: u32 = 0o600;

/// What tells one state of a volume from another.
pub type Fingerprint = [u8; 32];

/// Of paths, modes and bytes.
pub fn fingerprint(payload: &Payload) -> Fingerprint {
    let mut hash = Sha256::new();
    for (path, file) in payload {
        // With lengths, so that nothing can be taken for its neighbour.
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path);
        hash.update(file.mode.to_le_bytes());
        hash.update((file.bytes.len() as u64).to_le_bytes());
        hash.update(&file.bytes);
    }
    hash.finalize().into()
}

/// Makes `payload` the state of the volume, whatever was there before.
///
/// # Errors
/// Any I/O error; the volume stays as it was, or already is as it should be.
pub fn write(volume: &Path, payload: &Payload) -> io::Result<()> {
    files::private_dir(volume)?;
    let stamp = stamp(Timestamp::now());
    let folder = volume.join(&stamp);
    let swapped = (|| {
        DirBuilder::new().mode(0o700).create(&folder)?;
        for (path, file) in payload {
            write_file(&folder.join(path), file)?;
        }
        let next = volume.join(NEXT);
        remove(&next)?;
        symlink(&stamp, &next)?;
        fs::rename(&next, volume.join(DATA))
    })();
    if let Err(error) = swapped {
        // Best effort: the error that matters is the one being reported.
        let _ = files::remove_tree(&folder);
        return Err(error);
    }
    let wanted: BTreeSet<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &wanted {
        match symlink(Path::new(DATA).join(name), volume.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    for entry in fs::read_dir(volume)? {
        let name = entry?.file_name();
        let kept = name.to_str().is_some_and(|name| name == DATA || name == stamp || wanted.contains(name));
        if !kept {
            remove(&volume.join(name))?;
        }
    }
    Ok(())
}

fn write_file(path: &Path, file: &File) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        files::private_dir(folder)?;
    }
    let mut open = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    open.write_all(&file.bytes)?;
    if file.mode != PRIVATE {
        open.set_permissions(Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

/// Removes a file, a link or a folder with all in it; nothing is fine.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => files::remove_tree(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The name of a folder that is made now, different from every other.
fn stamp(now: Timestamp) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}.{count}", now.strftime("..%Y_%m_%d_%H_%M_%S.%9f"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn payload(files: &[(&str, u32, &str)]) -> Payload {
        let file = |mode, text: &str| File { mode, bytes: text.as_bytes().to_vec() };
        files.iter().map(|(path, mode, text)| ((*path).to_string(), file(*mode, text))).collect()
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(volume: &Path) -> Vec<String> {
        let names = fs::read_dir(volume).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("..2")).collect();
        names.sort();
        names
    }

    fn folders(volume: &Path) -> usize {
        fs::read_dir(volume).unwrap().filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir()).count()
    }

    #[test]
    fn the_layout_is_the_kubelets() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path().join("a/v");
        write(&volume, &payload(&[("key", 0o644, "1"), ("deep/er", 0o400, "2"), ("deep/x", 0o600, "3")])).unwrap();
        assert_eq!(names(&volume), ["..data", "deep", "key"]);
        assert_eq!(fs::read_link(volume.join("key")).unwrap(), PathBuf::from("..data/key"));
        assert!(fs::read_link(volume.join("..data")).unwrap().to_str().unwrap().starts_with("..20"));
        assert_eq!((read(volume.join("key")), read(volume.join("deep/er"))), ("1".into(), "2".into()));
        assert_eq!(mode(&volume.join("key")), 0o644);
        assert_eq!(mode(&volume.join("deep/er")), 0o400);
        assert_eq!(mode(&volume.join("deep/x")), 0o600);
        for folder in [&volume, &volume.join("..data"), &volume.join("..data/deep"), &root.path().join("a")] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }

    #[test]
    fn a_new_state_replaces_the_old_one_and_removes_what_went() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path();
        write(volume, &payload(&[("stays", 0o644, "1"), ("goes", 0o644, "1"), ("folder/goes", 0o644, "1")])).unwrap();
        let before = fs::read_link(volume.join("..data")).unwrap();
        write(volume, &payload(&[("stays", 0o600, "2"), ("comes", 0o644, "2")])).unwrap();
        assert_ne!(fs::read_link(volume.join("..data")).unwrap(), before);
        assert_eq!(names(volume), ["..data", "comes", "stays"]);
        assert_eq!((read(volume.join("stays")), read(volume.join("comes"))), ("2".into(), "2".into()));
        assert_eq!(mode(&volume.join("stays")), 0o600);
        assert_eq!(folders(volume), 1);
        write(volume, &Payload::new()).unwrap();
        assert_eq!(names(volume), ["..data"]);
    }

    #[test]
    fn what_an_earlier_agent_left_half_done_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path();
        fs::create_dir_all(volume.join("..2020_01_01_00_00_00.1/x")).unwrap();
        symlink("..2020_01_01_00_00_00.1", volume.join("..data_tmp")).unwrap();
        fs::write(volume.join("stray"), b"").unwrap();
        write(volume, &payload(&[("key", 0o644, "1")])).unwrap();
        assert_eq!((names(volume), folders(volume)), (vec!["..data".to_string(), "key".to_string()], 1));
    }

    #[test]
    fn readers_never_see_a_mixture() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path();
        let state = |text: &str| payload(&[("a", 0o644, text), ("b", 0o644, text)]);
        write(volume, &state("0")).unwrap();
        let (done, reader) = (std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)), volume.to_path_buf());
        let stop = done.clone();
        let reader = std::thread::spawn(move || {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                // A folder that was opened once is one state, as for a guest that holds it open.
                let Ok(folder) = fs::canonicalize(reader.join("..data")) else { continue };
                if let (Ok(a), Ok(b)) = (fs::read(folder.join("a")), fs::read(folder.join("b"))) {
                    assert_eq!(a, b);
                    seen += 1;
                }
                assert!(fs::read_link(reader.join("a")).is_ok());
            }
            seen
        });
        for round in 1..200 {
            write(volume, &state(&round.to_string())).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    }

    #[test]
    fn a_failure_leaves_the_old_state() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path();
        write(volume, &payload(&[("key", 0o644, "1")])).unwrap();
        // A file and a folder of one name cannot be.
        assert!(write(volume, &payload(&[("x", 0o644, "2"), ("x/y", 0o644, "2")])).is_err());
        assert_eq!((names(volume), folders(volume)), (vec!["..data".to_string(), "key".to_string()], 1));
        assert_eq!(read(volume.join("key")), "1");
    }

    #[test]
    fn fingerprints_tell_states_apart() {
        let states = [
            payload(&[]),
            payload(&[("a", 0o644, "1")]),
            payload(&[("a", 0o600, "1")]),
            payload(&[("a", 0o644, "2")]),
            payload(&[("a1", 0o644, "")]),
            payload(&[("a", 0o644, ""), ("b", 0o644, "1")]),
        ];
        let all: BTreeSet<Fingerprint> = states.iter().map(fingerprint).collect();
        assert_eq!(all.len(), states.len());
        assert_eq!(fingerprint(&states[1]), fingerprint(&payload(&[("a", 0o644, "1")])));
    }
}
