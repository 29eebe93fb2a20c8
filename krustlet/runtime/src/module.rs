//! Compiled modules, and the cache that keeps each from being compiled twice.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sha2::{Digest, Sha256};
use wasmtime::{ExternType, InstancePre, Linker};

use crate::RuntimeError;
use crate::container::State;

/// A compiled module, ready to be started. Clones share the machine code.
#[derive(Clone)]
pub struct Module(pub(crate) Arc<Compiled>);

pub(crate) struct Compiled {
    pub(crate) program: InstancePre<State>,
    /// What the module declares as its initial linear memory, in bytes.
    pub(crate) initial_memory_bytes: u64,
    digest: String,
}

impl Module {
    /// The SHA-256 digest of the module's bytes, as `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Module").field(&self.0.digest).finish()
    }
}

type Key = [u8; 32];
type Slot = Arc<Mutex<Weak<Compiled>>>;

/// The modules that somebody holds, by the digest of their bytes.
///
/// The references are weak: a module goes when its last container does. A slot's own lock is held while its module is
/// compiled, so that a hundred pods of one image that start together wait for one compilation, and others for none.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<Key, Slot>>);

impl Cache {
    pub(crate) fn get_or_compile(
        &self,
        linker: &Linker<State>,
        wasm: &[u8],
    ) -> Result<Module, RuntimeError> {
        let key: Key = Sha256::digest(wasm).into();
        let slot = self.slot(key);
        let mut held = lock(&slot);
        if let Some(compiled) = held.upgrade() {
            return Ok(Module(compiled));
        }
        let compiled = Arc::new(compile(linker, wasm, &key)?);
        *held = Arc::downgrade(&compiled);
        Ok(Module(compiled))
    }

    fn slot(&self, key: Key) -> Slot {
        let mut slots = lock(&self.0);
        if let Some(slot) = slots.get(&key) {
            return slot.clone();
        }
        // A good moment to forget what nobody holds any more; a slot that is being compiled is held by its compiler.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || lock(slot).strong_count() > 0);
        slots.entry(key).or_default().clone()
    }
}

/// A panic of another thread leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn compile(linker: &Linker<State>, wasm: &[u8], key: &Key) -> Result<Compiled, RuntimeError> {
    check_preamble(wasm)?;
    let module = wasmtime::Module::from_binary(linker.engine(), wasm)
        .map_err(|error| RuntimeError::Invalid(format!("{error:#}")))?;
    match module.get_export("_start") {
        Some(ExternType::Func(start))
            if start.params().len() == 0 && start.results().len() == 0 => {}
        _ => return Err(RuntimeError::NoStart),
    }
    let program = linker
        .instantiate_pre(&module)
        .map_err(|error| RuntimeError::Import(format!("{error:#}")))?;
    Ok(Compiled {
        initial_memory_bytes: module
            .resources_required()
            .max_initial_memory_size
            .unwrap_or(0),
        program,
        digest: format!("sha256:{}", hex(key)),
    })
}

/// The first eight bytes tell modules and components apart: magic, version, layer
/// (<https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md#component-definitions>).
fn check_preamble(wasm: &[u8]) -> Result<(), RuntimeError> {
    if !wasm.starts_with(b"\0asm") {
        return Err(RuntimeError::NotWasm {
            found: match &wasm[..wasm.len().min(4)] {
                [] => "nothing".into(),
                start => hex(start),
            },
        });
    }
    match wasm.get(6..8) {
        Some([1, 0]) => Err(RuntimeError::Component),
        _ => Ok(()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
