//! `krustlet-wasi serve`.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use krustlet_runtime::{Exit, Server};
use krustlet_traces::Exporter;

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
    let (server, exporter) = tokio::select! {
        started = start(&flags) => match started {
            Ok(started) => started,
            Err(error) => return failed(&error),
        },
        code = signals.next() => return ExitCode::from(code),
    };
    let (code, is_now) = until_ended(&server, &flags, &mut signals).await;
    if let Some(exporter) = exporter.filter(|_| !is_now) {
        tokio::select! {
            () = exporter.stop() => {}
            _ = signals.next() => {}
        }
    }
    code
}

/// Answers requests until a signal, and then those that are under way. `true`: a second signal wants the end now.
async fn until_ended(server: &Server, flags: &ServeFlags, signals: &mut Signals) -> (ExitCode, bool) {
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
    let (status, is_now) = tokio::select! {
        status = container.wait() => (Some(status), false),
        _ = signals.next() => {
            container.stop();
            (ended(container).await, true)
        }
    };
    let code = match status.map(|status| status.reason) {
        Some(Exit::Exited) => ExitCode::SUCCESS,
        _ => ExitCode::from(code),
    };
    (code, is_now)
}

async fn start(flags: &ServeFlags) -> Result<(Server, Option<Exporter>)> {
    // Before anything is pulled.
    let traces = flags.traces.read().map_err(|faults| anyhow!(faults.join("; ")))?;
    let listener = TcpListener::bind(flags.addr)
        .with_context(|| format!("cannot listen on {}; name another place with --addr", flags.addr))?;
    let Ready { engine, module, name, mut spec } = program::prepare(&flags.given).await?;
    spec.access_log = flags.access_log;
    let ca_file = flags.given.trusted_ca_file.as_deref();
    let (tracer, exporter) = traces.map(|traces| traces.start(ca_file, None)).transpose()?.unzip();
    spec.traces = tracer.map(|tracer| tracer.source([("service.name".to_owned(), name.clone())].into()));
    let server = engine.serve(&module, spec, listener, flags.limits());
    let server = server.with_context(|| format!("{} cannot be served", flags.given.program))?;
    complain(&format!("serving {name} at http://{}", server.address()));
    Ok((server, exporter))
}
