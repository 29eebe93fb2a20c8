//! `krustlet-wasi serve`.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use krustlet_runtime::{Exit, Server};

use super::console::{Signals, complain, failed};
use super::ended;
use super::program::{self, Ready};
use super::serve_flags::ServeFlags;

/// Answers requests until it is asked to end.
pub async fn serve(flags: ServeFlags) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let server = tokio::select! {
        started = start(&flags) => match started {
            Ok(server) => server,
            Err(error) => return failed(&error),
        },
        code = signals.next() => return ExitCode::from(code),
    };
    let code = signals.next().await;
    server.drain(Duration::ZERO, flags.grace_period());
    let under_way = server.stats().in_flight;
    if under_way > 0 {
        let seconds = flags.grace_period().as_secs();
        complain(&format!(
            "{under_way} requests are under way and have {seconds} s to end; Ctrl-C again ends them now"
        ));
    }
    let container = server.container();
    let status = tokio::select! {
        status = container.wait() => status,
        _ = signals.next() => {
            container.stop();
            match ended(container).await {
                Some(status) => status,
                None => return ExitCode::from(code),
            }
        }
    };
    match status.reason {
        Exit::Exited => ExitCode::SUCCESS,
        _ => ExitCode::from(code),
    }
}

async fn start(flags: &ServeFlags) -> Result<Server> {
    // Before anything is pulled.
    let listener = TcpListener::bind(flags.addr)
        .with_context(|| format!("cannot listen on {}; name another place with --addr", flags.addr))?;
    let Ready { engine, module, name, mut spec } = program::prepare(&flags.given).await?;
    spec.access_log = flags.access_log;
    let server = engine.serve(&module, spec, listener, flags.limits());
    let server = server.with_context(|| format!("{} cannot be served", flags.given.program))?;
    complain(&format!("serving {name} at http://{}", server.address()));
    Ok(server)
}
