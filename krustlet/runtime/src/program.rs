//! The kinds of program that run here, and what tells them apart.

use wasmtime::component::{self, Component, types::ComponentItem};
use wasmtime::{ExternType, InstancePre, Store};
use wasmtime_wasi::{p2, p3};
use wasmtime_wasi_http::{p2 as http2, p3 as http3};

use crate::RuntimeError;
use crate::code_cache::CodeCache;
use crate::exports::{self, HANDLER, INCOMING_HANDLER, RUN};
use crate::host::{Host, Hosts};
use crate::module::hex;
use crate::run::State;

/// A compiled program, bound to the functions of the host.
pub(crate) enum Program {
    /// A core module of WASI preview 1, with an exported `_start`.
    Module(InstancePre<State>),
    /// A component that exports `wasi:cli/run` of WASI 0.2.
    Component(p2::bindings::CommandPre<State>),
    /// A component that exports `wasi:cli/run` of WASI 0.3, which is asynchronous.
    Concurrent(p3::bindings::CommandPre<State>),
    /// A component that answers HTTP requests, and does not export `wasi:cli/run`.
    Server(Proxy),
}

/// A component that answers HTTP requests.
#[derive(Clone)]
pub(crate) enum Proxy {
    /// By `wasi:http/incoming-handler` of WASI 0.2.
    P2(http2::bindings::ProxyPre<State>),
    /// By `wasi:http/handler` of WASI 0.3.
    P3(http3::bindings::ServicePre<State>),
}

impl Proxy {
    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::P2(program) => program.engine(),
            Self::P3(program) => program.engine(),
        }
    }
}

/// What a binary is by its preamble: magic, version, layer
/// (<https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md#component-definitions>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Module,
    Component,
}

impl Kind {
    fn of(wasm: &[u8]) -> Result<Self, RuntimeError> {
        if !wasm.starts_with(b"\0asm") {
            return Err(RuntimeError::NotWasm {
                found: match &wasm[..wasm.len().min(4)] {
                    [] => "nothing".into(),
                    start => hex(start),
                },
            });
        }
        Ok(match wasm.get(6..8) {
            Some([1, 0]) => Self::Component,
            // Anything else is a module, or damaged: the parser knows the words for that.
            _ => Self::Module,
        })
    }
}

impl Program {
    /// Validates, compiles and binds a binary; `digest` is that of its bytes, in hexadecimal. Machine code is taken from and
    /// kept in `cache`.
    pub(crate) fn compile(
        hosts: &Hosts,
        cache: Option<&CodeCache>,
        wasm: &[u8],
        digest: &str,
    ) -> Result<Self, RuntimeError> {
        match Kind::of(wasm)? {
            Kind::Module => {
                let host = hosts.plain();
                let compile = || wasmtime::Module::from_binary(host.engine(), wasm);
                let module = match cache {
                    Some(cache) => cache.around(digest, compile, wasmtime::Module::serialize),
                    None => compile(),
                };
                Self::bind_module(host, &module.map_err(invalid)?)
            }
            Kind::Component => {
                let (host, component) = on_its_host(hosts, wasm, |host| {
                    let compile = || Component::from_binary(host.engine(), wasm);
                    match cache {
                        Some(cache) => cache.around(digest, compile, Component::serialize),
                        None => compile(),
                    }
                })?;
                Self::bind_component(host, &component)
            }
        }
    }

    /// The same, if there is machine code of it in `cache`.
    pub(crate) fn load(
        hosts: &Hosts,
        cache: &CodeCache,
        wasm: &[u8],
        digest: &str,
    ) -> Result<Option<Self>, RuntimeError> {
        let program = match Kind::of(wasm)? {
            Kind::Module => {
                let host = hosts.plain();
                let module = cache.load(digest, || wasmtime::Module::from_binary(host.engine(), wasm));
                module.map(|module| Self::bind_module(host, &module.map_err(invalid)?))
            }
            Kind::Component => {
                let load = |host: &Host| cache.load(digest, || Component::from_binary(host.engine(), wasm)).transpose();
                let (host, component) = on_its_host(hosts, wasm, load)?;
                component.map(|component| Self::bind_component(host, &component))
            }
        };
        program.transpose()
    }

    fn bind_module(host: &Host, module: &wasmtime::Module) -> Result<Self, RuntimeError> {
        match module.get_export("_start") {
            Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => {}
            _ => return Err(RuntimeError::NoStart),
        }
        host.modules().instantiate_pre(module).map(Self::Module).map_err(missing)
    }

    fn bind_component(host: &Host, component: &Component) -> Result<Self, RuntimeError> {
        let bound: component::InstancePre<State> = host.components().instantiate_pre(component).map_err(missing)?;
        // The export's own version may be any that is compatible with ours, which only the bindings can tell. A program that can do
        // both is one that runs to its end, as it has been for longer.
        p3::bindings::CommandPre::new(bound.clone())
            .map(Self::Concurrent)
            .or_else(|_| p2::bindings::CommandPre::new(bound.clone()).map(Self::Component))
            .or_else(|_| {
                http3::bindings::ServicePre::new(bound.clone()).map(|program| Self::Server(Proxy::P3(program)))
            })
            .or_else(|_| http2::bindings::ProxyPre::new(bound).map(|program| Self::Server(Proxy::P2(program))))
            .map_err(|_| RuntimeError::NoRun { exports: all_exports(component) })
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::Module(program) => program.module().engine(),
            Self::Component(program) => program.engine(),
            Self::Concurrent(program) => program.engine(),
            Self::Server(program) => program.engine(),
        }
    }

    /// Runs the program to its end, with the exit code that its return means. A server has none.
    pub(crate) async fn run(&self, store: &mut Store<State>) -> wasmtime::Result<i32> {
        match self {
            Self::Module(program) => {
                let instance = program.instantiate_async(&mut *store).await?;
                let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
                start.call_async(&mut *store, ()).await?;
                Ok(0)
            }
            Self::Component(program) => {
                let command = program.instantiate_async(&mut *store).await?;
                let result = command.wasi_cli_run().call_run(&mut *store).await?;
                Ok(if result.is_ok() { 0 } else { 1 })
            }
            Self::Concurrent(program) => {
                let command = program.instantiate_async(&mut *store).await?;
                let run = async |store: &_| command.wasi_cli_run().call_run(store).await;
                // What it has still under way ends with it, as the threads of a process do.
                Ok(if store.run_concurrent(run).await??.is_ok() { 0 } else { 1 })
            }
            Self::Server(_) => Err(wasmtime::Error::msg("it answers requests, and does not run to an end")),
        }
    }
}

