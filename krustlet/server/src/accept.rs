//! The connections of the port, with what may come of them: HTTP/1.1 that can be upgraded. `axum_server` would serve that together with
//! HTTP/2 alone, and wait for a client's first byte without an end.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum_server::accept::Accept;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::peer::PeerAcceptor;

/// How long open connections may go on when the agent stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long is waited where no connection can be taken, as when no file may be opened.
const PAUSE: Duration = Duration::from_millis(50);

/// What each connection is served with.
#[derive(Clone)]
pub struct Port {
    /// Lets clients in.
    pub acceptor: PeerAcceptor,
    /// Answers.
    pub router: Router,
    /// How long a client may take for the head of a request.
    pub idle: Duration,
    /// When it is over.
    pub stop: CancellationToken,
}

impl Port {
    /// Takes connections until it is over.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(self.clone().connection(stream));
                }
                Err(error) => {
                    tracing::debug!("no connection can be taken at the log port: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream) {
        let Ok((stream, service)) = self.acceptor.accept(stream, self.router).await else { return };
        let mut builder = http1::Builder::new();
        // Without a timer hyper keeps no time at all.
        builder.timer(TokioTimer::new()).header_read_timeout(self.idle);
        let service = TowerToHyperService::new(service);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
        tokio::select! {
            // What was wrong with it concerns its client alone.
            _ = connection.as_mut() => return,
            () = self.stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(FAREWELL, connection).await;
    }
}
