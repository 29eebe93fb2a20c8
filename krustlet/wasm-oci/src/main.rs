//! `wasm-oci` moves WebAssembly modules between files and OCI registries.
//!
//! Results go to standard output, as text or as one line of JSON; what went wrong goes to standard error. Exit codes: 0 done,
//! 1 failed, 2 wrong usage (of the command line, or a file that is no module), 3 not there.

mod commands;
mod module;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use krustlet_oci::{Client, ClientConfig, OciError, Reference};

use crate::module::ModuleError;

/// Push, pull, inspect and delete WebAssembly modules in OCI registries.
#[derive(Parser)]
#[command(
    version,
    after_help = "Logins are those of `docker login`: the `auths` in $DOCKER_CONFIG/config.json or \
~/.docker/config.json.\nExit codes: 0 done, 1 failed, 2 wrong usage or no WebAssembly module, 3 not in the registry."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    /// A registry to speak to in plain HTTP, as host:port, just as the reference names it; may be repeated.
    #[arg(long, global = true, value_name = "REGISTRY")]
    plain_http: Vec<String>,
    /// Print the result as one line of JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Seconds that a registry may take to accept a connection.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    connect_timeout: u64,
    /// Seconds that a registry may be silent in the middle of an answer.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30)]
    read_timeout: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Push a WASI preview 1 module; nothing is sent if it is there already.
    Push {
        /// The .wasm file.
        file: PathBuf,
        /// Where to: registry/repository:tag.
        reference: Reference,
    },
    /// Pull a module into a file.
    Pull {
        /// Which: registry/repository:tag or registry/repository@sha256:….
        reference: Reference,
        /// The file to write; it is replaced only when the module has arrived whole.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show what a reference leads to, without pulling the module.
    Inspect {
        /// Which: registry/repository:tag or registry/repository@sha256:….
        reference: Reference,
    },
    /// Delete the manifest that a reference leads to, with all of its tags.
    Delete {
        /// Which: registry/repository:tag or registry/repository@sha256:….
        reference: Reference,
    },
}

/// All that can go wrong.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Oci(#[from] OciError),
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error("cannot write {path}: {problem}")]
    Write { path: String, problem: std::io::Error },
    #[error("cannot print the result: {0}")]
    Print(std::io::Error),
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Oci(OciError::NotFound { .. }) => 3,
            Self::Oci(OciError::Reference { .. } | OciError::NotAModule(_) | OciError::TooLarge { .. })
            | Self::Module(_) => 2,
            _ => 1,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    // Not `println!`, which panics when nobody reads any more.
    match run(cli).and_then(|text| writeln!(std::io::stdout(), "{text}").map_err(Failure::Print)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("wasm-oci: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Result<String, Failure> {
    let client = Client::new(ClientConfig {
        insecure_registries: cli.options.plain_http,
        connect_timeout: Duration::from_secs(cli.options.connect_timeout),
        read_timeout: Duration::from_secs(cli.options.read_timeout),
        ..ClientConfig::default()
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start)?;
    let report = runtime.block_on(async {
        match cli.command {
            Command::Push { file, reference } => commands::push(&client, &file, &reference).await,
            Command::Pull { reference, output } => commands::pull(&client, &reference, &output).await,
            Command::Inspect { reference } => commands::inspect(&client, &reference).await,
            Command::Delete { reference } => commands::delete(&client, &reference).await,
        }
    })?;
    Ok(match cli.options.json {
        true => report.json.to_string(),
        false => report.text,
    })
}