/// Makes a component for the engine that is meant for it. A server that the pool has no room for, by its instances, memories or tables, is
/// made for the other one.
fn on_its_host<'a, T>(
    hosts: &'a Hosts,
    wasm: &[u8],
    make: impl Fn(&Host) -> wasmtime::Result<T>,
) -> Result<(&'a Host, T), RuntimeError> {
    let serves = [HANDLER, INCOMING_HANDLER].into_iter().any(|handler| exports::has(wasm, handler));
    let serves = serves && !exports::has(wasm, RUN);
    let pooled = if serves { hosts.pooled() } else { None };
    if let Some(host) = pooled {
        match make(host) {
            Ok(made) => return Ok((host, made)),
            Err(error) => tracing::debug!("this server's instances are made without the pool: {error:#}"),
        }
    }
    let host = hosts.plain();
    Ok((host, make(host).map_err(invalid)?))
}

/// What the operating system refuses is no fault of the program's.
fn invalid(error: wasmtime::Error) -> RuntimeError {
    match error.chain().any(|cause| cause.is::<std::io::Error>()) {
        true => RuntimeError::Engine(format!("{error:#}")),
        false => RuntimeError::Invalid(format!("{error:#}")),
    }
}

fn missing(error: wasmtime::Error) -> RuntimeError {
    RuntimeError::Import(format!("{error:#}"))
}

/// What a component exports, by name.
fn all_exports(component: &Component) -> String {
    let names: Vec<_> = component
        .component_type()
        .exports(component.engine())
        .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
        .map(|(name, _)| name.to_owned())
        .collect();
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The least component that is a program: its `run` returns well.
    pub(crate) const COMMAND: &str = r#"
        (component
            (core module $program (func (export "run") (result i32) i32.const 0))
            (core instance $program (instantiate $program))
            (func $run (result (result)) (canon lift (core func $program "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#;

    #[test]
    fn a_server_that_the_pool_has_no_room_for_is_made_without_it() {
        let hosts = Hosts::new(crate::host::config(), 10).unwrap();
        // As many modules of a kind, each with its own instance.
        let component = |count: usize, holds: &str, exports: &[&str]| {
            let module = format!("(core module $m {holds})");
            let instances: String = (0..count).map(|_| "(core instance (instantiate $m))").collect();
            let exports: String = exports
                .iter()
                .map(|name| {
                    let id = name.len();
                    format!(r#"(instance $i{id} (export "x" (instance $e))) (export "{name}" (instance $i{id}))"#)
                })
                .collect();
            wat::parse_str(format!("(component {module} {instances} (instance $e) {exports})")).unwrap()
        };
        let pooled = |wasm: &[u8]| {
            let (host, made) = on_its_host(&hosts, wasm, |host| Component::from_binary(host.engine(), wasm)).unwrap();
            assert!(wasmtime::Engine::same(host.engine(), made.engine()));
            !wasmtime::Engine::same(host.engine(), hosts.plain().engine())
        };
        let (serves, runs) = ("wasi:http/incoming-handler@0.2.3", "wasi:cli/run@0.2.3");
        assert!(pooled(&component(4, "(table 10 funcref)", &[serves])));
        assert!(!pooled(&component(5, "(table 10 funcref)", &[serves])), "tables");
        assert!(pooled(&component(1, "(memory 1)", &[serves])));
        assert!(!pooled(&component(2, "(memory 1)", &[serves])), "memories");
        assert!(pooled(&component(8, "", &[serves])));
        assert!(!pooled(&component(9, "", &[serves])), "instances");
        assert!(pooled(&component(1, "", &["wasi:http/handler@0.3.0"])));
        assert!(!pooled(&component(1, "", &[runs])));
        assert!(!pooled(&component(1, "", &[serves, runs])), "it runs to its end");
    }

    #[test]
    fn the_preamble_tells_the_kind() {
        let kind = |bytes: &[u8]| Kind::of(bytes).map_err(|error| error.to_string());
        assert_eq!(kind(b"\0asm\x01\0\0\0"), Ok(Kind::Module));
        assert_eq!(kind(b"\0asm\x0d\0\x01\0rest"), Ok(Kind::Component));
        assert_eq!(kind(b"\0asm"), Ok(Kind::Module));
        for (bytes, found) in [(&b""[..], "nothing"), (b"\0as", "006173"), (b"#!/bin/sh", "23212f62")] {
            assert!(kind(bytes).unwrap_err().contains(&format!("starts with {found}, not with")), "{bytes:?}");
        }
    }
}
