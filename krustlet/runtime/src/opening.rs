//! Opening files in folders that others than guests have filled, where there may be named pipes: to open one waits for who opens its other
//! end, on a thread that nothing frees.
//!
//! A guest is told that a pipe is not supported, as nothing could be read from it here anyway. Between the look and the opening another
//! guest may put a pipe in a file's place; so files of such folders are opened on threads that one tenant has for itself.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};
use wasmtime::component::{self, Resource};
use wasmtime::{AsContextMut, Caller, Extern, Linker, Memory, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p1::{types, wasi_snapshot_preview1 as preview1};
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types as filesystem;
use wasmtime_wasi::p2::bindings::filesystem::types::HostDescriptor;
use wiggle::{GuestMemory, GuestPtr};

use self::filesystem::{DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags};
use self::preview1::WasiSnapshotPreview1;
use crate::run::State;

pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";
/// The interface, in the version that the stock functions have.
const TYPES: &str = "wasi:filesystem/types@0.2.12";
/// How many files of one tenant may be being opened.
const THREADS: usize = 8;

/// The threads on which tenants open files. Whoever has none waits for the others of the same tenant.
#[derive(Default)]
pub(crate) struct Openers(Mutex<HashMap<String, Arc<Opener>>>);

impl Openers {
    /// Those of a tenant. They are kept for as long as the engine is, since a thread may never come back; without one they cost next to
    /// nothing.
    pub(crate) fn of(&self, tenant: &str) -> std::io::Result<Arc<Opener>> {
        let mut openers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = openers.get(tenant) {
            return Ok(known.clone());
        }
        // Nothing runs on it: its threads for what blocks are all that is wanted.
        let runtime = Builder::new_current_thread()
            .thread_name("wasm-open")
            .max_blocking_threads(THREADS)
            .thread_keep_alive(crate::engine::FILE_THREAD_IDLE)
            .build()?;
        let new = Arc::new(Opener(Some(runtime)));
        openers.insert(tenant.to_owned(), new.clone());
        Ok(new)
    }
}

/// The threads of one tenant.
pub(crate) struct Opener(Option<Runtime>);

impl Drop for Opener {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Has a future do on these threads what it does on threads that may block; without any it is where all guests do it.
async fn on<F: Future>(opener: &Option<Arc<Opener>>, future: F) -> F::Output {
    let runtime = opener.as_ref().and_then(|opener| opener.0.as_ref()).map(Runtime::handle).cloned();
    Inside { runtime, future: Box::pin(future) }.await
}

struct Inside<F> {
    runtime: Option<Handle>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _inside = this.runtime.as_ref().map(Handle::enter);
        this.future.as_mut().poll(context)
    }
}

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

/// In the place of the stock functions that open what a path leads to.
pub(crate) fn add_to_components(linker: &mut component::Linker<State>) -> wasmtime::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use tokio::task::spawn_blocking;
    use tokio::time::timeout;

    #[tokio::test]
    async fn threads_that_do_not_come_back_are_one_tenants_alone() {
        let openers = Openers::default();
        let of = |tenant| Some(openers.of(tenant).unwrap());
        let (free, pipe) = std::sync::mpsc::channel::<()>();
        let pipe = Arc::new(Mutex::new(pipe));
        for _ in 0..THREADS {
            let pipe = pipe.clone();
            // As of a guest that is gone meanwhile: what it began goes on.
            on(&of("a"), async { drop(spawn_blocking(move || pipe.lock().unwrap().recv().is_ok())) }).await;
        }
        let open = |tenant| {
            let opener = of(tenant);
            async move { on(&opener, async { spawn_blocking(|| ()).await.unwrap() }).await }
        };
        let (short, long) = (Duration::from_millis(300), Duration::from_secs(30));
        assert!(timeout(short, open("a")).await.is_err());
        timeout(long, open("b")).await.unwrap();
        timeout(long, on(&None, async { spawn_blocking(|| ()).await.unwrap() })).await.unwrap();
        drop(free);
        timeout(long, open("a")).await.unwrap();
    }
}
