//! `krustlet-supervisor [--user=UID:GID [--pod-routes=FILE]] [--log-file=FILE] -- PROGRAM ARGUMENT…` runs a program, and runs it again
//! whenever it ends, until it is told to end itself (SIGTERM, SIGINT): then it ends the program and goes. A program that ends with exit code
//! 3 has nothing more to do: then it goes too. What both print is appended to the file, mode 0600, if there is one: in a container nobody
//! else could open it for them.
//!
//! In a container it may begin as root: with `--user` it becomes that user before it does anything else, for good and without any right.
//! With `--pod-routes` one more process does so, which keeps the right to change the container's network, and makes the routes that the
//! program asks for by that file.
//!
//! Where an init system can do that, it does it as well; this one asks for nothing of the host, and serves users without rights.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod linux {
    //! There is nothing of the kind.

    use std::io;

    use crate::options::Options;

    pub fn give_up_rights(options: &Options) -> io::Result<()> {
        if options.user.is_some() { Err(io::Error::other("--user is for Linux")) } else { Ok(()) }
    }

    pub fn keep_routes(options: &Options) -> io::Result<std::convert::Infallible> {
        Err(io::Error::other(format!("--pod-routes={:?} is for Linux", options.pod_routes)))
    }
}
mod options;
mod restarts;

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};

use crate::options::{Options, USAGE};
use crate::restarts::{End, Next, Restarts};

fn main() -> ExitCode {
    let Some(options) = Options::parse(std::env::args_os().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("krustlet-supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<ExitCode> {
    let Some((program, arguments)) = options.program.split_first() else { match linux::keep_routes(options)? {} };
    linux::give_up_rights(options)?;
    print_into(options.log_file.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(program, arguments)).map_err(|error| named(Path::new(program), &error))
}

fn named(file: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}

/// From now on what this process and its program print goes into that file.
fn print_into(file: Option<&Path>) -> io::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
    let log = log.map_err(|error| named(file, &error))?;
    dup2_stdout(&log)?;
    Ok(dup2_stderr(&log)?)
}

/// Runs the program until it fails at once, or until this process is told to end.
async fn supervise(program: &OsStr, arguments: &[OsString]) -> io::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut restarts = Restarts::default();
    loop {
        let started = Instant::now();
        let mut child = Command::new(program).args(arguments).spawn()?;
        let id = child.id();
        let Some(status) = ended(&mut child, &mut terminate, &mut interrupt).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        let end = end_of(status);
        match restarts.after(started.elapsed(), &end) {
            Next::Exit(code) => return Ok(ExitCode::from(code)),
            Next::Again(pause) => {
                eprintln!(
                    "krustlet-supervisor: {} ({}) {end}; it is started again in {} ms",
                    program.display(),
                    id.unwrap_or_default(),
                    pause.as_millis()
                );
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
                    _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
                }
            }
        }
    }
}

/// Waits for the program's end. `None`: this process was told to end, and so was the program, which has ended.
async fn ended(
    child: &mut Child,
    terminate: &mut Arrivals,
    interrupt: &mut Arrivals,
) -> io::Result<Option<ExitStatus>> {
    tokio::select! {
        status = child.wait() => return status.map(Some),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // It is this process' own child and not waited for yet, so its id is still its own.
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        // One that has just ended cannot be told any more, and need not.
        let _ = kill_process(pid, Signal::TERM);
    }
    child.wait().await?;
    Ok(None)
}

fn end_of(status: ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, signal) => End::Signalled(signal.unwrap_or_default()),
    }
}
