//! The task of one guest, from its first step to its end.

use std::sync::Arc;

use tokio::runtime::Handle;
use wasmtime::{Store, Trap};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{I32Exit, WasiCtxView, WasiView};

use crate::container::{Container, ExitStatus};
use crate::http::GuestHttp;
use crate::listing::Kept;
use crate::opening::Opener;
use crate::resources::limits::{Limits, OutOfMemory};
use crate::resources::usage::{Meter, at_tick};
use crate::sockets::Places;
use crate::{Engine, Module};

/// How many handles a component may have for each resource of WASI that it may hold: a call that has not ended is one as well, each end of
/// a stream and of a future is, and a resource that is the program's own. They are the host's memory, and the one bound on the calls that a
/// program of WASI 0.3 may have under way.
const HANDLES: usize = 4;

/// The most bytes that a component may hand over in one call, as strings and lists; more is its end. They are copied, and many of a list may
/// be the same ones in the program's memory. `write` goes in smaller pieces, a positioned one does not.
const CALL_BYTES: usize = 8 << 20;

/// What the store of a guest holds. The context of preview 1 is built on that of WASI 0.2 and 0.3, so that one serves all.
pub(crate) struct State {
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) http: GuestHttp,
    pub(crate) limits: Limits,
    /// The listings of folders that a module has not seen to their end.
    pub(crate) listings: Kept,
    /// Where it opens files, if not where all guests do.
    pub(crate) opener: Option<Arc<Opener>>,
    /// Those of its open sockets.
    pub(crate) places: Places,
}

impl State {
    pub(crate) fn new(wasi: WasiP1Ctx, http: GuestHttp, limits: Limits) -> Self {
        Self { wasi, http, limits, listings: Kept::default(), opener: None, places: Places::default() }
    }

    /// A store for one instance. At the end of its turn the guest gives its thread back: to its neighbours, and to whoever polls it,
    /// who drops it there if it is to end.
    pub(crate) fn into_store(mut self, engine: &wasmtime::Engine) -> Store<Self> {
        let handles = self.ctx().table.max_capacity().saturating_mul(HANDLES);
        let mut store = Store::new(engine, self);
        store.set_max_component_handles(handles);
        store.set_hostcall_fuel(CALL_BYTES);
        store.limiter_async(|state| &mut state.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(at_tick()));
        store
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

/// What a guest is started with.
pub(crate) struct Start {
    pub(crate) module: Module,
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) http: GuestHttp,
    pub(crate) memory_limit: u64,
    pub(crate) opener: Option<Arc<Opener>>,
}

/// Spawns the guest on `runtime`, which is the engine's. The checks that can be made beforehand have been made.
pub(crate) fn spawn(engine: &Engine, runtime: &Handle, start: Start) -> Container {
    let Start { module, wasi, http, memory_limit, opener } = start;
    let meter = Arc::new(Meter::new(memory_limit));
    let share = engine.memory().share();
    let (container, mut stopped, ended) = Container::handle(engine.clone(), meter.clone(), http.session().clone());
    runtime.spawn(async move {
        // An error means that the last handle is gone, which stops the guest as well.
        let stopped = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let mut state = State::new(wasi, http, Limits::new(share, meter.clone()));
        state.opener = opener;
        let status = run(&module, state, &meter, stopped).await;
        // The module goes before anybody hears of the end, so that its last user leaves nothing behind.
        drop(module);
        tracing::debug!(code = status.code, reason = ?status.reason, "guest ended");
        ended.send_replace(Some(status));
    });
    container
}

async fn run(module: &Module, state: State, meter: &Meter, stopped: impl Future<Output = ()>) -> ExitStatus {
    let program = &module.0.program;
    let mut store = state.into_store(program.engine());
    // A guest that was stopped is dropped by the `select`, at the next tick, or while it waits in a host function.
    let result = tokio::select! {
        biased;
        () = stopped => return ExitStatus::stopped(),
        result = meter.count(program.run(&mut store)) => result,
    };
    match result {
        Ok(code) => ExitStatus::exited(code),
        Err(error) => ended_by(&error),
    }
}

/// An error ends a guest in three ways: it asked for its end, it was ended by a limit, or it failed.
fn ended_by(error: &wasmtime::Error) -> ExitStatus {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return ExitStatus::exited(exit.0);
    }
    if let Some(out_of_memory) = error.downcast_ref::<OutOfMemory>() {
        return ExitStatus::out_of_memory(out_of_memory.to_string());
    }
    ExitStatus::trapped(match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => format!("{error:#}"),
    })
}
