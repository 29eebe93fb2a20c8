//! For components of WASI 0.3.
//!
//! A program may have thousands of its calls under way, and what each brings is the host's memory until it has ended: so all that takes a
//! path is told that it is too long before it waits, where no system would take it.

use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::types as filesystem;
use wasmtime_wasi::p3::filesystem::FilesystemError;

use self::filesystem::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptorWithStore, NewTimestamp, OpenFlags, PathFlags,
};
use super::on;
use crate::run::State;

/// The interface, in the version that the stock functions have.
pub(crate) const TYPES: &str = "wasi:filesystem/types@0.3.0";
/// Linux' own limit, with the NUL at the end.
const PATH_BYTES: usize = 4096;

/// The stock functions of these names, for paths that are not too long.
macro_rules! add_with_paths {
    ($types:ident, $($name:literal: $function:ident($($arg:ident: $type:ty),*) of $($path:ident),+;)*) => {$(
        $types.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |store: &Accessor<State>, ($($arg,)*): ($($type,)*)| Box::pin(async move {
                if [$(&*$path),+].into_iter().any(is_too_long) {
                    return Ok((Err(ErrorCode::NameTooLong),));
                }
                Ok((told(WasiFilesystem::$function(&files(store), $($arg),*).await)?,))
            }),
        )?;
    )*};
}

pub(super) fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    add_with_paths! { types,
        "create-directory-at": create_directory_at(folder: Resource<Descriptor>, path: String) of path;
        "stat-at": stat_at(folder: Resource<Descriptor>, follow: PathFlags, path: String) of path;
        "link-at": link_at(
            folder: Resource<Descriptor>, follow: PathFlags, from: String, other: Resource<Descriptor>, to: String
        ) of from, to;
        "readlink-at": readlink_at(folder: Resource<Descriptor>, path: String) of path;
        "remove-directory-at": remove_directory_at(folder: Resource<Descriptor>, path: String) of path;
        "rename-at": rename_at(
            folder: Resource<Descriptor>, from: String, other: Resource<Descriptor>, to: String
        ) of from, to;
        "symlink-at": symlink_at(folder: Resource<Descriptor>, from: String, to: String) of from, to;
        "unlink-file-at": unlink_file_at(folder: Resource<Descriptor>, path: String) of path;
        "metadata-hash-at": metadata_hash_at(folder: Resource<Descriptor>, follow: PathFlags, path: String) of path;
    }
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |store: &Accessor<State>,
         (folder, follow, path, how, flags): (
            Resource<Descriptor>,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            Box::pin(async move {
                let opener = store.with(|mut store| store.get().opener.clone());
                let open = async {
                    if let Some(refused) = refused(store, opener.is_some(), &folder, follow, &path).await {
                        return Ok((Err(refused),));
                    }
                    Ok((told(WasiFilesystem::open_at(&files(store), folder, follow, path, how, flags).await)?,))
                };
                on(&opener, open).await
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.set-times-at",
        |store: &Accessor<State>,
         (folder, follow, path, accessed, modified): (
            Resource<Descriptor>,
            PathFlags,
            String,
            NewTimestamp,
            NewTimestamp,
        )| {
            Box::pin(async move {
                let opener = store.with(|mut store| store.get().opener.clone());
                let set = async {
                    if let Some(refused) = refused(store, opener.is_some(), &folder, follow, &path).await {
                        return Ok((Err(refused),));
                    }
                    let files = files(store);
                    let set = WasiFilesystem::set_times_at(&files, folder, follow, path, accessed, modified);
                    Ok((told(set.await)?,))
                };
                on(&opener, set).await
            })
        },
    )
}

/// The store as the stock functions want it.
fn files(store: &Accessor<State>) -> Accessor<State, WasiFilesystem> {
    store.with_getter::<WasiFilesystem>(WasiFilesystemView::filesystem)
}

fn is_too_long(path: &str) -> bool {
    path.len() >= PATH_BYTES
}

/// What the guest is told where a path is not to be opened.
async fn refused(
    store: &Accessor<State>,
    may_be_pipe: bool,
    folder: &Resource<Descriptor>,
    follow: PathFlags,
    path: &str,
) -> Option<ErrorCode> {
    if is_too_long(path) {
        return Some(ErrorCode::NameTooLong);
    }
    if !may_be_pipe {
        return None;
    }
    let folder = Resource::new_borrow(folder.rep());
    let stat = WasiFilesystem::stat_at(&files(store), folder, follow, path.to_owned()).await.ok()?;
    matches!(stat.type_, DescriptorType::Other(_) | DescriptorType::Fifo | DescriptorType::Socket)
        .then_some(ErrorCode::Unsupported)
}

/// What the guest is told of a result, unless it is an end of it.
fn told<T>(result: Result<T, FilesystemError>) -> wasmtime::Result<Result<T, ErrorCode>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast().map(Err),
    }
}
