//! Compiled modules, and the table that keeps each from being compiled twice.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use sha2::{Digest, Sha256};

use crate::RuntimeError;
use crate::code_cache::CodeCache;
use crate::host::Hosts;
use crate::program::{Program, Proxy};

/// A compiled program, ready to be started: a core module or a component. Clones share the machine code.
#[derive(Clone)]
pub struct Module(pub(crate) Arc<Compiled>);

pub(crate) struct Compiled {
    pub(crate) program: Program,
    digest: String,
}

impl Module {
    /// The SHA-256 digest of the binary's bytes, as `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Whether it answers HTTP requests, by [`Engine::serve`](crate::Engine::serve), instead of running to its end, by
    /// [`Engine::start`](crate::Engine::start).
    pub fn is_server(&self) -> bool {
        self.proxy().is_some()
    }

    /// Whether it may listen by sockets of its own while it runs to its end: a component of WASI 0.2 or 0.3 may.
    pub fn may_listen(&self) -> bool {
        matches!(self.0.program, Program::Component(_) | Program::Concurrent(_))
    }

    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        match &self.0.program {
            Program::Server(proxy) => Some(proxy),
            Program::Module(_) | Program::Component(_) | Program::Concurrent(_) => None,
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Module").field(&self.0.digest).finish()
    }
}

type Slot = Arc<Mutex<Weak<Compiled>>>;

/// The modules that somebody holds, by the digest of their bytes.
///
/// The references are weak: a module goes when its last handle and its last running container do. A slot's own lock is held
/// while its module is compiled, so that a hundred pods of one image that start together wait for one compilation, and
/// others for none.
#[derive(Default)]
pub(crate) struct Modules(Mutex<HashMap<String, Slot>>);

impl Modules {
    pub(crate) fn get(&self, digest: &str) -> Option<Module> {
        let slot = lock(&self.0).get(digest)?.clone();
        let held = match slot.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // It is being compiled, so it is not here yet.
            Err(TryLockError::WouldBlock) => return None,
        };
        held.upgrade().map(Module)
    }

    pub(crate) fn get_or_compile(
        &self,
        hosts: &Hosts,
        code: Option<&CodeCache>,
        wasm: &[u8],
    ) -> Result<Module, RuntimeError> {
        let hex = hex(&Sha256::digest(wasm));
        let digest = format!("sha256:{hex}");
        let slot = self.slot(&digest);
        let mut held = lock(&slot);
        if let Some(compiled) = held.upgrade() {
            return Ok(Module(compiled));
        }
        let compiled = Arc::new(Compiled { program: Program::compile(hosts, code, wasm, &hex)?, digest });
        *held = Arc::downgrade(&compiled);
        Ok(Module(compiled))
    }

    /// The same without compiling: `None` if there is no machine code of it.
    pub(crate) fn get_or_load(
        &self,
        hosts: &Hosts,
        code: &CodeCache,
        wasm: &[u8],
    ) -> Result<Option<Module>, RuntimeError> {
        let hex = hex(&Sha256::digest(wasm));
        let digest = format!("sha256:{hex}");
        let slot = self.slot(&digest);
        let mut held = lock(&slot);
        if let Some(compiled) = held.upgrade() {
            return Ok(Some(Module(compiled)));
        }
        let Some(program) = Program::load(hosts, code, wasm, &hex)? else { return Ok(None) };
        let compiled = Arc::new(Compiled { program, digest });
        *held = Arc::downgrade(&compiled);
        Ok(Some(Module(compiled)))
    }

    fn slot(&self, digest: &str) -> Slot {
        let mut slots = lock(&self.0);
        if let Some(slot) = slots.get(digest) {
            return slot.clone();
        }
        // A good moment to forget what nobody holds any more; a slot that is being compiled is held by its compiler.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || lock(slot).strong_count() > 0);
        slots.entry(digest.to_owned()).or_default().clone()
    }
}

/// A panic of another thread leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
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
    fn the_digest_is_that_of_the_bytes_and_finds_the_module_as_long_as_it_is_held() {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let module = engine.compile(b"\0asm\x0d\0\x01\0").unwrap_err();
        assert!(module.to_string().contains("exports nothing"), "{module}");
        let module = engine.compile(&wasm("a")).unwrap();
        let digest = module.digest().to_owned();
        assert_eq!(digest.len(), "sha256:".len() + 64);
        assert_eq!(digest, engine.compile(&wasm("a")).unwrap().digest());

        assert!(Arc::ptr_eq(&engine.cached(&digest).unwrap().0, &module.0));
        for other in ["", "sha256:", &digest[7..], &digest.to_uppercase(), &format!("{digest} ")] {
            assert!(engine.cached(other).is_none(), "{other}");
        }
        drop(module);
        assert!(engine.cached(&digest).is_none());
    }

    #[test]
    fn a_module_that_is_being_compiled_is_not_waited_for() {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let digest = "sha256:00";
        let slot = engine.modules().slot(digest);
        let _compiling = lock(&slot);
        assert!(engine.cached(digest).is_none());
    }
}
