//! `krustlet-wasi run` and `krustlet-wasi serve`: one program, on this machine, on the runtime that a node uses.

mod console;
mod flags;
mod program;
mod serve;
mod serve_flags;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use krustlet_runtime::{Container, Exit, ExitStatus};
use tokio::time::timeout;

pub use self::flags::Flags;
pub use self::serve::serve;
pub use self::serve_flags::ServeFlags;

use self::console::{Signals, complain, failed};
use self::program::Ready;

/// As of a process that was ended by `SIGKILL`, which a full control group sends.
const OUT_OF_MEMORY_CODE: u8 = 137;

/// How long a program that was stopped may take to end: it may hang in what it prints, which nobody reads.
const STOPPING: Duration = Duration::from_secs(2);

/// The end of a program that was stopped; `None` where it does not come.
async fn ended(container: &Container) -> Option<ExitStatus> {
    timeout(STOPPING, container.wait()).await.ok()
}

/// Runs the program to its end. The exit code is its own; what went wrong is on standard error.
pub async fn run(flags: Flags) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let container = tokio::select! {
        started = start(&flags) => match started {
            Ok(container) => container,
            Err(error) => return failed(&error),
        },
        code = signals.next() => return ExitCode::from(code),
    };
    let status = tokio::select! {
        status = container.wait() => status,
        code = signals.next() => {
            container.stop();
            ended(&container).await;
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
    let Ready { engine, module, name, mut spec } = program::prepare(&flags.given).await?;
    spec.args = std::iter::once(name).chain(flags.args.iter().cloned()).collect();
    if !flags.listen.is_empty() && !module.may_listen() {
        complain("--listen says nothing here: it is for components that run, by WASI 0.2 or 0.3");
    }
    spec.http.listens.clone_from(&flags.listen);
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
