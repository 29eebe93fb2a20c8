//! Reading a module or component from a file, and refusing what could not run.

use std::io::Read;
use std::path::Path;

use krustlet_oci::MAX_MODULE_BYTES;
use wasmparser::Validator;

/// Why a file cannot be pushed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModuleError {
    #[error("cannot read {path}: {problem}; build the module first (cargo build --release --target wasm32-wasip1)")]
    Read { path: String, problem: std::io::Error },
    #[error(
        "{path} is not a WebAssembly module: it does not start with the four bytes \"\\0asm\"; give the .wasm file that \
         a build for wasm32-wasip1 makes"
    )]
    NotWasm { path: String },
    #[error("{path} is a damaged WebAssembly module: {problem}; build it anew")]
    Damaged { path: String, problem: String },
    #[error(
        "{path} is larger than the {MAX_MODULE_BYTES} bytes that are allowed: build it smaller (opt-level \"s\", lto, strip)"
    )]
    TooLarge { path: String },
}

/// The bytes of a valid module or component.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, ModuleError> {
    let path = file.display().to_string();
    let failed = |problem| ModuleError::Read { path: path.clone(), problem };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file).map_err(failed)?;
    // One byte more than allowed tells enough: what is given may be a disk.
    file.take(MAX_MODULE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    check(&path, &bytes)?;
    Ok(bytes)
}

fn check(path: &str, bytes: &[u8]) -> Result<(), ModuleError> {
    let path = path.to_owned();
    if !bytes.starts_with(b"\0asm") {
        return Err(ModuleError::NotWasm { path });
    }
    if bytes.len() as u64 > MAX_MODULE_BYTES {
        return Err(ModuleError::TooLarge { path });
    }
    match Validator::new().validate_all(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(ModuleError::Damaged { path, problem: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_and_a_component_are_read_as_they_are() {
        for text in [r#"(module (func (export "_start")))"#, r#"(component (import "a" (func)))"#] {
            let wasm = wat::parse_str(text).unwrap();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &wasm).unwrap();
            assert_eq!(read(file.path()).unwrap(), wasm);
        }
    }

    #[test]
    fn what_is_no_module_is_refused_by_what_it_is() {
        let module = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
        let component = wat::parse_str(r#"(component (import "a" (func)))"#).unwrap();
        let cases = [
            (&b"#!/bin/sh\n"[..], "x.wasm is not a WebAssembly module"),
            (b"", "x.wasm is not a WebAssembly module"),
            (&component[..component.len() - 1], "x.wasm is a damaged WebAssembly module"),
            (&module[..module.len() - 1], "x.wasm is a damaged WebAssembly module"),
            (b"\0asm", "x.wasm is a damaged WebAssembly module"),
        ];
        for (bytes, expected) in cases {
            let error = check("x.wasm", bytes).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_says_how_to_make_one() {
        let error = read(Path::new("/nowhere/x.wasm")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/x.wasm: No such file"), "{error}");
        assert!(error.contains("cargo build"), "{error}");
    }
}
