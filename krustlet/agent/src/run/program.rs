//! From what the command line names to a program that can begin.

use std::io::ErrorKind;
use std::path::Path;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use krustlet_oci::{Client, ClientConfig, Reference};
use krustlet_runtime::{Egress, Engine, EngineConfig, HttpAccess, Module, RunSpec};

use super::console::{Console, complain};
use super::flags::Given;

/// A program that can begin.
pub struct Ready {
    pub engine: Engine,
    pub module: Module,
    /// What it is called: its first argument, as on a node.
    pub name: String,
    /// All that it is given but its arguments.
    pub spec: RunSpec,
}

/// Finds a program and compiles it, for what the command line says.
pub async fn prepare(flags: &Given) -> Result<Ready> {
    for note in flags.allowed_origin.iter().filter_map(|(_, note)| note.as_ref()) {
        complain(&format!("--allowed-origin: {note}"));
    }
    // The cheap mistakes first: before anything is pulled.
    let variables = flags.env.iter().map(|variable| variable.resolve(|name| std::env::var(name).ok()));
    let env = variables.collect::<Result<Vec<_>, _>>().map_err(|fault| anyhow!(fault))?;
    let engine = Engine::new(EngineConfig {
        trusted_ca_file: flags.trusted_ca_file.clone(),
        egress: Egress::anywhere(),
        ..EngineConfig::default()
    })?;
    let Program { name, wasm } = load(flags).await?;
    let compiler = engine.clone();
    let module = tokio::task::spawn_blocking(move || compiler.compile(&wasm)).await?;
    let module = module.with_context(|| format!("{} cannot run here", flags.program))?;
    let mut spec = RunSpec::new(Arc::new(Console));
    spec.http = HttpAccess {
        allowed: flags.allowed_origin.iter().map(|(origin, _)| origin.clone()).collect(),
        max_concurrent_requests: flags.max_concurrent_requests,
        name: name.clone(),
        ..HttpAccess::default()
    };
    spec.env = env;
    spec.mounts = flags.dir.clone();
    spec.memory_limit_bytes = flags.memory_limit;
    Ok(Ready { engine, module, name, spec })
}

/// A program, as it was found.
struct Program {
    name: String,
    /// WebAssembly, perhaps.
    wasm: Vec<u8>,
}

/// Reads the file of that name; where there is none, pulls what a registry has under it.
async fn load(flags: &Given) -> Result<Program> {
    let given = flags.program.as_str();
    match std::fs::read(given) {
        Ok(wasm) => Ok(Program { name: stem(given), wasm }),
        Err(error) if error.kind() == ErrorKind::NotFound && !is_plainly_a_file(given) => pull(flags).await,
        Err(error) => Err(error).with_context(|| format!("cannot read {given}")),
    }
}

async fn pull(flags: &Given) -> Result<Program> {
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
