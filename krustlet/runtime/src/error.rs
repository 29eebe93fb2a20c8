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

    /// [`trusted_ca_file`](crate::EngineConfig::trusted_ca_file) cannot be used. The text says why.
    #[error(transparent)]
    Authorities(#[from] krustlet_http::CaFileError),

    /// The bytes are no WebAssembly at all.
    #[error(
        "this is not a WebAssembly module: it starts with {found}, not with the four bytes \"\\0asm\"; give the \
         .wasm file that a build for wasm32-wasip1 or wasm32-wasip2 makes"
    )]
    NotWasm {
        /// The first bytes of the file in hexadecimal, or "nothing" when it is empty.
        found: String,
    },

    /// It is WebAssembly, but it is damaged, or it uses a feature that the engine does not have.
    #[error("this WebAssembly module is not valid: {0}")]
    Invalid(String),

    /// The module wants something that nobody here provides.
    #[error(
        "this module imports what a node does not provide: {0}; there are the functions of wasi_snapshot_preview1 and \
         wasi_experimental_http for a module, and for a component the interfaces of WASI 0.2 and 0.3.0 that the world \
         wasi:cli/command has, wasi:http/outgoing-handler of 0.2 and wasi:http/client of 0.3.0"
    )]
    Import(String),

    /// The module has no entry point: it is a library (a WASI reactor), or no WASI program at all.
    #[error(
        "this module exports no function `_start` without parameters and results, so there is nothing to run: build it \
         as a program (a WASI command), not as a library"
    )]
    NoStart,

    /// The component is of WASI 0.3, which [`EngineConfig::wasi_0_3`](crate::EngineConfig::wasi_0_3) does not let run.
    #[error(
        "this component is of WASI 0.3, which this node does not run: what such a program may have of the host's memory is not \
         bounded in all places yet; build it for WASI 0.2, or start the node with --wasi-0-3 where all who may make pods are trusted \
         with the node"
    )]
    Wasi03,

    /// The component has no entry point: it is a library, or one of another version of WASI.
    #[error(
        "this component exports {exports}, and neither wasi:cli/run nor wasi:http/incoming-handler of WASI 0.2, nor \
         wasi:cli/run nor wasi:http/handler of 0.3, so there is nothing to run: build it as a program (the world \
         wasi:cli/command) or as a server (the world wasi:http/proxy of 0.2, wasi:http/service of 0.3), not as a library"
    )]
    NoRun {
        /// The names of its exports, or "nothing".
        exports: String,
    },

    /// The program answers HTTP requests, and was to run to its end.
    #[error(
        "this component answers HTTP requests (it exports wasi:http/incoming-handler or wasi:http/handler) and does not run to an end: it is to be \
         served, with krustlet-wasi serve"
    )]
    Serves,

    /// The program runs to its end, and was to answer HTTP requests.
    #[error(
        "this program runs to its end and answers no HTTP requests: a server is a component that exports \
         wasi:http/incoming-handler of WASI 0.2 or wasi:http/handler of 0.3, and not wasi:cli/run (the worlds wasi:http/proxy \
         and wasi:http/service); this one is to be run, with krustlet-wasi run"
    )]
    DoesNotServe,

    /// A folder cannot be handed to the guest.
    #[error("the folder {host:?} cannot be mounted at {guest} in the container: {reason}")]
    Mount {
        /// The folder on the host.
        host: std::path::PathBuf,
        /// Where it was to be.
        guest: String,
        /// In the words of the operating system.
        reason: String,
    },

    /// An argument, a variable or the path of a mount cannot be handed to a WASI program.
    #[error("{0}")]
    Spec(String),
}
