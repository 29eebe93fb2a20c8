//! The host's side of every guest: how Wasmtime is configured, and which functions there are.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::{Config, EngineWeak, Linker, PoolingAllocationConfig, component};
use wasmtime_wasi::{I32Exit, p1, p2, p3};

use crate::run::State;
use crate::{http, listing, opening, sockets};

/// How deep a guest may nest its calls, in bytes of its native stack; past that it traps. Twice what Wasmtime gives by
/// default: interpreters recurse. Stacks cost address space only, until they are used.
const WASM_STACK_BYTES: usize = 1 << 20;

/// The stack of a guest with what the host's own functions need on it. The difference, 1 MiB, is theirs alone, so that a
/// guest which calls them at its deepest does no harm.
const STACK_BYTES: usize = 2 << 20;

/// What a component is made of, at most, where it fills a slot of the pool: a program that was built for `wasm32-wasip2` has four
/// core instances, one memory and two tables. One that needs more is not refused; its instances are made without the pool.
const POOLED_CORE_INSTANCES: u32 = 8;
const POOLED_TABLES: u32 = 4;

/// How many stacks there are for each instance: by WASI 0.3 one may wait in a call while another is begun.
const STACKS: u32 = 2;

/// Wasmtime's engines: one for programs that stay, and one with a pool for those that are made anew for each request. What is compiled
/// for one is machine code for the other too, so that whoever keeps code need not know of two.
pub(crate) struct Hosts {
    config: Config,
    plain: Host,
    pooled_instances: u32,
    /// Made when the first server comes: nobody else needs it. `None` inside where it cannot be had.
    pooled: OnceLock<Option<Host>>,
    epochs: Epochs,
}

/// The engines whose guests give their threads back at each tick. An engine may outlive who made it, as long as a guest runs on it.
#[derive(Clone, Default)]
pub(crate) struct Epochs(Arc<Mutex<Vec<EngineWeak>>>);

impl Epochs {
    fn add(&self, engine: &wasmtime::Engine) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(engine.weak());
    }

    /// A tick. Whether there will be others.
    pub(crate) fn advance(&self) -> bool {
        let mut engines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        engines.retain(|engine| engine.upgrade().map(|engine| engine.increment_epoch()).is_some());
        !engines.is_empty()
    }
}

impl Hosts {
    /// `pooled_instances` is how many instances the pool has room for; with 0 there is none.
    pub(crate) fn new(config: Config, pooled_instances: u32) -> wasmtime::Result<Self> {
        let (plain, epochs) = (Host::new(&config)?, Epochs::default());
        epochs.add(plain.engine());
        Ok(Self { plain, config, pooled_instances, pooled: OnceLock::new(), epochs })
    }

    pub(crate) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    pub(crate) fn plain(&self) -> &Host {
        &self.plain
    }

    /// The one with the pool.
    pub(crate) fn pooled(&self) -> Option<&Host> {
        if self.pooled_instances == 0 {
            return None;
        }
        let make = || match self.make_pooled() {
            Ok(host) if code_of(host.engine()) == code_of(self.plain.engine()) => {
                self.epochs.add(host.engine());
                Some(host)
            }
            Ok(_) => {
                tracing::warn!(
                    "a pool of instances wants other machine code; instances of servers are made one by one"
                );
                None
            }
            Err(error) => {
                tracing::warn!("no pool of instances can be had; instances of servers are made one by one: {error:#}");
                None
            }
        };
        self.pooled.get_or_init(make).as_ref()
    }

    /// Address space is taken ahead, for 1,000 instances some 4 TiB of the 128 TiB that a process has; memory is not.
    fn make_pooled(&self) -> wasmtime::Result<Host> {
        let instances = self.pooled_instances;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances.saturating_mul(POOLED_CORE_INSTANCES))
            .total_memories(instances)
            .total_tables(instances.saturating_mul(POOLED_TABLES))
            // Without these one program could have what is there for all of them. One that needs more does not compile for the pool.
            .max_core_instances_per_component(POOLED_CORE_INSTANCES)
            .max_memories_per_component(1)
            .max_tables_per_component(POOLED_TABLES)
            .total_stacks(instances.saturating_mul(STACKS));
        Host::new(self.config.clone().allocation_strategy(pool))
    }
}

/// The same for engines that can run each other's machine code.
fn code_of(engine: &wasmtime::Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Wasmtime's engine with the functions of WASI and of HTTP.
pub(crate) struct Host {
    engine: wasmtime::Engine,
    modules: Linker<State>,
    components: component::Linker<State>,
}

impl Host {
    pub(crate) fn new(config: &Config) -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(config)?;
        Ok(Self { modules: modules(&engine)?, components: components(&engine)?, engine })
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        &self.engine
    }

    pub(crate) fn modules(&self) -> &Linker<State> {
        &self.modules
    }

    pub(crate) fn components(&self) -> &component::Linker<State> {
        &self.components
    }
}

pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        // A 32-bit memory bounds a guest even where no limit is set. Several of them are what the engine's own code between
        // composed components needs; the limits count them together.
        .wasm_memory64(false)
        .wasm_multi_memory(true)
        // What WASI 0.3 is made of, and no more of it: by the rest a program could have any number of stacks, or of threads.
        .wasm_component_model_async(true)
        .wasm_component_model_async_stackful(false)
        .wasm_component_model_threading(false)
        // Nobody reads native unwind tables or Wasm addresses here: without them a module takes less memory.
        .native_unwind_info(false)
        .generate_address_map(false);
    config
}

fn modules(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
    // The stock `proc_exit` turns every code from 126 on into a trap. A container's exit code is what the program said.
    linker.allow_shadowing(true);
    linker.func_wrap("wasi_snapshot_preview1", "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(I32Exit(code).into())
    })?;
    opening::add_to_modules(&mut linker)?;
    listing::add_to_modules(&mut linker)?;
    http::add_to_modules(&mut linker)?;
    Ok(linker)
}

fn components(engine: &wasmtime::Engine) -> wasmtime::Result<component::Linker<State>> {
    let mut linker = component::Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    linker.allow_shadowing(true);
    opening::add_to_components(&mut linker)?;
    listing::add_to_components(&mut linker)?;
    http::add_to_components(&mut linker)?;
    sockets::add_to_components(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_made_when_it_is_asked_for_and_runs_the_code_of_the_plain_engine() {
        let hosts = Hosts::new(config(), 10).unwrap();
        assert!(hosts.pooled.get().is_none());
        let pooled = hosts.pooled().unwrap();
        assert_eq!(code_of(pooled.engine()), code_of(hosts.plain().engine()));
    }

    #[test]
    fn epochs_advance_for_as_long_as_somebody_has_an_engine() {
        let hosts = Hosts::new(config(), 10).unwrap();
        let pooled = hosts.pooled().unwrap().engine().clone();
        let epochs = hosts.epochs().clone();
        assert!(epochs.advance());
        drop(hosts);
        assert!(epochs.advance(), "a guest may still run on the pooled one");
        drop(pooled);
        assert!(!epochs.advance());
    }

    #[test]
    fn there_may_be_no_pool() {
        assert!(Hosts::new(config(), 0).unwrap().pooled().is_none());
    }
}
