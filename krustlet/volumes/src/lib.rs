//! The volumes of a pod on disk, all below `<pod dir>/.volumes`:
//!
//! ```text
//! .volumes/<volume>/              an emptyDir, or the files of a configMap, secret, downwardAPI or projected volume
//! .volumes/.staged/<container>/   copies of the parts that subPaths name, made anew for each attempt
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod host_path;
mod mounts;
mod usage;
mod walk;
mod writer;

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, HostPathVolumeSource};
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::volumes::{Payload, paths};
use krustlet_host::files;
use rustix::io::Errno;

pub use self::host_path::{HostPaths, Own};
pub use self::mounts::{Mounted, Wanted, wanted};
pub use self::usage::{Taken, taken, used};
use self::writer::Fingerprint;

/// Mode of a hostPath folder that had to be made; the API's.
const HOST_FOLDER: u32 = 0o755;

/// The folder that all volumes of a pod are in, which goes when the pod has ended.
pub fn folder_of_all(pod_dir: &Path) -> PathBuf {
    pod_dir.join(".volumes")
}

/// What an error means on a way that the pod's author has named, or a guest has laid: where it leads nowhere, or is too long, that is
/// theirs to mend. All else is the host's.
fn on_way(error: io::Error) -> NotStarted {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    // By their kinds, which errors keep that name their path. That of links in a circle has no stable name.
    let theirs = matches!(error.kind(), InvalidFilename | IsADirectory | NotADirectory | NotFound | PermissionDenied)
        || error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    if theirs { NotStarted::config(error.to_string()) } else { error.into() }
}

/// What a pod has on disk. All methods do blocking I/O.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    /// The state of each filled volume, as far as this agent wrote it.
    written: HashMap<String, Fingerprint>,
    over: bool,
}

impl Disk {
    /// Of the pod with this folder.
    pub fn new(pod_dir: &Path) -> Self {
        Self { root: folder_of_all(pod_dir), written: HashMap::new(), over: false }
    }

    /// Makes these the files of a volume, at once. Costs nothing if they are already.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn fill(&mut self, volume: &str, payload: &Payload) -> Result<(), NotStarted> {
        self.check()?;
        let fingerprint = writer::fingerprint(payload);
        if self.written.get(volume) == Some(&fingerprint) {
            return Ok(());
        }
        writer::write(&self.root.join(paths::name(volume)?), payload)?;
        self.written.insert(volume.to_string(), fingerprint);
        Ok(())
    }

    /// Makes the folder of an emptyDir. What is in it stays.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn empty_dir(&mut self, volume: &str, source: &EmptyDirVolumeSource) -> Result<(), NotStarted> {
        self.check()?;
        let folder = self.root.join(paths::name(volume)?);
        if folder.is_dir() {
            return Ok(());
        }
        files::private_dir(&folder)?;
        // Never without the agent's own access: the guest's is through it.
        let mode = source.mode.map(|mode| (mode.unsigned_abs() & 0o777) | 0o700);
        Ok(mode.map_or(Ok(()), |mode| fs::set_permissions(&folder, Permissions::from_mode(mode)))?)
    }

    /// Checks the folder of a hostPath, and makes it if its type says so.
    ///
    /// # Errors
    /// Why a guest may not have it.
    pub fn host_path(&mut self, source: &HostPathVolumeSource, allowed: &HostPaths) -> Result<(), NotStarted> {
        self.check()?;
        let mut place = allowed.find(source)?;
        place.walk.make(&place.rest, HOST_FOLDER).map_err(on_way)
    }

    /// Makes the mounts of a container ready; see `mounts::lay_out`.
    ///
    /// # Errors
    /// What cannot be, for people.
    pub fn lay_out(
        &mut self,
        container: &Container,
        wanted: &[Wanted],
        allowed: &HostPaths,
    ) -> Result<Mounted, NotStarted> {
        self.check()?;
        mounts::lay_out(&self.root, container, wanted, allowed)
    }

    /// Removes, for good, what the agent has written itself, copies for subPaths included: few files, and among them all secrets. What an
    /// earlier agent wrote goes with the rest.
    ///
    /// # Errors
    /// The first I/O error; the rest is gone.
    pub fn remove_filled(&mut self) -> io::Result<()> {
        self.over = true;
        let folders = self.written.drain().map(|(volume, _)| volume).chain([mounts::STAGED.to_owned()]);
        folders.map(|folder| files::remove_tree(&self.root.join(folder))).fold(Ok(()), Result::and)
    }

    /// Removes everything, for good: work that is still under way writes nothing any more.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn remove(&mut self) -> io::Result<()> {
        self.over = true;
        self.written.clear();
        files::remove_tree(&self.root)
    }

    fn check(&self) -> Result<(), NotStarted> {
        if self.over { Err(NotStarted::config("the pod is over")) } else { Ok(()) }
    }
}
