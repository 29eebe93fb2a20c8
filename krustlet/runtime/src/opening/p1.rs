//! For modules of preview 1.

use wasmtime::{AsContextMut, Caller, Extern, Linker, Memory};
use wasmtime_wasi::p1::{types, wasi_snapshot_preview1 as preview1};
use wiggle::{GuestMemory, GuestPtr};

use self::preview1::WasiSnapshotPreview1;
use super::on;
use crate::run::State;

pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";

/// In the place of the stock functions that open what a path leads to.
pub(crate) fn add_to_modules(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        PREVIEW1,
        "path_open",
        |mut caller: Caller<'_, State>,
         (folder, follow, path, length, flags, rights, inheriting, fdflags, opened): (
            i32,
            i32,
            i32,
            i32,
            i32,
            i64,
            i64,
            i32,
            i32,
        )| {
            Box::new(async move {
                let (mut memory, state) = parts(&mut caller)?;
                let opener = state.opener.clone();
                let open = async {
                    if opener.is_some() && is_pipe(state, &mut memory, folder, follow, (path, length)).await {
                        return Ok(types::Errno::Notsup as i32);
                    }
                    preview1::path_open(
                        &mut state.wasi,
                        &mut memory,
                        folder,
                        follow,
                        path,
                        length,
                        flags,
                        rights,
                        inheriting,
                        fdflags,
                        opened,
                    )
                    .await
                };
                on(&opener, open).await
            })
        },
    )?;
    linker.func_wrap_async(
        PREVIEW1,
        "path_filestat_set_times",
        |mut caller: Caller<'_, State>,
         (folder, follow, path, length, accessed, modified, which): (i32, i32, i32, i32, i64, i64, i32)| {
            Box::new(async move {
                let (mut memory, state) = parts(&mut caller)?;
                let opener = state.opener.clone();
                let set = async {
                    if opener.is_some() && is_pipe(state, &mut memory, folder, follow, (path, length)).await {
                        return Ok(types::Errno::Notsup as i32);
                    }
                    preview1::path_filestat_set_times(
                        &mut state.wasi,
                        &mut memory,
                        folder,
                        follow,
                        path,
                        length,
                        accessed,
                        modified,
                        which,
                    )
                    .await
                };
                on(&opener, set).await
            })
        },
    )?;
    Ok(())
}

/// The guest's memory, and what its store holds.
pub(crate) fn parts<'a>(caller: &'a mut Caller<'_, State>) -> wasmtime::Result<(GuestMemory<'a>, &'a mut State)> {
    let Some(memory) = caller.get_export("memory").and_then(Extern::into_memory) else {
        return Err(wasmtime::Error::msg("missing required memory export"));
    };
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (bytes, state) = Memory::data_and_store_mut(&memory, caller);
    state.wasi.set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(bytes), state))
}

/// Whether a path leads to a pipe, or a socket. What cannot be looked at is for the stock function to tell.
async fn is_pipe(
    state: &mut State,
    memory: &mut GuestMemory<'_>,
    folder: i32,
    follow: i32,
    (path, length): (i32, i32),
) -> bool {
    let Ok(follow) = types::Lookupflags::try_from(follow) else { return false };
    let path = GuestPtr::<str>::new((path as u32, length as u32));
    let stat = state.wasi.path_filestat_get(memory, types::Fd::from(folder), follow, path).await;
    stat.is_ok_and(|stat| stat.filetype == types::Filetype::Unknown)
}
