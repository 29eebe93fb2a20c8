//! Where a host's own guests answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The addresses and ports at which guests listen. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served(Arc<Mutex<HashMap<SocketAddr, usize>>>);

/// A guest listens there, as long as this is kept.
#[derive(Debug)]
pub struct Serving {
    served: Served,
    address: SocketAddr,
}

impl Served {
    pub(crate) fn begin(&self, address: SocketAddr) -> Serving {
        *self.lock().entry(address).or_default() += 1;
        Serving { served: self.clone(), address }
    }

    pub(crate) fn has(&self, address: SocketAddr) -> bool {
        self.lock().contains_key(&address)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serving {
    /// Where that is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut served = self.served.lock();
        // The next one may have begun before this one is gone.
        if let Some(count) = served.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                served.remove(&self.address);
            }
        }
    }
}
