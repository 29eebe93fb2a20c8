//! What a component exports, as its bytes tell: which engine is to compile it has to be known before.

use wasmparser::{CanonicalFunction, CanonicalOption, Parser, Payload, Result};

/// The interface of those that answer HTTP requests, without its version
/// (<https://github.com/WebAssembly/wasi-http/blob/v0.2.3/wit/handler.wit>).
pub(crate) const INCOMING_HANDLER: &str = "wasi:http/incoming-handler";

/// The same of WASI 0.3 (<https://github.com/WebAssembly/WASI/blob/v0.3.0/proposals/http/wit/handler.wit>).
pub(crate) const HANDLER: &str = "wasi:http/handler";

/// The interface of those that run to their end.
pub(crate) const RUN: &str = "wasi:cli/run";

/// Whether a component exports an interface of this name, in whatever version. What is damaged does not: the compiler says more.
pub(crate) fn has(wasm: &[u8], interface: &str) -> bool {
    find(wasm, interface).unwrap_or(false)
}

/// Whether a component exports or imports any interface of WASI 0.3, or has any part that is asynchronous as those are, by which it could have
/// many calls of its own under way. What is damaged does not: the compiler says more.
pub(crate) fn is_of_0_3(wasm: &[u8]) -> bool {
    let is_of_0_3 = |name: &str| {
        name.starts_with("wasi:") && name.split_once('@').is_some_and(|(_, version)| version.starts_with("0.3"))
    };
    Parser::is_component(wasm)
        && (any_name(wasm, true, is_of_0_3).unwrap_or(false) || is_asynchronous(wasm).unwrap_or(false))
}

/// Whether a component, or one inside it, calls or is called as functions of WASI 0.3 are: of what the components of 0.2 are made of, nothing is.
fn is_asynchronous(wasm: &[u8]) -> Result<bool> {
    let is_asynchronous =
        |option: &CanonicalOption| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_));
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::ComponentCanonicalSection(section) = payload? else { continue };
        for function in section {
            let found = match function? {
                CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
                    options.iter().any(is_asynchronous)
                }
                CanonicalFunction::ResourceNew { .. }
                | CanonicalFunction::ResourceDrop { .. }
                | CanonicalFunction::ResourceRep { .. } => false,
                _ => true,
            };
            if found {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn find(wasm: &[u8], interface: &str) -> Result<bool> {
    any_name(wasm, false, |name| name.split('@').next() == Some(interface))
}

/// Whether what the component itself exports, or imports as well, has such a name.
fn any_name(wasm: &[u8], imports: bool, wanted: impl Fn(&str) -> bool) -> Result<bool> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    if wanted(export?.name.name) {
                        return Ok(true);
                    }
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 && imports => {
                for import in section {
                    if wanted(import?.name.name) {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_of_the_component_itself_counts_in_any_version() {
        let component = |inner: &str, outer: &str| {
            wat::parse_str(format!(
                r#"(component
                    (component (instance $i) (export "{inner}" (instance $i)))
                    (core module (func (export "{inner}")))
                    (instance $i) (export "{outer}" (instance $i)))"#
            ))
            .unwrap()
        };
        let (yes, no) = ("wasi:http/incoming-handler@0.2.7", "wasi:http/outgoing-handler@0.2.7");
        assert!(has(&component(no, yes), INCOMING_HANDLER));
        assert!(has(&component(no, INCOMING_HANDLER), INCOMING_HANDLER));
        assert!(!has(&component(yes, no), INCOMING_HANDLER));
        assert!(!has(&component(no, "wasi:http/incoming-handler-not@0.2.7"), INCOMING_HANDLER));
        assert!(!has(b"\0asm\x0d\0\x01\0\xff", INCOMING_HANDLER));
    }

    #[test]
    fn a_component_is_of_0_3_by_what_it_exports_and_by_what_it_imports() {
        let component = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
        let exports = |name: &str| component(&format!(r#"(instance $i) (export "{name}" (instance $i))"#));
        let imports = |name: &str| component(&format!(r#"(import "{name}" (instance))"#));
        for name in ["wasi:http/handler@0.3.0", "wasi:cli/run@0.3.2", "wasi:cli/run@0.3.0-rc-2026-01-01"] {
            assert!(is_of_0_3(&exports(name)) && is_of_0_3(&imports(name)), "{name}");
        }
        for name in ["wasi:cli/run@0.2.3", "wasi:http/incoming-handler@0.2.0", "my:own/run@0.3.0"] {
            assert!(!is_of_0_3(&exports(name)) && !is_of_0_3(&imports(name)), "{name}");
        }
        assert!(!is_of_0_3(b"\0asm\x01\0\0\0") && !is_of_0_3(b""));
    }

    #[test]
    fn so_is_one_with_a_part_that_is_asynchronous_whatever_its_interfaces() {
        let within = |text: &str| wat::parse_str(format!(r#"(component (component {text}))"#)).unwrap();
        let lifted = |options: &str| {
            within(&format!(
                r#"(core module $m (func (export "f") (result i32) (i32.const 0)) (func (export "c") (param i32 i32 i32) (result i32) (i32.const 0)))
                (core instance $i (instantiate $m))
                (func (export "f") {options})"#
            ))
        };
        let sync = lifted(r#"(result u32) (canon lift (core func $i "f"))"#);
        let callback = lifted(r#"async (canon lift (core func $i "f") async (callback (core func $i "c")))"#);
        let lowered = within(r#"(import "f" (func $f)) (core func (canon lower (func $f) async))"#);
        let new_set = within("(core func (canon waitable-set.new))");
        let resource = within(r#"(type $r (resource (rep i32))) (core func (canon resource.new $r))"#);
        for (of_0_3, wasm) in [(false, sync), (true, callback), (true, lowered), (true, new_set), (false, resource)] {
            assert_eq!(is_of_0_3(&wasm), of_0_3, "{wasm:?}");
        }
    }
}
