//! Opening files in folders that others than guests have filled, where there may be named pipes: to open one waits for who opens its other
//! end, on a thread that nothing frees.
//!
//! A guest is told that a pipe is not supported, as nothing could be read from it here anyway. Between the look and the opening another
//! guest may put a pipe in a file's place; so files of such folders are opened on threads that one tenant has for itself.

mod p1;
pub(crate) mod p2;
pub(crate) mod p3;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};
use wasmtime::component;

pub(crate) use self::p1::{PREVIEW1, add_to_modules, parts};
use crate::run::State;

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
pub(crate) fn add_to_components(linker: &mut component::Linker<State>) -> wasmtime::Result<()> {
    p2::add(linker)?;
    p3::add(linker)
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
