//! What can be chosen about an engine.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use krustlet_http::{Egress, HostNetwork, Network};

use crate::resources::limits::WASM32_MEMORY_BYTES;

/// How many instances of servers have room in the pool: of 4 GiB of address space each, but not of memory.
const POOLED_INSTANCES: u32 = 1000;

/// What can be chosen about an [`Engine`](crate::Engine).
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How many threads run guests. Default: as many as the host has processors.
    pub worker_threads: Option<NonZeroUsize>,
    /// The most linear memory that a guest may have whose [`RunSpec`](crate::RunSpec) names no limit, in bytes. Default: 4 GiB, which is
    /// all that a 32-bit module can address.
    pub default_memory_limit_bytes: u64,
    /// What all guests may have together of the host's memory, in bytes. Default: no limit.
    pub memory_budget_bytes: u64,
    /// How many instances of servers there may be at once, of all servers together, see [`Engine::serve`](crate::Engine::serve). They are made in a pool,
    /// which takes 4 GiB of address space for each when the first server is compiled, and their memory when they run. A request past it
    /// is answered with 503. Four are set aside for each server, so that one whose clients take all that they can get leaves the others
    /// something. 0 means that there is no pool, and no such limit. Default: 1000.
    pub pooled_instances: u32,
    /// How many connections all servers together have open at once, each of which is a file that the process has open. One more is
    /// closed as soon as it is accepted. They are shared as instances are. Default: no limit but that of each, see
    /// [`ServerLimits::max_connections`](crate::ServerLimits::max_connections).
    pub max_server_connections: usize,
    /// A folder of the local disk where machine code is kept, so that a program which was compiled once is not compiled
    /// again by the next process. It must belong to the process's user with mode 0700, and is made so where it is not there:
    /// code is run as it is found, after a check of its SHA-256 that guards against damage, not against somebody who may
    /// write there. Entries that were not used for 30 days go, and the least used ones when all take more than 512 MiB.
    /// A folder that cannot be used is a warning and no error. Default: `None`, nothing is kept.
    pub code_cache: Option<PathBuf>,
    /// A file with certificate authorities in PEM that guests' requests to `https` origins trust besides the host's own: a
    /// private CA, `/etc/krustlet/ca.pem`. It is read once, when the engine is set up. Default: `None`, the host's alone.
    pub trusted_ca_file: Option<PathBuf>,
    /// How guests' requests look names up and connect. Default: as the host does, without proxies.
    pub network: Arc<dyn Network>,
    /// Where guests may connect to, whatever their [`RunSpec`](crate::RunSpec) allows. Default: everywhere but to the host itself and what is for it
    /// alone, see [`Egress`].
    pub egress: Egress,
    /// How many sockets guests may have open together, but for the first four of each. Default: no limit but that of each, see
    /// [`HttpAccess::max_concurrent_requests`](crate::HttpAccess::max_concurrent_requests).
    pub max_sockets: usize,
    /// Whether components of WASI 0.3 may run. What one may have of the host's memory is not bounded in all places yet, so this is for
    /// programs of those alone who may have all of it. Default: yes.
    pub wasi_0_3: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            worker_threads: None,
            default_memory_limit_bytes: WASM32_MEMORY_BYTES,
            memory_budget_bytes: u64::MAX,
            pooled_instances: POOLED_INSTANCES,
            max_server_connections: usize::MAX,
            code_cache: None,
            trusted_ca_file: None,
            network: Arc::new(HostNetwork::default()),
            egress: Egress::default(),
            max_sockets: usize::MAX,
            wasi_0_3: true,
        }
    }
}
