//! `krustlet-approver`: decides on the certificate requests that bear a node's name, at the first join and at renewals. Which one
//! is the node's own is known by the public key that its agent hands over by a file, not by the cluster.
//!
//! Exit codes: 0 after an answer, SIGTERM or SIGINT, 1 after a failure, 2 for a bad command line, 3 when there is nothing more for it
//! to do: another approver has taken over, or its credential ran out.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod answer;
mod credential;
mod decision;
mod der;
mod folder;
mod kubelet;
mod request;
#[cfg(test)]
mod testing;
mod watch;

#[cfg(test)]
mod decision_tests;
#[cfg(test)]
mod kubelet_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod watch_tests;

use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use k8s_openapi::jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use crate::folder::Folder;
use crate::watch::{Approver, End, USUAL_PACE};

/// Decides on the certificate requests that bear a node's name
#[derive(Parser)]
#[command(name = "krustlet-approver", version, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers one question: JSON on standard input, JSON on standard output
    Decide,
    /// Decides on what is asked for in a node's name, until it is ended or another one has taken over
    Watch {
        /// The node's folder
        #[arg(long)]
        state_dir: PathBuf,
        /// Name of the container that this runs in [default: it is a process of the host]
        #[arg(long)]
        container: Option<String>,
    },
}

/// Tells `krustlet-supervisor` not to start it again: that would change nothing.
const OVER: u8 = 3;

fn main() -> ExitCode {
    install_crypto();
    let (done, say): (_, fn(&str)) = match Cli::parse().command {
        Command::Decide => (decide(), |line| eprintln!("krustlet-approver: {line}")),
        Command::Watch { state_dir, container } => (watch(Folder(state_dir), container), log),
    };
    done.unwrap_or_else(|error| {
        say(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

fn decide() -> Result<ExitCode> {
    let question = serde_json::from_reader(stdin()).context("standard input")?;
    serde_json::to_writer(stdout(), &answer::answer(&question)?)?;
    Ok(ExitCode::SUCCESS)
}

/// One thread: it sleeps nearly always.
#[tokio::main(flavor = "current_thread")]
async fn watch(folder: Folder, container: Option<String>) -> Result<ExitCode> {
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut approver = Approver::new(folder, log, USUAL_PACE).await?.within(container);
    log(&format!("{}, process {}", approver.describe(), std::process::id()));
    let end = tokio::select! {
        end = approver.run() => Some(end),
        _ = terminated.recv() => None,
        _ = interrupted.recv() => None,
    };
    let (line, code) = match end {
        None => ("ended by a signal", 0),
        Some(End::Replaced) => ("ended: another approver has taken over, or the node's folder has gone", OVER),
        Some(End::Expired) => (
            "ended: its credential ran out while the API server did not answer or this machine slept; `pulumi up` starts \
             it again",
            OVER,
        ),
    };
    log(line);
    Ok(ExitCode::from(code))
}

/// Lines of the log begin with their time.
fn log(line: &str) {
    println!("{:.3} {line}", Timestamp::now());
}

/// One provider of cryptography for all of rustls; a second call changes nothing.
fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
