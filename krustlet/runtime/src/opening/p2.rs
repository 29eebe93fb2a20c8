//! For components of WASI 0.2.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types as filesystem;

use self::filesystem::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};
use super::on;
use crate::run::State;

/// The interface, in the version that the stock functions have.
pub(crate) const TYPES: &str = "wasi:filesystem/types@0.2.12";

pub(super) fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(TYPES)?;
    interface.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, State>,
         (folder, follow, path, how, flags): (
            Resource<Descriptor>,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            Box::new(async move {
                let state = store.data_mut();
                let opener = state.opener.clone();
                let open = async {
                    if opener.is_some() && leads_to_pipe(state, &folder, follow, &path).await {
                        return Ok((Err(ErrorCode::Unsupported),));
                    }
                    Ok((told(state.filesystem().open_at(folder, follow, path, how, flags).await)?,))
                };
                on(&opener, open).await
            })
        },
    )?;
    interface.func_wrap_async(
        "[method]descriptor.set-times-at",
        |mut store: StoreContextMut<'_, State>,
         (folder, follow, path, accessed, modified): (
            Resource<Descriptor>,
            PathFlags,
            String,
            NewTimestamp,
            NewTimestamp,
        )| {
            Box::new(async move {
                let state = store.data_mut();
                let opener = state.opener.clone();
                let set = async {
                    if opener.is_some() && leads_to_pipe(state, &folder, follow, &path).await {
                        return Ok((Err(ErrorCode::Unsupported),));
                    }
                    Ok((told(state.filesystem().set_times_at(folder, follow, path, accessed, modified).await)?,))
                };
                on(&opener, set).await
            })
        },
    )
}

async fn leads_to_pipe(state: &mut State, folder: &Resource<Descriptor>, follow: PathFlags, path: &str) -> bool {
    let folder = Resource::new_borrow(folder.rep());
    let stat = state.filesystem().stat_at(folder, follow, path.to_owned()).await;
    stat.is_ok_and(|stat| matches!(stat.type_, DescriptorType::Unknown | DescriptorType::Fifo | DescriptorType::Socket))
}

/// What the guest is told of a result, unless it is an end of it.
fn told<T>(result: Result<T, FsError>) -> wasmtime::Result<Result<T, ErrorCode>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast().map(Err),
    }
}
