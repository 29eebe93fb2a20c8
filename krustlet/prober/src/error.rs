//! Why a probe or a hook is no success, in the kubelet's words.

use std::io;
use std::net::SocketAddr;

/// One that was made. Nobody but its reader tells these apart: each is a failure.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no such port at present.
    #[error("dial tcp :{0}: the program does not listen there")]
    NotListening(u16),
    /// No connection.
    #[error("dial tcp {address}: {error}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What the host said.
        error: io::Error,
    },
    /// Nothing came in its time.
    #[error("it did not answer in time")]
    TimedOut,
    /// A request by HTTP went wrong on its way.
    #[error("Get {url:?}: {problem}")]
    Http {
        /// What was asked for.
        url: String,
        /// How it went wrong.
        problem: String,
    },
    /// The answer's status is not from 200 to 399.
    #[error("HTTP probe failed with statuscode: {0}")]
    Status(u16),
    /// A call by gRPC went wrong, or what it answers is none of its health protocol.
    #[error("error: health rpc probe failed: {0}")]
    Grpc(String),
    /// It speaks gRPC, and not about its health.
    #[error("error: this server does not implement the grpc health protocol (grpc.health.v1.Health)")]
    NoHealthProtocol,
    /// It says itself that it is not well.
    #[error("service unhealthy (responded with {0:?})")]
    Unhealthy(&'static str),
}
