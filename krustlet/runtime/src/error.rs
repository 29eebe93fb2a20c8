//! The errors of this crate.

/// Why an engine, a module or a container could not be made.
///
/// What goes wrong *after* a module has started is no error of this crate: it is the
/// [`ExitStatus`](crate::ExitStatus) of its container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The engine itself could not be set up on this host.
    #[error("the WebAssembly engine cannot be set up on this host: {0}")]
    Engine(String),

    /// The bytes are no WebAssembly at all.
    #[error(
        "this is not a WebAssembly module: it starts with {found}, not with the four bytes \"\\0asm\"; give the \
         .wasm file that a build for wasm32-wasip1 makes"
    )]
    NotWasm {
        /// The first bytes of the file in hexadecimal, or "nothing" when it is empty.
        found: String,
    },

    /// The bytes are a WebAssembly component.
    #[error(
        "this is a WebAssembly component (WASI 0.2); only core modules of WASI preview 1 can run here: build for the \
         target wasm32-wasip1"
    )]
    Component,

    /// It is WebAssembly, but it is damaged, or it uses a feature that the engine does not have.
    #[error("this WebAssembly module is not valid: {0}")]
    Invalid(String),

    /// The module wants something that nobody here provides.
    #[error(
        "this module imports what a node does not provide: {0}; only the functions of wasi_snapshot_preview1 are \
         there"
    )]
    Import(String),

    /// The module has no entry point: it is a library (a WASI reactor), or no WASI program at all.
    #[error(
        "this module exports no function `_start` without parameters and results, so there is nothing to run: build it \
         as a program (a WASI command), not as a library"
    )]
    NoStart,

    /// The module needs more memory at its start than the container may have.
    #[error(
        "this module starts with {needed} bytes of memory, but the limit of its container is {limit} bytes: raise the \
         memory limit, or build the module with less initial memory"
    )]
    MemoryLimit {
        /// What the module declares as its initial linear memory, in bytes.
        needed: u64,
        /// What the container may have, in bytes.
        limit: u64,
    },

    /// An argument or a variable cannot be handed to a WASI program.
    #[error("{0}")]
    Spec(String),
}
