//! What a container sees of its pod's volumes: `volumeMounts`, with their subPaths.
//!
//! WebAssembly knows folders only, and the sandbox keeps a guest inside each. So a subPath that names a file becomes a folder at the
//! mount's parent which holds just that file.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::{fs, io};

use k8s_openapi::api::core::v1::{Container, HostPathVolumeSource, Volume, VolumeMount};
use krustlet_core::command::{Environment, expand};
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_core::volumes::{paths, unsupported_mount};
use krustlet_host::files;
use krustlet_runtime::Mount;

use super::walk::{self, Walk};
use super::{HostPaths, on_way};

/// Folder, beside the volumes, of what was laid out for containers. No volume's name begins with a dot.
pub const STAGED: &str = ".staged";
/// Mode of folders that a subPath names and that are not there: in a volume of the pod, and on the host.
const OWN_FOLDER: u32 = 0o700;
const HOST_FOLDER: u32 = 0o755;

/// A mount, as far as the spec decides it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The volume.
    pub volume: String,
    /// Where its files are.
    pub source: Source,
    /// Where the guest sees it.
    pub guest: PathBuf,
    /// Only this part of it.
    pub sub_path: Option<PathBuf>,
    /// Whether the guest may not write.
    pub read_only: bool,
}

/// Where the files of a volume are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In the pod's folder, written by this agent alone.
    Filled,
    /// In the pod's folder, written by its containers.
    Shared,
    /// Anywhere on the host.
    Host(HostPathVolumeSource),
}

/// Mounts that are ready.
#[derive(Debug, Default)]
pub struct Mounted {
    /// For the runtime.
    pub mounts: Vec<Mount>,
    /// Folders that were opened for it. To be held as long as the container may open them.
    pub held: Vec<OwnedFd>,
}

/// What a container asks for.
///
/// # Errors
/// What of it cannot be, for people.
pub fn wanted(container: &Container, volumes: &[Volume], environment: &Environment) -> Result<Vec<Wanted>, NotStarted> {
    let mounts = container.volume_mounts.iter().flatten();
    mounts
        .map(|mount| {
            if let Some(what) = unsupported_mount(mount) {
                return no(format!("this WebAssembly node does not support: {what}"));
            }
            let volume = volumes.iter().find(|volume| volume.name == mount.name);
            let Some(volume) = volume else {
                return no(format!("volume {:?} of a volumeMount is not in the pod's spec", mount.name));
            };
            let (source, always_read_only) = if let Some(host) = &volume.host_path {
                (Source::Host(host.clone()), false)
            } else if volume.empty_dir.is_some() {
                (Source::Shared, false)
            } else {
                (Source::Filled, true)
            };
            let sub_path = sub_path(mount, environment)?.map(|path| paths::sub_path(&path)).transpose();
            Ok(Wanted {
                volume: paths::name(&volume.name)?.to_string(),
                source,
                guest: paths::guest(&mount.mount_path),
                sub_path: sub_path.map_err(|why| not_prepared(&mount.name, container, why))?,
                read_only: always_read_only || mount.read_only == Some(true),
            })
        })
        .collect()
}

/// The pod's author has it wrong.
fn no<T>(why: String) -> Result<T, NotStarted> {
    Err(NotStarted::config(why))
}

fn not_prepared(volume: &str, container: &Container, why: NotStarted) -> NotStarted {
    let name = &container.name;
    why.context(format_args!("failed to prepare subPath for volumeMount {volume:?} of container {name:?}"))
}

/// As it was given, or with the variables in it. The kubelet's words where one is missing.
fn sub_path(mount: &VolumeMount, environment: &Environment) -> Result<Option<String>, NotStarted> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (given(&mount.sub_path), given(&mount.sub_path_expr)) {
        (Some(path), _) => Ok(Some(path)),
        (None, Some(expression)) => {
            let missing = RefCell::new(BTreeSet::new());
            let path = expand(&expression, |name| {
                let value = environment.iter().find(|(known, value)| known == name && !value.is_empty());
                if value.is_none() {
                    missing.borrow_mut().insert(name.to_string());
                }
                value.map(|(_, value)| value.as_str())
            });
            let missing: Vec<String> = missing.into_inner().into_iter().collect();
            if !missing.is_empty() {
                return no(format!("missing value for {}", missing.join(", ")));
            }
            Ok(Some(path))
        }
        (None, None) => Ok(None),
    }
}

/// Makes mounts ready for a new attempt of a container. `root` is the folder of the pod's volumes. Blocking I/O.
///
/// # Errors
/// What cannot be, for people.
pub fn lay_out(
    root: &Path,
    container: &Container,
    wanted: &[Wanted],
    allowed: &HostPaths,
) -> Result<Mounted, NotStarted> {
    let staged = root.join(STAGED).join(paths::name(&container.name)?);
    files::remove_tree(&staged)?;
    let mut laid = Layout {
        staged,
        taken: wanted.iter().map(|want| &*want.guest).collect(),
        out: Mounted::default(),
        files: Vec::new(),
    };
    for want in wanted {
        laid.add(root, want, allowed).map_err(|why| match &want.sub_path {
            Some(_) => not_prepared(&want.volume, container, why),
            None => why.context(format_args!("volume {:?}", want.volume)),
        })?;
    }
    Ok(laid.out)
}

