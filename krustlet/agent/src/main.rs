//! `krustlet-wasi`: a Kubernetes node agent that runs WebAssembly programs (modules of WASI preview 1, components of WASI 0.2 and 0.3) as
//! pods. `krustlet-wasi run` runs one without a cluster, and `krustlet-wasi serve` answers HTTP requests with one.
//!
//! Command line, labels and taints are those of Krustlet (<https://docs.krustlet.dev>).
//!
//! Exit codes of the agent: 0 after SIGTERM or SIGINT, 1 after a failure, 2 for a bad command line. Those of `run` are the
//! program's; those of `serve` are in its help.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod agent;
mod config;
mod data_dir;
mod run;
mod traces;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Flags, Surroundings};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The agent itself does little; the guests have threads of their own.
const WORKER_THREADS: usize = 2;
/// Without the engine's warnings about single calls of a guest, which could fill the log with them.
const DEFAULT_FILTER: &str = "info,wasmtime_wasi=error,wasmtime_wasi_http=error";
/// Who runs one program wants to read what that says.
const DEFAULT_FILTER_OF_RUN: &str = "warn,wasmtime_wasi=error,wasmtime_wasi_http=error";
/// How long work that is still running may hold up the exit.
const EXIT_LIMIT: Duration = Duration::from_millis(500);

/// A Kubernetes node that runs WebAssembly programs as pods
#[derive(Parser)]
#[command(name = "krustlet-wasi", version, long_about = None, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    node: Flags,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Flags),
    Serve(run::ServeFlags),
    /// What the agent starts for each module that is to be compiled
    #[command(hide = true)]
    Compile,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Run(flags)) => {
            begin(DEFAULT_FILTER_OF_RUN);
            finish(with_runtime(run::run(flags)))
        }
        Some(Command::Serve(flags)) => {
            begin(DEFAULT_FILTER_OF_RUN);
            finish(with_runtime(run::serve(flags)))
        }
        Some(Command::Compile) => krustlet_images::compile::child::main(),
        None => agent(cli.node),
    }
}

fn agent(flags: Flags) -> ExitCode {
    let config = match Config::resolve(flags, &Surroundings::here()) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults {
                eprintln!("krustlet-wasi: {fault}");
            }
            return ExitCode::from(2);
        }
    };
    begin(DEFAULT_FILTER);
    finish(with_runtime(agent::run(&config)).and_then(|result| result).map(|()| {
        tracing::info!("stopped");
        ExitCode::SUCCESS
    }))
}

/// What the process needs before anything else: a log, cryptography, open files.
fn begin(default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    krustlet_api::install_crypto();
    if let Err(error) = krustlet_host::files::raise_open_files_limit() {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}

fn with_runtime<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(EXIT_LIMIT);
    Ok(result)
}

fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}
