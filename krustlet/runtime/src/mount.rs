//! The folders of the host that a guest may use.

use std::path::PathBuf;

use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::RuntimeError;

/// A folder of the host that a guest finds at a path of its own: a WASI preopen.
///
/// The guest reaches what is in the folder and nothing else: neither `..` nor a symbolic link leads out of it, whoever made
/// the link. Links inside are followed at each access, so that an atomic swap of a link, as the kubelet swaps the `..data`
/// of a volume, is seen by a running guest. Mounts may lie below each other; a path belongs to the longest that it starts
/// with. A guest that lists the outer folder sees the inner one there only if the host has a folder of that name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The folder on the host. It must be there when the container is started; it is held open until the container's end, so
    /// that a later rename of it does not matter.
    pub host: PathBuf,
    /// Where the guest finds it, as an absolute path: `/data`. Doubled and trailing slashes make no difference.
    pub guest: String,
    /// Refuses every change: of contents, names, links, times. Kept by the sandbox itself, whatever the host's permissions
    /// are. The guest's error is `perm`.
    pub read_only: bool,
}

impl Mount {
    /// The guest's path as the preopen is named.
    fn guest_path(&self) -> Result<String, RuntimeError> {
        let wrong = |reason: &str| {
            Err(RuntimeError::Spec(format!("{:?} is no path for a mount in a container: it must {reason}", self.guest)))
        };
        if self.guest.contains('\0') {
            return wrong("not hold a NUL character");
        }
        if !self.guest.starts_with('/') {
            return wrong("be absolute");
        }
        let parts: Vec<_> = self.guest.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return wrong("not hold \"..\"");
        }
        Ok(format!("/{}", parts.join("/")))
    }

    fn open(&self, guest: &str, context: &mut WasiCtxBuilder) -> Result<(), RuntimeError> {
        let permissions = if self.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        context.preopened_dir(&self.host, guest, permissions).map(|_| ()).map_err(|error| RuntimeError::Mount {
            host: self.host.clone(),
            guest: guest.into(),
            reason: format!("{error:#}"),
        })
    }
}

/// The guest's path of each mount, or what is wrong with one of them.
pub(crate) fn guest_paths(mounts: &[Mount]) -> Result<Vec<String>, RuntimeError> {
    let mut paths: Vec<String> = Vec::with_capacity(mounts.len());
    for mount in mounts {
        let path = mount.guest_path()?;
        if paths.contains(&path) {
            return Err(RuntimeError::Spec(format!("two folders are to be mounted at {path} in one container")));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// Opens the folders. What comes of it can be given to many guests: they stay open as long as the last of them.
pub(crate) fn open_all(mounts: &[Mount]) -> Result<WasiFilesystemCtx, RuntimeError> {
    let mut context = WasiCtx::builder();
    for (mount, guest) in mounts.iter().zip(guest_paths(mounts)?) {
        mount.open(&guest, &mut context)?;
    }
    Ok(context.build().filesystem().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(guests: &[&str]) -> Result<Vec<String>, String> {
        let mount = |guest: &&str| Mount { host: "/".into(), guest: (*guest).into(), read_only: true };
        guest_paths(&guests.iter().map(mount).collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_taken_in_their_shortest_form() {
        let cases = [
            (&["/"][..], &["/"][..]),
            (&["//"], &["/"]),
            (&["/data"], &["/data"]),
            (&["/data/"], &["/data"]),
            (&["/var//run/./secrets/"], &["/var/run/secrets"]),
            (&["/a b/ä"], &["/a b/ä"]),
            (&["/a", "/a/b", "/ab"], &["/a", "/a/b", "/ab"]),
            (&["/..data"], &["/..data"]),
            (&[], &[]),
        ];
        for (given, expected) in cases {
            assert_eq!(paths(given).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn paths_that_cannot_be_are_refused_with_the_reason() {
        let cases = [
            (&[""][..], "\"\" is no path for a mount in a container: it must be absolute"),
            (&["data"], "\"data\" is no path for a mount in a container: it must be absolute"),
            (&["/a\0b"], "\"/a\\0b\" is no path for a mount in a container: it must not hold a NUL character"),
            (&["/a/../b"], "\"/a/../b\" is no path for a mount in a container: it must not hold \"..\""),
            (&["/.."], "\"/..\" is no path for a mount in a container: it must not hold \"..\""),
            (&["/a", "/b", "/a/"], "two folders are to be mounted at /a in one container"),
            (&["/", "//"], "two folders are to be mounted at / in one container"),
        ];
        for (given, expected) in cases {
            assert_eq!(paths(given).unwrap_err(), expected, "{given:?}");
        }
    }
}
