//! From what the command line names to the bytes of a program.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use krustlet_oci::{Client, ClientConfig, Reference};

use super::flags::Flags;

/// A program, as it was found.
pub struct Program {
    /// What it is called: its first argument, as on a node.
    pub name: String,
    /// WebAssembly, perhaps.
    pub wasm: Vec<u8>,
}

/// Reads the file of that name; where there is none, pulls what a registry has under it.
pub async fn load(flags: &Flags) -> Result<Program> {
    let given = flags.program.as_str();
    match std::fs::read(given) {
        Ok(wasm) => Ok(Program { name: stem(given), wasm }),
        Err(error) if error.kind() == ErrorKind::NotFound && !is_plainly_a_file(given) => pull(flags).await,
        Err(error) => Err(error).with_context(|| format!("cannot read {given}")),
    }
}

async fn pull(flags: &Flags) -> Result<Program> {
    let given = &flags.program;
    let reference: Reference = match given.parse() {
        Ok(reference) => reference,
        Err(error) => bail!("there is no file {given}, and it is no reference of a registry either: {error}"),
    };
    let client = Client::new(ClientConfig {
        insecure_registries: flags.plain_http.clone(),
        trusted_ca_file: flags.trusted_ca_file.clone(),
        ..ClientConfig::default()
    })?;
    let pulled =
        client.pull(&reference).await.with_context(|| format!("there is no file {given}, and it cannot be pulled"))?;
    let name = reference.repository().rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Program { name, wasm: pulled.bytes })
}

/// What nobody would take for a reference: to ask a registry for it would only hide the mistake.
fn is_plainly_a_file(given: &str) -> bool {
    given.is_empty() || given.starts_with(['/', '.', '~']) || given.ends_with(".wasm") || given.ends_with(".wat")
}

/// A node names a program by the last part of its repository, which is the file's name without `.wasm`, as a rule.
fn stem(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(|| file.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_references_are_told_apart() {
        for given in ["", "/a/b", "./hello", "../x:v1", "~/a", "hello.wasm", "localhost:5000/hello.wasm", "a.wat"] {
            assert!(is_plainly_a_file(given), "{given}");
        }
        for given in ["localhost:5000/hello:v1", "ghcr.io/you/hello", "hello"] {
            assert!(!is_plainly_a_file(given), "{given}");
        }
    }

    #[test]
    fn a_program_is_called_as_on_a_node() {
        for (file, name) in
            [("target/hello-world.wasm", "hello-world"), ("a", "a"), ("x.y.wasm", "x.y"), (".wasm", ".wasm")]
        {
            assert_eq!(stem(file), name);
        }
    }
}
