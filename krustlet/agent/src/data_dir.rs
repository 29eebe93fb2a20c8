//! The agent's folder: private, and of one node.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use krustlet_host::files;

/// File in the folder that names the node whose it is.
const OWNER: &str = "owner";

/// Makes the folder if need be, and takes it for this node.
///
/// A folder that others may enter is refused, for they may have read what is in it; an empty one is made private instead.
///
/// # Errors
/// The folder is another node's or another user's, is open to others, or cannot be written.
pub fn claim(dir: &Path, node_name: &str) -> Result<()> {
    files::private_dir(dir)?;
    check_privacy(dir).with_context(|| format!("--data-dir: {}", dir.display()))?;
    let path = dir.join(OWNER);
    let owner = match files::read_optional(&path)? {
        Some(owner) => owner,
        None => {
            files::write_private(&path, format!("{node_name}\n").as_bytes())?;
            files::read_optional(&path)?.unwrap_or_default()
        }
    };
    let owner = String::from_utf8_lossy(&owner);
    if owner.trim_end() != node_name {
        bail!(
            "--data-dir: {} is the folder of node {:?}, and this is node {node_name:?}: keys and pods of two nodes must not mix, so \
             give each a folder of its own",
            dir.display(),
            owner.trim_end()
        );
    }
    Ok(())
}

fn check_privacy(dir: &Path) -> Result<()> {
    let metadata = fs::metadata(dir)?;
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != own && owner != 0 {
        bail!("it belongs to user {owner}, who could read and replace this node's keys; the agent runs as user {own}");
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if fs::read_dir(dir)?.next().is_some() {
        bail!(
            "others may enter it (mode {mode:o}), and it is not empty: chmod 700 it if what is in it is the agent's, or choose another"
        );
    }
    tracing::info!("--data-dir: {} was open to others (mode {mode:o}) and empty: it is private now", dir.display());
    Ok(fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_folder_is_of_one_node() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        claim(&dir, "one").unwrap();
        claim(&dir, "one").unwrap();
        assert_eq!((mode(&dir), mode(&dir.join("owner"))), (0o700, 0o600));
        let message = format!("{:#}", claim(&dir, "two").unwrap_err());
        assert!(
            message.contains("\"one\"") && message.contains("\"two\"") && message.contains("--data-dir"),
            "{message}"
        );
        assert_eq!(fs::read_to_string(dir.join("owner")).unwrap(), "one\n");
    }

    #[test]
    fn an_open_folder_is_taken_only_if_it_is_empty() {
        let root = tempfile::tempdir().unwrap();
        for (name, mode_before, file, taken) in [
            ("private", 0o700, true, true),
            ("private-empty", 0o500, false, true),
            ("open-empty", 0o755, false, true),
            ("open", 0o755, true, false),
            ("group", 0o710, true, false),
            ("sticky", 0o1777, true, false),
        ] {
            let dir = root.path().join(name);
            fs::create_dir(&dir).unwrap();
            if file {
                fs::write(dir.join("pods.json"), b"").unwrap();
            }
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode_before)).unwrap();
            let checked = check_privacy(&dir);
            assert_eq!(checked.is_ok(), taken, "{name}: {checked:?}");
            assert_eq!(mode(&dir), if name == "open-empty" { 0o700 } else { mode_before & 0o777 }, "{name}");
        }
    }
}
