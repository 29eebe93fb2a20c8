//! `krustlet-wasi run`: one program, on this machine, on the runtime that a node uses.

mod flags;
mod program;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use krustlet_runtime::{
    Container, Egress, Engine, EngineConfig, Exit, ExitStatus, HttpAccess, LogSink, RunSpec, Stream,
};
use tokio::signal::unix::{SignalKind, signal};

pub use self::flags::Flags;
use self::program::Program;

/// The kubelet's code for a container that could not be started, which is the node's too.
const START_ERROR_CODE: u8 = 128;
/// As of a process that was ended by `SIGKILL`, which a full control group sends.
const OUT_OF_MEMORY_CODE: u8 = 137;
/// As of processes that were ended by these signals.
const INTERRUPTED_CODE: u8 = 130;
const TERMINATED_CODE: u8 = 143;

/// The guest's two streams are this process's own.
struct Console;

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

/// Runs the program to its end. The exit code is its own; what went wrong is on standard error.
pub async fn run(flags: Flags) -> ExitCode {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return failed(&anyhow!("this system does not let signals be received"));
    };
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => INTERRUPTED_CODE,
            _ = terminate.recv() => TERMINATED_CODE,
        }
    };
    tokio::pin!(stopped);
    let container = tokio::select! {
        started = start(&flags) => match started {
            Ok(container) => container,
            Err(error) => return failed(&error),
        },
        code = &mut stopped => return ExitCode::from(code),
    };
    let status = tokio::select! {
        status = container.wait() => status,
        code = &mut stopped => {
            container.stop();
            container.wait().await;
            return ExitCode::from(code);
        }
    };
    let (code, message) = verdict(status);
    if let Some(message) = message {
        complain(&message);
    }
    ExitCode::from(code)
}

async fn start(flags: &Flags) -> Result<Container> {
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
    let Program { name, wasm } = program::load(flags).await?;
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
    spec.args = std::iter::once(name).chain(flags.args.iter().cloned()).collect();
    spec.env = env;
    spec.mounts = flags.dir.clone();
    spec.memory_limit_bytes = flags.memory_limit;
    Ok(engine.start(&module, spec)?)
}

/// The exit code for an end, and what is said of it. Of a code, the lowest eight bits reach whoever waits, as for any process.
fn verdict(status: ExitStatus) -> (u8, Option<String>) {
    let code = status.code.to_le_bytes()[0];
    match status.reason {
        Exit::Exited | Exit::Stopped => (code, None),
        Exit::Trapped(why) => (code, Some(format!("the program trapped: {why}"))),
        Exit::OutOfMemory(why) => (OUT_OF_MEMORY_CODE, Some(format!("the program ran out of memory: {why}"))),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::from(START_ERROR_CODE)
}

/// Not `eprintln!`, which panics when nobody reads any more.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "krustlet-wasi: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exit_codes() {
        let table = [
            (0, Exit::Exited, 0, None),
            (3, Exit::Exited, 3, None),
            (255, Exit::Exited, 255, None),
            (256, Exit::Exited, 0, None),
            (-1, Exit::Exited, 255, None),
            (134, Exit::Trapped("unreachable".into()), 134, Some("the program trapped: unreachable")),
            (137, Exit::OutOfMemory("limit".into()), 137, Some("the program ran out of memory: limit")),
            (137, Exit::Stopped, 137, None),
        ];
        for (code, reason, wanted, message) in table {
            assert_eq!(verdict(ExitStatus { code, reason }), (wanted, message.map(ToOwned::to_owned)));
        }
    }
}
