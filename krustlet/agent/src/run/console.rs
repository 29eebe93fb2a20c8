//! What the two commands say, and where the program's own words go.

use std::io::{self, Write};
use std::process::ExitCode;

use krustlet_runtime::{LogSink, Stream};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The kubelet's code for a container that could not be started, which is the node's too.
const START_ERROR_CODE: u8 = 128;
/// As of processes that were ended by these signals.
const INTERRUPTED_CODE: u8 = 130;
const TERMINATED_CODE: u8 = 143;

/// The guest's two streams are this process's own.
pub struct Console;

impl LogSink for Console {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            // Standard output keeps what has no line end yet, and a prompt or a progress bar has none.
            Stream::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Stream::Stderr => io::stderr().write_all(bytes),
        }
    }
}

/// The signals that ask for an end.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).map_err(|_| anyhow::anyhow!("this system does not let signals be received"));
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    /// Waits for one: the exit code that it means.
    pub async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPTED_CODE,
            _ = self.terminate.recv() => TERMINATED_CODE,
        }
    }
}

pub fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::from(START_ERROR_CODE)
}

/// Not `eprintln!`, which panics when nobody reads any more.
pub fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "krustlet-wasi: {message}");
}
