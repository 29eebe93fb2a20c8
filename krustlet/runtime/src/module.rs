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

/// The unit of a linear memory's size.
const PAGE_BYTES: u64 = 64 * 1024;

type Key = [u8; 32];
type Slot = Arc<Mutex<Weak<Compiled>>>;

/// The modules that somebody holds, by the digest of their bytes.
///
/// The references are weak: a module goes when its last container does. A slot's own lock is held while its module is
/// compiled, so that a hundred pods of one image that start together wait for one compilation, and others for none.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<Key, Slot>>);

impl Cache {
    pub(crate) fn get_or_compile(&self, linker: &Linker<State>, wasm: &[u8]) -> Result<Module, RuntimeError> {
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
        Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => {}
        _ => return Err(RuntimeError::NoStart),
    }
    let program = linker.instantiate_pre(&module).map_err(|error| RuntimeError::Import(format!("{error:#}")))?;
    let pages = module.resources_required().max_initial_memory_size.unwrap_or(0);
    Ok(Compiled {
        initial_memory_bytes: pages.saturating_mul(PAGE_BYTES),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::lock;
    use crate::{Engine, EngineConfig};

    fn wasm(name: &str) -> Vec<u8> {
        wat::parse_str(format!(r#"(module ${name} (func (export "_start")))"#)).unwrap()
    }

    #[test]
    fn a_module_is_compiled_once_while_somebody_holds_it_and_forgotten_after() {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let first = engine.compile(&wasm("a")).unwrap();
        let second = engine.compile(&wasm("a")).unwrap();
        let other = engine.compile(&wasm("b")).unwrap();
        assert!(Arc::ptr_eq(&first.0, &second.0));
        assert!(!Arc::ptr_eq(&first.0, &other.0));
        assert_ne!(first.digest(), other.digest());
        assert_eq!(lock(&engine.modules().0).len(), 2);

        let gone = Arc::downgrade(&first.0);
        drop((first, second));
        assert!(gone.upgrade().is_none());
        let _third = engine.compile(&wasm("c")).unwrap();
        assert_eq!(lock(&engine.modules().0).len(), 2, "b and c");
    }

    #[test]
    fn many_who_want_the_same_module_at_once_get_the_same() {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| engine.clone())
            .map(|engine| std::thread::spawn(move || engine.compile(&wasm("a")).unwrap()))
            .collect();
        let modules: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(modules.iter().all(|module| Arc::ptr_eq(&module.0, &modules[0].0)));
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let wasm = wasm("a");
        let module = engine.compile(&wasm).unwrap();
        assert_eq!(module.digest().len(), "sha256:".len() + 64);
        assert_eq!(module.digest(), engine.compile(&wasm).unwrap().digest());
    }
}
