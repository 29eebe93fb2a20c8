//! `krustlet-supervisor [--log-file=FILE] -- PROGRAM ARGUMENT…` runs a program, and runs it again whenever it ends, until it is told to
//! end itself (SIGTERM, SIGINT): then it ends the program and goes. A program that ends with exit code 3 has nothing more to do: then it
//! goes too. What both print is appended to the file, mode 0600, if there is one: in a container nobody else could open it for them.
//!
//! Where an init system can do that, it does it as well; this one asks for nothing of the host, and serves users without rights.

mod restarts;

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};

use crate::restarts::{End, Next, Restarts};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let log_file =
        arguments.peek().and_then(|first| first.as_bytes().strip_prefix(b"--log-file=")).map(OsStr::from_bytes);
    let log_file = log_file.map(OsStr::to_os_string);
    if log_file.is_some() {
        arguments.next();
    }
    let program = match (arguments.next(), arguments.next()) {
        (Some(dashes), Some(program)) if dashes == "--" => program,
        _ => {
            eprintln!("usage: krustlet-supervisor [--log-file=FILE] -- PROGRAM ARGUMENT...");
            return ExitCode::from(2);
        }
    };
    if let Some(file) = log_file
        && let Err(error) = print_into(&file)
    {
        eprintln!("krustlet-supervisor: {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(supervise(&program, &arguments.collect::<Vec<_>>()))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("krustlet-supervisor: {}: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}

/// From now on what this process and its program print goes into that file.
fn print_into(file: &OsStr) -> io::Result<()> {
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    dup2_stdout(&log)?;
    Ok(dup2_stderr(&log)?)
}

/// Runs the program until it fails at once, or until this process is told to end.
async fn supervise(program: &OsString, arguments: &[OsString]) -> io::Result<ExitCode> {
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
