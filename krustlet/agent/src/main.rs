//! `krustlet-wasi`: a Kubernetes node agent that runs WebAssembly modules (WASI preview 1) as pods.
//!
//! Command line, labels and taints are those of Krustlet (<https://docs.krustlet.dev>).
//!
//! Exit codes: 0 after SIGTERM or SIGINT, 1 after a failure, 2 for a bad command line.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod agent;
mod config;
mod data_dir;
mod files;
mod images;
mod join;
mod labels;
mod logs;
mod node;
mod pods;
mod quantity;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Flags, Surroundings};

/// The agent itself does little; the guests have threads of their own.
const WORKER_THREADS: usize = 2;
/// Without the engine's warnings about single calls of a guest, which could fill the log with them.
const DEFAULT_FILTER: &str = "info,wasmtime_wasi=error,wasmtime_wasi_http=error";
/// How long work that is still running may hold up the exit.
const EXIT_LIMIT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let config = match Config::resolve(Flags::parse(), &Surroundings::here()) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults {
                eprintln!("krustlet-wasi: {fault}");
            }
            return ExitCode::from(2);
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    install_crypto();
    if let Err(error) = files::raise_open_files_limit() {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(agent::run(&config));
            runtime.shutdown_timeout(EXIT_LIMIT);
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One provider of cryptography for all of rustls; a second call changes nothing.
fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
