//! What a component offers and wants, as the agreed format tells it in the artifact's config
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>).

use serde::Serialize;
use wasmparser::{Parser, Payload, Result};

/// The names of a component's own imports and exports, in their order: `wasi:cli/run@0.2.6`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Interfaces {
    exports: Vec<String>,
    imports: Vec<String>,
}

/// Reads them from a component. Those of the modules and components within it are its own affair.
pub(crate) fn interfaces(wasm: &[u8]) -> Result<Interfaces> {
    let mut found = Interfaces::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_own_names_are_found_and_those_within_are_not() {
        let wasm = wat::parse_str(
            r#"(component
                (import "wasi:cli/environment@0.2.6" (instance))
                (component (import "inner" (func)) (export "also-inner" (func 0)))
                (core module (import "m" "f" (func)) (export "g" (func 0)))
                (instance $run)
                (export "wasi:cli/run@0.2.6" (instance $run)))"#,
        )
        .unwrap();
        let found = interfaces(&wasm).unwrap();
        assert_eq!(found.imports, ["wasi:cli/environment@0.2.6"]);
        assert_eq!(found.exports, ["wasi:cli/run@0.2.6"]);
    }

    #[test]
    fn a_damaged_component_is_an_error() {
        let wasm = wat::parse_str(r#"(component (import "a" (func)))"#).unwrap();
        assert!(interfaces(&wasm[..wasm.len() - 1]).is_err());
    }
}