struct Layout<'a> {
    staged: PathBuf,
    /// Where the spec itself mounts something.
    taken: BTreeSet<&'a Path>,
    out: Mounted,
    /// Folders that hold single files: where the guest sees them, and where they are.
    files: Vec<(PathBuf, PathBuf)>,
}

impl Layout<'_> {
    fn add(&mut self, root: &Path, want: &Wanted, allowed: &HostPaths) -> Result<(), NotStarted> {
        let volume = root.join(&want.volume);
        match (&want.source, &want.sub_path) {
            (Source::Filled | Source::Shared, None) => self.mount(volume, &want.guest, want.read_only),
            (Source::Filled, Some(sub)) => self.copy(&volume, sub, want),
            (Source::Shared, Some(sub)) => {
                let (mut walk, rest) = Walk::to(&volume)?;
                if !rest.as_os_str().is_empty() {
                    // The agent has made it itself.
                    return Err(NotStarted::host(format!("the folder {} is not there", volume.display())));
                }
                enter(&mut walk, sub, OWN_FOLDER)?;
                self.hand_over(walk, want)
            }
            (Source::Host(source), sub) => {
                let mut place = allowed.find(source)?;
                place.walk.make(&place.rest, HOST_FOLDER).map_err(on_way)?;
                if let Some(sub) = sub {
                    enter(&mut place.walk, sub, HOST_FOLDER)?;
                    allowed.refuse_own(&place.walk).map_err(|why| why.context(format_args!("subPath {sub:?}")))?;
                }
                self.hand_over(place.walk, want)
            }
        }
    }

    fn mount(&mut self, host: PathBuf, guest: &Path, read_only: bool) -> Result<(), NotStarted> {
        let guest = guest.to_str().ok_or_else(|| NotStarted::config("the mountPath is no text"))?.to_string();
        self.out.mounts.push(Mount { host, guest, read_only });
        Ok(())
    }

    fn hand_over(&mut self, walk: Walk, want: &Wanted) -> Result<(), NotStarted> {
        let folder = walk.into_folder();
        self.mount(walk::path(&folder), &want.guest, want.read_only)?;
        self.out.held.push(folder);
        Ok(())
    }

    /// The part of a volume as it is now. As with the kubelet it stays so, whatever becomes of the volume.
    fn copy(&mut self, volume: &Path, sub: &Path, want: &Wanted) -> Result<(), NotStarted> {
        let from = match fs::canonicalize(volume.join(sub)) {
            Ok(from) => Some(from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(on_way(error)),
        };
        if let Some(file) = from.as_ref().filter(|from| from.is_file()) {
            return self.copy_file(file, want);
        }
        let to = self.next();
        files::private_dir(&to)?;
        if let Some(from) = from {
            copy_tree(&from, &to).map_err(on_way)?;
        }
        self.mount(to, &want.guest, true)
    }

    fn copy_file(&mut self, from: &Path, want: &Wanted) -> Result<(), NotStarted> {
        let (Some(parent), Some(name)) = (want.guest.parent(), want.guest.file_name()) else {
            return no("a file cannot be mounted at /".into());
        };
        if self.taken.contains(parent) {
            return no(format!(
                "it names a file, for which this node needs the folder {} for itself, and another volume is mounted there",
                parent.display()
            ));
        }
        let known = self.files.iter().find(|(guest, _)| guest == parent).map(|(_, folder)| folder.clone());
        let folder = match known {
            Some(folder) => folder,
            None => {
                let folder = self.next();
                files::private_dir(&folder)?;
                self.files.push((parent.to_path_buf(), folder.clone()));
                self.mount(folder.clone(), parent, true)?;
                folder
            }
        };
        fs::copy(from, folder.join(name)).map(drop).map_err(on_way)
    }

    fn next(&self) -> PathBuf {
        self.staged.join(self.out.mounts.len().to_string())
    }
}

/// Goes on to the part of a volume that a subPath names, where containers write into the volume meanwhile. What is not there yet is made.
fn enter(walk: &mut Walk, sub: &Path, mode: u32) -> Result<(), NotStarted> {
    let volume = walk.id();
    let rest = walk.on(sub);
    // Before anything is told of what is there, or made.
    if !walk.is_in(volume) {
        return no(format!("subPath {sub:?} leads out of its volume"));
    }
    let made = rest.and_then(|rest| walk.make(&rest, mode));
    made.map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => NotStarted::config(format!(
            "subPath {sub:?} is a file, or leads through one: of a volume that can change, a module can be given folders only"
        )),
        _ => on_way(error).context(format_args!("subPath {sub:?}")),
    })
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    // Not by recursion: how deep it is the pod says.
    let mut rest = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = rest.pop() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if fs::metadata(&from)?.is_dir() {
                files::private_dir(&to)?;
                rest.push((from, to));
            } else {
                fs::copy(&from, to)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "mounts_tests.rs"]
mod tests;
